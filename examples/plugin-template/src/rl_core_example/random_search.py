"""Random search: two opposite steps of a policy's weights are tried, and the better one is taken.

Source: Mania, Guy, Recht, "Simple random search provides a competitive approach to reinforcement learning", 2018, Algorithm 1.
Departures: one direction per update, and a step of fixed length towards the better end instead of one in proportion to the difference.
"""

from typing import Annotated

import numpy as np

from rl_core.agent import Agent
from rl_core.config import Count, Doc, Positive, configclass


@configclass
class RandomSearchConfig:
    """Settings of random search."""

    noise: Annotated[Positive, Doc("nu, standard deviation of a step, in units of the weights")] = 0.1
    num_episodes: Annotated[Count, Doc("N, episodes that judge each end")] = 8


class RandomSearch(Agent):
    """Moves the `weights` that its network builds, without any gradient."""

    Config = RandomSearchConfig
    config: RandomSearchConfig
    state_fields = ("weights",)  # all that changes while it learns; progress and the random streams are saved by the run

    def setup(self) -> None:
        """Build the policy; its weights are the agent's."""
        self.policy = self.network.build(self.task.input_space, self.task.output_space, self.seeds.numpy("init"))
        self.weights = self.policy.weights

    def step(self) -> dict[str, float]:
        """Try both ends of a random direction on the same episodes, and take the better one."""
        step = self.config.noise * self.seeds.numpy("steps").standard_normal(self.weights.shape)
        plus, minus = self.judge(self.weights + step), self.judge(self.weights - step)
        self.weights = self.policy.weights = self.weights + np.sign(plus - minus) * step
        self.progress += 1
        return {"episode_return": max(plus, minus)}

    def judge(self, weights: np.ndarray) -> float:
        """Return the task's score of these weights."""
        self.policy.weights = weights
        return self.evaluate(episodes=self.config.num_episodes, seeds=self.seeds.child(f"trial {self.progress}"))[self.task.metric]

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return the action with the highest output [B]."""
        return self.policy(inputs).argmax(axis=1)

    def parameters(self) -> dict[str, np.ndarray]:
        """Return the weights, which every step changes."""
        return {"weights": self.weights}
