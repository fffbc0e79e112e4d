"""Batched perceptrons: members of an ensemble, masks of dropout, or draws of uncertain weights, computed together.

Sources: ensembles, B. Lakshminarayanan, A. Pritzel, C. Blundell, "Simple and scalable predictive uncertainty estimation using deep
ensembles", 2017; dropout, Y. Gal and Z. Ghahramani, "Dropout as a Bayesian approximation", 2016; uncertain weights, C. Blundell and
others, "Weight uncertainty in neural networks", 2015, sections 3.2 and 3.3.
Departures: the prior of uncertain weights is one normal distribution of the first weights' scale, so that its divergence has a closed form.
Letters: E members, M functions drawn, B rows, I inputs, K outputs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import silu, softplus

FIRST_SPREAD = 0.05  # of uncertain weights, in units of the first weights' deviation


class Functions(NamedTuple):
    """Functions drawn from a network, as its layers' tensors.

    Attributes:
        weights: Of each layer [E, I, K], E of 1, or the number of members or functions.
        biases: [E, 1, K].
        masks: Of each hidden layer [M, 1 or B, K]; empty without dropout.
    """

    weights: Sequence[Tensor]
    biases: Sequence[Tensor]
    masks: Sequence[Tensor]


class Perceptrons(nn.Module):
    """E perceptrons with SiLU between the layers, as batched matrix products.

    Args:
        sizes: Inputs, hidden units and outputs.
        num_members: E.
        rng: The stream of the first weights.
        dropout: Share of hidden units that a mask sets to 0.
        is_bayesian: Whether each weight is a normal distribution.
    """

    def __init__(
        self, sizes: Sequence[int], num_members: int, rng: np.random.Generator, *, dropout: float = 0.0, is_bayesian: bool = False
    ) -> None:
        super().__init__()
        self.num_members, self.dropout, self.is_bayesian, self.sizes = num_members, dropout, is_bayesian, tuple(sizes)
        pairs = list(pairwise(sizes))
        draws = [rng.standard_normal((num_members, i, k), dtype=np.float32) / math.sqrt(i) for i, k in pairs]
        self.weights = nn.ParameterList(nn.Parameter(torch.from_numpy(draw)) for draw in draws)
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(num_members, 1, k)) for _, k in pairs)
        self.spreads = nn.ParameterList()  # rho: deviations are softplus(rho)
        if is_bayesian:
            rho = [math.log(math.expm1(FIRST_SPREAD / math.sqrt(i))) for i, _ in pairs]
            self.spreads.extend(nn.Parameter(torch.full((num_members, i, k), r)) for (i, k), r in zip(pairs, rho, strict=True))

    @property
    def is_random(self) -> bool:
        """True if functions are drawn: by dropout or from uncertain weights."""
        return self.dropout > 0 or self.is_bayesian

    def draw(self, count: int, rng: np.random.Generator, num_rows: int = 1) -> Functions:
        """Return functions to compute with: `count` masks or draws of weights, each with a mask a row if `num_rows` says so."""
        weights: Sequence[Tensor] = list(self.weights)
        if self.is_bayesian:
            noise = [rng.standard_normal((count, *w.shape[1:]), dtype=np.float32) for w in weights]
            weights = [w + softplus(s) * torch.from_numpy(n) for w, s, n in zip(weights, self.spreads, noise, strict=True)]
        masks = []
        if self.dropout:
            keep = 1.0 - self.dropout
            shapes = [(count, num_rows, size) for size in self.sizes[1:-1]]
            masks = [
                torch.from_numpy((rng.random(shape, dtype=np.float32) < keep).astype(np.float32) / np.float32(keep)) for shape in shapes
            ]
        return Functions(weights, list(self.biases), masks)

    def forward(self, inputs: Tensor, functions: Functions) -> Tensor:
        """Return outputs [M, B, K] of inputs [M, B, I]; M is a multiple of E, and consecutive blocks belong to one member."""
        count, rows = inputs.shape[:2]
        values = inputs
        for layer, (weight, bias) in enumerate(zip(functions.weights, functions.biases, strict=True)):
            members = len(weight)
            flat = values.reshape(members, count // members * rows, -1)
            values = torch.baddbmm(bias.expand(members, 1, -1), flat, weight).reshape(count, rows, -1)
            if layer + 1 < len(functions.weights):
                values = silu(values, inplace=not values.requires_grad)
                if functions.masks:
                    values = values * functions.masks[layer]
        return values

    def divergence(self) -> Tensor:
        """Return KL(q || p) of the uncertain weights, a scalar: 0 where there are none.

        For each weight: ln(s_p / s_q) + (s_q^2 + m^2) / (2 s_p^2) - 1/2.
        """
        total = torch.zeros(())
        for weight, spread in zip(self.weights, self.spreads, strict=False):
            prior, std = 1 / math.sqrt(weight.shape[1]), softplus(spread)
            total = total + (math.log(prior) - std.log() + (std**2 + weight**2) / (2 * prior**2) - 0.5).sum()
        return total


def bounded(log_variance: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Return log-variances [..., K] held softly between learned bounds [K].

    Source: K. Chua and others, "Deep reinforcement learning in a handful of trials", 2018, appendix A.1.

    >>> bounded(torch.tensor([-50.0, 0.0, 50.0]), torch.tensor(-10.0), torch.tensor(5.0)).numpy().round(2).astype(float).round(2).tolist()
    [-10.0, -0.01, 5.0]
    """
    log_variance = high - softplus(high - log_variance)
    return low + softplus(log_variance - low)


def gaussian_loss(mean: Tensor, log_variance: Tensor, target: Tensor) -> Tensor:
    """Return (y - mu)^2 / sigma^2 + ln sigma^2 of each number [...]: twice the negative log-likelihood but for a constant.

    >>> gaussian_loss(torch.tensor(1.0), torch.tensor(0.0), torch.tensor(3.0))
    tensor(4.)
    """
    return (target - mean) ** 2 * (-log_variance).exp() + log_variance


def mixture_loss(logits: Tensor, mean: Tensor, log_variance: Tensor, target: Tensor) -> Tensor:
    """Return twice the negative log-likelihood [...] of vectors under a mixture of diagonal normals, but for a constant.

    The densities of the numbers of a vector are multiplied within a component, before components are added.

    Args:
        logits: [..., C] of the components.
        mean: [..., C, K].
        log_variance: [..., C, K].
        target: [..., K].

    Source: C. Bishop, "Mixture density networks", 1994.

    >>> one, zero = torch.ones(1, 2, 1), torch.zeros(1, 2, 1)
    >>> mixture_loss(torch.zeros(1, 2), one, zero, 3 * torch.ones(1, 1))  # equal components are one
    tensor([4.])
    """
    each = gaussian_loss(mean, log_variance, target[..., None, :]).sum(dim=-1)
    return -2 * torch.logsumexp(logits.log_softmax(dim=-1) - each / 2, dim=-1)
