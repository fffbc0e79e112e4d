"""Disagreement of several predictions of the same thing: what is not known yet.

Source: D. Pathak, D. Gandhi, A. Gupta, "Self-supervised exploration via disagreement", 2019, (1).
Departures: the deviation in place of the variance, so that a bonus does not fade with the square.
Letters: E predictions, B batch, F numbers that are predicted.
"""

from __future__ import annotations

from torch import Tensor


def disagreement(found: Tensor) -> Tensor:
    """Return the deviation of predictions [E, B, F] from one another, as the root of the mean variance of the numbers [B].

    >>> import torch
    >>> disagreement(torch.tensor([[[1.0, 0.0]], [[3.0, 0.0]]]))  # deviations of 1 and 0
    tensor([0.7071])
    """
    return found.var(dim=0, correction=0).mean(dim=1).sqrt()
