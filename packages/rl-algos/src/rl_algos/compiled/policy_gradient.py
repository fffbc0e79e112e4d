"""The compiled twins of the classes of `policy_gradient`, which are what to read; `test_policy_gradients` holds them together.

Departures: none. Letters: B batch, D dimensions of a continuous action, P parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import nn

from dl_nets.fast.kernels import announced
from dl_nets.fast.mlp import FlatAdam
from rl_algos.compiled.policies import CompiledActorCritic, policy_gradient_error, value_error
from rl_algos.on_policy.policy_gradient import PolicyGradientConfig, parts
from rl_algos.parts.distributions import Categorical, Gaussian


class CompiledPolicyGradient(CompiledActorCritic):
    """Does what `PolicyGradient` does, for perceptrons of tanh or ReLU on vectors of floats, on the CPU."""

    def __init__(self, actor: nn.Module, critic: nn.Module, actions: Categorical | Gaussian, config: PolicyGradientConfig) -> None:
        super().__init__(actor, critic, actions, config)
        self._entropy_weight = config.entropy_weight
        end = len(self._parameters) - self._critic.layout.num_parameters
        self._policy_parameters, self._policy_gradient = self._parameters[:end], self._gradient[:end]  # views
        with announced("the policy gradient's update"):
            self._rehearse()
        self._value_adam = self._critic_optimiser()

    def policy_gradient(self, inputs: np.ndarray, action: np.ndarray, advantage: np.ndarray) -> np.ndarray:
        """Leave the gradient of the loss in the policy's part of `_gradient`; policy loss and entropy [2]."""
        total, losses = np.zeros_like(self._policy_gradient), np.zeros(2, dtype=np.float32)
        for part in parts(len(inputs)):
            share, part_losses = (part.stop - part.start) / len(inputs), np.empty(3, dtype=np.float32)
            policy = self._policy(inputs[part])
            log_prob_error = policy_gradient_error(self._log_prob(policy, action[part]), advantage[part], len(inputs), part_losses)
            self._descend_policy(policy, action[part], log_prob_error, share * self._entropy_weight, part_losses)
            total += self._policy_gradient
            losses += (part_losses[0], share * part_losses[2])
        self._policy_gradient[:] = total
        return losses

    def value_step(self, inputs: np.ndarray, return_: np.ndarray, learning_rate: float) -> float:
        """One step of Adam on the mean squared error of V(s) against returns [B]; the error before it."""
        value, losses = self._critic.forward(inputs)[:, 0], np.empty(2, dtype=np.float32)
        self._critic.backward(value_error(value, return_, value, np.inf, 1.0, losses))
        self._value_adam.step(learning_rate)
        return float(losses[1])

    def _critic_optimiser(self) -> FlatAdam:
        end = len(self._policy_parameters)
        return FlatAdam(self._parameters[end:], self._gradient[end:])

    def _rehearse(self) -> None:
        """Take steps of length 0, so that everything is compiled."""
        self._value_adam = self._critic_optimiser()
        inputs, action = np.zeros((2, self._actor.layout.sizes[0]), np.float32), np.zeros((2, len(self.log_std)), np.float32)
        number = np.zeros(2, np.float32)
        self.policy_gradient(inputs, np.zeros(2, np.int64) if self._categorical else action, number)
        if self._has_critic:
            self.value_step(inputs, number, 0.0)

    def state_dict(self) -> dict[str, Any]:
        """Parameters and the moments of the critic's optimiser."""
        critic = {"value_adam": self._value_adam.state_dict()} if self._has_critic else {}
        return {**super().state_dict(), **critic}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        super().load_state_dict(state)
        if self._has_critic:
            self._value_adam.load_state_dict(state["value_adam"])


class CompiledPolicyGradientLearner(CompiledPolicyGradient):
    """Does what `PolicyGradientLearner` does."""

    def __init__(self, actor: nn.Module, critic: nn.Module, actions: Categorical | Gaussian, config: PolicyGradientConfig) -> None:
        super().__init__(actor, critic, actions, config)
        with announced("the policy's optimiser"):
            FlatAdam(self._policy_parameters, self._policy_gradient).step(0.0)
        self._policy_adam = FlatAdam(self._policy_parameters, self._policy_gradient)

    def policy_step(self, inputs: np.ndarray, action: np.ndarray, advantage: np.ndarray, learning_rate: float) -> np.ndarray:
        """One step of Adam up the policy gradient; policy loss and entropy before it [2]."""
        losses = self.policy_gradient(inputs, action, advantage)
        self._policy_adam.step(learning_rate)
        return losses

    def state_dict(self) -> dict[str, Any]:
        """Parameters and both optimisers' moments."""
        return {**super().state_dict(), "policy_adam": self._policy_adam.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        super().load_state_dict(state)
        self._policy_adam.load_state_dict(state["policy_adam"])
