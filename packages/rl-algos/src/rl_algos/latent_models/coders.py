"""Observations as a latent model sees them: their scale, an encoder and a decoder, for vectors and for pictures.

Letters: B batch, E numbers of an encoded observation, F numbers that are decoded, H W C picture.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from torch import Tensor, nn
from torch.nn.functional import pad, silu

from dl_nets.generative.coders import Decoder, Encoder
from dl_nets.networks.initialisation import linear
from rl_algos.parts.exported import Observations
from rl_algos.parts.normalisation import RunningMoments

PATCH, FILTERS = 4, (16, 64)  # pixels along a side of a square; numbers of a square of pixels, and of a square of squares
GAIN = 2.0**0.5


class Scale:
    """The map from observations to numbers of about unit size: pictures to [-0.5, 0.5], vectors by the moments of what was seen.

    Args:
        space: Of one observation: a `Box` of floats [D], or a picture [H, W, C] of any numbers with bounds.

    Attributes:
        is_image: Whether observations are pictures.
        shape: Of one observation.

    Raises:
        ValueError: if observations are neither.

    >>> Scale(spaces.Box(0, 255, (4, 4, 1), np.uint8))(np.full((1, 4, 4, 1), 255, np.uint8)).ravel()[:2].tolist()
    [0.5, 0.5]
    """

    def __init__(self, space: gymnasium.Space[Any]) -> None:
        kind = space.dtype.kind if isinstance(space, spaces.Box) and space.dtype is not None else ""
        self.is_image = isinstance(space, spaces.Box) and len(space.shape) == 3
        if not isinstance(space, spaces.Box) or (not self.is_image and (len(space.shape) != 1 or kind != "f")):
            raise ValueError(
                f"the task's observations are {space}; a latent model reads vectors of floats, or pictures [height, width, channels]"
            )
        if self.is_image and not (np.isfinite(space.low).all() and np.isfinite(space.high).all()):
            raise ValueError(f"the task's pictures are {space}, without bounds; a latent model needs them for the scale of grey levels")
        self.shape = space.shape
        self.moments = RunningMoments(space.shape if not self.is_image else ())
        self._low, self._range = space.low, np.maximum(space.high - space.low.astype(np.float64), 1e-6)

    def update(self, obs: np.ndarray) -> None:
        """Include observations [B, ...] in the moments; the scale of pictures is fixed."""
        if not self.is_image:
            self.moments.update(obs)

    def __call__(self, obs: np.ndarray) -> np.ndarray:
        """Return observations [B, ...] on the common scale, float32."""
        if not self.is_image:
            return self.moments.normalise(obs)
        scaled: np.ndarray = ((obs - self._low) / self._range - 0.5).astype(np.float32)
        return scaled

    def layer(self) -> Observations:
        """Return the map as a layer, as it is now."""
        if not self.is_image:
            return Observations(self.moments)
        middle = self._low + self._range / 2
        return Observations(scale=(middle.astype(np.float32), self._range.astype(np.float32)))

    def state_dict(self) -> dict[str, Any]:
        """Return the moments."""
        return self.moments.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore them."""
        self.moments.load_state_dict(state)


