"""The compiled twin of `trpo.NaturalLearner`, which is what to read; `test_trpo` holds them together.

Products with the Fisher matrix take the Gauss-Newton form: where both policies are the same, the KL divergence has no slope in the head,
so its Hessian by the parameters is J^T M J, with J the head's Jacobian and M the Hessian by the head. J v goes forward through the
layers, J^T backward: no second derivative is ever taken.
Source: N. Schraudolph, "Fast curvature matrix-vector products for second-order gradient descent", 2002, section 3.
Departures: none. Letters: B batch, A actions, D dimensions of a continuous action, P parameters of the policy.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dl_nets.fast.kernels import vectorised
from rl_algos.compiled.policy_gradient import CompiledPolicyGradient


class CompiledNaturalLearner(CompiledPolicyGradient):
    """Does what `NaturalLearner` does, for perceptrons of tanh or ReLU on vectors of floats, on the CPU."""

    @property
    def policy_vector(self) -> np.ndarray:
        """The policy's parameters [P], a view."""
        return self._policy_parameters

    @policy_vector.setter
    def policy_vector(self, vector: np.ndarray) -> None:
        self._policy_parameters[:] = vector

    def ascent(self, inputs: np.ndarray, action: np.ndarray, advantage: np.ndarray) -> np.ndarray:
        """Gradient [P] of the mean of ratio * advantage at the policy that acted, where the ratio is 1: the policy gradient."""
        self.policy_gradient(inputs, action, advantage)
        return -self._policy_gradient

    def fisher_product(self, inputs: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """The Fisher matrix of the policy as it is, averaged over inputs [B, I]: v to F v. Good until the actor's next forward."""
        policy = self._policy(inputs).copy()
        actor_end, size = len(self._policy_parameters) - len(self.log_std), len(inputs)

        def product(vector: np.ndarray) -> np.ndarray:
            tangent = self._actor.tangent(np.ascontiguousarray(vector[:actor_end], dtype=np.float32))
            if self._categorical:
                self._actor.backward(categorical_curvature(policy, tangent))
            else:
                self._actor.backward(tangent * np.exp(-2 * self.log_std) / np.float32(size))
                self._log_std_gradient[:] = 2 * vector[actor_end:]  # the Hessian of KL by ln sigma is 2, whatever sigma is
            return self._policy_gradient.copy()

        return product

    def snapshot(self, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The policy at inputs [B, I] as it is now, to be compared with later."""
        return self._policy(inputs).copy(), self.log_std.copy()

    def divergence(self, old: tuple[np.ndarray, np.ndarray], inputs: np.ndarray) -> float:
        """Mean KL(pi_old || pi) over inputs [B, I], from a snapshot at the same inputs."""
        policy = self._policy(inputs)
        if self._categorical:
            return float(categorical_kl(old[0], policy))
        return float(gaussian_kl(*old, policy, self.log_std))


@vectorised
def categorical_curvature(log_probs: np.ndarray, tangent: np.ndarray) -> np.ndarray:
    """M t / B [B, A], with M = diag(pi) - pi pi^T the Hessian of KL by the logits, of tangents t [B, A].

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
def categorical_kl(old_log_probs: np.ndarray, log_probs: np.ndarray) -> float:
    """Mean over B of KL(old || new) = sum_j p_j (ln p_j - ln q_j), from logarithms [B, A].

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
def gaussian_kl(old_mean: np.ndarray, old_log_std: np.ndarray, mean: np.ndarray, log_std: np.ndarray) -> float:
    """Mean over B of KL(old || new) = sum_d ln(s/s_old) + (s_old^2 + (m_old - m)^2) / (2 s^2) - 1/2, from means [B, D].

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
