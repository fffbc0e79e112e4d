"""PPO, proximal policy optimisation: many small gradient steps on one rollout, none of which may move the policy far.

Source: J. Schulman, F. Wolski, P. Dhariwal, A. Radford, O. Klimov. "Proximal policy optimization algorithms", 2017, section 3 and
Algorithm 1; advantages from J. Schulman and others, 2016 (see `gae`).
Departures, each a setting below: advantages are normalised in each minibatch, gradients are clipped by their norm, learning rate
and clip range may fall to 0, values may be clipped, observations and rewards may be normalised; S. Huang and others, "The 37
implementation details of proximal policy optimization", 2022, list their origins. Besides: actor and critic are two networks, unless
`shared_body`; truncated episodes are bootstrapped from their last observation; the statistics of observations change once a rollout,
after its gradient steps, so that every ratio (6) starts at 1.
Errata: equation (9) is written as an objective to maximise; here everything is a loss, so its sign is flipped.
Letters: B batch, T steps of a rollout, N environments, A actions, D dimensions of a continuous action.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

import numpy as np
import torch

from dl_nets.learning.optimisers import Optimiser
from rl_algos.on_policy.loop import FastPolicy, OnPolicy, OnPolicyConfig, value_error
from rl_algos.on_policy.rollout import Batch, minibatches, standardise
from rl_algos.parts.fused import log_prob_and_entropy
from rl_algos.parts.masks import masked_tensor
from rl_algos.parts.recurrence import sequence_minibatches
from rl_core.compiling import vectorised
from rl_core.config import Count, Doc, Fraction, Meta, NonNegative, Positive, configclass


@configclass
class PPOConfig(OnPolicyConfig):
    """PPO settings, in addition to `OnPolicyConfig`; the defaults are the paper's for continuous control where it gives any."""

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
    shared_body: Annotated[bool, Doc("whether actor and critic are two heads of one network, which halves the cost of images")] = False
    normalise_advantage: Annotated[bool, Doc("mean 0 and deviation 1 in each minibatch")] = True

    def __post_init__(self) -> None:
        """Refuse a rollout of one transition."""
        if self.rollout_steps * self.num_envs < 2:
            raise ValueError("rollout_steps * num_envs is 1; a rollout must have at least 2 transitions")


LOSSES = ("policy_loss", "value_loss", "entropy", "kl", "clip_fraction")
"""The losses that an update returns, in this order."""


def policy_loss(ratio: torch.Tensor, advantage: torch.Tensor, clip_range: float) -> torch.Tensor:
    """Return -L^CLIP (7), a scalar: the smaller of two gains, so that moving the ratio out of [1 - eps, 1 + eps] never pays.

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
    """Return L^VF of (9), a scalar: the mean squared error of values [B], or of values held near the old ones where that is worse.

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
    """Return KL(pi_old || pi), a scalar, from ln ratios [B] of actions that pi_old took: mean of (ratio - 1) - ln ratio, never negative.

    Source: J. Schulman, "Approximating KL divergence", 2020, estimator k3.

    >>> kl_divergence(torch.tensor([0.0, 0.6931]))  # (0 + 1 - ln 2) / 2
    tensor(0.1534)
    """
    return (log_ratio.exp() - 1 - log_ratio).mean()


@vectorised
def surrogate_error(
    log_prob: np.ndarray, old_log_prob: np.ndarray, advantage: np.ndarray, clip_range: float, losses: np.ndarray
) -> np.ndarray:
    """Return the derivative of -L^CLIP with respect to ln pi(a|s) [B]: -ratio * advantage / B, and 0 where the clipped ratio gains less.

    Writes the policy's loss, the KL divergence and the clipped fraction into `losses` [5].

    >>> zeros, losses = np.zeros(2, dtype=np.float32), np.zeros(5, dtype=np.float32)
    >>> print(surrogate_error(np.array([0.5, -0.5], dtype=np.float32), zeros, zeros + 1, 0.2, losses))  # ratios 1.65 and 0.61
    [ 0.         -0.30326533]
    """
    size = len(log_prob)
    error = np.empty(size, dtype=np.float32)
    loss, divergence, num_clipped = 0.0, 0.0, 0
    for b in range(size):
        log_ratio = log_prob[b] - old_log_prob[b]
        ratio = np.exp(log_ratio)
        # Decided by the ratio, not by comparing two gains: inside the range they are equal but for their rounding.
        if (advantage[b] > 0 and ratio > 1 + clip_range) or (advantage[b] < 0 and ratio < 1 - clip_range):
            error[b] = 0.0
        else:
            error[b] = -ratio * advantage[b] / size
    for b in range(size):
        log_ratio = log_prob[b] - old_log_prob[b]
        ratio = np.exp(log_ratio)
        if (advantage[b] > 0 and ratio > 1 + clip_range) or (advantage[b] < 0 and ratio < 1 - clip_range):
            loss -= min(max(ratio, 1 - clip_range), 1 + clip_range) * advantage[b]
        else:
            loss -= ratio * advantage[b]
        divergence += ratio - 1 - log_ratio
        num_clipped += abs(ratio - 1) > clip_range
    losses[0], losses[3], losses[4] = loss / size, divergence / size, num_clipped / size
    return error


