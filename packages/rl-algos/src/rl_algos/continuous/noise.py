"""Noise by which a deterministic policy explores, and agents that do so, in the units of actions from -1 to 1.

Source: G. E. Uhlenbeck and L. S. Ornstein, "On the theory of the Brownian motion", 1930, as T. P. Lillicrap and others, "Continuous
control with deep reinforcement learning", 2016, section 3 and appendix 7, use it; independent Gaussian noise, S. Fujimoto and others,
"Addressing function approximation error in actor-critic methods", 2018, section 6.1.
Departures: the 2016 paper gives no length of a time step; here it is a setting (1 step of the environment by default).
Letters: N environments, D dimensions of an action.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np

from rl_algos.continuous.agent import ContinuousAgent, ContinuousConfig
from rl_core.config import Doc, NonNegative, Positive, configclass
from rl_core.state import restore_state

NoiseName = Literal["gaussian", "ornstein-uhlenbeck"]


@configclass
class NoisyConfig(ContinuousConfig):
    """Settings of agents that explore by adding noise to a deterministic policy."""

    actor_learning_rate: Annotated[Positive, Doc("alpha of the policy's Adam")] = 1e-4
    critic_learning_rate: Annotated[Positive, Doc("alpha of the critics' Adam")] = 1e-3
    noise: Annotated[NoiseName, Doc("noise that is added to actions while learning")] = "ornstein-uhlenbeck"
    noise_std: Annotated[NonNegative, Doc("sigma, in units of actions from -1 to 1")] = 0.2
    noise_reversion: Annotated[Positive, Doc("theta of ornstein-uhlenbeck, part of the drift that a unit of time takes back")] = 0.15
    noise_time_step: Annotated[
        Positive, Doc("dt of ornstein-uhlenbeck, time between two actions; the drift lasts 1 / (theta dt) steps")
    ] = 1.0


class Noise:
    """Noise for N environments, correlated over time or not.

    Args:
        name: "gaussian" is independent at each step; "ornstein-uhlenbeck" drifts, and starts at 0 with each episode.
        num_envs: N.
        num_dimensions: D.
        rng: Source of the numbers; saved with the run.
        std: sigma, the deviation of Gaussian noise; of the other kind the deviation that a unit of time adds, >= 0.
        reversion: theta, part of the drift that a unit of time takes back, > 0.
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
        self.drift = np.zeros((num_envs, num_dimensions), dtype=np.float32)

    def sample(self) -> np.ndarray:
        """Return the noise of the next step [N, D], float32."""
        normal = self._rng.standard_normal(self.drift.shape, dtype=np.float32)
        if not self._is_drift:
            return np.float32(self._std) * normal
        self.drift = ornstein_uhlenbeck(self.drift, normal, self._std, self._reversion, self._time_step)
        return self.drift

    def reset(self, starts: np.ndarray) -> None:
        """Set the drift to 0 in the environments where an episode starts [N]."""
        if self._is_drift and starts.any():
            self.drift = np.where(starts[:, None], np.float32(0.0), self.drift)

    def state_dict(self) -> dict[str, Any]:
        """Return the drift of each environment [N, D]; the stream is saved with the run."""
        return {"drift": self.drift}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.drift = self.drift.copy()
        restore_state(self, ("drift",), state)


def ornstein_uhlenbeck(drift: np.ndarray, normal: np.ndarray, std: float, reversion: float, time_step: float) -> np.ndarray:
    """Return the drift after one more step [N, D]: x - theta x dt + sigma sqrt(dt) xi.

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


class NoisyAgent(ContinuousAgent):
    """An agent with a deterministic policy that explores by adding noise to it."""

    state_fields = (*ContinuousAgent.state_fields, "noise")
    config: NoisyConfig

    def setup(self) -> None:
        """Build the networks, the noise, the replay buffer and the environments."""
        super().setup()
        config, rng = self.config, self.seeds.numpy("noise")
        drift = {"std": config.noise_std, "reversion": config.noise_reversion, "time_step": config.noise_time_step}
        self.noise = Noise(config.noise, config.num_envs, self.actions.num_dimensions, rng, **drift)

    def learning_rates(self) -> tuple[float, float]:
        """Return the learning rates of the actor and of the critics."""
        return self.config.actor_learning_rate, self.config.critic_learning_rate

    def answer_policy(self, head: np.ndarray) -> np.ndarray:
        """Return the policy's actions [B, D]: tanh of the actor's outputs."""
        return np.tanh(head)

    def explore(self) -> np.ndarray:
        """Return the policy's actions with noise [N, D], within [-1, 1]."""
        self.noise.reset(self.starts)
        return np.clip(self.answer_policy(self.actor_head(self.obs)) + self.noise.sample(), -1.0, 1.0)
