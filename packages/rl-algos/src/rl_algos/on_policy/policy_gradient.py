"""The plain policy gradient with a critic of its own pace: REINFORCE and VPG step along it, NPG and TRPO bend it first.

Source: R. S. Sutton, D. McAllester, S. Singh, Y. Mansour. "Policy gradient methods for reinforcement learning with function
approximation", 2000, theorem 1, as the gradient of a loss.
Departures: none. Letters: B batch, D dimensions of a continuous action.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from dl_nets.learning.optimisers import Optimiser
from rl_algos.parts.actor_critic import ActorCritic, NoCritic, PolicyConfig
from rl_algos.parts.distributions import Categorical, Gaussian

PART = 4096
"""Transitions that go through a network at once: the gradients of the parts of a larger batch are added."""


class PolicyGradientConfig(PolicyConfig, Protocol):
    """The settings that a learner is built from."""

    @property
    def entropy_weight(self) -> float:
        """Weight of the entropy bonus."""


def policy_loss(log_prob: torch.Tensor, advantage: torch.Tensor) -> torch.Tensor:
    """-mean(A ln pi(a|s)), a scalar: its gradient is minus the policy gradient, while A [B] is a constant to it.

    >>> policy_loss(torch.tensor([-1.0, -3.0]), torch.tensor([2.0, 1.0]))
    tensor(2.5000)
    """
    return -(advantage.detach() * log_prob).mean()


def parts(size: int) -> Iterator[slice]:
    """Slices of at most `PART` that cover `size` transitions in order.

    >>> list(parts(5000))
    [slice(0, 4096, None), slice(4096, 5000, None)]
    """
    for start in range(0, size, PART):
        yield slice(start, min(start + PART, size))


class PolicyGradient(ActorCritic):
    """The gradient of a policy, and a critic with an optimiser of its own, in torch. The compiled twin is in `compiled.policy_gradient`."""

    def __init__(
        self, actor: nn.Module, critic: nn.Module, actions: Categorical | Gaussian, config: PolicyGradientConfig, device: torch.device
    ) -> None:
        super().__init__(actor, critic, actions, config, device)
        self._entropy_weight = config.entropy_weight
        self._policy_parameters = [*actor.parameters(), *([self._log_std] if actions.scale_size else [])]
        self._value_optimiser = None if isinstance(critic, NoCritic) else Optimiser("adam", critic.parameters(), learning_rate=1.0)

    def policy_gradient(self, inputs: np.ndarray, action: np.ndarray, advantage: np.ndarray) -> np.ndarray:
        """Leave the gradient of the loss in the policy's parameters; policy loss and entropy [2].

        Args:
            inputs: [B, ...].
            action: [B] or [B, D].
            advantage: What is better than expected about the action [B].
        """
        for parameter in self._policy_parameters:
            parameter.grad = None
        losses = np.zeros(2, dtype=np.float32)
        for part in parts(len(inputs)):
            share = (part.stop - part.start) / len(inputs)
            head = self._actor(self._tensor(inputs[part]))
            log_prob = self._actions.log_prob(head, self._log_std, self._tensor(action[part]))
            loss_of_policy = share * policy_loss(log_prob, self._tensor(advantage[part]))
            entropy = share * self._actions.entropy(head, self._log_std).mean()
            (loss_of_policy - self._entropy_weight * entropy).backward()
            losses += torch.stack([loss_of_policy, entropy]).detach().cpu().numpy()
        return losses

    def value_step(self, inputs: np.ndarray, return_: np.ndarray, learning_rate: float) -> float:
        """One step of Adam on the mean squared error of V(s) against returns [B]; the error before it."""
        if self._value_optimiser is None:
            raise RuntimeError("there is no critic to improve")
        loss = (self._critic(self._tensor(inputs)).squeeze(1) - self._tensor(return_)).square().mean()
        self._value_optimiser.zero_grad()
        loss.backward()
        self._value_optimiser.learning_rate = learning_rate
        self._value_optimiser.step()
        return float(loss.detach())

    def state_dict(self) -> dict[str, Any]:
        """Parameters and the moments of the critic's optimiser."""
        critic = {} if self._value_optimiser is None else {"value_optimiser": self._value_optimiser.state_dict()}
        return {**super().state_dict(), **critic}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        super().load_state_dict(state)
        if self._value_optimiser is not None:
            self._value_optimiser.load_state_dict(state["value_optimiser"])


class PolicyGradientLearner(PolicyGradient):
    """A policy that Adam moves along its gradient, and its critic."""

    def __init__(
        self, actor: nn.Module, critic: nn.Module, actions: Categorical | Gaussian, config: PolicyGradientConfig, device: torch.device
    ) -> None:
        super().__init__(actor, critic, actions, config, device)
        self._policy_optimiser = Optimiser("adam", self._policy_parameters, learning_rate=1.0)

    def policy_step(self, inputs: np.ndarray, action: np.ndarray, advantage: np.ndarray, learning_rate: float) -> np.ndarray:
        """One step of Adam, of `learning_rate` > 0, up the policy gradient; policy loss and entropy before it [2]."""
        losses = self.policy_gradient(inputs, action, advantage)
        self._policy_optimiser.learning_rate = learning_rate
        self._policy_optimiser.step()
        return losses

    def state_dict(self) -> dict[str, Any]:
        """Parameters and both optimisers' moments."""
        return {**super().state_dict(), "policy_optimiser": self._policy_optimiser.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        super().load_state_dict(state)
        self._policy_optimiser.load_state_dict(state["policy_optimiser"])
