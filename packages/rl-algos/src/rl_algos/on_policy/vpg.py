"""VPG, the vanilla policy gradient: one step of the policy on a rollout, with advantages from a critic that is fitted after it.

Source: R. S. Sutton, D. McAllester, S. Singh, Y. Mansour. "Policy gradient methods for reinforcement learning with function
approximation", 2000; advantages and the order of both steps, J. Schulman, P. Moritz, S. Levine, M. Jordan, P. Abbeel.
"High-dimensional continuous control using generalized advantage estimation", 2016, (12), (16) and the algorithm of section 6.1, with
a plain step where that one has TRPO's.
Departures: Adam takes the steps; the critic is fitted by minibatches instead of within a trust region; truncated episodes are
bootstrapped from their last observation.
Letters: B batch, T steps of a rollout, N environments.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from dl_nets.learning.optimisers import Optimiser
from rl_algos.on_policy.loop import OnPolicy, OnPolicyConfig
from rl_algos.on_policy.policy_gradient import fit_values, policy_gradient
from rl_algos.on_policy.rollout import standardise
from rl_core.config import Count, Doc, Fraction, NonNegative, Positive, configclass


@configclass
class VPGConfig(OnPolicyConfig):
    """VPG settings, in addition to `OnPolicyConfig`."""

    rollout_steps: Annotated[Count, Doc("T, steps of each environment between two updates")] = 128
    gae_lambda: Annotated[Fraction, Doc("lambda, 0 trusts the critic, 1 trusts the rewards")] = 0.95
    normalise_advantage: Annotated[bool, Doc("mean 0 and deviation 1 in each rollout")] = True
    learning_rate: Annotated[Positive, Doc("alpha, step size of Adam for the policy")] = 3e-3
    learning_rate_schedule: Annotated[Literal["constant", "linear"], Doc("linear goes down to 0 at the end of the budget")] = "constant"
    entropy_weight: Annotated[NonNegative, Doc("weight of the entropy bonus")] = 0.0
    value_learning_rate: Annotated[Positive, Doc("step size of Adam for the critic")] = 1e-3
    value_epochs: Annotated[Count, Doc("passes of the critic over a rollout")] = 10
    value_batch_size: Annotated[Count, Doc("transitions in one of its minibatches")] = 64

    def __post_init__(self) -> None:
        """Refuse a rollout of one transition."""
        if self.rollout_steps * self.num_envs < 2:
            raise ValueError("rollout_steps * num_envs is 1; a rollout must have at least 2 transitions")


class VPG(OnPolicy):
    """The agent: a rollout of N environments, one step of the policy, then several of the critic."""

    Config: ClassVar[type] = VPGConfig
    config: VPGConfig
    state_fields = (*OnPolicy.state_fields, "optimiser", "value_optimiser")
    by_hand = True

    def setup(self) -> None:
        """Build both optimisers, too."""
        super().setup()
        self.optimiser = Optimiser("adam", self.actor_critic.policy_flat, learning_rate=self.config.learning_rate)
        assert self.actor_critic.critic_flat is not None
        self.value_optimiser = Optimiser("adam", self.actor_critic.critic_flat, learning_rate=self.config.value_learning_rate)
        self.shuffle = self.seeds.numpy("minibatches")

    def step(self) -> dict[str, float]:
        """Run one iteration: a rollout, a step up the policy gradient, then the critic moves towards the returns."""
        config, learner = self.config, self.actor_critic
        self.optimiser.learning_rate = self.scheduled(config.learning_rate, config.learning_rate_schedule)
        self.value_optimiser.learning_rate = self.scheduled(config.value_learning_rate, config.learning_rate_schedule)
        rollout = self.collector.collect(learner, config.rollout_steps)
        batch = self.estimate(rollout, config.gae_lambda)
        advantage = standardise(batch.advantage) if config.normalise_advantage else batch.advantage

        policy_loss, entropy = policy_gradient(learner, batch.inputs, batch.action, advantage, config.entropy_weight)
        self.optimiser.step()
        value_loss = fit_values(self, batch.inputs, batch.return_)
        self.collector.learn_moments(rollout)
        self.progress += rollout.reward.size
        metrics = {"policy_loss": float(policy_loss), "value_loss": value_loss, "entropy": float(entropy)}
        metrics |= {"value": float(batch.value.mean()), "learning_rate": self.optimiser.learning_rate}
        return metrics | self.collector.episode_metrics()
