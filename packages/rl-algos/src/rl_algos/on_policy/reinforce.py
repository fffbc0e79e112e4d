"""REINFORCE: play whole episodes, and make what was done more likely the more came of it.

Source: R. J. Williams. "Simple statistical gradient-following algorithms for connectionist reinforcement learning", 1992, (4) and
theorem 1 for a return that follows many choices, section 5; the return from each step on, and a baseline that is learned,
R. S. Sutton and A. G. Barto, "Reinforcement learning", 2nd edition, 2018, sections 13.3 and 13.4.
Departures: the steps of several episodes are averaged and Adam takes the step; the discount weighs returns but not states (the book's
factor gamma^t is left out, as everywhere); the mean baseline is of the same episodes that it is subtracted from; a time limit
bootstraps where there is a learned baseline to do it, and else counts as the end, since nobody knows what would have come.
Letters: B transitions, T steps, N environments.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np

from dl_nets.fast.kernels import kernel
from dl_nets.fast.mlp import one_thread
from dl_nets.learning.schedules import schedule
from rl_algos.compiled.policy_gradient import CompiledPolicyGradientLearner
from rl_algos.on_policy.gae import advantages
from rl_algos.on_policy.loop import OnPolicy, OnPolicyConfig
from rl_algos.on_policy.policy_gradient import PolicyGradientLearner, parts
from rl_algos.on_policy.rollout import Rollout, flat, minibatches
from rl_core.config import Count, Doc, NonNegative, Positive, configclass
from rl_core.network import Network
from rl_core.seeds import Seeds
from rl_core.task import ControlTask


@configclass
class ReinforceConfig(OnPolicyConfig):
    """Settings of REINFORCE beside those of every on-policy agent."""

    episodes_per_env: Annotated[Count, Doc("whole episodes of each environment between two updates")] = 1
    max_episode_steps: Annotated[Count, Doc("steps after which an update waits no longer for an episode to end")] = 10_000
    returns: Annotated[Literal["whole", "to-go"], Doc("whether an action answers for the whole episode, or for what came after it")] = (
        "to-go"
    )
    baseline: Annotated[Literal["none", "mean", "learned"], Doc("b, what is subtracted: nothing, the mean return, or V(s)")] = "none"
    normalise_advantage: Annotated[bool, Doc("return less baseline to mean 0 and deviation 1 in each update")] = False
    learning_rate: Annotated[Positive, Doc("alpha, step size of Adam for the policy")] = 1e-3
    learning_rate_schedule: Annotated[Literal["constant", "linear"], Doc("linear goes down to 0 at the end of the budget")] = "constant"
    entropy_weight: Annotated[NonNegative, Doc("weight of the entropy bonus")] = 0.0
    value_learning_rate: Annotated[Positive, Doc("step size of Adam for the learned baseline")] = 1e-3
    value_epochs: Annotated[Count, Doc("passes of the learned baseline over the episodes")] = 10
    value_batch_size: Annotated[Count, Doc("transitions in one of its minibatches")] = 64


def returns_to_go(reward: np.ndarray, discount: float, over: np.ndarray, tail: np.ndarray) -> np.ndarray:
    """G_t = r_t + gamma r_t+1 + ... to the end of the episode [T, N]: the Monte Carlo case of GAE, with values of 0.

    Args:
        reward: r_t [T, N].
        discount: gamma.
        over: Whether the episode was over with this step [T, N].
        tail: What would have come after the last step of an episode, 0 elsewhere [T, N].

    >>> column = lambda *numbers: np.array(numbers, dtype=np.float32)[:, None]
    >>> returns_to_go(column(1, 2, 4), 0.5, np.array([[False], [True], [True]]), column(0, 0, 8)).ravel().tolist()
    [2.0, 2.0, 8.0]
    """
    return advantages(reward, np.full_like(reward, discount), np.zeros_like(reward), tail, over, 1.0)


@kernel
def whole_returns(to_go: np.ndarray, over: np.ndarray) -> np.ndarray:
    """G_0 of the episode that each step belongs to [T, N], from returns to go; every episode starts in the rollout.

    >>> whole_returns(np.array([[2.0], [1.0], [8.0]]), np.array([[False], [True], [True]])).ravel().tolist()
    [2.0, 2.0, 8.0]
    """
    whole = to_go.copy()
    for n in range(to_go.shape[1]):
        for t in range(1, len(to_go)):
            if not over[t - 1, n]:
                whole[t, n] = whole[t - 1, n]
    return whole


class Reinforce(OnPolicy):
    """The agent: whole episodes of N environments, one step of the policy, and the baseline's share of learning."""

    Config: ClassVar[type] = ReinforceConfig
    config: ReinforceConfig
    learner, compiled_learner = PolicyGradientLearner, CompiledPolicyGradientLearner

    def __init__(
        self, config: ReinforceConfig, task: ControlTask, network: Network, *, seeds: Seeds, budget: int, device: str = "auto"
    ) -> None:
        super().__init__(config, task, network, seeds=seeds, budget=budget, device=device)
        self.shuffle = seeds.numpy("minibatches")

    @property
    def has_critic(self) -> bool:
        """Whether the baseline is learned."""
        return self.config.baseline == "learned"

    @one_thread
    def step(self) -> dict[str, float]:
        """One iteration: whole episodes, a step up the policy gradient, then the baseline moves towards the returns."""
        config = self.config
        multiplier = schedule(config.learning_rate_schedule)(self.progress / self.budget)
        rollout, counted = self.collector.collect_episodes(
            self.actor_critic, config.episodes_per_env, config.max_episode_steps, with_final=self.has_critic
        )
        obs = flat(rollout.obs) if counted.all() else flat(rollout.obs)[counted.ravel()]  # pictures are not copied without need
        inputs, action = self.collector.inputs(obs), rollout.action[counted]
        return_ = self.returns(rollout)[counted]
        advantage = self.advantage(inputs, return_)

        policy_loss, entropy = self.actor_critic.policy_step(inputs, action, advantage, multiplier * config.learning_rate)
        metrics = {"policy_loss": float(policy_loss), "entropy": float(entropy), "return": float(return_.mean())}
        if self.has_critic:
            errors = [
                self.actor_critic.value_step(inputs[indices], return_[indices], multiplier * config.value_learning_rate)
                for indices in minibatches(self.shuffle, len(inputs), config.value_batch_size, config.value_epochs)
            ]
            metrics["value_loss"] = float(np.mean(errors))
        self.collector.learn_moments(rollout)
        self.progress += rollout.reward.size
        return metrics | {"learning_rate": multiplier * config.learning_rate} | self.collector.episode_metrics()

    def returns(self, rollout: Rollout) -> np.ndarray:
        """What each action answers for [T, N]: the return of its episode, whole or from it on."""
        tail = np.zeros_like(rollout.reward)
        if self.has_critic:  # a time limit is not an ending: the baseline says what would have come
            cut = rollout.truncated & ~rollout.terminated
            if cut.any():
                tail[cut] = self.actor_critic.value(self.collector.inputs(rollout.final_obs[cut]))
        to_go = returns_to_go(self.collector.reward(rollout), self.config.discount, rollout.over, tail)
        return whole_returns(to_go, rollout.over) if self.config.returns == "whole" else to_go

    def advantage(self, inputs: np.ndarray, return_: np.ndarray) -> np.ndarray:
        """Returns less the baseline [B], constants to the gradient."""
        match self.config.baseline:
            case "none":
                baseline = np.zeros(1)
            case "mean":
                baseline = return_.mean(keepdims=True)
            case _:
                baseline = np.concatenate([self.actor_critic.value(inputs[part]) for part in parts(len(inputs))])
        advantage = return_ - baseline
        if self.config.normalise_advantage and len(advantage) > 1:
            advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        return advantage.astype(np.float32)
