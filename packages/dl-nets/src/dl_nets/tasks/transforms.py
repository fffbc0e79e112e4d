"""Variations of a batch of pictures, and of the label maps and boxes that belong to them, chosen by name.

Everything that moves pixels (flips, turns, scaling, shifts, elastic deformation, crops) becomes one sampling grid, so that a batch is
read once whatever the number of transforms. What changes colours follows on the result. The numbers of an example depend on the seed of
the epoch and on the example's own index alone: not on the batch that it is in, nor on what was drawn before.

Source: Simard, Steinkraus and Platt, *Best practices for convolutional neural networks applied to visual document analysis*, 2003
(affine and elastic); Krizhevsky, Sutskever and Hinton, *ImageNet classification with deep convolutional neural networks*, 2012,
section 4.1 (crops, flips, colours).

Letters: B batch, H W image, C channels, N boxes of all rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

COLOURS = {"brightness", "contrast", "colour", "noise", "erase"}  # transforms that leave every pixel where it is
STREAMS = 32  # uniform numbers of an example that transforms may take
ELASTIC_POINTS = 4  # of the coarse grid of displacements, along each side
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def uniforms(seed: int, indices: np.ndarray, count: int = STREAMS) -> np.ndarray:
    """Return numbers in [0, 1) for each example [B, count], each fixed by the seed, the example's index and its column.

    They are outputs of SplitMix64 (Steele, Lea and Flood, *Fast splittable pseudorandom number generators*, 2014, figure 17).

    >>> one, two = uniforms(3, np.array([7, 9])), uniforms(3, np.array([9]))
    >>> bool((one[1] == two[0]).all()), bool((uniforms(4, np.array([9])) == two).any())
    (True, False)
    """
    with np.errstate(over="ignore"):
        key = _mixed(np.asarray(seed, dtype=np.uint64) * GOLDEN + np.uint64(1))
        state = _mixed(key + np.asarray(indices, dtype=np.uint64)[:, None] * GOLDEN)
        mixed = _mixed(state + (np.arange(count, dtype=np.uint64) + np.uint64(1)) * GOLDEN)
    return (mixed >> np.uint64(11)).astype(np.float64) / 2.0**53


def _mixed(z: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


@dataclass(frozen=True)
class Geometry:
    """A movement of pixels: output pixel p shows the input at `matrix` (p, 1), and further off where there is a displacement.

    Attributes:
        matrix: [B, 2, 3], float64, from (x, y, 1) in pixels of the output to (x, y) of the input; pixel centres are at k + 1/2.
        displacement: Further shift of what is read, in pixels [B, 2, P, P], at the points of a coarse grid; `None`: none.
        size: Height and width of the output.
    """

    matrix: np.ndarray
    displacement: np.ndarray | None
    size: tuple[int, int]

    def images(self, images: Tensor, mode: Literal["bilinear", "nearest"] = "bilinear") -> Tensor:
        """Return images [B, C, H, W], float32, as moved; what was outside is mirrored."""
        height, width = images.shape[2:]
        scale = np.array([2.0 / width, 2.0 / height])
        theta = self.matrix * scale[:, None]
        theta[:, :, 2] -= 1.0
        # affine_grid asks for outputs in [-1, 1]: x = (u + 1) w / 2
        grid_scale = np.array([self.size[1] / 2.0, self.size[0] / 2.0])
        theta = np.concatenate([theta[:, :, :2] * grid_scale, theta[:, :, 2:] + (theta[:, :, :2] @ grid_scale)[..., None]], axis=2)
        grid = functional.affine_grid(torch.from_numpy(theta).float(), [len(images), 1, *self.size], align_corners=False)
        if self.displacement is not None:
            coarse = torch.from_numpy(self.displacement * scale[:, None, None]).float()
            grid = grid + functional.interpolate(coarse, self.size, mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
        return functional.grid_sample(images, grid, mode=mode, padding_mode="reflection", align_corners=False)

    def boxes(self, boxes: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return boxes [N, 4] around where their corners go, clipped to the output.

        Args:
            boxes: x1, y1, x2, y2 in pixels [N, 4].
            rows: Example of each box [N].

        An elastic displacement is not followed: it moves corners by a few pixels.
        """
        linear, offset = self.matrix[:, :, :2], self.matrix[:, :, 2]
        inverse = np.linalg.inv(linear)
        corners = np.stack([boxes[:, [0, 0, 2, 2]], boxes[:, [1, 3, 1, 3]]], axis=1) - offset[rows][:, :, None]  # [N, 2, 4]
        moved = inverse[rows] @ corners
        limit = np.array([self.size[1], self.size[0]], dtype=np.float64)
        low, high = (np.clip(edge, 0.0, limit) for edge in (moved.min(2), moved.max(2)))
        return np.concatenate([low, high], axis=1)


