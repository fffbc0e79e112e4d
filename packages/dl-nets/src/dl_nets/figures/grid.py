"""Pictures in rows and columns on one figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rl_core.figure import new_figure


def grid(
    path: Path,
    pictures: Sequence[np.ndarray],
    titles: Sequence[str],
    *,
    title: str,
    columns: int,
    side: float = 1.2,
    colours: str = "gray",
    centred: bool = False,
) -> None:
    """Write a PNG of pictures, each on a scale of its own.

    Args:
        path: The file to write.
        pictures: Numbers [H, W], or colours [H, W, 3] in [0, 1].
        titles: Words above each; none draws all pictures as one, which takes less time.
        title: Words above all.
        columns: Pictures in a row at most.
        side: Width of a picture, inches.
        colours: matplotlib's name of the scale of colours.
        centred: Whether 0 is in the middle of the scale.
    """
    columns = max(1, min(columns, len(pictures)))
    rows = -(-len(pictures) // columns)
    height, width = pictures[0].shape[:2]
    row_height = min(3.0, side * height / width) + 0.26 * bool(titles)
    figure = new_figure(max(4.6, columns * side), rows * row_height + 0.45)
    if not titles:
        show(figure.add_subplot(), mosaic(pictures, columns, centred=centred), colours=colours, centred=centred)
    for index, (picture, words) in enumerate(zip(pictures, titles, strict=True) if titles else ()):
        axes = figure.add_subplot(rows, columns, index + 1)
        show(axes, picture, colours=colours, centred=centred)
        axes.set_title(words, fontsize=7, pad=2)
    figure.suptitle(title, fontsize=9)
    figure.savefig(path, dpi=120)


def mosaic(pictures: Sequence[np.ndarray], columns: int, *, centred: bool = False) -> np.ndarray:
    """Return pictures of one size in rows, each on a scale of its own, with a gap of one pixel: NaN, or white between colours.

    >>> mosaic([np.array([[1.0]]), np.array([[-4.0]])], 2, centred=True)
    array([[ 1., nan, -1.]])
    """
    stack = np.stack(pictures).astype(np.float64)
    axes = tuple(range(1, stack.ndim))
    if stack.ndim == 3:
        low = 0.0 if centred else stack.min(axis=axes, keepdims=True)
        span = np.abs(stack).max(axis=axes, keepdims=True) if centred else stack.max(axis=axes, keepdims=True) - low
        stack = (stack - low) / np.maximum(span, 1e-12)
    gap = 1.0 if stack.ndim == 4 else np.nan
    edges = ((0, -len(stack) % columns), (0, 1), (0, 1), *[(0, 0)] * (stack.ndim - 3))
    stack = np.pad(stack, edges, constant_values=gap)
    rows = stack.reshape(-1, columns, *stack.shape[1:]).swapaxes(1, 2)
    return rows.reshape(rows.shape[0] * rows.shape[1], -1, *stack.shape[3:])[:-1, :-1]


def show(axes: Any, picture: np.ndarray, *, colours: str = "gray", centred: bool = False) -> None:
    """Show numbers [H, W], or colours [H, W, 3] in [0, 1], on axes without ticks."""
    bound = max(1e-12, float(np.nanmax(np.abs(picture), initial=0.0)))
    limits = {"vmin": -bound, "vmax": bound} if centred else {}
    axes.imshow(
        picture, cmap=colours, interpolation="nearest", aspect="auto" if picture.ndim == 2 and 1 in picture.shape else "equal", **limits
    )
    axes.set(xticks=[], yticks=[])
    if np.isnan(picture).any():
        axes.set_frame_on(False)


def as_picture(image: np.ndarray) -> np.ndarray:
    """Return an input [H, W, C], or the first frame of a clip [T, H, W, C], as `show` takes it: grey [H, W], or colours.

    >>> as_picture(np.full((2, 2, 1), 255, np.uint8)).shape, as_picture(np.full((1, 1, 3), 255, np.uint8)).tolist()
    ((2, 2), [[[1.0, 1.0, 1.0]]])
    >>> as_picture(np.zeros((5, 2, 2, 3), np.uint8)).shape
    (2, 2, 3)
    """
    image = image[0] if image.ndim == 4 else image
    numbers = image.astype(np.float64)
    if image.shape[2] not in (3, 4):
        return numbers[..., -1]  # of a stack of frames the newest
    low, high = (0.0, 255.0) if image.dtype == np.uint8 else (min(0.0, numbers.min()), max(1.0, numbers.max()))
    return (numbers[..., :3] - low) / (high - low)