class PatchEncoder(nn.Module):
    """Encoder of pictures: linear layers on squares of 4 x 4 pixels, then on squares of 4 x 4 of these, then on all.

    Such squares are convolutions whose windows do not overlap: matrix products, which suit a processor.

    Args:
        shape: Height, width and channels of a picture.
        encoded: E.
        rng: Source of the first weights.
    """

    def __init__(self, shape: tuple[int, ...], encoded: int, rng: np.random.Generator) -> None:
        super().__init__()
        self._pad, (rows, columns) = _padding(shape)
        self.pixels = linear(PATCH**2 * shape[2], FILTERS[0], rng, gain=GAIN)
        self.patches = linear(PATCH**2 * FILTERS[0], FILTERS[1], rng, gain=GAIN)
        self.all = linear(rows * columns * FILTERS[1], encoded, rng)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return codes [B, E] of pictures [B, H, W, C]."""
        squares = silu(self.pixels(_squares(pad(inputs, self._pad))))
        codes: Tensor = self.all(silu(self.patches(_squares(squares))).flatten(1))
        return codes


class PatchDecoder(nn.Module):
    """The mirror of `PatchEncoder`.

    Args:
        decoded: F.
        shape: Height, width and channels of a picture.
        rng: Source of the first weights.
    """

    def __init__(self, decoded: int, shape: tuple[int, ...], rng: np.random.Generator) -> None:
        super().__init__()
        self._shape, (_, self._grid) = shape, _padding(shape)
        self.all = linear(decoded, self._grid[0] * self._grid[1] * FILTERS[1], rng, gain=GAIN)
        self.patches = linear(FILTERS[1], PATCH**2 * FILTERS[0], rng, gain=GAIN)
        self.pixels = linear(FILTERS[0], PATCH**2 * shape[2], rng)

    def forward(self, features: Tensor) -> Tensor:
        """Return pictures [B, H, W, C] of features [B, F]."""
        squares = silu(self.all(features)).unflatten(1, (*self._grid, FILTERS[1]))
        pictures = _spread(self.pixels(_spread(silu(self.patches(squares)))))
        return pictures[:, : self._shape[0], : self._shape[1]]


def _padding(shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, int]]:
    """Return rows of zeros that make both sides of a picture multiples of 16, as `pad` takes them, and the number of squares of 16."""
    rows, columns = (-(-side // PATCH**2) for side in shape[:2])
    return (0, 0, 0, columns * PATCH**2 - shape[1], 0, rows * PATCH**2 - shape[0]), (rows, columns)


def _squares(pictures: Tensor) -> Tensor:
    """Return the squares of 4 x 4 of pictures [B, H, W, C] as vectors [B, H / 4, W / 4, 16 C].

    >>> import torch
    >>> _spread(_squares(torch.arange(128.0).view(1, 8, 8, 2))).flatten()[:5].tolist()
    [0.0, 1.0, 2.0, 3.0, 4.0]
    """
    squares = pictures.unflatten(2, (-1, PATCH)).unflatten(1, (-1, PATCH)).transpose(2, 3)
    return squares.flatten(3)


def _spread(squares: Tensor) -> Tensor:
    """Return the pictures [B, H, W, C] whose `_squares` are given."""
    count, rows, columns, size = squares.shape
    apart = squares.view(count, rows, columns, PATCH, PATCH, size // PATCH**2).transpose(2, 3)
    return apart.reshape(count, rows * PATCH, columns * PATCH, size // PATCH**2)


class Coder(nn.Module):
    """Encoder and decoder of observations: perceptrons for vectors, layers on squares for pictures.

    Args:
        scale: Says what observations are.
        encoded: E.
        decoded: F.
        hidden: Units of the hidden layers for vectors.
        rng: Source of the first weights.
    """

    def __init__(self, scale: Scale, encoded: int, decoded: int, hidden: tuple[int, ...], rng: np.random.Generator) -> None:
        super().__init__()
        self._rank = len(scale.shape)
        self.encoder: nn.Module
        self.decoder: nn.Module
        if scale.is_image:
            self.encoder, self.decoder = PatchEncoder(scale.shape, encoded, rng), PatchDecoder(decoded, scale.shape, rng)
        else:
            self.encoder = Encoder(scale.shape, encoded, hidden, (), "silu", rng)
            self.decoder = Decoder(decoded, scale.shape, hidden, (), "silu", rng)

    def encode(self, inputs: Tensor) -> Tensor:
        """Return codes [..., E] of scaled observations [..., *shape], with any leading axes."""
        leading = inputs.shape[: inputs.ndim - self._rank]
        codes: Tensor = self.encoder(inputs.flatten(0, len(leading) - 1)).unflatten(0, leading)
        return codes

    def decode(self, features: Tensor) -> Tensor:
        """Return scaled observations [..., *shape] of features [..., F]."""
        outputs: Tensor = self.decoder(features.flatten(0, -2)).unflatten(0, features.shape[:-1])
        return outputs


def reconstruction_loss(decoded: Tensor, target: Tensor, std: float) -> Tensor:
    """Return 0.5 |x - x'|^2 / std^2, minus the log-density of a normal up to a constant [T, B], of observations [T, B, ...].

    >>> import torch
    >>> reconstruction_loss(torch.zeros(1, 1, 2), torch.tensor([[[1.0, 2.0]]]), 0.5)
    tensor([[10.]])
    """
    return 0.5 * ((decoded - target) ** 2).flatten(2).sum(dim=2) / std**2
