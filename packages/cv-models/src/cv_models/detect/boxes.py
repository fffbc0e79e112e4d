"""Boxes as tensors: overlaps, their loss, and the suppression of duplicates.

Boxes are corners (x1, y1, x2, y2) in pixels. Letters: N, M boxes.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

EPSILON = 1e-7  # added to areas and lengths that are divided by


def area(boxes: Tensor) -> Tensor:
    """Return the area [...] of boxes [..., 4]."""
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def intersection(one: Tensor, other: Tensor) -> Tensor:
    """Return the shared area [...] of boxes [..., 4] and [..., 4], whose leading axes are broadcast."""
    sides = torch.minimum(one[..., 2:], other[..., 2:]) - torch.maximum(one[..., :2], other[..., :2])
    return sides.clamp(min=0).prod(-1)


def pairwise_iou(one: Tensor, other: Tensor) -> Tensor:
    """Return the intersection over union [N, M] of boxes [N, 4] and [M, 4].

    >>> pairwise_iou(torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[1.0, 0, 3, 2], [5, 5, 6, 6]]))
    tensor([[0.3333, 0.0000]])
    """
    shared = intersection(one[:, None], other[None])
    return shared / (area(one)[:, None] + area(other) - shared)


def complete_iou(one: Tensor, other: Tensor) -> Tensor:
    """Return the complete IoU [...] of boxes [..., 4] and [..., 4]: IoU - rho^2 / c^2 - alpha v.

    rho is the distance of the centres, c the diagonal of the box around both, v = (4 / pi^2) (atan(w / h) - atan(w' / h'))^2, and
    alpha = v / (1 - IoU + v), through which no gradient passes.

    Source: Zheng et al., *Distance-IoU loss: faster and better learning for bounding box regression*, 2020, equations 8 to 11.

    Two squares of side 2 whose centres are 1 apart: IoU 1/3, rho^2 = 1, c^2 = 13, and the shapes are equal:

    >>> round(complete_iou(torch.tensor([0.0, 0, 2, 2]), torch.tensor([1.0, 0, 3, 2])).item(), 4) == round(1 / 3 - 1 / 13, 4)
    True
    """
    shared = intersection(one, other)
    iou = shared / (area(one) + area(other) - shared + EPSILON)
    around = torch.maximum(one[..., 2:], other[..., 2:]) - torch.minimum(one[..., :2], other[..., :2])
    apart = (one[..., :2] + one[..., 2:] - other[..., :2] - other[..., 2:]) / 2
    distance = apart.square().sum(-1) / (around.square().sum(-1) + EPSILON)
    angles = [torch.atan((box[..., 2] - box[..., 0]) / (box[..., 3] - box[..., 1]).clamp(min=EPSILON)) for box in (one, other)]
    v = (4 / math.pi**2) * (angles[0] - angles[1]).square()
    with torch.no_grad():
        alpha = v / (1 - iou + v + EPSILON)
    return iou - distance - alpha * v


def suppress(boxes: Tensor, scores: Tensor, labels: Tensor, overlap: float, most: int) -> Tensor:
    """Return the indices of the boxes that stay, best first: a box goes if a better one that stays, of its class, overlaps it more.

    Greedy non-maximum suppression as its fixed point: box i stays if no better box j that stays has IoU(i, j) > `overlap`. Starting from
    "all stay", each round settles at least one more box; few rounds are needed, each of them one matrix product of flags.

    Args:
        boxes: [N, 4].
        scores: [N].
        labels: Classes [N].
        overlap: Largest IoU of two boxes of one class that both stay.
        most: Largest number of boxes that are returned.

    >>> boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [20, 20, 30, 30]])
    >>> suppress(boxes, torch.tensor([0.8, 0.9, 0.3]), torch.tensor([0, 0, 0]), 0.7, 100).tolist()
    [1, 2]
    """
    order = scores.argsort(descending=True, stable=True)
    boxes, labels = boxes[order], labels[order]
    rivals = (pairwise_iou(boxes, boxes) > overlap) & (labels[:, None] == labels)
    better = rivals.tril(-1).float()  # [i, j]: j < i is better than i and overlaps it
    stay = torch.ones(len(boxes), device=boxes.device)
    for _ in range(len(boxes)):
        settled = (better @ stay == 0).float()
        if torch.equal(settled, stay):
            break
        stay = settled
    return order[stay.bool()][:most]
