"""Offline data: transitions of an environment, recorded by some policy, as a data task."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces

from rl_core.seeds import Seeds
from rl_core.task import ControlTask, DataTask, Predict

PARTS = ("obs", "action", "reward", "terminated", "truncated", "final_obs")


class TransitionTask(DataTask):
    """Transitions to learn a policy from, which the environment then judges; its kind is "offline".

    An example is a dict of the parts `obs`, `action`, `reward` (float32), `terminated`, `truncated` (bool) and `final_obs`, and of the
    extras that the task declares; see `rl_core.envs.Transition`. Its target is the action. The transitions of an episode have
    neighbouring indices. An agent is asked about observations: `input_space` is that of `obs`, `output_space` that of actions.

    Attributes:
        extras: Names of further parts: "cost", "legal", "goal".
    """

    kind: ClassVar[str] = "offline"
    metric = "mean return"
    extras: tuple[str, ...] = ()

    def traits(self) -> frozenset[str]:
        """Return the traits of every task, and the names of the extras."""
        return super().traits() | frozenset(self.extras)

    @property
    def example_space(self) -> gymnasium.Space[Any]:
        """The space of a transition, without its extras."""
        flag = spaces.Box(0, 1, (), np.bool_)
        return spaces.Dict(
            {
                "obs": self.input_space,
                "action": self.output_space,
                "reward": spaces.Box(-np.inf, np.inf, (), np.float32),
                "terminated": flag,
                "truncated": flag,
                "final_obs": self.input_space,
            }
        )

    @abstractmethod
    def control(self) -> ControlTask:
        """Return the environment that judges the policy."""

    def evaluate(self, predict: Predict, *, episodes: int, seeds: Seeds) -> dict[str, float]:
        """Return the scores of the policy in the environment."""
        return self.control().evaluate(predict, episodes=episodes, seeds=seeds)
