"""REINFORCE as supervised learning: the actions taken are the classes, and an example counts as much as the return that followed it.

Source: the identity grad E[G] = E[G grad ln pi(a|s)] of R. J. Williams, "Simple statistical gradient-following algorithms for
connectionist reinforcement learning", 1992, theorem 1, read as a weighted likelihood: G (-ln pi(a|s)) is categorical cross-entropy with
sample weight G; P. Dayan, G. Hinton, "Using expectation-maximization for reinforcement learning", 1997, section 2.
Departures: the weight is the discounted return from the action on. It may be negative: the mean is over the number of examples, not over
the sum of the weights, so the gradient is REINFORCE's exactly (`test_reinforce_crossentropy` holds both to 1e-6). To shift the weights
of a batch until none is negative would bias it: that baseline depends on the actions that it judges. `normalise_returns` has the same
bias, which vanishes as batches grow.
Letters: B batch, A actions.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np

from dl_nets.learning import losses, supervised
from dl_nets.learning.optimisers import Optimiser, OptimiserName
from rl_algos.on_policy.loop import OnPolicy, OnPolicyConfig
from rl_algos.on_policy.reinforce import returns_to_go
from rl_algos.on_policy.rollout import flat
from rl_algos.parts.distributions import Categorical
from rl_core.config import Count, Doc, Positive, configclass


@configclass
class ReinforceCrossentropyConfig(OnPolicyConfig):
    """Settings of the episodes and of the supervised learning from them, in addition to `OnPolicyConfig`."""

    episodes_per_env: Annotated[Count, Doc("whole episodes of each environment between two updates")] = 1
    max_episode_steps: Annotated[Count, Doc("steps after which an update no longer waits for an episode to end")] = 10_000
    normalise_returns: Annotated[bool, Doc("returns to mean 0 and deviation 1 in each update")] = False
    optimiser: Annotated[OptimiserName, Doc("gradient method")] = "adam"
    learning_rate: Annotated[Positive, Doc("alpha, step size")] = 1e-2
    learning_rate_schedule: Annotated[Literal["constant", "linear"], Doc("linear goes down to 0 at the end of the budget")] = "linear"


class ReinforceCrossentropy(OnPolicy):
    """The agent: whole episodes, then one step of `dl_nets.learning.supervised.update` on them."""

    Config: ClassVar[type] = ReinforceCrossentropyConfig
    config: ReinforceCrossentropyConfig
    state_fields = (*OnPolicy.state_fields, "optimiser")

    def setup(self) -> None:
        """Build the optimiser, too."""
        super().setup()
        if not isinstance(self.actions, Categorical):
            raise ValueError(f"the task takes actions of {self.task.output_space}; a classifier chooses among those of a Discrete space")
        self.optimiser = Optimiser(self.config.optimiser, self.actor_critic.policy_flat, learning_rate=self.config.learning_rate)

    @property
    def has_critic(self) -> bool:
        """False: a classifier is all that learns."""
        return False

    def step(self) -> dict[str, float]:
        """Run one iteration: whole episodes, and a supervised step towards the actions that were taken, weighted by their returns."""
        config = self.config
        self.optimiser.learning_rate = self.scheduled(config.learning_rate, config.learning_rate_schedule)
        rollout, counted = self.collector.collect_episodes(
            self.actor_critic, config.episodes_per_env, config.max_episode_steps, with_final=False
        )
        reward = self.collector.reward(rollout)
        return_ = returns_to_go(reward, config.discount, rollout.over, np.zeros_like(reward))[counted]
        weight = (return_ - return_.mean()) / (return_.std() + 1e-8) if config.normalise_returns else return_
        loss = self.learn(self.collector.inputs(flat(rollout.obs)[counted.ravel()]), rollout.action[counted], weight)
        self.collector.learn_moments(rollout)
        self.progress += rollout.reward.size
        metrics = {"loss": loss, "return_to_go": float(return_.mean()), "learning_rate": self.optimiser.learning_rate}
        return metrics | self.collector.episode_metrics()

    def learn(self, inputs: np.ndarray, action: np.ndarray, weight: np.ndarray) -> float:
        """Take one step on examples [B, ...] with classes [B] and weights [B], and return the weighted loss before it."""
        learner = self.actor_critic
        weights = learner.tensor(weight.astype(np.float32))
        loss = supervised.update(
            learner.actor,
            self.optimiser,
            learner.tensor(inputs),
            learner.tensor(action),
            loss=lambda logits, targets: weights * losses.cross_entropy(logits, targets),
        )
        return float(loss)
