"""Random search: two opposite steps of a policy's weights are tried, and the better one is taken.

Source: Mania, Guy, Recht, "Simple random search provides a competitive approach to reinforcement learning", 2018, Algorithm 1.
Departures: one direction per update, and a step of fixed length towards the better end instead of one in proportion to the difference.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rl_core.agent import Agent


@dataclass(frozen=True)
class RandomSearchConfig:
    """Settings of random search."""

    noise: float = 0.1  # nu, standard deviation of a step, in units of the weights, > 0
    num_episodes: int = 8  # N, episodes that judge each end, >= 1

    def __post_init__(self) -> None:
        if self.noise <= 0 or self.num_episodes < 1:
            raise ValueError(f"noise is {self.noise}, num_episodes is {self.num_episodes}; they must be > 0 and >= 1")


class RandomSearch(Agent):
    """Moves the `weights` that its network builds, without any gradient. Nothing else changes while it learns."""

    Config = RandomSearchConfig

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.policy = self.network.build(self.task.input_space, self.task.output_space, self.seeds.numpy("init"))

    def step(self) -> dict[str, float]:
        """One trial: both ends of a random direction, on the same episodes."""
        weights = self.policy.weights
        step = self.config.noise * self.seeds.numpy("steps").standard_normal(weights.shape)
        plus, minus = self.judge(weights + step), self.judge(weights - step)
        self.policy.weights = weights + np.sign(plus - minus) * step
        self.progress += 1
        return {"score": max(plus, minus)}

    def judge(self, weights: np.ndarray) -> float:
        """The task's score of these weights."""
        self.policy.weights = weights
        return self.evaluate(episodes=self.config.num_episodes, seeds=self.seeds.child(f"trial {self.progress}"))[self.task.metric]

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """The action with the highest output [B]."""
        return self.policy(inputs).argmax(axis=1)

    def state_dict(self) -> dict[str, Any]:
        """The weights; progress and the random streams are kept by the run."""
        return {"weights": self.policy.weights}

    parameters = state_dict  # what is saved is what a step moves

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take the weights back."""
        self.policy.weights = np.array(state["weights"])
