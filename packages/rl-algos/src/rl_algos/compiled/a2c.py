"""The compiled twin of A2C's update; `a2c.A2CLearner` is what to read, and `test_policy_gradients` holds every update to it.

Departures: none. Letters: B batch, P parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from dl_nets.fast.kernels import announced
from dl_nets.fast.mlp import rmsprop_step
from rl_algos.compiled.policies import CompiledActorCritic, policy_gradient_error, value_error
from rl_algos.on_policy.rollout import Batch
from rl_algos.parts.distributions import Categorical, Gaussian

if TYPE_CHECKING:
    from rl_algos.on_policy.a2c import A2CConfig


class CompiledA2CLearner(CompiledActorCritic):
    """Does what `a2c.A2CLearner` does, for perceptrons of tanh or ReLU on vectors of floats, on the CPU."""

    def __init__(self, actor: nn.Module, critic: nn.Module, actions: Categorical | Gaussian, config: A2CConfig) -> None:
        super().__init__(actor, critic, actions, config)
        self._config = config
        self._square = np.ones_like(self._parameters)
        with announced("A2C's update"):
            self._rehearse()

    def update(self, batch: Batch, learning_rate: float) -> np.ndarray:
        """One gradient step on a rollout; the three `a2c.LOSSES` before it."""
        losses, config = self.gradient(batch), self._config
        rmsprop_step(
            self._parameters, self._gradient, self._square, learning_rate, config.rms_decay, config.rms_epsilon, config.max_grad_norm
        )
        return losses

    def gradient(self, batch: Batch) -> np.ndarray:
        """Leave the gradient of the loss, not yet clipped, in `_gradient`; the three `a2c.LOSSES`."""
        policy, value = self._policy(batch.inputs), self._critic.forward(batch.inputs)[:, 0]
        losses = np.empty(3, dtype=np.float32)
        log_prob_error = policy_gradient_error(self._log_prob(policy, batch.action), batch.advantage, len(value), losses)
        self._descend_policy(policy, batch.action, log_prob_error, self._config.entropy_weight, losses)
        self._critic.backward(value_error(value, batch.return_, value, np.inf, self._config.value_weight, losses))
        return losses

    @property
    def vector(self) -> np.ndarray:
        """All parameters [P], a view."""
        return self._parameters

    @vector.setter
    def vector(self, vector: np.ndarray) -> None:
        self._parameters[:] = vector

    @property
    def gradient_vector(self) -> np.ndarray:
        """What `gradient` left [P], a view."""
        return self._gradient

    def _rehearse(self) -> None:
        """Take a step of length 0, so that everything is compiled."""
        inputs, action = np.zeros((2, self._actor.layout.sizes[0]), np.float32), np.zeros((2, len(self.log_std)), np.float32)
        number = np.zeros(2, np.float32)
        self.update(Batch(inputs, np.zeros(2, np.int64) if self._categorical else action, number, number, number, number), 0.0)
        self._square[:] = 1.0

    def state_dict(self) -> dict[str, Any]:
        """Parameters and RMSProp's squares."""
        return {**super().state_dict(), "square": self._square.copy()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        super().load_state_dict(state)
        self._square[:] = state["square"]
