"""Mirrored and turned pictures with their boxes and masks: movements that keep every pixel as it is.

Letters: B pictures, S side, n objects of a picture.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def flipped(
    pictures: np.ndarray, rows: Sequence[dict[str, np.ndarray]], names: Sequence[str], numbers: np.ndarray
) -> tuple[np.ndarray, list[dict[str, np.ndarray]]]:
    """Return pictures and their objects, mirrored or turned by quarters as the names and the random numbers say.

    Args:
        pictures: Bytes [B, S, S, 3].
        rows: `box` [n, 4] and, where there are any, `mask` [n, S, S] of each picture; other parts are passed on.
        names: Some of flip, flip-vertical and turn.
        numbers: Uniform numbers [B, at least 3].

    >>> row = {"box": np.array([[1.0, 0, 2, 4]])}
    >>> flipped(np.zeros((1, 8, 8, 3), np.uint8), [row], ["flip"], np.zeros((1, 3)))[1][0]["box"].tolist()
    [[6.0, 0.0, 7.0, 4.0]]
    """
    size = pictures.shape[1]
    out, objects = pictures.copy(), [dict(row) for row in rows]
    for index, row in enumerate(objects):
        if "flip" in names and numbers[index, 0] < 0.5:
            out[index] = out[index, :, ::-1]
            row["box"] = np.stack([size - row["box"][:, 2], row["box"][:, 1], size - row["box"][:, 0], row["box"][:, 3]], 1)
            if "mask" in row:
                row["mask"] = row["mask"][:, :, ::-1]
        if "flip-vertical" in names and numbers[index, 1] < 0.5:
            out[index] = out[index, ::-1]
            row["box"] = np.stack([row["box"][:, 0], size - row["box"][:, 3], row["box"][:, 2], size - row["box"][:, 1]], 1)
            if "mask" in row:
                row["mask"] = row["mask"][:, ::-1]
        for _ in range(int(numbers[index, 2] * 4) if "turn" in names else 0):  # counter-clockwise: (x, y) to (y, S - x)
            out[index] = np.rot90(out[index])
            row["box"] = np.stack([row["box"][:, 1], size - row["box"][:, 2], row["box"][:, 3], size - row["box"][:, 0]], 1)
            if "mask" in row:
                row["mask"] = np.rot90(row["mask"], axes=(1, 2))
    return out, objects
