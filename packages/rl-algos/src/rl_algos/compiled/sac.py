"""The compiled twin of SAC's actor and critics: plain perceptrons on one flat vector, gradients written out by hand.

`sac.ActorCritic` is what to read; this file computes the same numbers faster, and `test_sac` holds every update to the
other's. Nearly all of its time is matrix products (at 256 x 256 and a batch of 256, 34 MFLOP each), so it takes none that it need
not: the policy's step asks the critics for the slope of actions alone, not for gradients of weights.
Source: the derivatives of the losses in `sac`. Departures: none.
Letters: B batch, I numbers of an observation, D dimensions of an action.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from dl_nets.fast.kernels import announced, vectorised
from dl_nets.fast.mlp import FlatAdam
from rl_algos.compiled.ddpg import critic_error
from rl_algos.parts.distributions import HALF_LOG_TWO_PI
from rl_algos.parts.perceptrons import Perceptrons
from rl_algos.parts.targets import follow
from rl_algos.replay.buffer import Batch

if TYPE_CHECKING:
    from rl_algos.continuous.sac import SACConfig

LOG_STD_BOUNDS = (-20.0, 2.0)  # of ln sigma, before tanh: beyond, the policy's density overflows, or all actions are at the bounds
LOG_TWO = math.log(2.0)


class CompiledActorCritic:
    """Does what `sac.ActorCritic` does, for perceptrons of tanh or ReLU, on the CPU.

    Args:
        actor: `Layout.of` must know it.
        critics: And these two.
        config: Settings.
        target_entropy: In nats.
    """

    def __init__(self, actor: nn.Module, critics: list[nn.Module], config: SACConfig, target_entropy: float) -> None:
        self._config, self._target_entropy, self._nets = config, target_entropy, Perceptrons([actor, *critics])
        size = self._nets.actor_size
        self._target = self._nets.parameters.copy()  # of which the actor's part is not used
        self._target_critics = self._nets.twin(self._target)[1:]
        self._log_temperature = np.full(1, math.log(config.temperature), dtype=np.float32)
        self._temperature_gradient = np.zeros(1, dtype=np.float32)
        self._adams = {
            "critics": FlatAdam(self._nets.parameters[size:], self._nets.gradient[size:]),
            "actor": FlatAdam(self._nets.parameters[:size], self._nets.gradient[:size]),
            "temperature": FlatAdam(self._log_temperature, self._temperature_gradient),
        }
        with announced("SAC's update"):
            self._rehearse()

    def update(self, batch: Batch, noise: np.ndarray) -> np.ndarray:
        """One gradient step of critics, policy and temperature, in this order; the `sac.LOSSES` before each [5].

        Args:
            batch: Transitions.
            noise: Standard normal numbers for the actions at `next_obs` and at `obs` [2, B, D].
        """
        config, critics, size = self._config, self._nets.critics, self._nets.actor_size
        losses, temperature = np.zeros(5), math.exp(self._log_temperature[0])
        next_action, next_log_prob = squashed(self._nets.actor.forward(batch.next_obs), noise[0])
        next_pairs = np.concatenate((batch.next_obs, next_action), axis=1)
        next_value, other_value = (critic.forward(next_pairs)[:, 0] for critic in self._target_critics)
        target = soft_target(batch.reward, batch.discount, next_value, other_value, next_log_prob, temperature)
        pairs = np.concatenate((batch.obs, batch.action), axis=1)
        for critic in reversed(critics):  # the first one's value is what is reported
            critic.backward(critic_error(critic.forward(pairs)[:, 0], target, losses))
        self._adams["critics"].step(config.learning_rate)

        self._improve(batch.obs, noise[1], temperature, losses)
        follow(self._target[size:], self._nets.parameters[size:], config.target_rate)
        return losses

    def _improve(self, obs: np.ndarray, noise: np.ndarray, temperature: float, losses: np.ndarray) -> None:
        """One step of the policy, and of the temperature where it is learned."""
        config, (first, second) = self._config, self._nets.critics
        head = self._nets.actor.forward(obs)
        action, log_prob = squashed(head, noise)
        pairs = np.concatenate((obs, action), axis=1)
        error, other_error, value = smaller_error(first.forward(pairs)[:, 0], second.forward(pairs)[:, 0])
        slope = first.backward(error, to_inputs=True, to_parameters=False)
        other_slope = second.backward(other_error, to_inputs=True, to_parameters=False)
        assert slope is not None
        assert other_slope is not None
        self._nets.actor.backward(policy_error(head, noise, action, slope, other_slope, temperature))
        self._adams["actor"].step(config.learning_rate)
        entropy = -float(log_prob.mean())
        losses[2:] = -temperature * entropy - value, entropy, temperature
        if config.tune_temperature:
            self._temperature_gradient[0] = temperature * (entropy - self._target_entropy)  # of (18) by ln alpha
            self._adams["temperature"].step(config.learning_rate)

    def head(self, inputs: np.ndarray) -> np.ndarray:
        """Means and ln sigmas [B, 2 D] at inputs [B, I]; a buffer."""
        return self._nets.actor.forward(inputs)

    def value(self, inputs: np.ndarray, action: np.ndarray) -> np.ndarray:
        """Q(s, a) of each critic [2, B] for inputs [B, I] and actions [B, D]."""
        pairs = np.concatenate((inputs, action), axis=1)
        return np.stack([critic.forward(pairs)[:, 0] for critic in self._nets.critics])

    def parameters(self) -> dict[str, np.ndarray]:
        """Every trainable number, by name."""
        named = self._nets.named_parameters()
        return named | {"log_temperature": self._log_temperature} if self._config.tune_temperature else named

    def state_dict(self) -> dict[str, Any]:
        """Networks, targets, temperature and all optimisers."""
        return {
            "parameters": self._nets.parameters.copy(),
            "target": self._target[self._nets.actor_size :].copy(),
            "log_temperature": self._log_temperature.copy(),
            "adams": {name: adam.state_dict() for name, adam in self._adams.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        self._nets.parameters[:] = state["parameters"]
        self._target[self._nets.actor_size :] = state["target"]
        self._log_temperature[:] = state["log_temperature"]
        for name, adam in self._adams.items():
            adam.load_state_dict(state["adams"][name])

    def _rehearse(self) -> None:
        """Update once and take it back, so that everything is compiled."""
        before = self.state_dict()
        obs, number = np.zeros((2, self._nets.actor.layout.sizes[0]), np.float32), np.zeros(2, np.float32)
        action = np.zeros((2, self._nets.actor.layout.sizes[-1] // 2), np.float32)
        self.update(Batch(obs, action, number, number, obs), np.stack([action, action]))
        self.load_state_dict(before)


@vectorised
def squashed(head: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Actions [B, D] in (-1, 1) and their log-probabilities [B], from heads [B, 2 D] and noise [B, D]; see `sac.squashed`.

    >>> action, log_prob = squashed(np.zeros((1, 2), dtype=np.float32), np.zeros((1, 1), dtype=np.float32))
    >>> action.item(), np.exp(log_prob).round(4).item()
    (0.0, 0.39890000224113464)
    """
    size, num_dimensions = noise.shape
    action, log_prob = np.empty_like(noise), np.empty(size, dtype=np.float32)
    for b in range(size):
        total = 0.0
        for d in range(num_dimensions):
            log_std = min(max(head[b, num_dimensions + d], LOG_STD_BOUNDS[0]), LOG_STD_BOUNDS[1])
            before = head[b, d] + math.exp(log_std) * noise[b, d]
            # ln(1 - tanh^2 u) = 2 (ln 2 - |u| - ln(1 + exp(-2 |u|))), the same for u and -u
            log_slope = 2.0 * (LOG_TWO - abs(before) - math.log1p(math.exp(-2.0 * abs(before))))
            total += -0.5 * noise[b, d] * noise[b, d] - log_std - HALF_LOG_TWO_PI - log_slope
        log_prob[b] = total
        for d in range(num_dimensions):
            log_std = min(max(head[b, num_dimensions + d], LOG_STD_BOUNDS[0]), LOG_STD_BOUNDS[1])
            action[b, d] = math.tanh(head[b, d] + math.exp(log_std) * noise[b, d])
    return action, log_prob


