"""The agent that acts at random: the floor beside which every score stands.

Source: the loop `env.action_space.sample()` of Gymnasium's first example.
Departures: a dimension of an action without bounds is standard normal.
Letters: N environments, A actions, D dimensions of an action.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, ClassVar

import numpy as np
from gymnasium import spaces

from rl_algos.parts.masks import legal_at
from rl_core.agent import Agent
from rl_core.config import Count, Doc, configclass
from rl_core.task import ControlTask


@configclass
class RandomActionsConfig:
    """Settings of the agent that acts at random."""

    num_envs: Annotated[Count, Doc("N, environments stepped together")] = 8
    iteration_steps: Annotated[Count, Doc("steps of each environment between two lines of metrics")] = 100


def random_actions(space: spaces.Space[Any], count: int, rng: np.random.Generator, legal: np.ndarray | None = None) -> np.ndarray:
    """Return actions [count, ...] drawn evenly from a space of numbers.

    Args:
        space: The space of one action.
        count: How many.
        rng: Source of the draws.
        legal: Which actions are allowed [count, ..., A], bool, of a space of choices; `None` for all.

    >>> random_actions(spaces.Discrete(3, start=1), 5, np.random.default_rng(0)).tolist()
    [3, 2, 2, 1, 1]
    """
    if legal is not None and isinstance(space, spaces.Discrete | spaces.MultiDiscrete):
        allowed: np.ndarray = space.start + np.where(legal, rng.random(legal.shape), -1.0).argmax(axis=-1)
        return allowed
    if isinstance(space, spaces.Discrete):
        return int(space.start) + rng.integers(int(space.n), size=count)
    if isinstance(space, spaces.MultiDiscrete):
        drawn: np.ndarray = space.start + rng.integers(space.nvec, size=(count, *space.shape))
        return drawn
    assert isinstance(space, spaces.Box)
    normal = rng.standard_normal((count, *space.shape))
    bounded = np.isfinite(space.low) & np.isfinite(space.high)
    low, high = np.where(bounded, space.low, 0.0), np.where(bounded, space.high, 0.0)
    drawn = np.where(bounded, low + (high - low) * rng.random(normal.shape), normal)
    return np.asarray(drawn.clip(space.low, space.high), dtype=space.dtype)


class RandomPolicy:
    """A predictor that answers by chance, whatever the inputs are; see `rl_core.task.PredictAllowed` and `PredictByChance`.

    Args:
        space: The space of one action.
        rng: Source of the draws.
    """

    def __init__(self, space: spaces.Space[Any], rng: np.random.Generator) -> None:
        self._space, self._rng = space, rng
        self._legal: np.ndarray | None = None

    def allow(self, legal: np.ndarray) -> None:
        """Take note of the actions that are allowed at the next inputs [B, ..., A], bool."""
        self._legal = legal

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """Return actions [B, ...] for inputs [B, ...]."""
        return random_actions(self._space, len(inputs), self._rng, self._legal)

    def chance_of(self, answers: np.ndarray) -> np.ndarray:
        """Return the probability [B] of each answer [B], of a space of choices; of other ones their density is not known: zeros."""
        if not isinstance(self._space, spaces.Discrete):
            return np.zeros(len(answers))
        if self._legal is None:
            return np.full(len(answers), 1.0 / int(self._space.n))
        return self._legal[np.arange(len(answers)), answers - int(self._space.start)] / self._legal.sum(axis=1)


class RandomActions(Agent):
    """An agent that learns nothing; a run of it says what chance alone reaches."""

    Config: ClassVar[type] = RandomActionsConfig
    headline = "episode_return"
    state_fields = ("envs",)
    config: RandomActionsConfig
    task: ControlTask

    def setup(self) -> None:
        """Make the environments."""
        self.rng = self.seeds.numpy("actions")
        self.envs: Any = self.task.envs(self.config.num_envs, self.seeds)
        self.envs.reset()

    def step(self) -> dict[str, float]:
        """Act at random for some steps of every environment."""
        for _ in range(self.config.iteration_steps):
            legal = self.envs.extras().get("legal")
            self.envs.step(random_actions(self.task.output_space, self.config.num_envs, self.rng, legal))
        self.progress += self.config.iteration_steps * self.config.num_envs
        return dict(self.envs.episode_metrics())

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return random actions [B, ...] for inputs [B, ...]: of the same input the same one, so that an answer can be repeated."""
        actions, legal = [], legal_at(self.task, inputs)
        for index, row in enumerate(inputs):
            digest = hashlib.sha256(np.ascontiguousarray(row).tobytes()).digest()
            rng = np.random.default_rng(int.from_bytes(digest[:8], "little"))
            actions.append(random_actions(self.task.output_space, 1, rng, None if legal is None else legal[index : index + 1])[0])
        return np.array(actions)

    def predictor(self) -> RandomPolicy:
        """Return what answers in an evaluation: actions from a stream of their own, of those that are allowed."""
        return RandomPolicy(self.task.output_space, np.random.Generator(np.random.PCG64(self.seeds.integer("evaluation actions"))))
