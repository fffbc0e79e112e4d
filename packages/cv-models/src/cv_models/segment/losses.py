"""Losses of label maps, each for every example, so that they can be weighted and do not depend on the size of the batch.

Letters: B batch, K classes, H W map, p probability, g 1 for the pixel's class and 0 for the others.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

MapLoss = Literal["cross-entropy", "dice", "focal", "boundary", "dice+cross-entropy", "dice+focal", "dice+boundary"]
"""Names of the losses; those with a plus are sums."""

SMOOTHING = 1.0  # pixels added to both sides of Dice's quotient: a class that is nowhere then costs nothing
FOCUS = 2.0  # gamma of the focal loss
BORDER_WEIGHT = 5.0  # w0: weight that is added at a border
BORDER_WIDTH = 3.0  # sigma of the weight's fall, pixels


def dice(logits: Tensor, targets: Tensor) -> Tensor:
    """Return losses [B]: the mean over classes of 1 - (2 sum p g + 1) / (sum p + sum g + 1), with sums over the pixels of one map.

    Args:
        logits: [B, K, H, W].
        targets: Class numbers [B, H, W].

    Source: Milletari, Navab and Ahmadi, *V-Net*, 2016, section 3, with sums instead of sums of squares, and each class counted.

    Two pixels of class 0 with p = 1/2 each: class 0 has 1 - (2 + 1) / (1 + 2 + 1), class 1 has 1 - (0 + 1) / (1 + 0 + 1).

    >>> dice(torch.zeros(1, 2, 1, 2), torch.zeros(1, 1, 2, dtype=torch.int64)).tolist()
    [0.375]
    """
    shares = logits.softmax(1)
    hot = functional.one_hot(targets.long(), logits.shape[1]).permute(0, 3, 1, 2).to(shares.dtype)
    both, either = (shares * hot).sum((2, 3)), shares.sum((2, 3)) + hot.sum((2, 3))
    return 1.0 - ((2.0 * both + SMOOTHING) / (either + SMOOTHING)).mean(1)


def cross_entropy(logits: Tensor, targets: Tensor, pixel_weights: Tensor | None = None) -> Tensor:
    """Return losses [B]: the mean over pixels of -log p of the pixel's class, weighted if there are weights [B, H, W].

    >>> round(cross_entropy(torch.zeros(1, 2, 1, 2), torch.zeros(1, 1, 2, dtype=torch.int64)).item(), 4)
    0.6931
    """
    each = functional.cross_entropy(logits, targets.long(), reduction="none")
    if pixel_weights is None:
        return each.mean((1, 2))
    return (each * pixel_weights).sum((1, 2)) / pixel_weights.sum((1, 2))


def focal(logits: Tensor, targets: Tensor) -> Tensor:
    """Return losses [B]: the mean over pixels of -(1 - p)^2 log p of the pixel's class, small where the answer is right already.

    Source: Lin et al., *Focal loss for dense object detection*, 2017, equation 4, with gamma 2.

    With p = 1/2 it is a quarter of the cross-entropy:

    >>> round(focal(torch.zeros(1, 2, 1, 2), torch.zeros(1, 1, 2, dtype=torch.int64)).item(), 4)
    0.1733
    """
    each = functional.cross_entropy(logits, targets.long(), reduction="none")
    return ((1.0 - torch.exp(-each)) ** FOCUS * each).mean((1, 2))


def border_weights(targets: Tensor) -> Tensor:
    """Return weights [B, H, W]: 1 + 5 exp(-d^2 / (2 3^2)), d the distance in pixels to the nearest pixel of another class.

    Source: Ronneberger, Fischer and Brox, *U-Net*, 2015, equation 2. Departure: theirs is the sum of distances to the two nearest cells;
    this d is the distance to the nearest border, counted along rows, columns and diagonals alike.

    >>> [round(weight, 2) for weight in border_weights(torch.tensor([[[0, 0, 0, 1]]])).flatten().tolist()]
    [4.03, 5.0, 5.73, 5.73]
    """
    labels = targets.float()[:, None]
    reach = int(3 * BORDER_WIDTH)
    distance = torch.full_like(labels, float(reach + 1))
    near = -functional.max_pool2d(-labels, 3, 1, 1) != functional.max_pool2d(labels, 3, 1, 1)  # another class in the next pixel
    covered = near.float()
    for step in range(1, reach + 1):
        distance = torch.where((covered > 0) & (distance > reach), torch.full_like(distance, float(step)), distance)
        covered = functional.max_pool2d(covered, 3, 1, 1)
    weights = 1.0 + BORDER_WEIGHT * torch.exp(-(distance**2) / (2.0 * BORDER_WIDTH**2))
    return torch.where(distance > reach, torch.ones_like(weights), weights)[:, 0]


def map_loss(name: MapLoss, logits: Tensor, targets: Tensor) -> Tensor:
    """Return the losses [B] of that name: of logits [B, K, H, W] and class numbers [B, H, W]."""
    total = torch.zeros(len(logits), device=logits.device)
    for part in name.split("+"):
        if part == "dice":
            total = total + dice(logits, targets)
        elif part == "focal":
            total = total + focal(logits, targets)
        else:
            total = total + cross_entropy(logits, targets, border_weights(targets) if part == "boundary" else None)
    return total
