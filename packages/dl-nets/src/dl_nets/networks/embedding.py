"""Inputs of any plain space as steps of a sequence [B, T, D], with their positions.

| input space | steps |
|---|---|
| `MultiDiscrete` [T] of V tokens, `rl_core.tokens.Tokens` | one for each token |
| `Box` [T, ...] | one for each row |
| `Box` [H, W, C] | one for each row, or for each patch |
| `Box` [T] | one for each number, which scales a vector of its own (Gorishniy and others 2021, section 3.3) |
| `Discrete` | one |
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from gymnasium import Space, spaces
from torch import Tensor, nn

from dl_nets.networks.attention import Positions, sinusoidal_positions
from dl_nets.networks.initialisation import linear
from dl_nets.networks.spaces import UnitScale
from rl_core.tokens import padding_of
from rl_core.traits import output_shape

DEVIATION = 0.02  # of the first learned positions and, beside them, token vectors: GPT-2's


def vocabulary(space: Space[Any]) -> int | None:
    """Return V of a space of tokens that count from 0; `None` for another space.

    >>> vocabulary(spaces.MultiDiscrete([9, 9, 9])), vocabulary(spaces.Discrete(4))
    (9, None)
    """
    if not isinstance(space, spaces.MultiDiscrete) or len(space.shape) != 1 or space.start.any():
        return None
    sizes = set(space.nvec.tolist())
    return int(sizes.pop()) if len(sizes) == 1 else None


def token_vectors(count: int, width: int, rng: np.random.Generator, deviation: float) -> nn.Embedding:
    """Return vectors [count, width] by number, drawn from N(0, deviation^2)."""
    weight = torch.tensor((rng.standard_normal((count, width)) * deviation).astype(np.float32))
    return nn.Embedding.from_pretrained(weight, freeze=False)


def steps_answered(output_space: Space[Any], length: int) -> int | None:
    """Return K where the space has K numbers or logits for each of `length` steps; `None` where it asks about the sequence as a whole.

    Raises:
        ValueError: if it asks for tokens, but not for one at each step.

    >>> steps_answered(spaces.MultiDiscrete([9] * 5), 5), steps_answered(spaces.Box(0, 1, (5, 2)), 5), steps_answered(spaces.Discrete(3), 5)
    (9, 2, None)
    """
    shape = output_shape(output_space)
    if isinstance(output_space, spaces.MultiDiscrete) and shape is not None and len(shape) == 2:
        if shape[0] != length:
            raise ValueError(
                f"inputs have {length} steps, but {shape[0]} tokens are asked for; this network answers one token at each step; "
                "transformer-seq2seq answers with any number of tokens"
            )
        return shape[1]
    if isinstance(output_space, spaces.Box) and len(output_space.shape) == 2 and output_space.shape[0] == length:
        return output_space.shape[1]
    return None


class Embedding(nn.Module):
    """Layer from inputs to steps [B, T, D]: their content, and their position.

    Args:
        space: Space of the inputs; see the table above.
        width: D.
        rng: Source of the first weights.
        positions: learned, sinusoidal or none.
        patch_size: Pixels on the side of the patches of an image; 0 for its rows.

    Attributes:
        length: T.
        tokens: Vectors by token; `None` where inputs are numbers.

    Raises:
        ValueError: if the space has no steps, or the patches do not fill the image.

    >>> Embedding(spaces.Box(0, 255, (8, 8, 1), np.uint8), 6, np.random.default_rng(0), patch_size=4)(torch.zeros(2, 8, 8, 1)).shape
    torch.Size([2, 4, 6])
    """

    positions: Tensor | None

    def __init__(
        self, space: Space[Any], width: int, rng: np.random.Generator, *, positions: Positions = "learned", patch_size: int = 0
    ) -> None:
        super().__init__()
        # Beside sinusoids, whose size is that of a unit vector's numbers, token vectors must not be small.
        self._gain = math.sqrt(width) if positions == "sinusoidal" else 1.0
        deviation = 1.0 / self._gain if positions == "sinusoidal" else DEVIATION
        self._padding, self._patch, self._first = padding_of(space), patch_size, 0
        self.tokens: nn.Embedding | None = None
        self.project: nn.Linear | None = None
        size = vocabulary(space)
        if patch_size and not (isinstance(space, spaces.Box) and len(space.shape) == 3):
            raise ValueError(f"patch_size is {patch_size}, but the input space is {space}; set patch_size=0 where inputs are not images")
        if size is not None:
            self.length = int(space.shape[0]) if space.shape else 1
            self.tokens = token_vectors(size, width, rng, deviation)
        elif isinstance(space, spaces.Discrete):
            self.length, self._first = 1, int(space.start)
            self.tokens = token_vectors(int(space.n), width, rng, deviation)
        elif isinstance(space, spaces.Box) and space.shape:
            self.length, numbers = _steps(space, patch_size)
            self.scale = UnitScale(space)
            if len(space.shape) == 1:
                self.columns = nn.Parameter(torch.tensor(rng.standard_normal((self.length, width)).astype(np.float32) / math.sqrt(width)))
            else:
                self.project = linear(numbers, width, rng, init="glorot")
        else:
            raise ValueError(
                f"the input space is {space}; a transformer reads tokens (MultiDiscrete [T] of one vocabulary, from 0), a Box or Discrete"
            )
        if positions == "learned":
            drawn = (rng.standard_normal((self.length, width)) * DEVIATION).astype(np.float32)
            self.positions = nn.Parameter(torch.tensor(drawn))
        else:
            self.register_buffer(
                "positions", sinusoidal_positions(self.length, width) if positions == "sinusoidal" else None, persistent=False
            )

    def forward(self, inputs: Tensor, start: int = 0) -> Tensor:
        """Return steps [B, T, D] of inputs [B, ...]; `start` is the position of the first of them."""
        if self.tokens is not None:
            steps = self.tokens(inputs.reshape(inputs.shape[0], -1).long() - self._first) * self._gain
        elif self.project is None:
            steps = self.scale(inputs)[:, :, None] * self.columns
        elif self._patch:
            steps = self.project(_patches(self.scale(inputs), self._patch))
        else:
            steps = self.project(self.scale(inputs).flatten(2))
        if self.positions is None:
            return steps
        placed: Tensor = steps + self.positions[start : start + steps.shape[1]]
        return placed

    def mask(self, inputs: Tensor) -> Tensor | None:
        """Return which steps are not padding, bool [B, T]; `None` where there is none. The first step always counts."""
        if self._padding is None:
            return None
        known = inputs != self._padding
        known[:, 0] = True  # an empty text would have nothing to attend to
        return known


def _steps(space: spaces.Box, patch_size: int) -> tuple[int, int]:
    """Return T, and how many numbers each step has."""
    if not patch_size:
        return space.shape[0], math.prod(space.shape[1:])
    height, width, channels = space.shape
    if height % patch_size or width % patch_size:
        raise ValueError(f"patch_size is {patch_size}, but the image is {height} x {width}; it must divide both")
    return height * width // patch_size**2, channels * patch_size**2


def _patches(images: Tensor, size: int) -> Tensor:
    """Return the patches of images [B, H, W, C] row by row, [B, H W / size^2, size^2 C]."""
    rows = images.unflatten(2, (-1, size)).unflatten(1, (-1, size))  # [B, H / size, size, W / size, size, C]
    return rows.transpose(2, 3).flatten(3).flatten(1, 2)
