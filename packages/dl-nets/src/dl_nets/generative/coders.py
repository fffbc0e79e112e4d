"""Encoders and decoders: modules from inputs to codes and back, dense or convolutional.

Letters: B batch, C numbers of a code, H W image, F filters.
"""

from __future__ import annotations

import math
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn
from torch.nn import functional

from dl_nets.networks.initialisation import conv2d, linear
from dl_nets.networks.layers import Activation, activation

GAIN = math.sqrt(2.0)  # of the layers in front of an activation


def is_unit(space: spaces.Box) -> bool:
    """Return whether all numbers of a space are in [0, 1], as pixels are.

    >>> is_unit(spaces.Box(0, 1, (2, 2))), is_unit(spaces.Box(-1, 1, (2,)))
    (True, False)
    """
    return bool((space.low == 0).all() and (space.high == 1).all())


def numbers_space(space: gymnasium.Space[Any], channels: tuple[int, ...]) -> spaces.Box:
    """Return a space of numbers that can be encoded.

    Raises:
        ValueError: if it is not a `Box` of floats, or not of images although convolutions are asked for.
    """
    if not isinstance(space, spaces.Box) or space.dtype.kind != "f":
        raise ValueError(f"the input space is {space}; expected a Box of floats, as the tasks reconstruct:<task> have")
    if channels and (len(space.shape) != 3 or min(space.shape[:2]) < 2 ** len(channels)):
        raise ValueError(
            f"channels names {len(channels)} convolutions, each of which halves an image, and the input space is {space}; set channels=[] "
            f"and hidden, or take images of {2 ** len(channels)} x {2 ** len(channels)} at least"
        )
    return space


class Encoder(nn.Module):
    """Module from inputs [B, ...] to codes [B, C]: convolutions with stride 2, if there are channels, then hidden layers.

    Args:
        shape: Of one input; [H, W, F] where there are channels.
        size: C.
        hidden: Units of the hidden layers.
        channels: Filters of the convolutions.
        function: Activation.
        rng: Source of the weights.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        size: int,
        hidden: tuple[int, ...],
        channels: tuple[int, ...],
        function: Activation,
        rng: np.random.Generator,
    ) -> None:
        super().__init__()
        self.convolutions = nn.Sequential()
        width = math.prod(shape)
        if channels:
            height, breadth, before = shape
            for filters in channels:
                self.convolutions.extend([conv2d(before, filters, 3, rng, stride=2, padding=1, gain=GAIN), activation(function)])
                height, breadth, before = (height + 1) // 2, (breadth + 1) // 2, filters
            width = height * breadth * before
        self._convolves = bool(channels)
        self.layers = nn.Sequential()
        for units in hidden:
            self.layers.extend([linear(width, units, rng, gain=GAIN), activation(function)])
            width = units
        self.layers.append(linear(width, size, rng))

    def forward(self, inputs: Tensor) -> Tensor:
        """Return codes [B, C] of inputs [B, ...]."""
        inputs = inputs.float()
        if self._convolves:
            inputs = self.convolutions(inputs.permute(0, 3, 1, 2))
        codes: Tensor = self.layers(inputs.flatten(1))
        return codes


class Decoder(nn.Module):
    """Module from codes [B, C] to outputs [B, ...], the mirror of `Encoder`: its convolutions follow enlargements by nearest pixels.

    Args:
        size: C.
        shape: Of one output; [H, W, F] where there are channels.
        hidden: Units of the encoder's hidden layers; here from last to first.
        channels: Filters of the encoder's convolutions.
        function: Activation.
        rng: Source of the weights.
    """

    def __init__(
        self,
        size: int,
        shape: tuple[int, ...],
        hidden: tuple[int, ...],
        channels: tuple[int, ...],
        function: Activation,
        rng: np.random.Generator,
    ) -> None:
        super().__init__()
        self._shape, self._sizes = shape, [shape[:2]]
        for _ in channels:
            height, breadth = self._sizes[-1]
            self._sizes.append(((height + 1) // 2, (breadth + 1) // 2))
        self.layers = nn.Sequential()
        for units in reversed(hidden):
            self.layers.extend([linear(size, units, rng, gain=GAIN), activation(function)])
            size = units
        self._channels = channels
        if not channels:
            self.layers.append(linear(size, math.prod(shape), rng))
            return
        self.layers.extend([linear(size, math.prod(self._sizes[-1]) * channels[-1], rng, gain=GAIN), activation(function)])
        self.convolutions = nn.ModuleList()
        for before, after in zip(reversed(channels), [*reversed(channels[:-1]), shape[2]], strict=True):
            self.convolutions.append(conv2d(before, after, 3, rng, padding=1, gain=GAIN if after != shape[2] else 1.0))
        self.activation = activation(function)

    def forward(self, codes: Tensor) -> Tensor:
        """Return outputs [B, ...] of codes [B, C]."""
        outputs: Tensor = self.layers(codes)
        if not self._channels:
            return outputs.reshape(-1, *self._shape)  # not len(codes), which an export would take for the size of every batch
        outputs = outputs.reshape(-1, self._channels[-1], *self._sizes[-1])
        for index, convolution in enumerate(self.convolutions):
            outputs = functional.interpolate(outputs, size=self._sizes[-2 - index], mode="nearest")
            outputs = convolution(self.activation(outputs) if index else outputs)
        return outputs.permute(0, 2, 3, 1)


class Threshold(nn.Module):
    """A bound on losses, learned from those of the training examples: a quantile of the last `KEPT` of them.

    Args:
        quantile: Share of the training examples below the bound, in (0, 1).

    >>> threshold = Threshold(0.5)
    >>> threshold.observe(torch.tensor([1.0, 2.0, 3.0]))
    >>> threshold.exceeded(torch.tensor([1.5, 2.5])).tolist()
    [0, 1]
    """

    KEPT = 2048

    losses: Tensor
    count: Tensor

    def __init__(self, quantile: float) -> None:
        super().__init__()
        self._quantile = quantile
        self.register_buffer("losses", torch.zeros(self.KEPT))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    def observe(self, losses: Tensor) -> None:
        """Keep the losses [B] of training examples in place of the oldest ones."""
        losses = losses.detach()[-self.KEPT :].float()
        places = (self.count + torch.arange(len(losses), device=losses.device)) % self.KEPT
        self.losses[places] = losses
        self.count += len(losses)

    @property
    def bound(self) -> float:
        """The bound; infinite before anything was learned."""
        known = self.losses[: min(int(self.count), self.KEPT)]
        return float(torch.quantile(known, self._quantile)) if len(known) else math.inf

    def exceeded(self, losses: Tensor) -> Tensor:
        """Return 1 for losses [B] above the bound, else 0; all are below it before anything was learned."""
        return (losses > self.bound).long()
