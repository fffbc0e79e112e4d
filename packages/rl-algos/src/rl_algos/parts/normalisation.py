"""Running statistics that bring observations and rewards to unit scale. They are part of an agent's state.

Source: B. P. Welford, "Note on a method for calculating corrected sums of squares and products", 1962, in the parallel form of
T. F. Chan, G. H. Golub, R. J. LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979, (2.1).
Letters: B batch, T time, N environments.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

EPSILON = 1e-8  # added to a variance before its root is divided by


class RunningMoments:
    """Mean and variance of everything seen so far, element by element.

    Args:
        shape: Shape of one element.

    Before the first element the mean is 0 and the variance 1, so that normalising changes nothing.

    >>> moments = RunningMoments((1,))
    >>> moments.update(np.array([[1.0], [3.0]]))
    >>> moments.update(np.array([[5.0]]))
    >>> moments.mean.tolist(), moments.variance.round(4).tolist()
    ([3.0], [2.6667])
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.count = 0
        self.mean = np.zeros(shape)
        self.variance = np.ones(shape)

    def update(self, batch: np.ndarray) -> None:
        """Include a batch [B, ...] of elements."""
        batch = np.asarray(batch, dtype=np.float64)
        self.take_in(len(batch), batch.mean(axis=0), batch.var(axis=0))

    def take_in(self, count: int, mean: np.ndarray, variance: np.ndarray) -> None:
        """Include `count` elements of known mean and variance."""
        total = self.count + count
        offset = mean - self.mean
        squares = self.variance * self.count + variance * count + offset**2 * (self.count * count / total)
        self.mean = self.mean + offset * (count / total)
        self.variance = squares / total
        self.count = total

    def normalise(self, batch: np.ndarray, limit: float = 10.0) -> np.ndarray:
        """Return the batch [B, ...] with mean 0 and variance 1 element by element, cut at +-limit; float32. Changes nothing here."""
        scaled = (batch - self.mean) / np.sqrt(self.variance + EPSILON)
        return np.clip(scaled, -limit, limit).astype(np.float32)

    def state_dict(self) -> dict[str, Any]:
        """Return count, mean and variance."""
        return {"count": self.count, "mean": self.mean, "variance": self.variance}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.count = int(state["count"])
        self.mean, self.variance = np.array(state["mean"]), np.array(state["variance"])


class RewardScale:
    """Divides rewards by the standard deviation of the discounted return so far, which does not change the best policy.

    Args:
        num_envs: N.
        discount: gamma of the return.

    The mean is not subtracted: that would reward longer or shorter episodes.
    """

    def __init__(self, num_envs: int, discount: float) -> None:
        self._discount = discount
        self._moments = RunningMoments(())
        self._return = np.zeros(num_envs)

    def __call__(self, reward: np.ndarray, over: np.ndarray, limit: float = 10.0) -> np.ndarray:
        """Return scaled rewards [T, N], float32, after including these rewards [T, N] in the statistics."""
        returns = np.empty(reward.shape)
        for t in range(len(reward)):
            self._return = self._discount * self._return + reward[t]
            returns[t] = self._return
            self._return = np.where(over[t], 0.0, self._return)
        self._moments.update(returns.ravel())
        return np.clip(reward / np.sqrt(self._moments.variance + EPSILON), -limit, limit).astype(np.float32)

    def state_dict(self) -> dict[str, Any]:
        """Return the moments of the return, and the current return of each environment [N]."""
        return {"moments": self._moments.state_dict(), "return": self._return}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self._moments.load_state_dict(state["moments"])
        self._return = np.array(state["return"])


def box_scale(space: gymnasium.Space[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return middle and half width of a Box, float32, which map it to [-1, 1]; 0 and 1 where a dimension is unbounded.

    >>> box_scale(spaces.Box(np.array([-1, 0], np.float32), np.array([3, np.inf], np.float32)))
    (array([1., 0.], dtype=float32), array([2., 1.], dtype=float32))

    Raises:
        ValueError: if the space is not a Box of floats.
    """
    if not isinstance(space, spaces.Box) or space.dtype.kind != "f":
        raise ValueError(f"scale_obs is true, and observations are {space}; only those of a Box of floats are scaled, so set it to false")
    bounded = np.isfinite(space.low) & np.isfinite(space.high)
    low, high = np.where(bounded, space.low, -1.0), np.where(bounded, space.high, 1.0)
    return ((high + low) / 2).astype(np.float32), ((high - low) / 2).astype(np.float32)