class PPO(OnPolicy):
    """The agent: collects with N environments, estimates advantages, improves on minibatches."""

    Config: ClassVar[type] = PPOConfig
    config: PPOConfig
    state_fields = (*OnPolicy.state_fields, "optimiser")
    carries_state = together = by_hand = takes_masks = True

    def setup(self) -> None:
        """Build the optimiser, too."""
        super().setup()
        self.optimiser = Optimiser("adam", self.actor_critic.policy_flat, learning_rate=self.config.learning_rate, epsilon=1e-5)
        self.shuffle = self.seeds.numpy("minibatches")

    @property
    def shares_body(self) -> bool:
        """True if the config says so."""
        return self.config.shared_body

    def step(self) -> dict[str, float]:
        """Run one iteration: a rollout of T steps of N environments, then K epochs of minibatches on it."""
        config = self.config
        self.optimiser.learning_rate = self.scheduled(config.learning_rate, config.learning_rate_schedule)
        clip_range = self.scheduled(config.clip_range, config.clip_range_schedule)

        rollout = self.collector.collect(self.actor_critic, config.rollout_steps)
        batch = self.estimate(rollout, config.gae_lambda)
        losses = []
        for indices in self.minibatches():
            losses.append(self.update(batch.take(indices), clip_range))
            if config.target_kl is not None and losses[-1][LOSSES.index("kl")] > config.target_kl:
                break
        self.collector.learn_moments(rollout)
        self.progress += rollout.reward.size

        metrics = dict(zip(LOSSES, np.mean(losses, axis=0).tolist(), strict=True))
        metrics |= {"value": float(batch.value.mean()), "learning_rate": self.optimiser.learning_rate, "updates": len(losses)}
        return metrics | self.collector.episode_metrics()

    def update(self, batch: Batch, clip_range: float) -> np.ndarray:
        """Take one gradient step on a minibatch, and return the five `LOSSES` before it."""
        config, learner = self.config, self.actor_critic
        if learner.fast is not None:
            return self.fast_update(learner.fast, batch, clip_range)
        inputs, action, old_log_prob, old_value, advantage, return_ = (learner.tensor(column) for column in batch[:6])
        legal = None if batch.legal is None else learner.tensor(batch.legal)
        if config.normalise_advantage:
            advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        head, value = learner.outputs(inputs)
        log_prob, entropies = log_prob_and_entropy(self.actions, masked_tensor(head, legal), learner.log_std, action)
        log_ratio = log_prob - old_log_prob
        ratio = log_ratio.exp()  # (6)
        loss_of_policy = policy_loss(ratio, advantage, clip_range)
        loss_of_value = value_loss(value, return_, old_value, config.value_clip_range)
        entropy = entropies.mean()
        loss = loss_of_policy + config.value_weight * loss_of_value - config.entropy_weight * entropy  # (9)

        self.optimiser.zero_grad()
        torch.autograd.backward(loss)
        self.optimiser.step(config.max_grad_norm)
        with torch.no_grad():
            clipped = ((ratio - 1).abs() > clip_range).float().mean()
            return torch.stack([loss_of_policy, loss_of_value, entropy, kl_divergence(log_ratio), clipped]).cpu().numpy()

    def fast_update(self, fast: FastPolicy, batch: Batch, clip_range: float) -> np.ndarray:
        """Take the step of `update`, with the gradient derived by hand (`test_fast_updates` holds one to the other)."""
        config, losses = self.config, np.empty(5, dtype=np.float32)
        inputs, action, old_log_prob, old_value, advantage, return_, legal = batch
        if config.normalise_advantage:
            advantage = standardise(advantage)
        policy = fast.policy(inputs, legal)
        losses[2] = fast.entropy(policy).mean()
        by_log_prob = surrogate_error(fast.log_prob(policy, action), old_log_prob, advantage, clip_range, losses)
        fast.backward(policy, action, by_log_prob, -config.entropy_weight)
        assert fast.critic is not None
        value = fast.critic.forward(inputs)[:, 0]
        held = np.inf if config.value_clip_range is None else config.value_clip_range
        fast.critic.backward(value_error(value, return_, old_value, held, config.value_weight, losses))
        assert self.optimiser.fast is not None
        self.optimiser.fast.step(self.optimiser.learning_rate, config.max_grad_norm)
        return losses

    def minibatches(self) -> Iterator[np.ndarray]:
        """Yield indices [M] of each minibatch in every epoch: with a memory those of whole environments, else those of any transitions."""
        steps, envs, size, epochs = self.config.rollout_steps, self.config.num_envs, self.config.batch_size, self.config.num_epochs
        if self.state_size:
            return sequence_minibatches(self.shuffle, steps, envs, size, epochs)
        return minibatches(self.shuffle, steps * envs, size, epochs)
