"""Environments stepped together, whose position can be saved and restored exactly.

An episode that ends is followed at once by the next one: `step` returns the first observation of the new episode, and
the last one of the old in `final_obs`. Whether it *ended* (`terminated`: no future) or was *cut* by a time limit
(`truncated`: there is a future, which the learner estimates from `final_obs`) is kept apart throughout.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import gymnasium


_learning_goes_on: ContextVar[bool] = ContextVar("learning_goes_on", default=False)


@contextmanager
def learning_goes_on() -> Iterator[None]:
    """Mark an evaluation after which learning continues, so that the environments of the learning stay open."""
    token = _learning_goes_on.set(True)
    try:
        yield
    finally:
        _learning_goes_on.reset(token)


def learning_will_go_on() -> bool:
    """Return whether the caller is in an evaluation after which learning continues."""
    return _learning_goes_on.get()


class Transition(NamedTuple):
    """Result of a step of N environments.

    Attributes:
        obs: Observations to act on next [N, ...]; for an environment whose episode is over, the first observation of its next one.
        reward: [N], float32.
        terminated: The episode ended [N], bool.
        truncated: The episode was cut by a time limit [N], bool.
        final_obs: Observations that the actions led to [N, ...]; differs from `obs` only where an episode is over.
        extras: Further arrays by name, exactly those that the task declares in `extras`: `cost`, what the step cost [N], float32;
            `legal`, which actions are allowed at `obs` [N, A], bool; `goal`, what is to be reached from `obs` [N, ...].
    """

    obs: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    final_obs: np.ndarray
    extras: Mapping[str, np.ndarray] = {}


class Envs(ABC):
    """N environments in step, whose position can be saved. Returned arrays are never written to again.

    A learned model of an environment is an `Envs` as well: agents that plan or learn in environments use it unchanged.

    Args:
        num_envs: N, at least 1.
        input_space: Space of one observation.
        output_space: Space of one action.
    """

    def __init__(self, num_envs: int, input_space: gymnasium.Space, output_space: gymnasium.Space) -> None:
        self.num_envs = num_envs
        self.input_space = input_space
        self.output_space = output_space
        self._return = np.zeros(num_envs)
        self._length = np.zeros(num_envs, dtype=np.int64)
        self._finished: list[tuple[int, float, int]] = []

    @abstractmethod
    def reset(self) -> np.ndarray:
        """Return first observations [N, ...]. Called once, before the first step."""

    def restart(self) -> np.ndarray:
        """Return first observations [N, ...] of new episodes; those under way are abandoned and not counted."""
        self._return[:] = 0.0
        self._length[:] = 0
        return self.reset()

    @abstractmethod
    def step(self, actions: np.ndarray) -> Transition:
        """Take actions [N, ...]. An implementation ends with `self._count(reward, terminated | truncated)`."""

    def extras(self) -> Mapping[str, np.ndarray]:
        """Return the extras that belong to the current observations (`legal`, `goal`), also before the first step; none by default."""
        return {}

    def final_extras(self) -> Mapping[str, np.ndarray]:
        """Return the extras that belong to the `final_obs` of the last step.

        By default those of the current observations, which are the same where no episode is over, and of no use where one terminated.
        An implementation whose episodes may be truncated overrides it.
        """
        return self.extras()

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Return the position of the environments; it includes `self._counters()`."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Any]) -> np.ndarray:
        """Restore `state` and return the current observations [N, ...]. It replaces `reset`."""

    def close(self) -> None:
        """Release the resources of the environments."""

    def pop_episodes(self) -> list[tuple[int, float, int]]:
        """Return the episodes finished since the last call, in order: (environment's index, return, length in steps)."""
        finished, self._finished = self._finished, []
        return finished

    def episode_metrics(self) -> dict[str, float]:
        """Return mean return and length of the episodes finished since the last call, and forget these; {} if there were none."""
        episodes = self.pop_episodes()
        if not episodes:
            return {}
        _, returns, lengths = zip(*episodes, strict=True)
        return {"episode_return": float(np.mean(returns)), "episode_length": float(np.mean(lengths))}

    def fork(self, seed: int) -> Envs:
        """Return a copy for looking ahead; stepping it leaves these environments unchanged.

        Chance after the fork is the copy's own where the implementation can draw it from `seed`; one that keeps the numbers to come,
        as this deep copy does, shows the future.
        """
        return copy.deepcopy(self)

    def _count(self, reward: np.ndarray, over: np.ndarray) -> None:
        self._return += reward
        self._length += 1
        if over.any():
            for env in np.flatnonzero(over):
                self._finished.append((int(env), float(self._return[env]), int(self._length[env])))
            self._return[over] = 0.0
            self._length[over] = 0

    def _counters(self) -> dict[str, Any]:
        return {
            "return": self._return.copy(),
            "length": self._length.copy(),
            "finished": [[env, return_, length] for env, return_, length in self._finished],
        }

    def _load_counters(self, state: Mapping[str, Any]) -> None:
        self._return = np.array(state["return"])
        self._length = np.array(state["length"])
        self._finished = [(int(env), float(return_), int(length)) for env, return_, length in state["finished"]]
