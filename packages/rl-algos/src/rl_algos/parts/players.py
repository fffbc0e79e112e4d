"""Players: policies asked step by step, which remember each environment's episode, and which actions are allowed.

Letters: N environments, S numbers of a state, A actions.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


class Player:
    """Answers step by step, with a memory of each environment's episode; see `rl_core.task.Predict`.

    Args:
        answer: Returns answers [N, ...] and the next states [N, S], from inputs [N, ...] and states.
        state_size: S.
    """

    def __init__(self, answer: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]], state_size: int) -> None:
        self._answer = answer
        self._state = np.zeros((0, state_size), np.float32)

    @property
    def remembers(self) -> bool:
        """True if an answer depends on the inputs before, too."""
        return self._state.shape[1] > 0

    def begin(self, starts: np.ndarray) -> None:
        """Reset the memory of the environments that start a new episode [N]."""
        if len(starts) != len(self._state):
            self._state = np.zeros((len(starts), self._state.shape[1]), np.float32)
        self._state = reset_where(self._state, starts)

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """Return answers [N, ...] to inputs [N, ...] that follow those before."""
        answers, self._state = self._answer(inputs, self._state)
        return answers


class MaskedPlayer(Player):
    """A player that takes none but allowed actions; see `rl_core.task.PredictAllowed`.

    Args:
        answer: Returns answers [N, ...] and the next states [N, S], from inputs [N, ...], states and the actions allowed [N, A].
        state_size: S; 0 for a policy without memory.
    """

    def __init__(self, answer: Callable[..., tuple[np.ndarray, np.ndarray]], state_size: int) -> None:
        self._legal: np.ndarray | None = None
        super().__init__(lambda inputs, state: answer(inputs, state, self._legal), state_size)

    def allow(self, legal: np.ndarray) -> None:
        """Take note of the actions that are allowed at the next inputs [N, A]."""
        self._legal = legal


def reset_where(state: np.ndarray, over: np.ndarray) -> np.ndarray:
    """Return states [N, S], 0 where an episode is over [N].

    >>> reset_where(np.ones((2, 1), np.float32), np.array([True, False])).tolist()
    [[0.0], [1.0]]
    """
    return np.where(over[:, None], np.float32(0.0), state)
