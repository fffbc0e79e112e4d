"""Environments around other environments: the base of everything that changes actions, observations or rewards on their way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rl_core.envs import Envs, Transition


class WrappedEnvs(Envs):
    """Environments that pass everything on to inner ones. A subclass overrides `step`, and `reset` where it keeps a state.

    Args:
        envs: The inner environments.
    """

    def __init__(self, envs: Envs) -> None:
        super().__init__(envs.num_envs, envs.input_space, envs.output_space)
        self.inner = envs

    def reset(self) -> np.ndarray:
        """Return first observations [N, ...]."""
        return self.inner.reset()

    def restart(self) -> np.ndarray:
        """Return first observations [N, ...] of new episodes; those under way are abandoned."""
        return self.inner.restart()

    def step(self, actions: np.ndarray) -> Transition:
        """Take actions [N, ...]."""
        return self.inner.step(actions)

    def extras(self) -> Mapping[str, np.ndarray]:
        """Return the extras of the current observations."""
        return self.inner.extras()

    def close(self) -> None:
        """Release the resources of the inner environments."""
        self.inner.close()

    def pop_episodes(self) -> list[tuple[int, float, int]]:
        """Return the episodes finished since the last call: (environment's index, return, length in steps)."""
        return self.inner.pop_episodes()

    def state_dict(self) -> dict[str, Any]:
        """Return the position of the inner environments."""
        return {"inner": self.inner.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> np.ndarray:
        """Restore `state` and return the current observations [N, ...]."""
        return self.inner.load_state_dict(state["inner"])


def innermost(envs: Envs) -> Envs:
    """Return the environments within all wrappers."""
    while isinstance(envs, WrappedEnvs):
        envs = envs.inner
    return envs
