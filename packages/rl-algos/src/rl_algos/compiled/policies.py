"""The compiled twin of a policy and its critic: plain perceptrons on one flat vector, gradients written out by hand.

`actor_critic.ActorCritic` is what to read; this file computes the same numbers several times as fast, and the tests of each
algorithm hold every update to the other's.
Source: the derivatives of the distributions in `distributions`, and of the losses of `ppo` and its kin.
Departures: none. Letters: B batch, A actions, D dimensions of a continuous action.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import nn

from dl_nets.fast.kernels import vectorised
from dl_nets.fast.mlp import FastMLP, Layout, flat_parameters
from rl_algos.parts.actor_critic import NoCritic, PolicyConfig
from rl_algos.parts.distributions import HALF_LOG_TWO_PI, Categorical, Gaussian


class CompiledActorCritic:
    """Does what `ActorCritic` does, for perceptrons of tanh or ReLU on vectors of floats, on the CPU.

    How it learns is a subclass's: it goes from an error by ln pi(a|s) and by the value to gradients with `_descend_policy` and the
    critic's `backward`, and adds an optimiser of `_parameters` and `_gradient`.

    Args:
        actor: `Layout.of` must know it.
        critic: And this one.
        actions: What the head means.
        config: Settings.
    """

    def __init__(self, actor: nn.Module, critic: nn.Module, actions: Categorical | Gaussian, config: PolicyConfig) -> None:
        actor_layout, critic_layout = Layout.of(actor), Layout.of(critic)
        self._has_critic = not isinstance(critic, NoCritic)
        if actor_layout is not None and not self._has_critic:
            critic_layout = Layout(actor_layout.sizes[:1], "tanh")  # no layers, no parameters
        if actor_layout is None or critic_layout is None:
            raise ValueError("the compiled path takes plain perceptrons of tanh or ReLU; for other networks set compiled=false")
        parts = [flat_parameters(actor), np.full(actions.scale_size, config.log_std, np.float32)]
        parts.append(flat_parameters(critic) if self._has_critic else np.zeros(0, np.float32))
        self._parameters = np.concatenate(parts)
        self._gradient = np.zeros_like(self._parameters)
        actor_end, critic_start = len(parts[0]), len(parts[0]) + len(parts[1])
        self._actor = FastMLP(actor_layout, self._parameters[:actor_end], self._gradient[:actor_end])
        self._critic = FastMLP(critic_layout, self._parameters[critic_start:], self._gradient[critic_start:])
        self.log_std = self._parameters[actor_end:critic_start]  # a view: it follows the training
        self._log_std_gradient = self._gradient[actor_end:critic_start]
        self._categorical = isinstance(actions, Categorical)

    def head(self, inputs: np.ndarray) -> np.ndarray:
        """The actor's output [B, A] or [B, D] on inputs [B, I]; a buffer."""
        return self._actor.forward(inputs)

    def value(self, inputs: np.ndarray) -> np.ndarray:
        """V(s) [B] of inputs [B, I]."""
        return self._critic.forward(inputs)[:, 0].copy() if self._has_critic else np.zeros(len(inputs), np.float32)

    def log_prob(self, inputs: np.ndarray, action: np.ndarray) -> np.ndarray:
        """Log-probabilities ln pi(a|s) [B] of actions [B] or [B, D] at inputs [B, I]."""
        return self._log_prob(self._policy(inputs), action)

    def parameters(self) -> dict[str, np.ndarray]:
        """Every trainable number, by name."""
        named = {**self._actor.named_parameters("actor"), "log_std": self.log_std, **self._critic.named_parameters("critic")}
        return {name: value for name, value in named.items() if value.size}

    def state_dict(self) -> dict[str, Any]:
        """Parameters; a subclass adds its optimiser's."""
        return {"parameters": self._parameters.copy()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        self._parameters[:] = state["parameters"]

    def _policy(self, inputs: np.ndarray) -> np.ndarray:
        """Logarithms ln pi [B, A] of all probabilities, or the means [B, D], at inputs [B, I]."""
        head = self._actor.forward(inputs)
        return log_softmax(head) if self._categorical else head

    def _log_prob(self, policy: np.ndarray, action: np.ndarray) -> np.ndarray:
        """Ln pi(a|s) [B] of actions [B] or [B, D], from what `_policy` gave."""
        return chosen(policy, action) if self._categorical else gaussian_log_prob(policy, self.log_std, action)

    def _descend_policy(
        self, policy: np.ndarray, action: np.ndarray, log_prob_error: np.ndarray, entropy_weight: float, losses: np.ndarray
    ) -> None:
        """Write the actor's gradient, from d loss / d ln pi(a|s) [B], after its `_policy`; writes `losses` at 2."""
        if self._categorical:
            error = categorical_error(policy, action, log_prob_error, entropy_weight, losses)
        else:
            error = gaussian_error(policy, self.log_std, action, log_prob_error, entropy_weight, self._log_std_gradient, losses)
        self._actor.backward(error)


@vectorised
def standardise(values: np.ndarray) -> np.ndarray:
    """Values [B] less their mean, by their deviation (with B - 1, as torch has it).

    >>> standardise(np.array([1, 2, 3], dtype=np.float32)).tolist()
    [-1.0, 0.0, 1.0]
    """
    mean, square = np.float32(0.0), np.float32(0.0)
    for value in values:
        mean += value
    mean /= np.float32(len(values))
    for value in values:
        square += (value - mean) ** 2
    return (values - mean) / np.float32(np.sqrt(square / np.float32(len(values) - 1)) + np.float32(1e-8))


@vectorised
def policy_gradient_error(log_prob: np.ndarray, advantage: np.ndarray, size: int, losses: np.ndarray) -> np.ndarray:
    """D loss / d ln pi(a|s) [B] of -mean(advantage * ln pi): -advantage / size; writes the loss into `losses` at 0.

    Args:
        log_prob: ln pi(a|s) [B].
        advantage: [B].
        size: What the mean is over: B, or more where this is a part of a batch.
        losses: Written to at 0.

    >>> losses = np.zeros(3, dtype=np.float32)
    >>> error = policy_gradient_error(np.array([-1, -3], dtype=np.float32), np.array([2, 1], dtype=np.float32), 2, losses)
    >>> error.tolist(), losses[0].item()  # -(2 * -1 + 1 * -3) / 2
    ([-1.0, -0.5], 2.5)
    """
    error, loss = np.empty(len(log_prob), dtype=np.float32), 0.0
    for b in range(len(log_prob)):
        error[b] = -advantage[b] / np.float32(size)
    for b in range(len(log_prob)):
        loss -= advantage[b] * log_prob[b]
    losses[0] = loss / np.float32(size)
    return error


@vectorised
def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Log-probabilities ln pi [B, A] of logits [B, A].

    >>> print(np.exp(log_softmax(np.log(np.array([[1, 3]], dtype=np.float32)))))
    [[0.25 0.75]]
    """
    size, num_actions = logits.shape
    log_probs = np.empty_like(logits)
    for b in range(size):
        highest, total = logits[b, 0], np.float32(0.0)
        for j in range(1, num_actions):
            highest = max(highest, logits[b, j])
        for j in range(num_actions):
            total += np.exp(logits[b, j] - highest)
        log_total = highest + np.log(total)
        for j in range(num_actions):
            log_probs[b, j] = logits[b, j] - log_total
    return log_probs


@vectorised
def chosen(log_probs: np.ndarray, action: np.ndarray) -> np.ndarray:
    """The entries [B] of a table [B, A] at actions [B].

    >>> chosen(np.array([[1.0, 2.0], [3.0, 4.0]], dtype=np.float32), np.array([1, 0])).tolist()
    [2.0, 3.0]
    """
    log_prob = np.empty(len(log_probs), dtype=np.float32)
    for b in range(len(log_probs)):
        log_prob[b] = log_probs[b, action[b]]
    return log_prob


@vectorised
def categorical_error(
    log_probs: np.ndarray, action: np.ndarray, log_prob_error: np.ndarray, entropy_weight: float, losses: np.ndarray
) -> np.ndarray:
    """Derivative d loss / d logits [B, A]; writes the mean entropy into `losses`.

    d ln pi(a) / d logit_j = 1[j = a] - pi_j, and d entropy / d logit_j = -pi_j (ln pi_j + entropy).

    Args:
        log_probs: ln pi [B, A].
        action: [B].
        log_prob_error: d loss / d ln pi(a|s), without the bonus [B].
        entropy_weight: c2.
        losses: Written to at 2.

    >>> log_probs, losses = np.log(np.full((1, 2), 0.5, dtype=np.float32)), np.zeros(5, dtype=np.float32)
    >>> print(categorical_error(log_probs, np.array([0]), np.array([-1], dtype=np.float32), 0.0, losses), losses[2].round(4))
    [[-0.5  0.5]] 0.6931
    """
    size, num_actions = log_probs.shape
    error, total = np.empty_like(log_probs), np.float32(0.0)
    for b in range(size):
        entropy = np.float32(0.0)
        for j in range(num_actions):
            error[b, j] = np.exp(log_probs[b, j])
            entropy -= error[b, j] * log_probs[b, j]
        for j in range(num_actions):
            bonus = entropy_weight / size * error[b, j] * (log_probs[b, j] + entropy)
            error[b, j] = log_prob_error[b] * ((j == action[b]) - error[b, j]) + bonus
        total += entropy
    losses[2] = total / size
    return error


@vectorised
def gaussian_log_prob(mean: np.ndarray, log_std: np.ndarray, action: np.ndarray) -> np.ndarray:
    """Ln pi(a|s) [B] of actions [B, D] under means [B, D] and deviations exp(log_std) [D].

    >>> zeros = np.zeros((1, 1), dtype=np.float32)
    >>> print(gaussian_log_prob(zeros, zeros[0], zeros + 1).round(4))
    [-1.4189]
    """
    log_prob = np.zeros(len(mean), dtype=np.float32)
    for b in range(len(mean)):
        for d in range(len(log_std)):
            standard = (action[b, d] - mean[b, d]) * np.exp(-log_std[d])
            log_prob[b] -= 0.5 * standard * standard + log_std[d] + HALF_LOG_TWO_PI
    return log_prob


@vectorised
def gaussian_error(
    mean: np.ndarray,
    log_std: np.ndarray,
    action: np.ndarray,
    log_prob_error: np.ndarray,
    entropy_weight: float,
    log_std_error: np.ndarray,
    losses: np.ndarray,
) -> np.ndarray:
    """Derivative d loss / d mean [B, D]; writes d loss / d log_std into `log_std_error` [D], and the entropy into `losses`.

    With z = (a - mean) / sigma: d ln pi / d mean = z / sigma, d ln pi / d ln sigma = z^2 - 1, d entropy / d ln sigma = 1.

    >>> zeros, std_error, losses = (np.zeros(shape, dtype=np.float32) for shape in ((1, 1), 1, 5))
    >>> print(gaussian_error(zeros, zeros[0], zeros + 2, zeros[0] - 1, 0.5, std_error, losses), std_error)  # -(2^2 - 1) - 0.5
    [[-2.]] [-3.5]
    """
    error, losses[2] = np.empty_like(mean), 0.0
    for d in range(len(log_std)):
        std_inverse, total = np.exp(-log_std[d]), 0.0
        for b in range(len(mean)):
            standard = (action[b, d] - mean[b, d]) * std_inverse
            error[b, d] = log_prob_error[b] * standard * std_inverse
        for b in range(len(mean)):
            standard = (action[b, d] - mean[b, d]) * std_inverse
            total += log_prob_error[b] * (standard * standard - 1)
        log_std_error[d] = total - entropy_weight
        losses[2] += log_std[d] + HALF_LOG_TWO_PI + 0.5
    return error


@vectorised
def value_error(
    value: np.ndarray, return_: np.ndarray, old_value: np.ndarray, held: float, weight: float, losses: np.ndarray
) -> np.ndarray:
    """D (weight * L^VF) / d V(s) [B, 1]; writes L^VF into `losses`.

    Args:
        value: V(s) [B].
        return_: Its target [B].
        old_value: V_old(s) [B].
        held: How far V may move from V_old before the worse of both errors counts; infinite for no such limit.
        weight: c1.
        losses: Written to at 1.

    >>> one, losses = np.ones(1, dtype=np.float32), np.zeros(5, dtype=np.float32)
    >>> value_error(2 * one, 3 * one, 0 * one, np.inf, 0.5, losses).tolist(), losses[1].item()
    ([[-1.0]], 1.0)
    """
    size = len(value)
    error = np.empty((size, 1), dtype=np.float32)
    total = 0.0
    for b in range(size):
        miss = value[b] - return_[b]
        held_miss = old_value[b] + min(max(value[b] - old_value[b], -held), held) - return_[b]
        # Without the first condition rounding alone would make the held value the worse one half of the time.
        is_held = abs(value[b] - old_value[b]) > held and held_miss * held_miss > miss * miss
        error[b, 0] = 0.0 if is_held else 2 * weight * miss / size
    for b in range(size):
        miss = value[b] - return_[b]
        held_miss = old_value[b] + min(max(value[b] - old_value[b], -held), held) - return_[b]
        is_held = abs(value[b] - old_value[b]) > held and held_miss * held_miss > miss * miss
        total += held_miss * held_miss if is_held else miss * miss
    losses[1] = total / size
    return error
