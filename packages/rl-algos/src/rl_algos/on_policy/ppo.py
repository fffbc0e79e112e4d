"""PPO, proximal policy optimisation: many small gradient steps on one rollout, none of which may move the policy far.

Source: J. Schulman, F. Wolski, P. Dhariwal, A. Radford, O. Klimov. "Proximal policy optimization algorithms", 2017, section 3 and
Algorithm 1; advantages from J. Schulman and others, 2016 (see `gae`).
Departures, each a setting below: advantages are normalised in each minibatch, gradients are clipped by their norm, learning rate
and clip range may fall to 0, values may be clipped, observations and rewards may be normalised; S. Huang and others, "The 37
implementation details of proximal policy optimization", 2022, tell where these come from. Besides: actor and critic are two
networks; an episode that a time limit cuts is bootstrapped from where it was cut; the statistics of observations move once a
rollout, after its gradient steps, so that every ratio (6) starts at 1.
Errata: equation (9) is written as an objective to maximise; here everything is a loss, so its signs are turned.
Letters: B batch, T steps of a rollout, N environments, A actions, D dimensions of a continuous action.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from torch import nn

from dl_nets.fast.mlp import one_thread
from dl_nets.learning.optimisers import Optimiser, clip_gradient_norm
from dl_nets.learning.schedules import schedule
from rl_algos.compiled.ppo import CompiledPPOLearner
from rl_algos.on_policy.loop import OnPolicy, OnPolicyConfig
from rl_algos.on_policy.rollout import Batch, minibatches
from rl_algos.parts.actor_critic import ActorCritic
from rl_algos.parts.distributions import Categorical, Gaussian
from rl_algos.parts.recurrence import sequence_minibatches
from rl_core.config import Count, Doc, Fraction, Meta, NonNegative, Positive, configclass
from rl_core.network import Network
from rl_core.seeds import Seeds
from rl_core.task import ControlTask


@configclass
class PPOConfig(OnPolicyConfig):
    """Settings of PPO beside those of every on-policy agent; the defaults are the paper's for continuous control where it gives any."""

    rollout_steps: Annotated[Count, Doc("T, steps of each environment between two updates")] = 256
    num_epochs: Annotated[Count, Doc("K, passes over a rollout")] = 10
    batch_size: Annotated[int, Meta(ge=2), Doc("M, transitions in a minibatch")] = 64
    learning_rate: Annotated[Positive, Doc("alpha, step size of Adam")] = 3e-4
    learning_rate_schedule: Annotated[Literal["constant", "linear"], Doc("linear goes down to 0 at the end of the budget")] = "constant"
    gae_lambda: Annotated[Fraction, Doc("lambda, 0 trusts the critic, 1 trusts the rewards")] = 0.95
    clip_range: Annotated[Positive, Doc("epsilon, how far the ratio may leave 1")] = 0.2
    clip_range_schedule: Annotated[Literal["constant", "linear"], Doc("linear goes down to 0 at the end of the budget")] = "constant"
    value_clip_range: Annotated[Positive | None, Doc("how far a value may move in one iteration; none for any distance")] = None
    value_weight: Annotated[NonNegative, Doc("c1, weight of the value loss")] = 0.5
    entropy_weight: Annotated[NonNegative, Doc("c2, weight of the entropy bonus")] = 0.0
    max_grad_norm: Annotated[Positive, Doc("longest gradient that is not shortened")] = 0.5
    target_kl: Annotated[Positive | None, Doc("KL divergence in nats after which a rollout's epochs stop; none for never")] = None
    normalise_advantage: Annotated[bool, Doc("mean 0 and deviation 1 in each minibatch")] = True

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        if self.rollout_steps * self.num_envs < 2:
            raise ValueError("rollout_steps * num_envs is 1; a rollout must have at least 2 transitions")


LOSSES = ("policy_loss", "value_loss", "entropy", "kl", "clip_fraction")
"""What an update returns, in this order."""


def policy_loss(ratio: torch.Tensor, advantage: torch.Tensor, clip_range: float) -> torch.Tensor:
    """-L^CLIP (7), a scalar: the smaller of two gains, so that moving the ratio out of [1 - eps, 1 + eps] never pays.

    Args:
        ratio: pi(a|s) / pi_old(a|s) [B]. (6)
        advantage: [B].
        clip_range: eps.

    >>> policy_loss(torch.tensor([1.5, 0.5]), torch.tensor([1.0, -1.0]), 0.2)  # -(min(1.5, 1.2) + min(-0.5, -0.8)) / 2
    tensor(-0.2000)
    """
    clipped = ratio.clamp(1 - clip_range, 1 + clip_range)
    return -torch.minimum(ratio * advantage, clipped * advantage).mean()


def value_loss(value: torch.Tensor, return_: torch.Tensor, old_value: torch.Tensor, clip_range: float | None) -> torch.Tensor:
    """L^VF of (9), a scalar: the mean squared error of values [B], or of values held near the old ones where that is worse.

    >>> value, target, old = torch.tensor([2.0]), torch.tensor([3.0]), torch.tensor([0.0])
    >>> value_loss(value, target, old, None), value_loss(value, target, old, 0.5)  # (2 - 3)^2, (0.5 - 3)^2
    (tensor(1.), tensor(6.2500))
    """
    error = (value - return_) ** 2
    if clip_range is not None:
        held = old_value + (value - old_value).clamp(-clip_range, clip_range)
        error = torch.maximum(error, (held - return_) ** 2)
    return error.mean()


