"""Pictures of circles, squares and triangles, made from a seed: the objects of the bundled synthetic tasks.

Every picture is a function of (seed, index) alone. Objects differ in colour, size, position and turn; the ground is a colour with noise.
An object that would hide more than a quarter of another, or be hidden, is not drawn, so that all of them can be found.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

KINDS = ("circle", "square", "triangle")
MOST_HIDDEN = 0.25  # share of an object that another may cover
CONTRAST = 60.0  # least distance of an object's colour from the ground's, of 255 sqrt(3)
NOISE = 12.0  # standard deviation of the ground and the objects, of 255


class Scene(NamedTuple):
    """One picture and its n objects.

    Attributes:
        picture: Bytes [S, S, 3].
        boxes: Corners of the visible parts [n, 4], pixels (x1, y1, x2, y2), float32.
        labels: Number of each object's kind [n], of `KINDS`.
        masks: Visible pixels of each object [n, S, S], bool.
    """

    picture: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    masks: np.ndarray


def scene(seed: int, index: int, size: int, most_objects: int, least_objects: int = 0) -> Scene:
    """Return picture number `index` of the seed.

    Args:
        seed: Which of the endless sets of pictures, >= 0.
        index: Number of the picture in it, >= 0.
        size: Side of the picture S, pixels, at least 16.
        most_objects: Largest number of objects; each number from `least_objects` on is equally likely.
        least_objects: Smallest number of objects.

    >>> made = scene(0, 3, 64, 4)
    >>> made.picture.shape, made.boxes.shape[1], len(made.labels) == len(made.masks)
    ((64, 64, 3), 4, True)
    """
    rng = np.random.default_rng((seed, index))
    ground = rng.uniform(0, 255, 3)
    picture = np.broadcast_to(ground, (size, size, 3)).copy()
    y, x = np.mgrid[0:size, 0:size] + 0.5
    masks: list[np.ndarray] = []
    labels: list[int] = []
    wanted = int(rng.integers(least_objects, most_objects + 1))
    for attempt in range(8 * wanted):
        if len(masks) == wanted:
            break
        kind = int(rng.integers(len(KINDS)))
        radius = rng.uniform(0.09, 0.22) * size
        centre = rng.uniform(radius, size - radius, 2)
        mask = _inside(kind, x - centre[0], y - centre[1], radius, rng.uniform(0, 2 * np.pi))
        hidden = [(mask & other).sum() / min(mask.sum(), other.sum()) for other in masks]
        colour = rng.uniform(0, 255, 3)
        if max(hidden, default=0.0) > (MOST_HIDDEN if attempt < 4 * wanted else 0.0) or np.linalg.norm(colour - ground) < CONTRAST:
            continue
        masks = [other & ~mask for other in masks]
        picture[mask] = colour
        masks.append(mask)
        labels.append(kind)
    picture += rng.normal(0, NOISE, picture.shape)
    stacked = np.array(masks, dtype=bool).reshape(len(masks), size, size)
    return Scene(np.clip(picture, 0, 255).astype(np.uint8), boxes_of(stacked), np.array(labels, dtype=np.int64), stacked)


def boxes_of(masks: np.ndarray) -> np.ndarray:
    """Return the corners [n, 4] of masks [n, H, W], (x1, y1, x2, y2) in pixels, float32; an empty mask has the box 0, 0, 0, 0.

    >>> boxes_of(np.array([[[0, 0, 0], [0, 1, 1]]], bool)).tolist()
    [[1.0, 1.0, 3.0, 2.0]]
    """
    if not len(masks):
        return np.zeros((0, 4), np.float32)
    ends = []
    for axis in (1, 2):  # the axis that is joined: columns first, then rows
        line = np.asarray(masks.any(axis))
        first, last = line.argmax(1), line.shape[1] - line[:, ::-1].argmax(1)
        ends.append((first, np.where(line.any(1), last, 0)))
    (x1, x2), (y1, y2) = ends
    return np.stack([x1, y1, x2, y2], 1).astype(np.float32)


def _inside(kind: int, x: np.ndarray, y: np.ndarray, radius: float, turn: float) -> np.ndarray:
    """Return which points, relative to the centre, are inside a shape [S, S]."""
    if KINDS[kind] == "circle":
        return np.asarray(x**2 + y**2 <= radius**2)
    sides = 4 if KINDS[kind] == "square" else 3
    angles = turn + 2 * np.pi * np.arange(sides) / sides
    reach = radius * np.cos(np.pi / sides)  # distance of the sides from the centre
    return np.all([x * np.cos(angle) + y * np.sin(angle) <= reach for angle in angles], axis=0)
