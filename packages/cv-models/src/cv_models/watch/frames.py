"""Frames of a clip as vectors, by the same convolutions for each frame.

Letters: B batch, T frames, H W C picture, D numbers of a frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import Space, spaces
from torch import Tensor, nn

from cv_models.describe.encoder import GridEncoder
from dl_nets.networks.initialisation import linear


class FrameEncoder(nn.Module):
    """Layer from clips [B, T, H, W, C], or from features of frames [B, T, K], to vectors of frames [B, T, D].

    Args:
        space: A `Box` [T, H, W, C] or [T, K].
        channels: Filters of the convolutions with pooling.
        size: D.
        rng: Source of the first weights.

    Attributes:
        num_frames: T.

    Raises:
        ValueError: if the space is neither clips nor features.

    >>> FrameEncoder(spaces.Box(-1, 1, (5, 7)), (4,), 3, np.random.default_rng(0)).num_frames
    5
    """

    def __init__(self, space: Space[Any], channels: Sequence[int], size: int, rng: np.random.Generator) -> None:
        super().__init__()
        shape: tuple[int, ...] = tuple(space.shape or ())
        if not isinstance(space, spaces.Box) or len(shape) not in (2, 4):
            raise ValueError(f"the input space is {space}; expected clips, a Box [T, height, width, channels], or features, a Box [T, K]")
        self.num_frames, inputs = int(shape[0]), int(shape[-1])
        self.grid: GridEncoder | None = None
        if len(shape) == 4:
            low, high, dtype = space.low.flat[0], space.high.flat[0], space.dtype
            self.grid = GridEncoder(spaces.Box(low, high, shape[1:], dtype.type), channels, rng, placed=False)
            inputs = self.grid.rows * self.grid.columns * self.grid.width
        self.layers = nn.Sequential(linear(inputs, size, rng, init="he"), nn.ReLU())

    def forward(self, clips: Tensor) -> Tensor:
        """Return the vectors [B, T, D] of the frames of clips."""
        found = clips.float() if self.grid is None else self.grid(clips.flatten(0, 1)).flatten(1).unflatten(0, clips.shape[:2])
        vectors: Tensor = self.layers(found)
        return vectors
