"""Objects of pictures as batches: the spaces, and ragged rows from the objects of each picture and back.

A target or an answer is a row of objects with the parts

- `box`: left, top, right, bottom, in pixels of the input;
- `label`: number of the class;
- `score`: confidence in [0, 1] of an answer; in a target 1, or 0 for an object that is not asked for (a crowd, a difficult one);
- `mask`, of instances alone: the object's pixels [S, S].

Letters: S side of the picture, n objects of a picture, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces

from rl_core import batches
from rl_core.batches import Ragged


def picture_space(size: int) -> spaces.Box:
    """Return the space of square colour pictures with sides of `size` pixels."""
    return spaces.Box(0, 255, (size, size, 3), np.uint8)


def objects_space(size: int, num_classes: int, *, masks: bool = False) -> spaces.Sequence:
    """Return the space of the objects of one picture.

    Args:
        size: Side of the picture S, pixels.
        num_classes: K.
        masks: Whether objects have a mask.
    """
    parts: dict[str, spaces.Space[Any]] = {
        "box": spaces.Box(0.0, float(size), (4,), np.float32),
        "label": spaces.Discrete(num_classes),
        "score": spaces.Box(0.0, 1.0, (), np.float32),
    }
    if masks:
        parts["mask"] = spaces.Box(0, 1, (size, size), np.uint8)
    return spaces.Sequence(spaces.Dict(parts))


def objects(rows: Sequence[dict[str, np.ndarray]], size: int, *, masks: bool = False) -> dict[str, Ragged]:
    """Return the targets of some pictures from the parts of each.

    Args:
        rows: `box` [n, 4], `label` [n], `score` [n], and `mask` [n, S, S] of each picture.
        size: S.
        masks: Whether objects have a mask.
    """
    like: dict[str, np.ndarray] = {"box": np.zeros((0, 4), np.float32), "label": np.zeros(0, np.int64), "score": np.zeros(0, np.float32)}
    if masks:
        like["mask"] = np.zeros((0, size, size), np.uint8)
    return {name: Ragged.of([row[name] for row in rows], empty) for name, empty in like.items()}


def rows_of(batch: Any) -> list[dict[str, np.ndarray]]:
    """Return the parts of each picture of a batch: the reverse of `objects`."""
    return [{name: part[index] for name, part in batch.items()} for index in range(batches.count(batch))]