@vectorised
def soft_target(
    reward: np.ndarray,
    discount: np.ndarray,
    next_value: np.ndarray,
    other_value: np.ndarray,
    next_log_prob: np.ndarray,
    temperature: float,
) -> np.ndarray:
    """What Q(s, a) should be [B]: r + discount (min(Q'_1, Q'_2) - temperature ln pi(a'|s')).

    >>> one = np.ones(1, dtype=np.float32)
    >>> soft_target(one, 0.5 * one, 5 * one, 4 * one, -2 * one, 0.5).tolist()
    [3.5]
    """
    target = np.empty_like(reward)
    for b in range(len(reward)):
        target[b] = reward[b] + discount[b] * (min(next_value[b], other_value[b]) - temperature * next_log_prob[b])
    return target


@vectorised
def smaller_error(value: np.ndarray, other_value: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Derivatives of the mean of -min(Q_1, Q_2) by each [B, 1], of which one is 0, and the mean of the smaller value.

    >>> error, other_error, value = smaller_error(np.array([1, 4], dtype=np.float32), np.array([2, 3], dtype=np.float32))
    >>> error.ravel().tolist(), other_error.ravel().tolist(), value
    ([-0.5, 0.0], [0.0, -0.5], 2.0)
    """
    size = len(value)
    error, other_error = np.zeros((size, 1), dtype=np.float32), np.zeros((size, 1), dtype=np.float32)
    total = 0.0
    for b in range(size):
        total += min(value[b], other_value[b])
    for b in range(size):
        if value[b] <= other_value[b]:
            error[b, 0] = -1.0 / size
        else:
            other_error[b, 0] = -1.0 / size
    return error, other_error, total / size


@vectorised
def policy_error(
    head: np.ndarray, noise: np.ndarray, action: np.ndarray, slope: np.ndarray, other_slope: np.ndarray, temperature: float
) -> np.ndarray:
    """d J_pi / d head [B, 2 D], J_pi being the mean of temperature ln pi(a|s) - min(Q_1, Q_2).

    With a = tanh(u) and u = mean + sigma xi: d ln pi / d u = 2 a and d a / d u = 1 - a^2; ln sigma moves u by sigma xi, and ln pi by -1
    besides. Where ln sigma is held at a bound it does not move anything.

    Args:
        head: mean and ln sigma [B, 2 D].
        noise: xi [B, D].
        action: a [B, D].
        slope: d mean(-min(Q_1, Q_2)) / d (s, a) by way of the first critic [B, I + D].
        other_slope: And by way of the second [B, I + D].
        temperature: alpha.

    >>> zero, one = np.zeros((1, 1), dtype=np.float32), np.ones((1, 1), dtype=np.float32)
    >>> print(policy_error(np.zeros((1, 2), dtype=np.float32), one, 0.5 * one, -one, zero, 1.0))  # 1 - 0.75, and - 1 besides
    [[ 0.25 -0.75]]
    """
    size, num_dimensions = noise.shape
    num_inputs = slope.shape[1] - num_dimensions
    error = np.empty_like(head)
    for b in range(size):
        for d in range(num_dimensions):
            log_std = head[b, num_dimensions + d]
            by_action = slope[b, num_inputs + d] + other_slope[b, num_inputs + d]
            by_before = temperature / size * 2.0 * action[b, d] + by_action * (1.0 - action[b, d] * action[b, d])
            error[b, d] = by_before
            if LOG_STD_BOUNDS[0] <= log_std <= LOG_STD_BOUNDS[1]:
                error[b, num_dimensions + d] = by_before * math.exp(log_std) * noise[b, d] - temperature / size
            else:
                error[b, num_dimensions + d] = 0.0
    return error
