"""Pictures fitted into a square without distortion, and the way back of boxes and masks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

FILL = 114  # grey level around a picture that does not fill the square


class Fit(NamedTuple):
    """The way from a picture to the square that it was fitted into: square = scale * picture + offset.

    Attributes:
        scale: Pixels of the square per pixel of the picture.
        left: Pixels of the square left of the picture.
        top: Pixels of the square above the picture.
        width: Width of the picture, pixels.
        height: Height of the picture, pixels.
    """

    scale: float
    left: int
    top: int
    width: int
    height: int

    def into(self, boxes: np.ndarray) -> np.ndarray:
        """Return boxes [N, 4] (x1, y1, x2, y2) of the picture in pixels of the square, float32.

        >>> fit_of(200, 100, 50).into(np.array([[0.0, 0.0, 200.0, 100.0]])).tolist()
        [[0.0, 12.0, 50.0, 37.0]]
        """
        return (boxes * self.scale + [self.left, self.top, self.left, self.top]).astype(np.float32)

    def back(self, boxes: np.ndarray) -> np.ndarray:
        """Return boxes [N, 4] of the square in pixels of the picture, clipped to it, float32."""
        moved = (boxes - [self.left, self.top, self.left, self.top]) / self.scale
        return np.clip(moved, 0, [self.width, self.height, self.width, self.height]).astype(np.float32)

    def masks_back(self, masks: np.ndarray) -> np.ndarray:
        """Return masks [N, S, S] of the square in pixels of the picture [N, H, W]: the nearest pixel of the square."""
        size = masks.shape[-1]
        rows, columns = (
            np.clip((np.arange(count) + 0.5) * self.scale + start, 0, size - 1).astype(np.int64)
            for count, start in ((self.height, self.top), (self.width, self.left))
        )
        return masks[:, rows[:, None], columns[None, :]]


def fit_of(width: int, height: int, size: int) -> Fit:
    """Return how a picture of this width and height, pixels, fits into a square with sides of `size` pixels, in the middle."""
    scale = size / max(width, height)
    inner_width, inner_height = _inner(width, height, size)
    return Fit(scale, (size - inner_width) // 2, (size - inner_height) // 2, width, height)


def letterbox(picture: np.ndarray, size: int, *, fill: int = FILL, smooth: bool = True) -> np.ndarray:
    """Return a picture, or a map, fitted into a square [size, size, ...] with its proportions kept, the rest filled.

    Args:
        picture: Bytes [H, W, 3], or a map [H, W] of bytes.
        size: Side of the square, pixels.
        fill: Value around the picture.
        smooth: Whether pixels are interpolated; the values of a map must not be.

    >>> letterbox(np.full((2, 4), 9, np.uint8), 4, fill=0).tolist()
    [[0, 0, 0, 0], [9, 9, 9, 9], [9, 9, 9, 9], [0, 0, 0, 0]]
    """
    from PIL import Image

    height, width = picture.shape[:2]
    inner = _inner(width, height, size)
    canvas = np.full((size, size, *picture.shape[2:]), fill, picture.dtype)
    fit = fit_of(width, height, size)
    if (width, height) != inner:
        method = Image.Resampling.BILINEAR if smooth else Image.Resampling.NEAREST
        picture = np.asarray(Image.fromarray(picture).resize(inner, method))
    canvas[fit.top : fit.top + inner[1], fit.left : fit.left + inner[0]] = picture
    return canvas


def _inner(width: int, height: int, size: int) -> tuple[int, int]:
    scale = size / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))