def geometry(names: Sequence[str], numbers: np.ndarray, size: tuple[int, int], crop: int = 0, strength: float = 1.0) -> Geometry | None:
    """Return the movement that transforms give each example; `None` if none of them moves pixels.

    Args:
        names: Names of transforms.
        numbers: Uniform numbers [B, STREAMS].
        size: Height and width of the images.
        crop: Side of a random part that is cut out, pixels; 0 for the whole image.
        strength: Factor of the ranges of affine and elastic.
    """
    chosen = {"flip", "flip-vertical", "turn", "affine", "elastic"} & set(names)
    height, width = size
    out = (min(crop, height), min(crop, width)) if crop else size
    if not chosen and out == size:
        return None
    batch = len(numbers)
    x_scale, y_scale, angle = np.ones(batch), np.ones(batch), np.zeros(batch)
    if "flip" in names:
        x_scale = np.where(numbers[:, 0] < 0.5, -1.0, 1.0)
    if "flip-vertical" in names:
        y_scale = np.where(numbers[:, 1] < 0.5, -1.0, 1.0)
    if "turn" in names:
        steps = 4 if height == width or (out[0] == out[1] != 0 and crop) else 2  # a quarter turn needs a square
        angle = np.floor(numbers[:, 2] * steps) * (2.0 * np.pi / steps)
    shift = np.zeros((batch, 2))
    if "affine" in names:
        angle = angle + strength * np.deg2rad(15.0) * (2 * numbers[:, 3] - 1)
        zoom = np.exp(strength * np.log(1.2) * (2 * numbers[:, 4] - 1))
        x_scale, y_scale = x_scale * zoom, y_scale * zoom
        shift = strength * 0.08 * (2 * numbers[:, 5:7] - 1) * np.array([width, height])
    cos, sin = np.cos(angle), np.sin(angle)
    linear = np.stack([np.stack([cos * x_scale, -sin * y_scale], 1), np.stack([sin * x_scale, cos * y_scale], 1)], 1)  # [B, 2, 2]
    free = np.array([width - out[1], height - out[0]], dtype=np.float64)
    centre = np.array([out[1], out[0]]) / 2.0 + np.round(numbers[:, 7:9] * free) + shift  # of what is shown, in the input
    offset = centre - (linear @ (np.array([out[1], out[0]]) / 2.0)[:, None])[..., 0]
    displacement = None
    if "elastic" in names:
        points = _points(numbers[:, 9])
        displacement = strength * 0.03 * np.array([width, height])[:, None, None] * points
    return Geometry(np.concatenate([linear, offset[..., None]], axis=2), displacement, out)


def _points(numbers: np.ndarray) -> np.ndarray:
    """Return displacements [B, 2, P, P] of a coarse grid, in standard deviations, from one uniform number each [B]."""
    drawn = uniforms(1, (numbers * 2.0**52).astype(np.uint64), 2 * (2 * ELASTIC_POINTS**2))
    first, second = np.split(drawn, 2, axis=1)
    normal = np.sqrt(-2.0 * np.log(1.0 - first)) * np.cos(2 * np.pi * second)  # Box and Muller, 1958
    return normal.reshape(-1, 2, ELASTIC_POINTS, ELASTIC_POINTS)


