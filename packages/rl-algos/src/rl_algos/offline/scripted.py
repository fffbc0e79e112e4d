"""Recordings of three qualities that come with the package: scripted policies play CartPole and Pendulum when the task is first read.

Data of our own agents is made by commands: `rl-core collect CartPole-v1` plays at random, `rl-core run dqn --until 10000` followed by
`rl-core collect RUN` records a policy of medium quality, and the same after the whole budget an expert.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Annotated, ClassVar, Literal

import numpy as np

from rl_algos.tasks.array_envs import ArrayTaskConfig
from rl_algos.tasks.cartpole import CartPole
from rl_algos.tasks.pendulum import Pendulum
from rl_core.config import Count, Doc, Whole, configclass
from rl_core.offline import RecordedConfig, RecordedTask
from rl_core.recording import PROBABILITY, Recording, record
from rl_core.seeds import Seeds
from rl_core.task import ControlTask, Predict

BALANCE = np.array([0.1, 0.6, 1.2, 1.0], dtype=np.float32)  # weights of position, velocity, angle, angular velocity
MIXED_SHARES = np.array([0.1, 0.3, 0.6, 1.0])
UPRIGHT_ENERGY = 15.0  # of a pendulum at rest upright: v^2 / 2 + 15 cos(angle), since its acceleration is 15 sin(angle) + 3 torque
CATCH = 0.9  # cosine of the angle from which the pendulum is held


@configclass
class ScriptedConfig(RecordedConfig):
    """Settings of a recording of a scripted policy."""

    environment: Annotated[Literal["CartPole-v1", "Pendulum-v1"], Doc("the environment")] = "CartPole-v1"
    policy: Annotated[
        Literal["random", "mixed", "expert"], Doc("mixed: in each episode another share of random actions, of 0.1, 0.3, 0.6 and 1")
    ] = "expert"
    num_steps: Annotated[Count, Doc("transitions at least; the last episodes are ended")] = 20_000
    data_seed: Annotated[Whole, Doc("number of the recording; independent of the run's seed")] = 0


def balance(obs: np.ndarray, /) -> np.ndarray:
    """Return pushes [B] that keep the pole upright for 500 steps, at observations [B, 4]: a linear rule.

    >>> balance(np.array([[0, 0, 0.1, 0], [0, 0, -0.1, 0]], dtype=np.float32)).tolist()
    [1, 0]
    """
    pushes: np.ndarray = (obs @ BALANCE > 0).astype(np.int64)
    return pushes


def swing_up(obs: np.ndarray, /) -> np.ndarray:
    """Return torques [B, 1] that swing a pendulum up and hold it, at observations [B, 3].

    Source: K. J. Astrom, K. Furuta, "Swinging up a pendulum by energy control", 2000; near the top a linear rule.

    >>> swing_up(np.array([[-1.0, 0.0, 0.5], [1.0, 0.0, 0.1]], dtype=np.float32)).round(2).tolist()
    [[2.0], [-0.25]]
    """
    cos, sin, velocity = obs.T
    lacking = UPRIGHT_ENERGY - (0.5 * velocity**2 + UPRIGHT_ENERGY * cos)
    swing = lacking * np.where(velocity >= 0, 1.0, -1.0)
    hold = -(10.0 * np.arctan2(sin, cos) + 2.5 * velocity)
    torque: np.ndarray = np.clip(np.where(cos > CATCH, hold, swing), -2.0, 2.0)[:, None].astype(np.float32)
    return torque


class Mixed:
    """A policy that draws a share of random actions for each episode.

    Args:
        policy: The rule without random actions.
        task: The environment.
        rng: Source of shares and actions.
    """

    def __init__(self, policy: Callable[[np.ndarray], np.ndarray], task: ControlTask, rng: np.random.Generator) -> None:
        self._policy, self._space, self._rng = policy, task.output_space, rng
        self._share = np.zeros(0)

    def begin(self, starts: np.ndarray) -> None:
        """Draw a share for the rows whose episode starts [B]."""
        drawn = self._rng.choice(MIXED_SHARES, len(starts))
        self._share = drawn if len(self._share) != len(starts) else np.where(starts, drawn, self._share)

    def __call__(self, obs: np.ndarray) -> np.ndarray:
        """Return actions [B, ...] at observations [B, ...]."""
        action, is_random = self._policy(obs), self._rng.random(len(obs)) < self._share
        if action.ndim == 1:
            return np.where(is_random, self._rng.integers(0, 2, len(obs)), action)
        random = (4.0 * self._rng.random(action.shape) - 2.0).astype(action.dtype)
        return np.where(is_random[:, None], random, action)


def environment_of(name: str) -> CartPole | Pendulum:
    """Return the environment of a name."""
    return CartPole(ArrayTaskConfig()) if name == "CartPole-v1" else Pendulum(ArrayTaskConfig())


@lru_cache(maxsize=6)
def played(environment: str, policy: str, num_steps: int, data_seed: int) -> Recording:
    """Return the recording of a scripted policy; its arrays are not to be written to."""
    task, seeds = environment_of(environment), Seeds(data_seed).apart("scripted data")
    rule = balance if environment == "CartPole-v1" else swing_up
    plays = {"random": None, "expert": rule, "mixed": Mixed(rule, task, seeds.numpy("mixed"))}[policy]
    arrays = record(task, plays, num_steps=num_steps, seeds=seeds)
    arrays.pop(PROBABILITY, None)  # of the mixed policy it is not known
    for array in arrays.values():
        array.setflags(write=False)
    return Recording(arrays, {"task": environment, "policy": policy, "seed": data_seed})


class ScriptedData(RecordedTask):
    """Transitions of a scripted policy, judged in the environment."""

    Config: ClassVar[type] = ScriptedConfig
    config: ScriptedConfig

    def __init__(self, config: ScriptedConfig) -> None:
        super().__init__(config)
        self._control = environment_of(config.environment)
        self.input_space, self.output_space, self.target = self._control.input_space, self._control.output_space, self._control.target

    def load(self) -> Recording:
        """Return the recording, made by playing."""
        return played(self.config.environment, self.config.policy, self.config.num_steps, self.config.data_seed)

    def traits(self) -> frozenset[str]:
        """Return the traits of every recording, with "expert": there is one to ask."""
        return super().traits() | {"expert"}

    def expert(self) -> Predict:
        """Return the rule without random actions."""
        return balance if self.config.environment == "CartPole-v1" else swing_up

    def control(self) -> ControlTask:
        """Return the environment."""
        return self._control
