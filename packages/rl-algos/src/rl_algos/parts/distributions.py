"""Distributions over actions, parameterised by a network's output.

Actions are sampled in NumPy from noise that the agent draws, so that one call draws the noise of a whole rollout, and two ways of
computing a policy take the same actions. Every formula is here twice: in torch, for any device, and as a compiled function of arrays,
from which `fused` makes one operation of torch and hand-derived updates their gradient.

Source: any text on exponential families; the Gaussian's entropy is D/2 (1 + ln 2 pi) + sum(log sigma). Products with the curvature of
the KL divergence: N. Schraudolph, "Fast curvature matrix-vector products for second-order gradient descent", 2002, section 3.
Letters: B batch, A actions, D dimensions of a continuous action.
"""

from __future__ import annotations

import math
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces

from rl_core.compiling import kernel, vectorised

HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)


class Categorical:
    """A choice among the A actions of a `Discrete` space; the head gives logits [B, A].

    Args:
        space: Its `start` need not be 0.

    Attributes:
        first: Number of the first action.
    """

    scale_size = 0  # no parameters besides the head

    def __init__(self, space: spaces.Discrete) -> None:
        self.num_outputs = int(space.n)
        self.first = int(space.start)

    def noise(self, rng: np.random.Generator, *shape: int) -> np.ndarray:
        """Draw uniform numbers in [0, 1), one for each action to be sampled."""
        return rng.random(shape)

    def sample(self, head: np.ndarray, log_std: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Return actions [B], by inverting the cumulative distribution at `noise` [B]."""
        return sample_categorical(head, noise)

    def greedy(self, head: np.ndarray) -> np.ndarray:
        """Return the most probable actions [B]."""
        return head.argmax(axis=1)

    def to_env(self, action: np.ndarray) -> np.ndarray:
        """Return actions as the environment numbers them [B]."""
        return action + self.first if self.first else action

    def log_prob(self, head: torch.Tensor, log_std: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
        """Return log-probabilities ln pi(a|s) [B] of actions [B].

        >>> Categorical(spaces.Discrete(2)).log_prob(torch.tensor([[0.0, math.log(3)]]), torch.zeros(0), torch.tensor([1])).exp()
        tensor([0.7500])
        """
        return head.log_softmax(dim=1).gather(1, action[:, None]).squeeze(1)

    def entropy(self, head: torch.Tensor, log_std: torch.Tensor) -> torch.Tensor:
        """Return the entropy [B] in nats.

        >>> Categorical(spaces.Discrete(2)).entropy(torch.zeros(1, 2), torch.zeros(0))
        tensor([0.6931])
        """
        log_prob = head.log_softmax(dim=1)
        return -(log_prob.exp() * log_prob).sum(dim=1)

    def kl(self, old_head: torch.Tensor, old_log_std: torch.Tensor, head: torch.Tensor, log_std: torch.Tensor) -> torch.Tensor:
        """Return KL(old || new) [B] in nats: sum_j p_j (ln p_j - ln q_j).

        >>> none = torch.zeros(0)
        >>> Categorical(spaces.Discrete(2)).kl(torch.zeros(1, 2), none, torch.tensor([[0.0, math.log(3)]]), none)  # (ln 2 + ln 2/3) / 2
        tensor([0.1438])
        """
        old_log_prob, log_prob = old_head.log_softmax(dim=1), head.log_softmax(dim=1)
        return (old_log_prob.exp() * (old_log_prob - log_prob)).sum(dim=1)

    def policy(self, head: np.ndarray) -> np.ndarray:
        """Return ln pi [B, A] of all actions, from which the functions of arrays below compute."""
        return log_softmax(head)

    def array_log_prob(self, policy: np.ndarray, log_std: np.ndarray, action: np.ndarray) -> np.ndarray:
        """Return `log_prob` [B] from arrays."""
        return chosen(policy, action)

    def array_entropy(self, policy: np.ndarray, log_std: np.ndarray) -> np.ndarray:
        """Return `entropy` [B] from arrays."""
        return categorical_entropy(policy)

    def array_error(
        self,
        policy: np.ndarray,
        log_std: np.ndarray,
        action: np.ndarray,
        by_log_prob: np.ndarray,
        by_entropy: np.ndarray,
        log_std_error: np.ndarray,
    ) -> np.ndarray:
        """Return a loss's derivative with respect to the head [B, A], from those with respect to ln pi(a|s) [B] and the entropy [B]."""
        return categorical_error(policy, action, by_log_prob, by_entropy)

    def array_kl(self, old_policy: np.ndarray, old_log_std: np.ndarray, policy: np.ndarray, log_std: np.ndarray) -> float:
        """Return the mean of `kl` over B, from arrays."""
        return float(categorical_kl(old_policy, policy))

    def array_curvature(
        self, policy: np.ndarray, log_std: np.ndarray, tangent: np.ndarray, log_std_tangent: np.ndarray, log_std_product: np.ndarray
    ) -> np.ndarray:
        """Return M t / B [B, A] of tangents t [B, A], with M the Hessian of the KL divergence with respect to the head."""
        return categorical_curvature(policy, tangent)


class Gaussian:
    """Independent normal distributions over a `Box`; the head gives means [B, D], the deviations do not depend on the state.

    Inside, a bounded dimension runs from -1 to 1, whatever the bounds of the Box are: one initial `log_std` then suits every task. A
    dimension with one bound has it at -1 (or 1), and keeps its unit. Actions are cut to the Box only on their way to the environment:
    their probability is that of what was drawn.

    Args:
        space: Of float numbers.

    Attributes:
        middle: Action of the head 0 [...].
        half_width: What a head of 1 adds [...].
        low: Lowest action [...].
        high: Highest action [...].
    """

    def __init__(self, space: spaces.Box) -> None:
        self.num_outputs = self.scale_size = math.prod(space.shape)
        self._shape, self.low, self.high = space.shape, space.low, space.high
        low = np.where(np.isfinite(space.low), space.low, np.where(np.isfinite(space.high), space.high - 2.0, -1.0))
        high = np.where(np.isfinite(space.high), space.high, low + 2.0)
        self.middle, self.half_width = ((high + low) / 2).astype(np.float32), ((high - low) / 2).astype(np.float32)

    def noise(self, rng: np.random.Generator, *shape: int) -> np.ndarray:
        """Draw standard normal numbers, D for each action to be sampled."""
        return rng.standard_normal((*shape, self.num_outputs), dtype=np.float32)

    def sample(self, head: np.ndarray, log_std: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Return actions [B, D]: mean + sigma * noise."""
        return head + np.exp(log_std) * noise

    def greedy(self, head: np.ndarray) -> np.ndarray:
        """Return the most probable actions [B, D]: the means."""
        return head

    def to_env(self, action: np.ndarray) -> np.ndarray:
        """Return actions in the Box [B, ...].

        >>> Gaussian(spaces.Box(0.0, 10.0, (1,))).to_env(np.array([[0.5], [3.0]], dtype=np.float32)).tolist()
        [[7.5], [10.0]]
        >>> Gaussian(spaces.Box(5.0, np.inf, (1,))).to_env(np.array([[-2.0], [0.0], [3.0]], dtype=np.float32)).tolist()
        [[5.0], [6.0], [9.0]]
        """
        action = self.middle + self.half_width * action.reshape(-1, *self._shape)
        return np.minimum(np.maximum(action, self.low), self.high)

    def scale(self) -> np.ndarray:
        """Return the numbers of `to_env`: middle, half width, lowest and highest action [4, D], float32.

        >>> Gaussian(spaces.Box(0.0, 10.0, (1,))).scale().ravel().tolist()
        [5.0, 5.0, 0.0, 10.0]
        """
        return np.stack([self.middle, self.half_width, self.low, self.high]).reshape(4, -1).astype(np.float32)

    def log_prob(self, head: torch.Tensor, log_std: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
        """Return log-probabilities ln pi(a|s) [B] of actions [B, D].

        >>> Gaussian(spaces.Box(-1, 1, (1,))).log_prob(torch.zeros(1, 1), torch.zeros(1), torch.ones(1, 1))
        tensor([-1.4189])
        """
        standard = (action - head) * (-log_std).exp()
        return (-0.5 * standard**2 - log_std - HALF_LOG_TWO_PI).sum(dim=1)

    def entropy(self, head: torch.Tensor, log_std: torch.Tensor) -> torch.Tensor:
        """Return the entropy [B] in nats, the same for every state."""
        return (log_std + HALF_LOG_TWO_PI + 0.5).sum().expand(len(head))

    def kl(self, old_head: torch.Tensor, old_log_std: torch.Tensor, head: torch.Tensor, log_std: torch.Tensor) -> torch.Tensor:
        """Return KL(old || new) [B] in nats: sum_d ln(s/s_old) + (s_old^2 + (m_old - m)^2) / (2 s^2) - 1/2.

        >>> zero, one = torch.zeros(1, 1), torch.ones(1, 1)
        >>> Gaussian(spaces.Box(-1, 1, (1,))).kl(zero, zero[0], one, zero[0])
        tensor([0.5000])
        """
        square = (2 * (old_log_std - log_std)).exp() + (-2 * log_std).exp() * (old_head - head) ** 2
        return (log_std - old_log_std + 0.5 * (square - 1)).sum(dim=1)

    def policy(self, head: np.ndarray) -> np.ndarray:
        """Return the means [B, D], from which the functions of arrays below compute."""
        return head

    def array_log_prob(self, policy: np.ndarray, log_std: np.ndarray, action: np.ndarray) -> np.ndarray:
        """Return `log_prob` [B] from arrays."""
        return gaussian_log_prob(policy, log_std, action)

    def array_entropy(self, policy: np.ndarray, log_std: np.ndarray) -> np.ndarray:
        """Return `entropy` [B] from arrays."""
        return np.full(len(policy), (log_std + np.float32(HALF_LOG_TWO_PI + 0.5)).sum(), np.float32)

    def array_error(
        self,
        policy: np.ndarray,
        log_std: np.ndarray,
        action: np.ndarray,
        by_log_prob: np.ndarray,
        by_entropy: np.ndarray,
        log_std_error: np.ndarray,
    ) -> np.ndarray:
        """Return a loss's derivative with respect to the head [B, D], from those with respect to ln pi(a|s) [B] and the entropy [B].

        That with respect to ln sigma is written into `log_std_error` [D].
        """
        return gaussian_error(policy, log_std, action, by_log_prob, by_entropy, log_std_error)

    def array_kl(self, old_policy: np.ndarray, old_log_std: np.ndarray, policy: np.ndarray, log_std: np.ndarray) -> float:
        """Return the mean of `kl` over B, from arrays."""
        return float(gaussian_kl(old_policy, old_log_std, policy, log_std))

    def array_curvature(
        self, policy: np.ndarray, log_std: np.ndarray, tangent: np.ndarray, log_std_tangent: np.ndarray, log_std_product: np.ndarray
    ) -> np.ndarray:
        """Return M t / B [B, D] of tangents t [B, D], with M the Hessian of the KL divergence with respect to the means.

        The Hessian with respect to ln sigma is 2, whatever sigma is: its product with `log_std_tangent` is written into `log_std_product`.
        """
        log_std_product[:] = 2 * log_std_tangent
        return tangent * np.exp(-2 * log_std) / np.float32(len(policy))


Distribution = Categorical | Gaussian


def distribution(space: gymnasium.Space[Any]) -> Distribution:
    """Return the distribution that suits a space of actions.

    Raises:
        ValueError: if the space is neither `Discrete` nor a `Box` of floats.
    """
    if isinstance(space, spaces.Discrete):
        return Categorical(space)
    if isinstance(space, spaces.Box) and space.dtype.kind == "f":
        return Gaussian(space)
    raise ValueError(f"the task takes actions of {space}; a policy gives a Discrete action or a Box of floats")


@kernel
def sample_categorical(logits: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Return actions [B], the first whose cumulative probability exceeds `uniform` [B], from logits [B, A].

    >>> sample_categorical(np.log(np.array([[0.2, 0.3, 0.5]] * 3)), np.array([0.19, 0.49, 0.51])).tolist()
    [0, 1, 2]
    """
    actions = np.empty(len(logits), dtype=np.int64)
    for b in range(len(logits)):
        weight = np.exp(logits[b] - logits[b].max())
        threshold = uniform[b] * weight.sum()
        action, cumulative = 0, weight[0]
        while cumulative <= threshold and action < len(weight) - 1:
            action += 1
            cumulative += weight[action]
        actions[b] = action
    return actions


@vectorised
def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Return log-probabilities ln pi [B, A] of logits [B, A].

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
    """Return the entries [B] of a table [B, A] at actions [B].

    >>> chosen(np.array([[1.0, 2.0], [3.0, 4.0]], dtype=np.float32), np.array([1, 0])).tolist()
    [2.0, 3.0]
    """
    log_prob = np.empty(len(log_probs), dtype=np.float32)
    for b in range(len(log_probs)):
        log_prob[b] = log_probs[b, action[b]]
    return log_prob


@vectorised
def categorical_entropy(log_probs: np.ndarray) -> np.ndarray:
    """Return the entropy [B] in nats, from ln pi [B, A].

    >>> categorical_entropy(np.log(np.full((1, 4), 0.25, dtype=np.float32))).round(4)  # ln 4
    array([1.3863], dtype=float32)
    """
    entropy = np.empty(len(log_probs), dtype=np.float32)
    for b in range(len(log_probs)):
        total = np.float32(0.0)
        for j in range(log_probs.shape[1]):
            total -= np.exp(log_probs[b, j]) * log_probs[b, j]
        entropy[b] = total
    return entropy


@vectorised
def categorical_error(log_probs: np.ndarray, action: np.ndarray, by_log_prob: np.ndarray, by_entropy: np.ndarray) -> np.ndarray:
    """Return a loss's derivative with respect to the logits [B, A].

    d ln pi(a) / d logit_j = 1[j = a] - pi_j, and d entropy / d logit_j = -pi_j (ln pi_j + entropy).

    Args:
        log_probs: ln pi [B, A].
        action: [B].
        by_log_prob: Derivative with respect to ln pi(a|s) [B].
        by_entropy: Derivative with respect to the entropy [B].

    >>> log_probs, one = np.log(np.full((1, 2), 0.5, dtype=np.float32)), np.ones(1, dtype=np.float32)
    >>> categorical_error(log_probs, np.array([0]), -one, 0 * one).tolist()
    [[-0.5, 0.5]]
    """
    size, num_actions = log_probs.shape
    error = np.empty_like(log_probs)
    for b in range(size):
        entropy = np.float32(0.0)
        for j in range(num_actions):
            error[b, j] = np.exp(log_probs[b, j])
            entropy -= error[b, j] * log_probs[b, j]
        for j in range(num_actions):
            bonus = by_entropy[b] * error[b, j] * (log_probs[b, j] + entropy)
            error[b, j] = by_log_prob[b] * ((j == action[b]) - error[b, j]) - bonus
    return error


@vectorised
def categorical_kl(old_log_probs: np.ndarray, log_probs: np.ndarray) -> float:
    """Return the mean over B of KL(old || new) = sum_j p_j (ln p_j - ln q_j), from logarithms [B, A].

    >>> half, quarter = np.full((1, 2), 0.5, dtype=np.float32), np.array([[0.25, 0.75]], dtype=np.float32)
    >>> round(categorical_kl(np.log(half), np.log(quarter)), 4)  # (ln 2 + ln 2/3) / 2
    0.1438
    """
    total = 0.0
    for b in range(len(log_probs)):
        for j in range(log_probs.shape[1]):
            total += np.exp(old_log_probs[b, j]) * (old_log_probs[b, j] - log_probs[b, j])
    return total / len(log_probs)


@vectorised
def categorical_curvature(log_probs: np.ndarray, tangent: np.ndarray) -> np.ndarray:
    """Return M t / B [B, A], with M = diag(pi) - pi pi^T the Hessian of KL with respect to the logits, of tangents t [B, A].

    >>> categorical_curvature(np.log(np.full((1, 2), 0.5, dtype=np.float32)), np.array([[1, 0]], dtype=np.float32)).round(4).tolist()
    [[0.25, -0.25]]
    """
    size, num_actions = log_probs.shape
    moved = np.empty_like(tangent)
    for b in range(size):
        mean = np.float32(0.0)
        for j in range(num_actions):
            mean += np.exp(log_probs[b, j]) * tangent[b, j]
        for j in range(num_actions):
            moved[b, j] = np.exp(log_probs[b, j]) * (tangent[b, j] - mean) / np.float32(size)
    return moved


@vectorised
def gaussian_log_prob(mean: np.ndarray, log_std: np.ndarray, action: np.ndarray) -> np.ndarray:
    """Return ln pi(a|s) [B] of actions [B, D] under means [B, D] and deviations exp(log_std) [D].

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
    mean: np.ndarray, log_std: np.ndarray, action: np.ndarray, by_log_prob: np.ndarray, by_entropy: np.ndarray, log_std_error: np.ndarray
) -> np.ndarray:
    """Return a loss's derivative with respect to the means [B, D], and write that with respect to ln sigma into `log_std_error` [D].

    With z = (a - mean) / sigma: d ln pi / d mean = z / sigma, d ln pi / d ln sigma = z^2 - 1, d entropy / d ln sigma = 1.

    Args:
        mean: [B, D].
        log_std: ln sigma [D].
        action: [B, D].
        by_log_prob: Derivative with respect to ln pi(a|s) [B].
        by_entropy: Derivative with respect to the entropy of each row [B].
        log_std_error: Written to [D].

    >>> zeros, std_error = np.zeros((1, 1), dtype=np.float32), np.zeros(1, dtype=np.float32)
    >>> gaussian_error(zeros, zeros[0], zeros + 2, zeros[0] - 1, zeros[0] - 0.5, std_error).tolist(), std_error.tolist()  # -(2^2 - 1) - 0.5
    ([[-2.0]], [-3.5])
    """
    error, by_entropies = np.empty_like(mean), 0.0
    for b in range(len(by_entropy)):
        by_entropies += by_entropy[b]
    for d in range(len(log_std)):
        std_inverse, total = np.exp(-log_std[d]), 0.0
        for b in range(len(mean)):
            standard = (action[b, d] - mean[b, d]) * std_inverse
            error[b, d] = by_log_prob[b] * standard * std_inverse
        for b in range(len(mean)):
            standard = (action[b, d] - mean[b, d]) * std_inverse
            total += by_log_prob[b] * (standard * standard - 1)
        log_std_error[d] = total + by_entropies
    return error


@vectorised
def gaussian_kl(old_mean: np.ndarray, old_log_std: np.ndarray, mean: np.ndarray, log_std: np.ndarray) -> float:
    """Return the mean over B of KL(old || new) = sum_d ln(s/s_old) + (s_old^2 + (m_old - m)^2) / (2 s^2) - 1/2, from means [B, D].

    >>> zeros = np.zeros((1, 1), dtype=np.float32)
    >>> gaussian_kl(zeros, zeros[0], zeros + 1, zeros[0])
    0.5
    """
    total = 0.0
    for d in range(len(log_std)):
        ratio, precision = np.exp(2 * (old_log_std[d] - log_std[d])), np.exp(-2 * log_std[d])
        square = 0.0
        for b in range(len(mean)):
            square += (old_mean[b, d] - mean[b, d]) ** 2
        total += log_std[d] - old_log_std[d] + 0.5 * (ratio + precision * square / len(mean) - 1)
    return total
