"""Losses that algorithms have in common. Letters: B batch."""

from __future__ import annotations

from typing import Literal

import torch


def td_loss(td_error: torch.Tensor, loss: Literal["huber", "squared"]) -> torch.Tensor:
    """Return the loss [B] of TD errors [B]: half the square, which for Huber continues as a line beyond 1.

    >>> td_loss(torch.tensor([0.5, -3.0]), "huber"), td_loss(torch.tensor([0.5, -3.0]), "squared")
    (tensor([0.1250, 2.5000]), tensor([0.1250, 4.5000]))
    """
    half_square = 0.5 * td_error**2
    return half_square if loss == "squared" else torch.where(td_error.abs() <= 1, half_square, td_error.abs() - 0.5)


def critic_loss(values: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return the sum, over critics [K, B], of the mean squared error of their values, a scalar.

    Source: T. P. Lillicrap and others, "Continuous control with deep reinforcement learning", 2016, Algorithm 1.

    >>> critic_loss(torch.tensor([[1.0, 2.0]]), torch.tensor([0.0, 5.0]))  # (1 + 9) / 2
    tensor(5.)
    """
    return ((target - values) ** 2).mean(dim=1).sum()
