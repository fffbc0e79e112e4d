"""The ways to write a box as four numbers, and how to turn one into another.

| format | numbers | used by |
|---|---|---|
| `xyxy` | left, top, right, bottom | Pascal VOC, torchvision, this package |
| `xywh` | left, top, width, height | COCO |
| `cxcywh` | middle, width, height | YOLO and DETR, as shares of the picture's width and height |
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

BoxFormat = Literal["xyxy", "xywh", "cxcywh"]

# Rows: what each number of a format adds to left, top, right and bottom.
_TO_CORNERS = {
    "xyxy": np.eye(4),
    "xywh": np.array([[1, 0, 1, 0], [0, 1, 0, 1], [0, 0, 1, 0], [0, 0, 0, 1.0]]),
    "cxcywh": np.array([[1, 0, 1, 0], [0, 1, 0, 1], [-0.5, 0, 0.5, 0], [0, -0.5, 0, 0.5]]),
}


def convert_boxes(boxes: Any, source: BoxFormat, target: BoxFormat) -> Any:
    """Return boxes [N, 4] written in another format: an array or a tensor as given, in pixels or shares as given.

    >>> convert_boxes(np.array([[10.0, 20.0, 30.0, 60.0]]), "xyxy", "cxcywh")
    array([[20., 40., 20., 40.]])

    Raises:
        ValueError: for a format that is unknown.
    """
    for name in (source, target):
        if name not in _TO_CORNERS:
            raise ValueError(f"box format {name!r} is unknown; expected {', '.join(_TO_CORNERS)}")
    matrix = _TO_CORNERS[source] @ np.linalg.inv(_TO_CORNERS[target])
    columns = [sum(boxes[..., row] * float(matrix[row, column]) for row in range(4) if matrix[row, column]) for column in range(4)]
    if isinstance(boxes, np.ndarray):
        return np.stack(columns, axis=-1)
    import torch

    return torch.stack(columns, dim=-1)


def relative(boxes: np.ndarray, width: float, height: float) -> np.ndarray:
    """Return boxes [N, 4] in pixels as shares of the picture's width and height.

    >>> relative(np.array([[10.0, 20.0, 30.0, 60.0]]), 100, 200).tolist()
    [[0.1, 0.1, 0.3, 0.3]]
    """
    return boxes / np.array([width, height, width, height])


def absolute(boxes: np.ndarray, width: float, height: float) -> np.ndarray:
    """Return boxes [N, 4] in shares of the picture's width and height as pixels."""
    return boxes * np.array([width, height, width, height])


def clip_boxes(boxes: np.ndarray, width: float, height: float) -> tuple[np.ndarray, np.ndarray]:
    """Return corner boxes [N, 4] cut at the picture's edges, and the fault of each [N]: "", "degenerate" or "outside".

    >>> clip_boxes(np.array([[-5.0, 0, 5, 9], [3, 3, 3, 8], [20, 0, 30, 5]]), 10, 10)[1].tolist()
    ['', 'degenerate', 'outside']
    """
    inside = np.clip(boxes, 0, [width, height, width, height])
    whole = np.isfinite(boxes).all(-1) & (boxes[:, 2:] > boxes[:, :2]).all(-1)
    visible = (inside[:, 2:] > inside[:, :2]).all(-1)
    return inside, np.where(~whole, "degenerate", np.where(~visible, "outside", ""))


def box_iou(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the intersection over union [N, M] of corner boxes [N, 4] and [M, 4]; 0 where both are empty.

    >>> box_iou(np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 0, 3, 2], [0, 0, 2, 2]])).round(4).tolist()
    [[0.3333, 1.0]]
    """
    shared = intersection(one, other)
    union = area(one)[:, None] + area(other) - shared
    return np.where(union > 0, shared / np.maximum(union, 1e-12), 0.0)


def intersection(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the shared area [N, M] of corner boxes [N, 4] and [M, 4]."""
    sides = np.minimum(one[:, None, 2:], other[None, :, 2:]) - np.maximum(one[:, None, :2], other[None, :, :2])
    return np.asarray(np.maximum(sides, 0).astype(np.float64).prod(-1))


def area(boxes: np.ndarray) -> np.ndarray:
    """Return the area [N] of corner boxes [N, 4]; 0 of one whose corners are swapped."""
    return np.asarray(np.maximum(boxes[:, 2:] - boxes[:, :2], 0).astype(np.float64).prod(-1))
