"""Layers that torch has, but whose randomness it takes from its global generator, and activations by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

Activation = Literal[
    "tanh", "relu", "gelu", "silu", "elu", "sigmoid", "leaky-relu", "softmax", "swish", "celu", "hardshrink", "hardsigmoid", "hardswish",
    "hardtanh", "identity", "log-sigmoid", "log-softmax", "mish", "prelu", "relu6", "selu", "softmin", "softplus", "softshrink", "softsign",
    "step", "tanhshrink",
]  # fmt: skip
"""Functions between layers, by name. `swish` is `silu`, x sigmoid(x); `leaky-relu` has the slope 0.01 below 0; `prelu` learns it, from
0.25; `softmax`, `log-softmax` and `softmin` normalise over units, or over the channels of images [B, C, H, W]; `step` is 1 above 0 and
has no gradient. torch's others need an argument (threshold), halve the number of units (glu), or draw from the global generator (rrelu)."""


class OverUnits(nn.Module):
    """A function that normalises over the units: the last axis, or the channels of images [B, C, H, W].

    Args:
        function: `softmax`, `log_softmax` or `softmin` of torch.

    >>> OverUnits(functional.softmax)(torch.zeros(1, 4)).tolist()
    [[0.25, 0.25, 0.25, 0.25]]
    """

    def __init__(self, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self._function = function

    def forward(self, inputs: Tensor) -> Tensor:
        """Return outputs [...] of inputs [...]."""
        return self._function(inputs, dim=1 if inputs.ndim == 4 else -1)


class Step(nn.Module):
    """The unit step of the first perceptrons: 1 above 0, else 0. Its derivative is 0, so nothing in front of it learns by gradient.

    >>> Step()(torch.tensor([-1.0, 0.0, 2.0])).tolist()
    [0.0, 0.0, 1.0]
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """Return outputs [...] of inputs [...]."""
        return (inputs > 0).to(inputs.dtype)


_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "elu": nn.ELU,
    "sigmoid": nn.Sigmoid,
    "leaky-relu": nn.LeakyReLU,
    "softmax": lambda: OverUnits(functional.softmax),
    "swish": nn.SiLU,
    "celu": nn.CELU,
    "hardshrink": nn.Hardshrink,
    "hardsigmoid": nn.Hardsigmoid,
    "hardswish": nn.Hardswish,
    "hardtanh": nn.Hardtanh,
    "identity": nn.Identity,
    "log-sigmoid": nn.LogSigmoid,
    "log-softmax": lambda: OverUnits(functional.log_softmax),
    "mish": nn.Mish,
    "prelu": nn.PReLU,
    "relu6": nn.ReLU6,
    "selu": nn.SELU,
    "softmin": lambda: OverUnits(functional.softmin),
    "softplus": nn.Softplus,
    "softshrink": nn.Softshrink,
    "softsign": nn.Softsign,
    "step": Step,
    "tanhshrink": nn.Tanhshrink,
}


def activation(name: Activation) -> nn.Module:
    """Return the activation of that name.

    Raises:
        ValueError: for an unknown name.

    >>> activation("relu")
    ReLU()
    >>> activation("leaky-relu")(torch.tensor([-2.0, 3.0]))
    tensor([-0.0200,  3.0000])
    """
    if name not in _ACTIVATIONS:
        raise ValueError(f"activation is {name!r}; it must be one of {', '.join(_ACTIVATIONS)}")
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
