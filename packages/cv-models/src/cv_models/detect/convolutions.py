"""Convolutional blocks of the YOLO family: convolution with normalisation, split residual blocks, and pooling over several sizes.

Sources: Wang et al., *CSPNet*, 2020 (a part of the channels by-passes the residual blocks); He et al., *Spatial pyramid pooling*, 2015;
Elfwing, Uchibe and Doya, *Sigmoid-weighted linear units*, 2018.

Letters: B batch, C channels, H W the map's height and width.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from dl_nets.networks.initialisation import conv2d

VARIANCE_FLOOR = 1e-3  # epsilon of the normalisations
NORM_MOMENTUM = 0.1  # share of a batch in the running statistics


class ConvNorm(nn.Module):
    """Convolution without bias, batch normalisation, SiLU; the side of the map is divided by the stride.

    Args:
        channels_in: Channels that come in.
        channels_out: Channels that go out.
        kernel: Side of the kernel, odd.
        rng: Source of the first weights.
        stride: Step of the kernel.
    """

    def __init__(self, channels_in: int, channels_out: int, kernel: int, rng: np.random.Generator, stride: int = 1) -> None:
        super().__init__()
        self.convolution = conv2d(channels_in, channels_out, kernel, rng, stride=stride, padding=kernel // 2, init="uniform")
        self.convolution.bias = None
        self.norm = nn.BatchNorm2d(channels_out, eps=VARIANCE_FLOOR, momentum=NORM_MOMENTUM)

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps [B, C', H', W'] of maps [B, C, H, W]."""
        return nn.functional.silu(self.norm(self.convolution(maps)), inplace=True)


class Residual(nn.Module):
    """Two 3 x 3 convolutions, whose result is added to the input where `shortcut` says so."""

    def __init__(self, channels: int, rng: np.random.Generator, shortcut: bool) -> None:
        super().__init__()
        self.first = ConvNorm(channels, channels, 3, rng)
        self.second = ConvNorm(channels, channels, 3, rng)
        self.shortcut = shortcut

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps [B, C, H, W]."""
        out: Tensor = self.second(self.first(maps))
        return maps + out if self.shortcut else out


class SplitResidual(nn.Module):
    """A stage: half of the channels goes through residual blocks one after the other, and all their outputs are joined.

    Args:
        channels_in: Channels that come in.
        channels_out: Channels that go out; even.
        depth: Number of residual blocks.
        rng: Source of the first weights.
        shortcut: Whether the blocks add their input.
    """

    def __init__(self, channels_in: int, channels_out: int, depth: int, rng: np.random.Generator, shortcut: bool = True) -> None:
        super().__init__()
        half = channels_out // 2
        self.enter = ConvNorm(channels_in, 2 * half, 1, rng)
        self.blocks = nn.ModuleList(Residual(half, rng, shortcut) for _ in range(depth))
        self.leave = ConvNorm((2 + depth) * half, channels_out, 1, rng)

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps [B, C', H, W] of maps [B, C, H, W]."""
        parts = list(self.enter(maps).chunk(2, 1))
        for block in self.blocks:
            parts.append(block(parts[-1]))
        return cast(Tensor, self.leave(torch.cat(parts, 1)))


class PyramidPooling(nn.Module):
    """Maxima over 5, 9 and 13 pixels around each, beside the map itself; by three poolings of 5 in a row."""

    def __init__(self, channels: int, rng: np.random.Generator) -> None:
        super().__init__()
        self.enter = ConvNorm(channels, channels // 2, 1, rng)
        self.pool = nn.MaxPool2d(5, stride=1, padding=2)
        self.leave = ConvNorm(4 * (channels // 2), channels, 1, rng)

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps [B, C, H, W]."""
        parts = [self.enter(maps)]
        for _ in range(3):
            parts.append(self.pool(parts[-1]))
        return cast(Tensor, self.leave(torch.cat(parts, 1)))
