"""The compiled twin of PPO's update; `ppo.PPOLearner` is what to read, and `test_ppo_compiled` holds every update to it.

Source: the derivative of `ppo.policy_loss`.
Departures: none. Letters: B batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from dl_nets.fast.kernels import announced, vectorised
from dl_nets.fast.mlp import FlatAdam
from rl_algos.compiled.policies import CompiledActorCritic, standardise, value_error
from rl_algos.parts.distributions import Categorical, Gaussian

if TYPE_CHECKING:
    from rl_algos.on_policy.ppo import PPOConfig


class CompiledPPOLearner(CompiledActorCritic):
    """Does what `ppo.PPOLearner` does, for perceptrons of tanh or ReLU on vectors of floats, on the CPU."""

    def __init__(self, actor: nn.Module, critic: nn.Module, actions: Categorical | Gaussian, config: PPOConfig) -> None:
        super().__init__(actor, critic, actions, config)
        self._config = config
        self._adam = FlatAdam(self._parameters, self._gradient, epsilon=1e-5)
        with announced("PPO's update"):
            self._rehearse()

    def update(self, batch: tuple[np.ndarray, ...], learning_rate: float, clip_range: float) -> np.ndarray:
        """One gradient step on a minibatch, a `rollout.Batch`; the five `ppo.LOSSES` before it."""
        config = self._config
        inputs, action, old_log_prob, old_value, advantage, return_ = batch
        if config.normalise_advantage:
            advantage = standardise(advantage)
        policy, value = self._policy(inputs), self._critic.forward(inputs)[:, 0]
        losses = np.empty(5, dtype=np.float32)
        log_prob_error = surrogate_error(self._log_prob(policy, action), old_log_prob, advantage, clip_range, losses)
        self._descend_policy(policy, action, log_prob_error, config.entropy_weight, losses)
        held = np.inf if config.value_clip_range is None else config.value_clip_range
        self._critic.backward(value_error(value, return_, old_value, held, config.value_weight, losses))
        self._adam.step(learning_rate, config.max_grad_norm)
        return losses

    def _rehearse(self) -> None:
        """Take a step of length 0, so that everything is compiled."""
        inputs, action = np.zeros((2, self._actor.layout.sizes[0]), np.float32), np.zeros((2, len(self.log_std)), np.float32)
        number = np.zeros(2, np.float32)
        self.update((inputs, np.zeros(2, np.int64) if self._categorical else action, number, number, number, number), 0.0, 1.0)
        self._adam = FlatAdam(self._parameters, self._gradient, epsilon=1e-5)

    def state_dict(self) -> dict[str, Any]:
        """Parameters, Adam's moments and its step count."""
        return {**super().state_dict(), "adam": self._adam.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        super().load_state_dict(state)
        self._adam.load_state_dict(state["adam"])


@vectorised
def surrogate_error(
    log_prob: np.ndarray, old_log_prob: np.ndarray, advantage: np.ndarray, clip_range: float, losses: np.ndarray
) -> np.ndarray:
    """D L^CLIP / d ln pi(a|s) [B]: -ratio * advantage / B, and 0 where the clipped ratio gives less.

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
