"""A2C, advantage actor-critic: a gradient step after every few steps of many environments, and nothing kept.

Source: V. Mnih, A. P. Badia, M. Mirza, A. Graves, T. Lillicrap, T. Harley, D. Silver, K. Kavukcuoglu. "Asynchronous methods for
deep reinforcement learning", 2016, Algorithm S3 and (S2), (S3); synchronous as in Y. Wu and others, "Scalable trust-region method
for deep reinforcement learning using Kronecker-factored approximation", 2017, section 5, who name it A2C.
Departures: one process steps all environments in turn (the asynchronous original is `a3c`); losses are means over the batch, not
sums; gradients are clipped by their norm; advantages may be those of GAE (`gae_lambda` below 1); actor and critic are two networks;
an episode that a time limit cuts is bootstrapped from where it was cut. The squares of RMSProp start at 1, as in the authors' own
TensorFlow: from 0 the first steps would be ten times as long.
Errata: Algorithm S3 accumulates the gradient of (R - V)^2 with the sign of the policy's; it is to be descended.
Letters: B batch, T steps of a rollout, N environments, P parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from torch import nn

from dl_nets.fast.mlp import one_thread
from dl_nets.learning.optimisers import clip_gradient_norm
from dl_nets.learning.schedules import schedule
from rl_algos.compiled.a2c import CompiledA2CLearner
from rl_algos.on_policy.loop import OnPolicy, OnPolicyConfig
from rl_algos.on_policy.policy_gradient import policy_loss
from rl_algos.on_policy.rollout import Batch
from rl_algos.parts.actor_critic import ActorCritic
from rl_algos.parts.distributions import Categorical, Gaussian
from rl_core.config import Count, Doc, Fraction, NonNegative, Positive, configclass


@configclass
class A2CConfig(OnPolicyConfig):
    """Settings of A2C beside those of every on-policy agent."""

    rollout_steps: Annotated[Count, Doc("t_max, steps of each environment between two updates")] = 5
    learning_rate: Annotated[Positive, Doc("eta, step size of RMSProp")] = 7e-4
    learning_rate_schedule: Annotated[Literal["constant", "linear"], Doc("linear goes down to 0 at the end of the budget")] = "constant"
    gae_lambda: Annotated[Fraction, Doc("lambda, 1 is the paper's n-step return")] = 1.0
    value_weight: Annotated[NonNegative, Doc("weight of the value loss")] = 0.5
    entropy_weight: Annotated[NonNegative, Doc("beta, weight of the entropy bonus")] = 0.0
    max_grad_norm: Annotated[Positive, Doc("longest gradient that is not shortened")] = 0.5
    rms_decay: Annotated[Fraction, Doc("alpha, how much of the mean square stays")] = 0.99
    rms_epsilon: Annotated[Positive, Doc("epsilon, added to the mean square before its root")] = 1e-5


LOSSES = ("policy_loss", "value_loss", "entropy")
"""What an update returns, in this order."""


@torch.no_grad()
def rmsprop_step(parameter: torch.Tensor, square: torch.Tensor, learning_rate: float, decay: float, epsilon: float) -> None:
    """Move a parameter [...] against its gradient, changing its mean square [...] too: (S2), then (S3).

    >>> weight = nn.Parameter(torch.zeros(1))
    >>> weight.grad = torch.tensor([2.0])
    >>> rmsprop_step(weight, torch.ones(1), 0.1, 0.5, 0.0)  # -0.1 * 2 / sqrt((1 + 2^2) / 2)
    >>> round(weight.item(), 4)
    -0.1265
    """
    if parameter.grad is not None:
        square.mul_(decay).addcmul_(parameter.grad, parameter.grad, value=1 - decay)  # (S2)
        parameter.addcdiv_(parameter.grad, (square + epsilon).sqrt(), value=-learning_rate)  # (S3)


class A2CLearner(ActorCritic):
    """The policy, its critic and RMSProp's squares, in torch. The compiled twin is in `compiled.a2c`."""

    def __init__(
        self, actor: nn.Module, critic: nn.Module, actions: Categorical | Gaussian, config: A2CConfig, device: torch.device
    ) -> None:
        super().__init__(actor, critic, actions, config, device)
        self._config = config
        self._squares = {name: torch.ones_like(parameter) for name, parameter in self._module.named_parameters()}

    def update(self, batch: Batch, learning_rate: float) -> np.ndarray:
        """One gradient step on a rollout; the three `LOSSES` before it."""
        losses = self.gradient(batch)
        clip_gradient_norm(self._module.parameters(), self._config.max_grad_norm)
        for name, parameter in self._module.named_parameters():
            rmsprop_step(parameter, self._squares[name], learning_rate, self._config.rms_decay, self._config.rms_epsilon)
        return losses

    def gradient(self, batch: Batch) -> np.ndarray:
        """Leave the gradient of the loss, not yet clipped, in the parameters; the three `LOSSES`."""
        config = self._config
        inputs, action, advantage, return_ = map(self._tensor, (batch.inputs, batch.action, batch.advantage, batch.return_))
        head = self._actor(inputs)
        loss_of_policy = policy_loss(self._actions.log_prob(head, self._log_std, action), advantage)
        loss_of_value = (self._critic(inputs).squeeze(1) - return_).square().mean()
        entropy = self._actions.entropy(head, self._log_std).mean()
        loss = loss_of_policy + config.value_weight * loss_of_value - config.entropy_weight * entropy

        self._module.zero_grad()
        loss.backward()
        return torch.stack([loss_of_policy, loss_of_value, entropy]).detach().cpu().numpy()

    @property
    def vector(self) -> np.ndarray:
        """All parameters [P]."""
        return nn.utils.parameters_to_vector(self._module.parameters()).detach().cpu().numpy()

    @vector.setter
    def vector(self, vector: np.ndarray) -> None:
        nn.utils.vector_to_parameters(torch.tensor(vector, device=self._device), self._module.parameters())

    @property
    def gradient_vector(self) -> np.ndarray:
        """What `gradient` left [P]; a copy."""
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in self._module.parameters()]
        return torch.cat([gradient.flatten() for gradient in gradients]).cpu().numpy()

    def state_dict(self) -> dict[str, Any]:
        """Parameters and RMSProp's squares."""
        return {**super().state_dict(), "squares": {name: square.cpu().numpy().copy() for name, square in self._squares.items()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        super().load_state_dict(state)
        for name, square in self._squares.items():
            square.copy_(torch.from_numpy(np.array(state["squares"][name])))


class A2C(OnPolicy):
    """The agent: a few steps of N environments, one gradient step."""

    Config: ClassVar[type] = A2CConfig
    config: A2CConfig
    learner, compiled_learner = A2CLearner, CompiledA2CLearner
    carries_state = True

    @one_thread
    def step(self) -> dict[str, float]:
        """One iteration: a rollout of T steps of N environments, and a step along its gradient."""
        config = self.config
        learning_rate = config.learning_rate * schedule(config.learning_rate_schedule)(self.progress / self.budget)
        rollout = self.collector.collect(self.actor_critic, config.rollout_steps)
        batch = self.estimate(rollout, config.gae_lambda)
        losses = self.actor_critic.update(batch, learning_rate)
        self.collector.learn_moments(rollout)
        self.progress += rollout.reward.size
        metrics = dict(zip(LOSSES, losses.tolist(), strict=True)) | {"value": float(batch.value.mean()), "learning_rate": learning_rate}
        return metrics | self.collector.episode_metrics()
