"""Gymnasium spaces as inputs and outputs of networks: how many numbers they have, and how a batch becomes numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from gymnasium import Space, spaces
from torch import Tensor, nn
from torch.nn import functional

from rl_core import traits


def output_size(space: Space[Any]) -> int:
    """Return K, how many numbers a network gives for one answer: classes of `Discrete`, numbers of `Box` and `MultiBinary`.

    Of a label map, or of tokens, it is the number of pixels or tokens times that of classes; see `rl_core.network`.

    Raises:
        ValueError: for any other kind of space.

    >>> output_size(spaces.Discrete(10)), output_size(spaces.Box(-1, 1, (2, 3))), output_size(spaces.MultiDiscrete([5, 5, 5]))
    (10, 6, 15)
    """
    size = traits.output_size(space)
    if size is None:
        raise ValueError(f"the output space is {space}; a network gives answers in Discrete, Box, MultiBinary or MultiDiscrete spaces")
    return size


def image_shape(space: Space[Any], least: int = 1) -> tuple[int, int, int]:
    """Return height, width and channels of an image space.

    Args:
        space: A `Box` of shape [H, W, C].
        least: The smallest height and width that will do.

    Raises:
        ValueError: if the space is not an image, or too small.

    >>> image_shape(spaces.Box(0, 1, (8, 8, 1)))
    (8, 8, 1)
    """
    if not isinstance(space, spaces.Box) or len(space.shape) != 3:
        raise ValueError(f"the input space is {space}; an image is a Box of shape [height, width, channels]; network mlp takes any Box")
    height, width, channels = space.shape
    if min(height, width) < least:
        raise ValueError(f"the image is {height} x {width}; it must be at least {least} x {least}; network mlp takes any size")
    return height, width, channels


class Features(nn.Module):
    """Layer from a batch to numbers [B, D]: one-hot for `Discrete`, flattened for `Box`, bytes scaled from their bounds to [0, 1].

    Args:
        space: `Discrete`, `MultiDiscrete`, `MultiBinary` or `Box`.

    Attributes:
        size: D.
        passes_on: Whether inputs are vectors of floats, which need no change.
        only_flattens: Whether inputs are float32 of any shape, which need no change but that of their shape.

    Raises:
        ValueError: for any other kind of space.

    >>> Features(spaces.Discrete(3))(torch.tensor([0, 2])).tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    >>> Features(spaces.Box(0, 255, (1, 2), "uint8"))(torch.tensor([[[0, 255]]], dtype=torch.uint8)).tolist()
    [[0.0, 1.0]]
    """

    def __init__(self, space: Space[Any]) -> None:
        super().__init__()
        self._classes: list[int] = []
        if isinstance(space, spaces.Discrete):
            self._classes, self._start = [int(space.n)], int(space.start)
        elif isinstance(space, spaces.MultiDiscrete):
            if space.start.any() or len(space.shape) != 1:
                raise ValueError(f"the input space is {space}; several discrete inputs must be one row [n] that counts from 0")
            self._classes, self._start = space.nvec.tolist(), 0
        elif not isinstance(space, spaces.Box | spaces.MultiBinary):
            raise ValueError(f"the input space is {space}; a network reads Discrete, MultiDiscrete, MultiBinary or Box spaces")
        self.size = sum(self._classes) or math.prod(space.shape or ())
        self._scale = UnitScale(space)
        self.only_flattens = isinstance(space, spaces.Box) and space.dtype == np.float32
        self.passes_on = isinstance(space, spaces.Box) and len(space.shape) == 1 and space.dtype in (np.float32, np.float64)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return numbers [B, D], float32, of inputs [B, ...]."""
        if self.passes_on and inputs.ndim == 2 and inputs.dtype == torch.float32:
            return inputs
        if self._classes:
            columns = (inputs.reshape(inputs.shape[0], -1) - self._start).long()
            hot = [functional.one_hot(columns[:, index], classes) for index, classes in enumerate(self._classes)]
            return torch.cat(hot, dim=1).float()
        scaled: Tensor = self._scale(inputs)
        return scaled.flatten(1)


class UnitScale(nn.Module):
    """Casts inputs to float32, and scales bytes from the bounds of their space to [0, 1]; all else keeps its scale.

    Args:
        space: Space of one input; the bounds are those of each of its numbers.

    >>> UnitScale(spaces.Box(0, 255, (2,), "uint8"))(torch.tensor([[0, 51]], dtype=torch.uint8)).tolist()
    [[0.0, 0.20000000298023224]]
    >>> UnitScale(spaces.Box(1, 3, (3,), "uint8"))(torch.tensor([[1, 2, 3]], dtype=torch.uint8)).tolist()
    [[0.0, 0.5, 1.0]]
    >>> UnitScale(spaces.Box(0, 2, (2,), "int64"))(torch.tensor([[1, 2]])).tolist()
    [[1.0, 2.0]]
    """

    low: Tensor
    span: Tensor

    def __init__(self, space: Space[Any]) -> None:
        super().__init__()
        bytes_of_box = isinstance(space, spaces.Box) and space.dtype == np.uint8
        low = space.low.astype(np.float32) if bytes_of_box else np.zeros(1, np.float32)
        span = np.maximum(space.high.astype(np.float32) - low, 1.0) if bytes_of_box else np.full(1, 255.0, np.float32)
        self._whole_bytes = not low.any() and bool((span == 255.0).all())
        self.register_buffer("low", torch.from_numpy(low), persistent=False)  # not part of what is learned
        self.register_buffer("span", torch.from_numpy(span), persistent=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return numbers, float32, of the same shape as the inputs."""
        if inputs.dtype != torch.uint8:
            return inputs.float()
        return inputs.float() / 255.0 if self._whole_bytes else (inputs.float() - self.low) / self.span
