"""Losses of each example [B] where the answer is a class, or flags that are on or off, other than cross-entropy.

Letters: B batch, K classes or flags.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from dl_nets.learning import number_losses


def hinge(logits: Tensor, targets: Tensor) -> Tensor:
    """Return losses [B]: sum_(j != k) max(0, 1 - z_k + z_j) / K, z the outputs and k the class.

    Args:
        logits: z [B, K].
        targets: Class numbers [B].

    Source: Weston and Watkins, *Support vector machines for multi-class pattern recognition*, 1999.

    >>> hinge(torch.tensor([[1.0, 0.5, -2.0]]), torch.tensor([0]))  # (max(0, 0.5) + max(0, -2)) / 3
    tensor([0.1667])
    """
    return functional.multi_margin_loss(logits, targets.long(), reduction="none")


def focal(logits: Tensor, targets: Tensor, gamma: float = 2.0) -> Tensor:
    """Return losses [B]: -(1 - p)^gamma log p, p the probability of the class: easy examples count little.

    Source: Lin et al., *Focal loss for dense object detection*, 2017, equation 4.

    >>> focal(torch.log(torch.tensor([[0.8, 0.2]])), torch.tensor([0]))  # 0.2^2 * 0.2231
    tensor([0.0089])
    """
    cost = functional.cross_entropy(logits, targets.long(), reduction="none")
    return (1.0 - torch.exp(-cost)).pow(gamma) * cost


def brier(logits: Tensor, targets: Tensor) -> Tensor:
    """Return losses [B]: the mean over K of (p_k - [k = target])^2, p = softmax(z): the squared error of probabilities.

    >>> brier(torch.log(torch.tensor([[0.8, 0.2]])), torch.tensor([0]))
    tensor([0.0400])
    """
    return (torch.softmax(logits, dim=1) - functional.one_hot(targets.long(), logits.shape[1])).square().mean(1)


def smoothed_divergence(logits: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Return losses [B]: the Kullback-Leibler divergence of softmax(z) from the smoothed target, `cross_entropy` less a constant.

    >>> smoothed_divergence(torch.log(torch.tensor([[0.95, 0.05]])), torch.tensor([0]), label_smoothing=0.1).abs() < 1e-6
    tensor([True])
    """
    classes = logits.shape[1]
    target = functional.one_hot(targets.long(), classes) * (1.0 - label_smoothing) + label_smoothing / classes
    return number_losses.divergence(logits, target)


def flag_hinge(logits: Tensor, targets: Tensor) -> Tensor:
    """Return losses [B]: the mean over K of max(0, 1 - z) for flags that are on, and max(0, 1 + z) for flags that are off.

    >>> flag_hinge(torch.tensor([[0.5, -3.0]]), torch.tensor([[1.0, 0.0]]))
    tensor([0.2500])
    """
    return (1.0 - (2.0 * targets - 1.0) * logits).clamp(min=0.0).mean(1)


def flag_focal(logits: Tensor, targets: Tensor, gamma: float = 2.0) -> Tensor:
    """Return losses [B]: the mean over K of `focal` for each flag.

    >>> flag_focal(torch.logit(torch.tensor([[0.8]])), torch.tensor([[1.0]]))
    tensor([0.0089])
    """
    cost = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    return ((1.0 - torch.exp(-cost)).pow(gamma) * cost).mean(1)


def balanced_weights(classes: np.ndarray, num_classes: int) -> np.ndarray:
    """Return the weight [K] of an example of each class, N / (K n) for the n of N examples: the classes then count alike in sum.

    Args:
        classes: Class of each example [N], from 0.
        num_classes: K.

    >>> balanced_weights(np.array([0, 0, 0, 1]), 2).tolist()
    [0.6666666865348816, 2.0]
    """
    counts = np.bincount(classes.ravel(), minlength=num_classes)
    return (len(classes) / (num_classes * np.maximum(counts, 1))).astype(np.float32)
