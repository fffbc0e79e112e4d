"""REINFORCE: play whole episodes, and make what was done more likely the more came of it.

Source: R. J. Williams. "Simple statistical gradient-following algorithms for connectionist reinforcement learning", 1992, (4) and
theorem 1 for a return that follows many choices, section 5; the return from each step on, and a baseline that is learned,
R. S. Sutton and A. G. Barto, "Reinforcement learning", 2nd edition, 2018, sections 13.3 and 13.4.
Departures: the steps of several episodes are averaged and Adam takes the step; the discount weighs returns but not states (the book's
factor gamma^t is left out, as everywhere); the mean baseline is of the same episodes that it is subtracted from; a time limit
bootstraps from the learned baseline where there is one, and else counts as the end, since the rest of the return is unknown.
Letters: B transitions, T steps, N environments.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np

from dl_nets.learning.optimisers import Optimiser
from rl_algos.on_policy.loop import OnPolicy, OnPolicyConfig
from rl_algos.on_policy.policy_gradient import fit_values, parts, policy_gradient
from rl_algos.on_policy.rollout import Rollout, advantages, flat
from rl_algos.parts.risk import Risk
from rl_core.compiling import kernel
from rl_core.config import Count, Doc, NonNegative, Positive, configclass


@configclass
class ReinforceConfig(OnPolicyConfig):
    """REINFORCE settings, in addition to `OnPolicyConfig`."""

    risk: Annotated[str, Doc("objective: none (the mean return), cvar:ALPHA or mean-variance:C; these credit whole episodes")] = "none"
    episodes_per_env: Annotated[Count, Doc("whole episodes of each environment between two updates")] = 1
    max_episode_steps: Annotated[Count, Doc("steps after which an update no longer waits for an episode to end")] = 10_000
    returns: Annotated[Literal["whole", "to-go"], Doc("the return that weighs an action: of its whole episode, or from it on")] = "to-go"
    baseline: Annotated[Literal["none", "mean", "learned"], Doc("b, subtracted from returns: nothing, their mean, or V(s)")] = "none"
    normalise_advantage: Annotated[bool, Doc("return less baseline to mean 0 and deviation 1 in each update")] = False
    learning_rate: Annotated[Positive, Doc("alpha, step size of Adam for the policy")] = 1e-3
    learning_rate_schedule: Annotated[Literal["constant", "linear"], Doc("linear goes down to 0 at the end of the budget")] = "constant"
    entropy_weight: Annotated[NonNegative, Doc("weight of the entropy bonus")] = 0.0
    value_learning_rate: Annotated[Positive, Doc("step size of Adam for the learned baseline")] = 1e-3
    value_epochs: Annotated[Count, Doc("passes of the learned baseline over the episodes")] = 10
    value_batch_size: Annotated[Count, Doc("transitions in one of its minibatches")] = 64

    def __post_init__(self) -> None:
        """Refuse an unknown objective."""
        Risk.read(self.risk)


def returns_to_go(reward: np.ndarray, discount: float, over: np.ndarray, tail: np.ndarray) -> np.ndarray:
    """Return G_t = r_t + gamma r_t+1 + ... to the end of the episode [T, N]: the Monte Carlo case of GAE, with values of 0.

    Args:
        reward: r_t [T, N].
        discount: gamma.
        over: Whether the episode was over with this step [T, N].
        tail: The return after the last step of an episode, 0 elsewhere [T, N].

    >>> column = lambda *numbers: np.array(numbers, dtype=np.float32)[:, None]
    >>> returns_to_go(column(1, 2, 4), 0.5, np.array([[False], [True], [True]]), column(0, 0, 8)).ravel().tolist()
    [2.0, 2.0, 8.0]
    """
    return advantages(reward, np.full_like(reward, discount), np.zeros_like(reward), tail, over, 1.0)


@kernel
def whole_returns(to_go: np.ndarray, over: np.ndarray) -> np.ndarray:
    """Return G_0 of the episode of each step [T, N], from returns to go; every episode starts in the rollout.

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
    """The agent: whole episodes of N environments, one step of the policy, and several of a learned baseline."""

    Config: ClassVar[type] = ReinforceConfig
    config: ReinforceConfig
    state_fields = (*OnPolicy.state_fields, "optimiser", "value_optimiser")
    by_hand = True

    def setup(self) -> None:
        """Build the optimisers, too."""
        super().setup()
        self.risk = Risk.read(self.config.risk)
        config, critic = self.config, self.actor_critic.critic_flat
        self.optimiser = Optimiser("adam", self.actor_critic.policy_flat, learning_rate=config.learning_rate)
        self.value_optimiser = None if critic is None else Optimiser("adam", critic, learning_rate=config.value_learning_rate)
        self.shuffle = self.seeds.numpy("minibatches")

    @property
    def has_critic(self) -> bool:
        """True if the baseline is learned."""
        return self.config.baseline == "learned"

    def step(self) -> dict[str, float]:
        """Run one iteration: whole episodes, a step up the policy gradient, then the baseline moves towards the returns."""
        config, learner = self.config, self.actor_critic
        self.optimiser.learning_rate = self.scheduled(config.learning_rate, config.learning_rate_schedule)
        rollout, counted = self.collector.collect_episodes(
            learner, config.episodes_per_env, config.max_episode_steps, with_final=self.has_critic
        )
        obs = flat(rollout.obs) if counted.all() else flat(rollout.obs)[counted.ravel()]  # pictures are not copied without need
        inputs, action = self.collector.inputs(obs), rollout.action[counted]
        return_ = self.returns(rollout)[counted]
        advantage = self.advantage(inputs, return_)

        policy_loss, entropy = policy_gradient(learner, inputs, action, advantage, config.entropy_weight)
        self.optimiser.step()
        metrics = {"policy_loss": float(policy_loss), "entropy": float(entropy), "return_to_go": float(return_.mean())}
        if self.value_optimiser is not None:
            self.value_optimiser.learning_rate = self.scheduled(config.value_learning_rate, config.learning_rate_schedule)
            metrics["value_loss"] = fit_values(self, inputs, return_)
        self.collector.learn_moments(rollout)
        self.progress += rollout.reward.size
        return metrics | {"learning_rate": self.optimiser.learning_rate} | self.collector.episode_metrics()

    def returns(self, rollout: Rollout) -> np.ndarray:
        """Return the return of each action [T, N]: of its whole episode, or from it on."""
        tail = np.zeros_like(rollout.reward)
        if self.has_critic:  # a time limit is not an ending: the baseline estimates the rest
            cut = rollout.truncated & ~rollout.terminated
            if cut.any():
                tail[cut] = self.actor_critic.value(self.collector.inputs(rollout.final_obs[cut]))
        to_go = returns_to_go(self.collector.reward(rollout), self.config.discount, rollout.over, tail)
        if self.config.returns != "whole" and self.risk.kind == "none":
            return to_go
        whole = whole_returns(to_go, rollout.over)
        return self.risk.utility(whole, whole[rollout.over & (np.cumsum(rollout.over, axis=0) <= self.config.episodes_per_env)])

    def advantage(self, inputs: np.ndarray, return_: np.ndarray) -> np.ndarray:
        """Return the returns less the baseline [B], constants to the gradient."""
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
