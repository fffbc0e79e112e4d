"""A2C, advantage actor-critic: a gradient step after every few steps of many environments, and nothing kept.

Source: V. Mnih, A. P. Badia, M. Mirza, A. Graves, T. Lillicrap, T. Harley, D. Silver, K. Kavukcuoglu. "Asynchronous methods for
deep reinforcement learning", 2016, Algorithm S3 and (S2), (S3); synchronous as in Y. Wu and others, "Scalable trust-region method
for deep reinforcement learning using Kronecker-factored approximation", 2017, section 5, who name it A2C.
Departures: one process steps all environments in turn (the asynchronous original is `a3c`); losses are means over the batch, not
sums; gradients are clipped by their norm; advantages may be those of GAE (`gae_lambda` below 1); actor and critic are two networks,
unless `shared_body`; truncated episodes are bootstrapped from their last observation. The squares of RMSProp start at 1, as in the
authors' own TensorFlow: from 0 the first steps would be ten times as long.
Errata: Algorithm S3 accumulates the gradient of (R - V)^2 with the sign of the policy's; it must be descended.
Letters: B batch, T steps of a rollout, N environments, P parameters.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
import torch

from dl_nets.fast.bridge import Flat
from dl_nets.fast.mlp import rmsprop_step as compiled_rmsprop_step
from rl_algos.on_policy.loop import FastPolicy, OnPolicy, OnPolicyConfig, value_error
from rl_algos.on_policy.policy_gradient import policy_gradient_error, policy_loss
from rl_algos.on_policy.rollout import Batch
from rl_algos.parts.fused import log_prob_and_entropy
from rl_algos.parts.masks import masked_tensor
from rl_core.config import Count, Doc, Fraction, NonNegative, Positive, configclass


@configclass
class A2CConfig(OnPolicyConfig):
    """A2C settings, in addition to `OnPolicyConfig`."""

    rollout_steps: Annotated[Count, Doc("t_max, steps of each environment between two updates")] = 5
    learning_rate: Annotated[Positive, Doc("eta, step size of RMSProp")] = 7e-4
    learning_rate_schedule: Annotated[Literal["constant", "linear"], Doc("linear goes down to 0 at the end of the budget")] = "constant"
    gae_lambda: Annotated[Fraction, Doc("lambda, 1 is the paper's n-step return")] = 1.0
    value_weight: Annotated[NonNegative, Doc("weight of the value loss")] = 0.5
    entropy_weight: Annotated[NonNegative, Doc("beta, weight of the entropy bonus")] = 0.0
    max_grad_norm: Annotated[Positive, Doc("longest gradient that is not shortened")] = 0.5
    shared_body: Annotated[bool, Doc("whether actor and critic are two heads of one network, which halves the cost of images")] = False
    rms_decay: Annotated[Fraction, Doc("alpha, how much of the mean square stays")] = 0.99
    rms_epsilon: Annotated[Positive, Doc("epsilon, added to the mean square before its root")] = 1e-5


LOSSES = ("policy_loss", "value_loss", "entropy")
"""The losses that an update returns, in this order."""


@torch.no_grad()
def rmsprop_step(flat: Flat, square: torch.Tensor, learning_rate: float, config: A2CConfig) -> None:
    """Move all parameters [P] against their gradient, shortened to `max_grad_norm`, and their mean square [P]: (S2), then (S3).

    >>> weight = torch.nn.Parameter(torch.zeros(1))
    >>> flat = Flat(weight)
    >>> flat.gradient.fill_(2.0)
    tensor([2.])
    >>> rmsprop_step(flat, torch.ones(1), 0.1, A2CConfig(rms_decay=0.5, rms_epsilon=1e-9, max_grad_norm=9.0))
    >>> round(weight.item(), 4)  # -0.1 * 2 / sqrt((1 + 2^2) / 2)
    -0.1265
    """
    vector, gradient = flat.vector, flat.gradient
    decay, epsilon, max_norm = config.rms_decay, config.rms_epsilon, config.max_grad_norm
    if vector.device.type == "cpu":
        compiled_rmsprop_step(vector.numpy(), gradient.numpy(), square.numpy(), learning_rate, decay, epsilon, max_norm)
        return
    gradient.mul_((max_norm / (gradient.norm() + 1e-6)).clamp(max=1.0))
    square.mul_(decay).addcmul_(gradient, gradient, value=1 - decay)  # (S2)
    vector.addcdiv_(gradient, (square + epsilon).sqrt(), value=-learning_rate)  # (S3)


class A2C(OnPolicy):
    """The agent: a few steps of N environments, one gradient step."""

    Config: ClassVar[type] = A2CConfig
    config: A2CConfig
    state_fields = (*OnPolicy.state_fields, "square")
    carries_state = together = by_hand = takes_masks = True

    def setup(self) -> None:
        """Start RMSProp's squares at 1."""
        super().setup()
        self.square = torch.ones_like(self.actor_critic.policy_flat.vector)

    @property
    def shares_body(self) -> bool:
        """True if the config says so."""
        return self.config.shared_body

    def step(self) -> dict[str, float]:
        """Run one iteration: a rollout of T steps of N environments, and a step along its gradient."""
        config = self.config
        learning_rate = self.scheduled(config.learning_rate, config.learning_rate_schedule)
        rollout = self.collector.collect(self.actor_critic, config.rollout_steps)
        batch = self.estimate(rollout, config.gae_lambda)
        losses = self.gradient(batch)
        rmsprop_step(self.actor_critic.policy_flat, self.square, learning_rate, config)
        self.collector.learn_moments(rollout)
        self.progress += rollout.reward.size
        metrics = dict(zip(LOSSES, losses.tolist(), strict=True)) | {"value": float(batch.value.mean()), "learning_rate": learning_rate}
        return metrics | self.collector.episode_metrics()

    def gradient(self, batch: Batch) -> np.ndarray:
        """Leave the gradient of the loss, not yet clipped, in `actor_critic.policy_flat`, and return the three `LOSSES`."""
        config, learner = self.config, self.actor_critic
        if learner.fast is not None:
            return self.fast_gradient(learner.fast, batch)
        inputs, action, advantage, return_ = map(learner.tensor, (batch.inputs, batch.action, batch.advantage, batch.return_))
        legal = None if batch.legal is None else learner.tensor(batch.legal)
        head, value = learner.outputs(inputs)
        log_prob, entropies = log_prob_and_entropy(self.actions, masked_tensor(head, legal), learner.log_std, action)
        loss_of_policy = policy_loss(log_prob, advantage)
        loss_of_value = (value - return_).square().mean()
        entropy = entropies.mean()
        loss = loss_of_policy + config.value_weight * loss_of_value - config.entropy_weight * entropy

        learner.policy_flat.zero_grad()
        torch.autograd.backward(loss)
        return torch.stack([loss_of_policy, loss_of_value, entropy]).detach().cpu().numpy()

    def fast_gradient(self, fast: FastPolicy, batch: Batch) -> np.ndarray:
        """Leave the gradient of `gradient`, derived by hand (`test_fast_updates` holds one to the other)."""
        losses = np.empty(3, dtype=np.float32)
        policy = fast.policy(batch.inputs, batch.legal)
        losses[2] = fast.entropy(policy).mean()
        by_log_prob = policy_gradient_error(fast.log_prob(policy, batch.action), batch.advantage, losses)
        fast.backward(policy, batch.action, by_log_prob, -self.config.entropy_weight)
        assert fast.critic is not None
        value = fast.critic.forward(batch.inputs)[:, 0]
        fast.critic.backward(value_error(value, batch.return_, value, np.inf, self.config.value_weight, losses))
        return losses
