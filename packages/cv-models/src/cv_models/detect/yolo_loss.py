"""The losses of a detector whose points predict distances as distributions: classes, boxes, distributions.

Source: Li et al., *Generalized focal loss*, 2020, equation 6 (distribution focal loss); Zheng et al., 2020 (complete IoU).

Letters: P chosen points, R bins of a distance, K classes.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def expected_distances(logits: Tensor, values: Tensor) -> Tensor:
    """Return the means [..., 4] of the distances' distributions: sum_k v_k softmax(z)_k from logits [..., 4 R] and values [R] of the bins.

    >>> expected_distances(torch.zeros(1, 4 * 3), torch.arange(3.0)).tolist()
    [[1.0, 1.0, 1.0, 1.0]]
    """
    mean: Tensor = logits.unflatten(-1, (4, -1)).softmax(-1) @ values
    return mean


def corners(points: Tensor, distances: Tensor, strides: Tensor) -> Tensor:
    """Return boxes [..., 4] in pixels of points [..., 2] in pixels and distances [..., 4] to left, top, right and bottom in strides [...].

    >>> corners(torch.tensor([[12.0, 20.0]]), torch.tensor([[1.0, 0.5, 2.0, 1.0]]), torch.tensor([8.0])).tolist()
    [[4.0, 16.0, 28.0, 28.0]]
    """
    reach = distances * strides[..., None]
    return torch.cat([points - reach[..., :2], points + reach[..., 2:]], -1)


def distances_to(points: Tensor, boxes: Tensor, strides: Tensor) -> Tensor:
    """Return the distances [P, 4] in strides [P] from points [P, 2] to the sides of boxes [P, 4]."""
    return torch.cat([points - boxes[:, :2], boxes[:, 2:] - points], 1) / strides[:, None]


def distribution_focal_loss(logits: Tensor, distances: Tensor) -> Tensor:
    """Return losses [P]: -((i + 1 - y) log p_i + (y - i) log p_{i+1}) with i = floor(y), the mean over the four sides (6).

    Args:
        logits: [P, 4 R].
        distances: y [P, 4], in strides; cut to [0, R - 1.01], what the distribution can hold.

    y = 0.25 between two bins with the probabilities 0.8 and 0.2, in each of the four sides: -(0.75 log 0.8 + 0.25 log 0.2):

    >>> p = torch.tensor([0.8, 0.2, 1e-9]).log().repeat(1, 4)
    >>> round(distribution_focal_loss(p, torch.full((1, 4), 0.25)).item(), 4)
    0.5697
    """
    bins = logits.unflatten(-1, (4, -1))
    y = distances.clamp(0, bins.shape[-1] - 1.01)
    low = y.floor()
    log_p = bins.log_softmax(-1)
    picked = [log_p.gather(-1, (low + step).long()[..., None])[..., 0] for step in (0, 1)]
    return -((low + 1 - y) * picked[0] + (y - low) * picked[1]).mean(-1)


def class_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the binary cross-entropy [B] of all points and classes of each picture, summed: logits and targets [B, A, K]."""
    return functional.binary_cross_entropy_with_logits(logits, targets, reduction="none").flatten(1).sum(1)
