"""Running statistics that bring observations and rewards to unit scale. They are part of what an agent learned.

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

    Before anything was seen the mean is 0 and the variance 1, so that normalising changes nothing.

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
        """Take in a batch [B, ...] of elements."""
        batch = np.asarray(batch, dtype=np.float64)
        self.take_in(len(batch), batch.mean(axis=0), batch.var(axis=0))

    def take_in(self, count: int, mean: np.ndarray, variance: np.ndarray) -> None:
        """Take in `count` elements of which mean and variance are known."""
        total = self.count + count
        offset = mean - self.mean
        squares = self.variance * self.count + variance * count + offset**2 * (self.count * count / total)
        self.mean = self.mean + offset * (count / total)
        self.variance = squares / total
        self.count = total

    def normalise(self, batch: np.ndarray, limit: float = 10.0) -> np.ndarray:
        """The batch [B, ...] with mean 0 and variance 1 element by element, cut at +-limit; float32. Changes nothing here."""
        scaled = (batch - self.mean) / np.sqrt(self.variance + EPSILON)
        return np.clip(scaled, -limit, limit).astype(np.float32)

    def state_dict(self) -> dict[str, Any]:
        """Count, mean and variance."""
        return {"count": self.count, "mean": self.mean, "variance": self.variance}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        self.count = int(state["count"])
        self.mean, self.variance = np.array(state["mean"]), np.array(state["variance"])


class RewardScale:
    """Divides rewards by the standard deviation of the discounted return so far, which leaves the best policy where it was.

    Args:
        num_envs: N.
        discount: gamma of the return.

    The mean is not taken out: that would pay for living longer, or for dying.
    """

    def __init__(self, num_envs: int, discount: float) -> None:
        self._discount = discount
        self._moments = RunningMoments(())
        self._return = np.zeros(num_envs)

    def __call__(self, reward: np.ndarray, over: np.ndarray, limit: float = 10.0) -> np.ndarray:
        """Scaled rewards [T, N], float32, after taking these rewards [T, N] into the statistics."""
        returns = np.empty(reward.shape)
        for t in range(len(reward)):
            self._return = self._discount * self._return + reward[t]
            returns[t] = self._return
            self._return = np.where(over[t], 0.0, self._return)
        self._moments.update(returns.ravel())
        return np.clip(reward / np.sqrt(self._moments.variance + EPSILON), -limit, limit).astype(np.float32)

    def state_dict(self) -> dict[str, Any]:
        """Moments of the return, and the return that each environment has come to [N]."""
        return {"moments": self._moments.state_dict(), "return": self._return}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        self._moments.load_state_dict(state["moments"])
        self._return = np.array(state["return"])


def box_scale(space: gymnasium.Space[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Middle and half width of a Box, float32, which take what is in it to [-1, 1]; 0 and 1 where a dimension is unbounded.

    >>> box_scale(spaces.Box(np.array([-1, 0], np.float32), np.array([3, np.inf], np.float32)))
    (array([1., 0.], dtype=float32), array([2., 1.], dtype=float32))

    Raises:
        ValueError: if the space is no Box of floats.
    """
    if not isinstance(space, spaces.Box) or space.dtype.kind != "f":
        raise ValueError(f"scale_obs is true, and observations are {space}; only those of a Box of floats are scaled, so set it to false")
    bounded = np.isfinite(space.low) & np.isfinite(space.high)
    low, high = np.where(bounded, space.low, -1.0), np.where(bounded, space.high, 1.0)
    return ((high + low) / 2).astype(np.float32), ((high - low) / 2).astype(np.float32)
