"""What several test files need: a comparison of saved states, a task whose values are known exactly, and one that takes a memory."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium import spaces

from rl_core.envs import Envs, Transition
from rl_core.runs.checkpoint import Block
from rl_core.task import ControlTask


class OneState(ControlTask):
    """A chain of one state that pays 1 a step for ever, cut, or ended, after some steps."""

    Config = dict
    input_space = spaces.Box(-1, 1, (1,), np.float32)
    output_space = spaces.Discrete(2)

    def __init__(self, length, ends, input_space=None):
        super().__init__({})
        self.length, self.ends, self.input_space = length, ends, input_space or self.input_space

    def envs(self, num_envs, seeds):
        return OneStateEnvs(num_envs, self)

    def evaluate(self, predict, *, episodes, seeds):
        return {}


class OneStateEnvs(Envs):
    def __init__(self, num_envs, task):
        super().__init__(num_envs, task.input_space, task.output_space)
        self.task, self.elapsed = task, np.zeros(num_envs, dtype=np.int64)

    def reset(self):
        self.elapsed[:] = 0
        return self._obs()

    def _obs(self):
        return np.ones((self.num_envs, *self.input_space.shape), dtype=self.input_space.dtype)

    def step(self, actions):
        self.elapsed += 1
        over = self.elapsed >= self.task.length
        self.elapsed[over] = 0
        reward, never = np.ones(self.num_envs, dtype=np.float32), np.zeros_like(over)
        self._count(reward, over)
        ended, cut = (over, never) if self.task.ends else (never, over)
        return Transition(self._obs(), reward, ended, cut, self._obs())

    def state_dict(self):
        return {"elapsed": self.elapsed.copy(), **self._counters()}

    def load_state_dict(self, state):
        self.elapsed = np.array(state["elapsed"])
        self._load_counters(state)
        return self._obs()


class Recall(ControlTask):
    """A cue of -1 or 1 is shown once, and asked for when the second number of an observation turns 1, `delay` steps later."""

    Config = dict
    input_space = spaces.Box(-1, 1, (2,), np.float32)
    output_space = spaces.Discrete(2)

    def __init__(self, delay):
        super().__init__({})
        self.delay = delay

    def envs(self, num_envs, seeds):
        return RecallEnvs(num_envs, self, seeds.numpy("cues"))


class RecallEnvs(Envs):
    def __init__(self, num_envs, task, rng):
        super().__init__(num_envs, task.input_space, task.output_space)
        self.delay, self.rng = task.delay, rng

    def reset(self):
        self.elapsed = 0
        self.cue = self.rng.integers(0, 2, self.num_envs)
        return np.stack([2.0 * self.cue - 1.0, np.zeros(self.num_envs)], axis=1).astype(np.float32)

    def step(self, actions):
        asked = self.elapsed == self.delay
        reward = np.where(actions == self.cue, 1.0, -1.0).astype(np.float32) * asked
        over = np.full(self.num_envs, asked)
        self._count(reward, over)
        self.elapsed += 1
        final_obs = np.zeros((self.num_envs, 2), np.float32)
        final_obs[:, 1] = self.elapsed == self.delay
        return Transition(self.reset() if asked else final_obs, reward, over, np.zeros_like(over), final_obs)

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        return self.reset()


@pytest.fixture
def recall():
    """A task that only a memory solves: `recall(delay)`."""
    return Recall


@pytest.fixture
def one_state():
    """A task of one state that pays 1 a step for ever, cut, or ended, after some steps: `one_state(length, ends, input_space)`."""
    return OneState


@pytest.fixture
def assert_same():
    """Whether two nested states are the same to the last bit and to the type."""
    return _assert_same


def _assert_same(left, right):
    assert type(left) is type(right)
    if isinstance(left, dict):
        assert left.keys() == right.keys()
        for key in left:
            _assert_same(left[key], right[key])
    elif isinstance(left, list | Block):
        assert len(left) == len(right)
        for one, other in zip(left, right, strict=True):
            _assert_same(one, other)
    elif isinstance(left, np.ndarray):
        assert left.dtype == right.dtype
        np.testing.assert_array_equal(left, right)
    else:
        assert left == right
