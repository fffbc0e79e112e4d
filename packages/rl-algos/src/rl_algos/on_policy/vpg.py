"""VPG, the vanilla policy gradient: one step of the policy on a rollout, with advantages from a critic that is fitted after it.

Source: R. S. Sutton, D. McAllester, S. Singh, Y. Mansour. "Policy gradient methods for reinforcement learning with function
approximation", 2000; advantages and the order of both steps, J. Schulman, P. Moritz, S. Levine, M. Jordan, P. Abbeel.
"High-dimensional continuous control using generalized advantage estimation", 2016, (12), (16) and the algorithm of section 6.1, with
a plain step where that one has TRPO's.
Departures: Adam takes the steps; the critic is fitted by minibatches instead of within a trust region; an episode that a time limit
cuts is bootstrapped from where it was cut.
Letters: B batch, T steps of a rollout, N environments.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np

from dl_nets.fast.mlp import one_thread
from dl_nets.learning.schedules import schedule
from rl_algos.compiled.policies import standardise
from rl_algos.compiled.policy_gradient import CompiledPolicyGradientLearner
from rl_algos.on_policy.loop import OnPolicy, OnPolicyConfig
from rl_algos.on_policy.policy_gradient import PolicyGradientLearner
from rl_algos.on_policy.rollout import minibatches
from rl_core.config import Count, Doc, Fraction, NonNegative, Positive, configclass
from rl_core.network import Network
from rl_core.seeds import Seeds
from rl_core.task import ControlTask


@configclass
class VPGConfig(OnPolicyConfig):
    """Settings of VPG beside those of every on-policy agent."""

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
        """Refuse settings out of range."""
        if self.rollout_steps * self.num_envs < 2:
            raise ValueError("rollout_steps * num_envs is 1; a rollout must have at least 2 transitions")


class VPG(OnPolicy):
    """The agent: a rollout of N environments, one step of the policy, then the critic's share of learning."""

    Config: ClassVar[type] = VPGConfig
    config: VPGConfig
    learner, compiled_learner = PolicyGradientLearner, CompiledPolicyGradientLearner

    def __init__(self, config: VPGConfig, task: ControlTask, network: Network, *, seeds: Seeds, budget: int, device: str = "auto") -> None:
        super().__init__(config, task, network, seeds=seeds, budget=budget, device=device)
        self.shuffle = seeds.numpy("minibatches")

    @one_thread
    def step(self) -> dict[str, float]:
        """One iteration: a rollout, a step up the policy gradient, then the critic moves towards the returns."""
        config = self.config
        multiplier = schedule(config.learning_rate_schedule)(self.progress / self.budget)
        rollout = self.collector.collect(self.actor_critic, config.rollout_steps)
        batch = self.estimate(rollout, config.gae_lambda)
        advantage = standardise(batch.advantage) if config.normalise_advantage else batch.advantage

        policy_loss, entropy = self.actor_critic.policy_step(batch.inputs, batch.action, advantage, multiplier * config.learning_rate)
        errors = [
            self.actor_critic.value_step(batch.inputs[indices], batch.return_[indices], multiplier * config.value_learning_rate)
            for indices in minibatches(self.shuffle, rollout.reward.size, config.value_batch_size, config.value_epochs)
        ]
        self.collector.learn_moments(rollout)
        self.progress += rollout.reward.size
        metrics = {"policy_loss": float(policy_loss), "value_loss": float(np.mean(errors)), "entropy": float(entropy)}
        metrics |= {"value": float(batch.value.mean()), "learning_rate": multiplier * config.learning_rate}
        return metrics | self.collector.episode_metrics()
