"""Noise that a deterministic policy explores with, in the units of actions from -1 to 1.

Source: G. E. Uhlenbeck and L. S. Ornstein, "On the theory of the Brownian motion", 1930, as T. P. Lillicrap and others, "Continuous
control with deep reinforcement learning", 2016, section 3 and appendix 7, use it; independent Gaussian noise, S. Fujimoto and others,
"Addressing function approximation error in actor-critic methods", 2018, section 6.1.
Departures: the 2016 paper gives no length of a time step; here it is a setting (1 step of the environment by default).
Letters: N environments, D dimensions of an action.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

NoiseName = Literal["gaussian", "ornstein-uhlenbeck"]


class Noise:
    """Noise for N environments, with a memory or without one.

    Args:
        name: "gaussian" forgets at once; "ornstein-uhlenbeck" drifts, and begins anew at 0 with each episode.
        num_envs: N.
        num_dimensions: D.
        rng: Where the numbers come from; saved with the run.
        std: sigma, the deviation of Gaussian noise; of the other kind what each unit of time adds, >= 0.
        reversion: theta, what part of the drift a unit of time takes back, > 0.
        time_step: dt, time between two samples, > 0.

    Left alone, the drift has deviation sigma / sqrt(2 theta) (for small theta dt) and forgets in 1 / (theta dt) steps:

    >>> noise = Noise("ornstein-uhlenbeck", 10_000, 1, np.random.default_rng(0), std=0.2, reversion=0.15, time_step=0.1)
    >>> samples = [noise.sample() for _ in range(500)]
    >>> round(0.2 / math.sqrt(2 * 0.15), 2), round(float(np.std(samples[-1])), 2)
    (0.37, 0.37)
    """

    def __init__(
        self,
        name: NoiseName,
        num_envs: int,
        num_dimensions: int,
        rng: np.random.Generator,
        *,
        std: float,
        reversion: float = 0.15,
        time_step: float = 1.0,
    ) -> None:
        self._is_drift = name == "ornstein-uhlenbeck"
        self._rng, self._std, self._reversion, self._time_step = rng, std, reversion, time_step
        self._drift = np.zeros((num_envs, num_dimensions), dtype=np.float32)

    def sample(self) -> np.ndarray:
        """The noise of the next step [N, D], float32."""
        normal = self._rng.standard_normal(self._drift.shape, dtype=np.float32)
        if not self._is_drift:
            return np.float32(self._std) * normal
        self._drift = ornstein_uhlenbeck(self._drift, normal, self._std, self._reversion, self._time_step)
        return self._drift

    def reset(self, over: np.ndarray) -> None:
        """Begin anew in the environments whose episode is over [N]."""
        if self._is_drift and over.any():
            self._drift = np.where(over[:, None], np.float32(0.0), self._drift)

    def state_dict(self) -> dict[str, Any]:
        """Where each drift is [N, D]; the stream is saved with the run."""
        return {"drift": self._drift}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        self._drift = np.array(state["drift"])


def ornstein_uhlenbeck(drift: np.ndarray, normal: np.ndarray, std: float, reversion: float, time_step: float) -> np.ndarray:
    """The drift one step on [N, D]: x - theta x dt + sigma sqrt(dt) xi.

    Args:
        drift: x [N, D].
        normal: xi, standard normal numbers [N, D].
        std: sigma.
        reversion: theta.
        time_step: dt.

    >>> ornstein_uhlenbeck(np.array([[1.0]]), np.array([[2.0]]), std=0.5, reversion=0.2, time_step=0.25)  # 1 - 0.05 + 0.5 * 0.5 * 2
    array([[1.45]])
    """
    return (drift - reversion * time_step * drift + std * math.sqrt(time_step) * normal).astype(drift.dtype)
