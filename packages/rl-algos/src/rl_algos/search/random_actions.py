"""The agent that acts at random: the floor beside which every score stands.

Source: the loop `env.action_space.sample()` of Gymnasium's first example.
Departures: a dimension of an action without bounds is standard normal.
Letters: N environments, A actions, D dimensions of an action.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Annotated, Any, ClassVar

import numpy as np
from gymnasium import spaces

from rl_core.agent import Agent
from rl_core.config import Count, Doc, configclass
from rl_core.task import ControlTask


@configclass
class RandomActionsConfig:
    """Settings of the agent that acts at random."""

    num_envs: Annotated[Count, Doc("N, environments stepped together")] = 8
    iteration_steps: Annotated[Count, Doc("steps of each environment between two lines of metrics")] = 100


def random_actions(space: spaces.Space[Any], count: int, rng: np.random.Generator) -> np.ndarray:
    """Return actions [count, ...] drawn evenly from a space of numbers.

    >>> random_actions(spaces.Discrete(3, start=1), 5, np.random.default_rng(0)).tolist()
    [3, 2, 2, 1, 1]
    """
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
            self.envs.step(random_actions(self.task.output_space, self.config.num_envs, self.rng))
        self.progress += self.config.iteration_steps * self.config.num_envs
        return dict(self.envs.episode_metrics())

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return random actions [B, ...] for inputs [B, ...]: of the same input the same one, so that an answer can be repeated."""
        actions = []
        for row in inputs:
            digest = hashlib.sha256(np.ascontiguousarray(row).tobytes()).digest()
            rng = np.random.default_rng(int.from_bytes(digest[:8], "little"))
            actions.append(random_actions(self.task.output_space, 1, rng)[0])
        return np.array(actions)

    def predictor(self) -> Callable[[np.ndarray], np.ndarray]:
        """Return what answers in an evaluation: actions from a stream of their own, whatever the inputs are."""
        rng = np.random.Generator(np.random.PCG64(self.seeds.integer("evaluation actions")))
        return lambda inputs: random_actions(self.task.output_space, len(inputs), rng)