def recoloured(images: Tensor, names: Sequence[str], numbers: np.ndarray, strength: float = 1.0) -> Tensor:
    """Return images [B, C, H, W] in [0, 255], float32, with other colours.

    Args:
        images: Pictures.
        names: Names of transforms; those that move pixels are passed over.
        numbers: Uniform numbers [B, STREAMS].
        strength: Factor of all ranges.
    """
    spread = torch.from_numpy((strength * (2 * numbers[:, 16:24] - 1)).astype(np.float32))[:, :, None, None, None]  # [B, 8, 1, 1, 1]
    if "contrast" in names:
        mean = images.mean((1, 2, 3), keepdim=True)
        images = mean + (images - mean) * torch.exp(0.4 * spread[:, 0])
    if "brightness" in names:
        images = images + 255 * 0.2 * spread[:, 1]
    if "colour" in names and images.shape[1] == 3:
        grey = images.mean(1, keepdim=True)
        tint = 255 * 0.06 * torch.cat([spread[:, 3], spread[:, 4], spread[:, 5]], dim=1)
        images = grey + (images - grey) * torch.exp(0.5 * spread[:, 2]) + tint
    if "noise" in names:
        seeds = (numbers[:, 24] * 2.0**32).astype(np.int64)
        noise = [torch.randn(images.shape[1:], generator=torch.Generator().manual_seed(int(seed))) for seed in seeds]
        images = images + 255 * 0.04 * strength * torch.from_numpy(numbers[:, 25].astype(np.float32))[:, None, None, None] * torch.stack(
            noise
        )
    if "erase" in names:
        images = _erased(images, numbers, strength)
    return images.clamp(0.0, 255.0)


def recoloured_pictures(pictures: np.ndarray, names: Sequence[str], numbers: np.ndarray, strength: float = 1.0) -> np.ndarray:
    """Return pictures uint8 [B, H, W, C] with other colours; see `recoloured`."""
    if not COLOURS & set(names):
        return pictures
    changed = recoloured(torch.from_numpy(pictures).permute(0, 3, 1, 2).float(), names, numbers, strength)
    return changed.round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()


def _erased(images: Tensor, numbers: np.ndarray, strength: float) -> Tensor:
    """Return images with a grey rectangle of up to 0.3 of each side (Zhong et al., *Random erasing data augmentation*, 2020)."""
    height, width = images.shape[2:]
    part = np.clip(0.3 * strength * numbers[:, 26:28], 0.0, 1.0)
    start = numbers[:, 28:30] * (1.0 - part)
    rows, columns = (torch.arange(side)[None, :] for side in (height, width))
    edges = [torch.from_numpy(edge[:, None]) for edge in (*(start * [height, width]).T, *((start + part) * [height, width]).T)]
    covered = ((rows >= edges[0]) & (rows < edges[2]))[:, :, None] & ((columns >= edges[1]) & (columns < edges[3]))[:, None, :]
    return torch.where(covered[:, None], torch.tensor(127.5), images)


def vary(
    images: np.ndarray,
    maps: np.ndarray | None,
    *,
    names: Sequence[str],
    seed: int,
    indices: np.ndarray,
    crop: int = 0,
    strength: float = 1.0,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return a batch of pictures and their label maps, both moved alike, the pictures also recoloured.

    Args:
        images: uint8 [B, H, W, C].
        maps: Label maps [B, H, W]; `None` where there are none.
        names: Names of transforms.
        seed: Seed of the epoch.
        indices: The examples' indices [B].
        crop: Side of a random part that is cut out, pixels; 0 for the whole image.
        strength: Factor of all ranges.

    Returns:
        uint8 [B, H, W, C], and label maps [B, H, W] of their type.
    """
    numbers = uniforms(seed, indices)
    moved = geometry(names, numbers, (images.shape[1], images.shape[2]), crop, strength)
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    if moved is not None:
        pixels = moved.images(pixels)
        if maps is not None:
            layers = torch.from_numpy(maps[:, None].astype(np.float32))
            maps = moved.images(layers, "nearest")[:, 0].numpy().astype(maps.dtype)
    pixels = recoloured(pixels, names, numbers, strength)
    return pixels.round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy(), maps
