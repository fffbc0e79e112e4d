"""Gaussian processes of a few outputs, and the moments of their predictions where the input itself is uncertain.

Sources: C. Rasmussen, C. Williams, "Gaussian processes for machine learning", 2006, (2.30) and (5.9); moments, M. Deisenroth and
C. Rasmussen, "PILCO: a model-based and data-efficient approach to policy search", 2011, (14) to (23).
Departures: none. Everything is float64, with Cholesky decompositions.
Letters: N points, I numbers of an input, D outputs, B rows.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from scipy import optimize
from torch import Tensor

JITTER = 1e-6
LOWEST = {"length": 0.05, "signal": 0.05, "noise": 1e-3}
HIGHEST = {"length": 20.0, "signal": 10.0, "noise": 1.0}  # a larger signal costs the digits of the covariance


class Moments(NamedTuple):
    """Moments of outputs for uncertain inputs.

    Attributes:
        mean: [B, D].
        covariance: Of the outputs, or the first of them [B, D, D], without observation noise.
        across: Covariance of input and outputs [B, I, D].
    """

    mean: Tensor
    covariance: Tensor
    across: Tensor


class GaussianProcesses:
    """D independent processes with squared-exponential kernels of a length for each input, on the same points.

    Args:
        num_inputs: I.
        num_outputs: D.

    Attributes:
        logs: Logarithms of lengths, signal and noise deviations [D, I + 2].
    """

    def __init__(self, num_inputs: int, num_outputs: int) -> None:
        self.logs = np.tile(np.log([*[1.0] * num_inputs, 1.0, 0.1]), (num_outputs, 1))
        self.points, self.weights = torch.zeros(0, num_inputs, dtype=torch.float64), torch.zeros(num_outputs, 0, dtype=torch.float64)
        self.inverse = torch.zeros(num_outputs, 0, 0, dtype=torch.float64)

    def fit(self, points: np.ndarray, values: np.ndarray, max_iterations: int) -> float:
        """Raise the marginal likelihood of values [N, D] at points [N, I] from the present and from the first settings; return it.

        The better end is kept, as a copy.
        """
        given, wanted = torch.from_numpy(points), torch.from_numpy(values.T[..., None].copy())
        first = np.tile(np.log([*[1.0] * points.shape[1], 1.0, 0.1]), (len(self.logs), 1))
        names = ["length"] * points.shape[1] + ["signal", "noise"]
        bounds = [(np.log(LOWEST[name]), np.log(HIGHEST[name])) for name in names] * len(self.logs)

        def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
            logs = torch.from_numpy(flat.reshape(self.logs.shape)).requires_grad_(True)
            matrix = _kernel(given, given, logs) + _noise(logs, len(given))
            lower, failed = torch.linalg.cholesky_ex(matrix)
            if failed.any():
                return 1e25, np.zeros_like(flat)
            solved = torch.cholesky_solve(wanted, lower)
            value = 0.5 * (wanted * solved).sum() + lower.diagonal(dim1=1, dim2=2).log().sum()
            value.backward()
            assert logs.grad is not None
            return value.item(), logs.grad.numpy().ravel().copy()

        starts = [self.logs, first] if not np.array_equal(self.logs, first) else [first]
        ends = [
            optimize.minimize(loss, s.ravel(), jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": max_iterations})
            for s in starts
        ]
        best = min(ends, key=lambda end: float(end.fun))
        self.logs[...] = best.x.reshape(self.logs.shape)
        return -float(best.fun) / values.size

    def condition(self, points: np.ndarray, values: np.ndarray) -> None:
        """Take points [N, I] and values [N, D] as what is known."""
        self.points, wanted = torch.from_numpy(points.copy()), torch.from_numpy(values.T[..., None].copy())
        logs = torch.from_numpy(self.logs)
        lower = torch.linalg.cholesky(_kernel(self.points, self.points, logs) + _noise(logs, len(points)))
        self.weights = torch.cholesky_solve(wanted, lower)[..., 0]
        self.inverse = torch.cholesky_inverse(lower)

    def predict(self, inputs: Tensor) -> Tensor:
        """Return means [B, D] at certain inputs [B, I]."""
        return torch.einsum("dbn,dn->bd", _kernel(inputs, self.points, torch.from_numpy(self.logs)), self.weights)

    def variance(self, inputs: Tensor) -> Tensor:
        """Return variances [B, D] at certain inputs [B, I], without observation noise."""
        logs = torch.from_numpy(self.logs)
        across = _kernel(inputs, self.points, logs)
        return ((2 * logs[:, -2:-1]).exp() - torch.einsum("dbn,dnm,dbm->db", across, self.inverse, across)).clamp(min=1e-12).T

    def moments(self, mean: Tensor, covariance: Tensor, num_joint: int | None = None) -> Moments:
        """Return the moments of the outputs for inputs of a normal distribution.

        With nu_i = x_i - m: q_ai = s_a^2 |S / L_a + 1|^(-1/2) exp(-nu_i^T (S + L_a)^-1 nu_i / 2), M_a = beta_a^T q_a, and the covariance
        from Q_ij = k_a(x_i, m) k_b(x_j, m) |R|^(-1/2) exp(z_ij^T R^-1 S z_ij / 2), R = S (1 / L_a + 1 / L_b) + 1 and
        z_ij = nu_i / L_a + nu_j / L_b.

        Args:
            mean: m [B, I].
            covariance: S [B, I, I].
            num_joint: First outputs whose covariance is wanted; all without it.
        """
        logs = torch.from_numpy(self.logs)
        squares, signal = (2 * logs[:, :-2]).exp(), (2 * logs[:, -2]).exp()  # L [D, I], s^2 [D]
        size, outputs = mean.shape[1], len(logs)
        nu = self.points - mean[:, None]  # [B, N, I]
        spread = covariance[:, None] + torch.diag_embed(squares)  # S + L [B, D, I, I]
        solved = torch.linalg.solve(spread, nu.transpose(1, 2)[:, None].expand(-1, outputs, -1, -1))  # [B, D, I, N]
        scale = signal * (0.5 * (squares.log().sum(dim=1) - torch.linalg.slogdet(spread)[1])).exp()  # [B, D]
        q = scale[..., None] * (-0.5 * (solved * nu.transpose(1, 2)[:, None]).sum(dim=2)).exp()  # [B, D, N]
        weighted = q * self.weights
        expected = weighted.sum(dim=2)
        across = covariance @ (solved @ weighted[..., None])[..., 0].transpose(1, 2)  # [B, I, D]

        num_joint = outputs if num_joint is None else num_joint
        one, other = torch.triu_indices(num_joint, num_joint)
        z = nu[:, None] / squares[:, None]  # nu / L [B, D, N, I]
        log_kernel = signal.log()[:, None] - 0.5 * (z * nu[:, None]).sum(dim=3)  # [B, D, N]
        joint = covariance[:, None] * (1 / squares[one] + 1 / squares[other])[:, None] + torch.eye(size, dtype=torch.float64)  # R
        inner = torch.linalg.solve(joint, covariance[:, None].expand_as(joint))  # R^-1 S [B, pairs, I, I]
        left, right = z[:, one], z[:, other]
        turned = left @ inner  # [B, pairs, N, I]
        own = 0.5 * (turned * left).sum(dim=3) + log_kernel[:, one]
        others = 0.5 * ((right @ inner) * right).sum(dim=3) + log_kernel[:, other]
        both = (own[..., None] + others[..., None, :] + turned @ right.transpose(2, 3)).exp()
        both = both * (-0.5 * torch.linalg.slogdet(joint)[1]).exp()[..., None, None]  # Q [B, pairs, N, N]
        second = torch.einsum("pn,bpnm,pm->bp", self.weights[one], both, self.weights[other]) - expected[:, one] * expected[:, other]
        same = one == other
        unknown = signal[one[same]] - torch.einsum("pnm,bpnm->bp", self.inverse[one[same]], both[:, same])
        matrix = torch.zeros(len(mean), num_joint, num_joint, dtype=torch.float64)
        second = second.index_add(1, torch.nonzero(same)[:, 0], unknown)
        matrix = matrix.index_put((torch.arange(len(mean))[:, None], one[None], other[None]), second)
        return Moments(expected, matrix + matrix.triu(1).transpose(1, 2), across)


def _kernel(left: Tensor, right: Tensor, logs: Tensor) -> Tensor:
    """Return k(x, x') [D, B, N] of points [B, I] and [N, I]."""
    lengths = logs[:, None, :-2].exp()
    scaled, others = left / lengths, right / lengths
    distance = (scaled**2).sum(dim=2)[..., None] + (others**2).sum(dim=2)[:, None] - 2 * scaled @ others.transpose(1, 2)
    return (2 * logs[:, -2]).exp()[:, None, None] * (-0.5 * distance.clamp(min=0.0)).exp()


def _noise(logs: Tensor, count: int) -> Tensor:
    """Return the diagonal [D, N, N] of noise."""
    return ((2 * logs[:, -1]).exp() + JITTER)[:, None, None] * torch.eye(count, dtype=torch.float64)
