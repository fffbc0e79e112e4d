"""Convolutions that turn a picture into a grid of vectors, one for each place, as captioners and readers of clips look at it.

Letters: B batch, H W C picture, L places of the grid, D numbers of a place.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from gymnasium import Space, spaces
from torch import Tensor, nn

from cv_models.layers import Standardise, conv
from dl_nets.networks.spaces import UnitScale

POSITION_DEVIATION = 0.02  # of the first vectors of places


class GridEncoder(nn.Module):
    """Convolutions with max pooling, and one without, each normalised and rectified; each place of the result has a learned vector added.

    A convolution of stride 2 in place of the pooling loses where edges are to a pixel, and with it whether a small shape is round.

    Args:
        space: Space of one picture, a `Box` [H, W, C].
        channels: Filters of each convolution with pooling, which halves the picture; the last number is D.
        rng: Source of the first weights.
        placed: Whether the vectors of places are added.

    Attributes:
        rows: Places from top to bottom.
        columns: Places from left to right; L = rows columns.
        width: D.

    Raises:
        ValueError: if the space is not a picture, or too small for so many convolutions.

    >>> grid = GridEncoder(spaces.Box(0, 255, (16, 24, 3), np.uint8), (4, 8), np.random.default_rng(0))
    >>> grid(torch.zeros(2, 16, 24, 3, dtype=torch.uint8)).shape
    torch.Size([2, 24, 8])
    """

    def __init__(self, space: Space[Any], channels: Sequence[int], rng: np.random.Generator, *, placed: bool = True) -> None:
        super().__init__()
        if not isinstance(space, spaces.Box) or len(space.shape) != 3:
            raise ValueError(f"the input space is {space}; expected pictures, a Box of shape [height, width, channels]")
        if not channels:
            raise ValueError("channels is empty; it needs the filters of one convolution at least")
        height, width, depth = space.shape
        if min(height, width) < 2 ** len(channels):
            raise ValueError(f"the picture is {height} x {width}; {len(channels)} halvings need {2 ** len(channels)} pixels at least")
        self.scale, self.standardise = UnitScale(space), Standardise(depth)
        layers: list[nn.Module] = []
        for before, size in zip((depth, *channels[:-1]), channels, strict=True):
            layers += [conv(before, size, 3, rng), nn.MaxPool2d(2, ceil_mode=True), nn.BatchNorm2d(size), nn.ReLU(inplace=True)]
        layers += [conv(channels[-1], channels[-1], 3, rng), nn.BatchNorm2d(channels[-1]), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers)
        self.rows, self.columns = (math.ceil(side / 2 ** len(channels)) for side in (height, width))
        self.width = channels[-1]
        places = rng.standard_normal((self.rows * self.columns, self.width)).astype(np.float32) * np.float32(POSITION_DEVIATION)
        self.places = nn.Parameter(torch.from_numpy(places)) if placed else None

    def forward(self, pictures: Tensor) -> Tensor:
        """Return the vectors of the places [B, L, D] of pictures [B, H, W, C], row by row."""
        found: Tensor = self.layers(self.standardise(self.scale(pictures))).flatten(2).transpose(1, 2)
        return found if self.places is None else found + self.places


def pooled(places: Tensor) -> Tensor:
    """Return the mean [B, D] of the vectors of the places [B, L, D]."""
    return places.mean(dim=1)
