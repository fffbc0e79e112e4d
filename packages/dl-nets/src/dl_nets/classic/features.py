"""Inputs as rows of numbers in NumPy, for learners that use no torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium import spaces


class FlatFeatures(NamedTuple):
    """A function from inputs [B, ...] to features [B, D], and D.

    Attributes:
        size: D.
        rows: The function.
    """

    size: int
    rows: Callable[[Any], np.ndarray]

    def __call__(self, inputs: Any) -> np.ndarray:
        """Return features [B, D], float64."""
        return self.rows(inputs)


def flat_features(space: gymnasium.Space[Any]) -> FlatFeatures:
    """Return the features of a `Box`: its numbers, flattened; bytes are scaled from their bounds to [0, 1].

    Raises:
        ValueError: for any other space.

    >>> features = flat_features(spaces.Box(0, 255, (1, 2), "uint8"))
    >>> features.size, features(np.array([[[0, 51]]], np.uint8))
    (2, array([[0. , 0.2]]))
    """
    if not isinstance(space, spaces.Box):
        raise ValueError(f"the input space is {space}; expected a Box: vectors or images of numbers")
    size = math.prod(space.shape)
    if space.dtype != np.uint8:
        return FlatFeatures(size, lambda inputs: np.asarray(inputs, dtype=np.float64).reshape(-1, size))
    low = space.low.reshape(-1).astype(np.float64)
    span = np.maximum(space.high.reshape(-1) - low, 1.0)
    return FlatFeatures(size, lambda inputs: (np.asarray(inputs, dtype=np.float64).reshape(-1, size) - low) / span)
