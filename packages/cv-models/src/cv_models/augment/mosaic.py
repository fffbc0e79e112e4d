"""Mosaics: training pictures put together from four, each at a random scale, with the boxes that stay visible.

Source: Bochkovskiy, Wang and Liao, *YOLOv4: optimal speed and accuracy of object detection*, 2020, section 3.3. The corner where the four
meet is anywhere in the middle half of a canvas of twice the side; a window of it, magnified 0.5 to 1.5 times, becomes the picture. A
picture that is not put together is magnified and shifted alone. What shows none of them is grey.

Letters: B pictures, S side, n boxes of a picture.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dl_nets.tasks.transforms import uniforms

FILL = 114  # grey level of what shows no picture
COLUMNS = 16  # uniform numbers that a mosaic takes
SCALES = (0.5, 1.5)
SHIFT = 0.1  # of the side, at most
LEAST_SIDE = 2.0  # pixels of a box that is kept
LEAST_VISIBLE = 0.1  # share of a box's area that is kept

Read = Callable[[np.ndarray], tuple[np.ndarray, list[np.ndarray]]]
"""A function from indices [B] to pictures [B, S, S, 3] and the boxes [n, 4] of each."""


def mosaic(
    read: Read, num_examples: int, indices: np.ndarray, seed: int, share: float
) -> tuple[np.ndarray, list[np.ndarray], list[np.ndarray]]:
    """Return varied pictures, the boxes in them, and where each box was before.

    Args:
        read: Reader of training pictures.
        num_examples: Number of training pictures.
        indices: The pictures' indices [B].
        seed: Seed of the epoch.
        share: Probability that a picture is put together from four, in [0, 1]; the others are magnified and shifted alone.

    Returns:
        Pictures [B, S, S, 3], boxes [n, 4] of each, and their origins [n, 2] of each: a picture's index, and the number of the box in it.
    """
    numbers = uniforms(seed, indices, 32 + COLUMNS)[:, 32:]
    others = np.floor(numbers[:, :3] * num_examples).astype(np.int64)
    together = numbers[:, 3] < share
    wanted = np.unique(np.concatenate([indices, others[together].ravel()]))
    pictures, boxes = read(wanted)
    place = {int(index): number for number, index in enumerate(wanted)}
    size = pictures.shape[1]
    canvas = np.full((len(indices), size, size, 3), FILL, np.uint8)
    kept: list[np.ndarray] = []
    origins: list[np.ndarray] = []
    for row, index in enumerate(indices):
        scale = SCALES[0] + (SCALES[1] - SCALES[0]) * numbers[row, 4]
        shift = SHIFT * size * (2 * numbers[row, 5:7] - 1)
        meeting = size / 2 + shift
        parts = [int(index)]
        corners = [meeting - scale * size / 2]  # of each part's upper left corner
        if together[row]:
            parts += others[row].tolist()
            meeting = meeting + scale * size * (numbers[row, 7:9] - 0.5)
            corners = [meeting - scale * size * np.array(back) for back in ((1, 1), (0, 1), (1, 0), (0, 0))]
        found, sources = [], []
        for part, corner in zip(parts, corners, strict=True):
            number = place[part]
            bounds = _bounds(corner, scale * size, size)
            _paint(canvas[row], pictures[number], corner, scale, bounds)
            moved = boxes[number] * scale + np.tile(corner, 2)
            visible = np.clip(moved, [*bounds[:2], *bounds[:2]], [*bounds[2:], *bounds[2:]])
            keep = _worth_keeping(moved, visible)
            found.append(visible[keep])
            sources.append(np.stack([np.full(int(keep.sum()), part), np.flatnonzero(keep)], 1))
        kept.append(np.concatenate(found).astype(np.float32))
        origins.append(np.concatenate(sources))
    return canvas, kept, origins


def _bounds(corner: np.ndarray, side: float, size: int) -> tuple[int, int, int, int]:
    """Return the whole pixels (x1, y1, x2, y2) of the canvas that a square at `corner` covers."""
    low, high = np.clip(np.round(corner), 0, size), np.clip(np.round(corner + side), 0, size)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _paint(canvas: np.ndarray, picture: np.ndarray, corner: np.ndarray, scale: float, bounds: tuple[int, int, int, int]) -> None:
    from PIL import Image

    x1, y1, x2, y2 = bounds
    if x2 <= x1 or y2 <= y1:
        return
    low, high = np.clip((np.array([[x1, y1], [x2, y2]]) - corner) / scale, 0, picture.shape[0])
    if (high - low < 1e-3).any():
        return
    shown = Image.fromarray(picture).resize((x2 - x1, y2 - y1), Image.Resampling.BILINEAR, box=(*low, *high))
    canvas[y1:y2, x1:x2] = np.asarray(shown)


def _worth_keeping(whole: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Return which boxes [n] are still to be found in what is visible of them [n, 4].

    >>> _worth_keeping(np.array([[0.0, 0, 10, 10], [0, 0, 10, 10]]), np.array([[8.0, 0, 10, 10], [9.5, 0, 10, 10]])).tolist()
    [True, False]
    """
    sides, whole_sides = visible[:, 2:] - visible[:, :2], whole[:, 2:] - whole[:, :2]
    return np.asarray((sides >= LEAST_SIDE).all(1) & (sides.prod(1) > LEAST_VISIBLE * whole_sides.prod(1)))