def kl_divergence(log_ratio: torch.Tensor) -> torch.Tensor:
    """KL(pi_old || pi), a scalar, from ln ratios [B] of actions that pi_old took: mean of (ratio - 1) - ln ratio, never negative.

    Source: J. Schulman, "Approximating KL divergence", 2020, estimator k3.

    >>> kl_divergence(torch.tensor([0.0, 0.6931]))  # (0 + 1 - ln 2) / 2
    tensor(0.1534)
    """
    return (log_ratio.exp() - 1 - log_ratio).mean()


class PPOLearner(ActorCritic):
    """The policy, its critic and their optimiser, in torch. The compiled twin is in `compiled.ppo`."""

    def __init__(
        self, actor: nn.Module, critic: nn.Module, actions: Categorical | Gaussian, config: PPOConfig, device: torch.device
    ) -> None:
        super().__init__(actor, critic, actions, config, device)
        self._config = config
        self._optimiser = Optimiser("adam", self._module.parameters(), learning_rate=config.learning_rate, epsilon=1e-5)

    def update(self, batch: Batch, learning_rate: float, clip_range: float) -> np.ndarray:
        """One gradient step on a minibatch; the five `LOSSES` before it."""
        config = self._config
        inputs, action, old_log_prob, old_value, advantage, return_ = (self._tensor(column) for column in batch)
        if config.normalise_advantage:
            advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        head = self._actor(inputs)
        log_ratio = self._actions.log_prob(head, self._log_std, action) - old_log_prob
        ratio = log_ratio.exp()  # (6)
        loss_of_policy = policy_loss(ratio, advantage, clip_range)
        loss_of_value = value_loss(self._critic(inputs).squeeze(1), return_, old_value, config.value_clip_range)
        entropy = self._actions.entropy(head, self._log_std).mean()
        loss = loss_of_policy + config.value_weight * loss_of_value - config.entropy_weight * entropy  # (9)

        self._optimiser.zero_grad()
        loss.backward()
        clip_gradient_norm(self._module.parameters(), config.max_grad_norm)
        self._optimiser.learning_rate = learning_rate
        self._optimiser.step()
        with torch.no_grad():
            clipped = ((ratio - 1).abs() > clip_range).float().mean()
            return torch.stack([loss_of_policy, loss_of_value, entropy, kl_divergence(log_ratio), clipped]).cpu().numpy()

    def state_dict(self) -> dict[str, Any]:
        """Parameters, Adam's moments and its step count."""
        return {**super().state_dict(), "optimiser": self._optimiser.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        super().load_state_dict(state)
        self._optimiser.load_state_dict(state["optimiser"])


class PPO(OnPolicy):
    """The agent: collects with N environments, estimates advantages, improves on minibatches."""

    Config: ClassVar[type] = PPOConfig
    config: PPOConfig
    learner, compiled_learner = PPOLearner, CompiledPPOLearner
    carries_state = True

    def __init__(self, config: PPOConfig, task: ControlTask, network: Network, *, seeds: Seeds, budget: int, device: str = "auto") -> None:
        super().__init__(config, task, network, seeds=seeds, budget=budget, device=device)
        self.shuffle = seeds.numpy("minibatches")

    @one_thread
    def step(self) -> dict[str, float]:
        """One iteration: a rollout of T steps of N environments, then K epochs of minibatches on it."""
        config, done = self.config, self.progress / self.budget
        learning_rate = config.learning_rate * schedule(config.learning_rate_schedule)(done)
        clip_range = config.clip_range * schedule(config.clip_range_schedule)(done)

        rollout = self.collector.collect(self.actor_critic, config.rollout_steps)
        batch = self.estimate(rollout, config.gae_lambda)
        losses = []
        for indices in self.minibatches():
            losses.append(self.actor_critic.update(batch.take(indices), learning_rate, clip_range))
            if config.target_kl is not None and losses[-1][LOSSES.index("kl")] > config.target_kl:
                break
        self.collector.learn_moments(rollout)
        self.progress += rollout.reward.size

        metrics = dict(zip(LOSSES, np.mean(losses, axis=0).tolist(), strict=True))
        metrics |= {"value": float(batch.value.mean()), "learning_rate": learning_rate, "updates": len(losses)}
        return metrics | self.collector.episode_metrics()

    def minibatches(self) -> Iterator[np.ndarray]:
        """Indices [M] of each minibatch in every epoch: with a memory those of whole environments, else those of any transitions."""
        steps, envs, size, epochs = self.config.rollout_steps, self.config.num_envs, self.config.batch_size, self.config.num_epochs
        if self.state_size:
            return sequence_minibatches(self.shuffle, steps, envs, size, epochs)
        return minibatches(self.shuffle, steps * envs, size, epochs)
