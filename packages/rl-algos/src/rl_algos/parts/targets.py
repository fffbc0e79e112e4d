"""Target networks, which follow the networks that learn at a distance, so that what is learned from stands still for a while.

Source: T. P. Lillicrap and others, "Continuous control with deep reinforcement learning", 2016, section 3; the average is named
after B. T. Polyak. Departures: none. Letters: P parameters.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from dl_nets.fast.kernels import vectorised


@vectorised
def follow(target: np.ndarray, source: np.ndarray, rate: float) -> None:
    """Move a target some of the way to its source, in place: theta' <- theta' + tau (theta - theta').

    Args:
        target: theta' [P].
        source: theta [P].
        rate: tau; 1 makes both equal, but for rounding.

    >>> target = np.array([0.0, 8.0], dtype=np.float32)
    >>> follow(target, np.array([4.0, 8.0], dtype=np.float32), 0.25)
    >>> target.tolist()
    [1.0, 8.0]
    """
    step = np.float32(rate)
    for p in range(len(target)):
        target[p] += step * (source[p] - target[p])


@torch.no_grad()
def follow_module(target: nn.Module, source: nn.Module, rate: float) -> None:
    """`follow`, for every parameter of a module."""
    for slow, fast in zip(target.parameters(), source.parameters(), strict=True):
        slow.lerp_(fast, rate)
