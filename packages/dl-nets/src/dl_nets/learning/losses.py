"""Losses of each example [B]; averaging, and with what weights, is left to the update.

Letters: B batch, K classes or numbers of an answer.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional

Loss = Callable[[Tensor, Tensor], Tensor]
"""A function from outputs [B, K] and targets, [B] class numbers or [B, K] numbers, to losses [B]."""


def cross_entropy(logits: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Return losses [B]: - sum_k q_k log p_k, with p = softmax(logits) and q = (1 - s) [k = target] + s / K.

    Of a map or a row of tokens it is the mean over their pixels or tokens.

    Args:
        logits: [B, K], [B, H, W, K] or [B, T, K].
        targets: [B], [B, H, W] or [B, T], class numbers in [0, K).
        label_smoothing: s, in [0, 1): the share of the target that is spread evenly over all classes.

    Returns:
        [B].

    Source: Szegedy et al., *Rethinking the inception architecture for computer vision*, 2016, section 7.

    With p = (0.8, 0.2), target 0 and s = 0.1 it is -0.95 log 0.8 - 0.05 log 0.2:

    >>> import torch
    >>> logits = torch.log(torch.tensor([[0.8, 0.2]]))
    >>> round(cross_entropy(logits, torch.tensor([0]), label_smoothing=0.1).item(), 4)
    0.2925

    Of two pixels with the probabilities 0.8 and 0.2 of their class it is the mean of -log 0.8 and -log 0.2:

    >>> round(cross_entropy(torch.stack([logits, logits], dim=1), torch.tensor([[0, 1]])).item(), 4)
    0.9163
    """
    targets = targets.long()
    if targets.ndim == 1:
        return functional.cross_entropy(logits, targets, reduction="none", label_smoothing=label_smoothing)
    each = functional.cross_entropy(logits.flatten(0, -2), targets.flatten(), reduction="none", label_smoothing=label_smoothing)
    return each.reshape(len(targets), -1).mean(1)


def squared_error(predictions: Tensor, targets: Tensor) -> Tensor:
    """Return losses [B]: the mean over K of (prediction - target)^2.

    >>> import torch
    >>> squared_error(torch.tensor([[1.0, 4.0]]), torch.tensor([[0.0, 1.0]]))
    tensor([5.])
    """
    return (predictions - targets).square().mean(1)


def absolute_error(predictions: Tensor, targets: Tensor) -> Tensor:
    """Return losses [B]: the mean over K of |prediction - target|.

    >>> import torch
    >>> absolute_error(torch.tensor([[1.0, 4.0]]), torch.tensor([[0.0, 1.0]]))
    tensor([2.])
    """
    return (predictions - targets).abs().mean(1)


def huber(predictions: Tensor, targets: Tensor, delta: float = 1.0) -> Tensor:
    """Return losses [B]: the mean over K of e^2 / 2 where |e| <= delta, and delta (|e| - delta / 2) beyond, e = prediction - target.

    Args:
        predictions: [B, K].
        targets: [B, K].
        delta: Error at which the parabola becomes a line, > 0.

    Returns:
        [B].

    Source: Huber, *Robust estimation of a location parameter*, 1964, section 4.

    Errors of 0.5 and 3 give 0.125 and 2.5:

    >>> import torch
    >>> huber(torch.tensor([[0.5, 3.0]]), torch.zeros(1, 2))
    tensor([1.3125])
    """
    return functional.huber_loss(predictions, targets, reduction="none", delta=delta).mean(1)


def weighted_mean(losses: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return the mean [] of losses [B]; with weights [B] >= 0, an example of weight 2 counts as two examples.

    >>> import torch
    >>> weighted_mean(torch.tensor([1.0, 4.0]), torch.tensor([2.0, 1.0]))
    tensor(2.)
    """
    return losses.mean() if weights is None else (weights * losses).sum() / weights.sum()
