"""Layers that torch has, but whose randomness it takes from its global generator, and activations by name."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

Activation = Literal["tanh", "relu", "gelu", "silu", "elu"]

_ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU, "elu": nn.ELU}


def activation(name: Activation) -> nn.Module:
    """Return the activation of that name.

    >>> activation("relu")
    ReLU()
    """
    return _ACTIVATIONS[name]()


class Dropout(nn.Module):
    """Sets each number to 0 with probability `rate` while training and scales the rest by 1 / (1 - rate).

    Its n-th mask is drawn from (seed, n) alone. Both are part of the module's state, so a restored module continues with the
    next mask, and torch's global generator is never used.

    Source: Srivastava et al., *Dropout: a simple way to prevent neural networks from overfitting*, 2014, section 4.

    Args:
        rate: Probability of a zero, in [0, 1).
        rng: Source of the seed.

    >>> layer = Dropout(0.5, np.random.default_rng(0))
    >>> sorted(set(layer(torch.ones(100)).tolist())), layer.eval()(torch.ones(2)).tolist()
    ([0.0, 2.0], [1.0, 1.0])
    """

    def __init__(self, rate: float, rng: np.random.Generator) -> None:
        super().__init__()
        if not 0.0 <= rate < 1.0:
            raise ValueError(f"dropout is {rate}; it must be in [0, 1)")
        self.rate = rate
        self._seed = int(rng.integers(2**31))
        self._calls = 0

    def forward(self, inputs: Tensor) -> Tensor:
        """Return inputs [...], thinned out while training."""
        if not self.training or self.rate == 0.0:
            return inputs
        # Seeds of the Mersenne twister that follow one another give unlike streams, but seed + n would be the stream of a neighbour.
        generator = torch.Generator(inputs.device).manual_seed((self._seed * 0x9E3779B1 + self._calls * 0x85EBCA77) % 2**32)
        self._calls += 1
        keep = 1.0 - self.rate
        return inputs * torch.empty_like(inputs).bernoulli_(keep, generator=generator).div_(keep)

    def get_extra_state(self) -> Tensor:
        """Return the seed and the number of masks drawn; torch saves it with the module."""
        return torch.tensor([self._seed, self._calls])

    def set_extra_state(self, state: Tensor) -> None:
        """Continue after the mask that `state` names."""
        self._seed, self._calls = (int(number) for number in state)
