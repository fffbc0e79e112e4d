"""Threshold units as a module of torch, for export: the perceptron itself learns without torch.

Letters: B batch, D features, U units.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import torch
from torch import Tensor, nn

from dl_nets.learning.export import ANSWERS, Exportable, example
from dl_nets.networks.spaces import Features


class ThresholdUnits(nn.Module):
    """Module from inputs [B, ...] to classes [B] and sums [B, U]: the largest sum answers, or of two classes the sign of the one sum.

    Args:
        weights: Of each unit [U, D + 1], the last minus its threshold.
        space: Space of the inputs.
        first: Number of the first class.

    >>> unit = ThresholdUnits(np.array([[1.0, -2.0]]), gymnasium.spaces.Box(0, 9, (1,)), 0)
    >>> unit(torch.tensor([[1.0], [3.0]]))[0].tolist()
    [0, 1]
    """

    def __init__(self, weights: np.ndarray, space: gymnasium.Space[Any], first: int) -> None:
        super().__init__()
        self.features, self._first = Features(space), first
        self.weight = nn.Parameter(torch.tensor(weights[:, :-1], dtype=torch.float32))
        self.bias = nn.Parameter(torch.tensor(weights[:, -1], dtype=torch.float32))

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return classes [B] and sums [B, U]."""
        sums = nn.functional.linear(self.features(inputs), self.weight, self.bias)
        classes = sums.argmax(dim=1) if self.weight.shape[0] > 1 else (sums[:, 0] > 0).long()
        return classes + self._first, sums


def exportable_units(weights: np.ndarray, space: gymnasium.Space[Any], first: int) -> Exportable:
    """Return units ready for export; see `ThresholdUnits`."""
    units = ThresholdUnits(weights, space, first)
    return Exportable(units, units, {"inputs": example(space)}, {"answers": ANSWERS, "outputs": "sum of each unit"})
