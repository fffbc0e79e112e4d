"""Rules of board games of two players who move in turn and of whom one wins what the other loses.

A board is a row of numbers: 1 a stone of the player to move, -1 one of the other player, 0 an empty cell. After a move the board is seen
from the other side, so that one function serves both players.

Letters: B boards, C cells, A actions, Z symmetries.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Rules(NamedTuple):
    """A game as compiled functions of boards.

    Attributes:
        play: Moves in place: (boards [B, C] int8, actions [B], reward [B] float32, over [B] bool). The reward is that of the player who
            moves, 1 for a win; a move that is not allowed loses, -1. The boards are seen from the other player afterwards.
        legal: Which actions are allowed [B, A], bool, on boards [B, C].
        shape: Rows and columns of the board.
        num_actions: A.
        cells: For each symmetry of the game, which cell each cell of a board is taken from [Z, C].
        actions: For each symmetry, which action each action is taken from [Z, A].
    """

    play: Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], None]
    legal: Callable[[np.ndarray], np.ndarray]
    shape: tuple[int, int]
    num_actions: int
    cells: np.ndarray
    actions: np.ndarray

    @property
    def num_cells(self) -> int:
        """C."""
        return self.shape[0] * self.shape[1]

    def start(self, count: int) -> np.ndarray:
        """Return empty boards [B, C]."""
        return np.zeros((count, self.num_cells), dtype=np.int8)

    def move(self, boards: np.ndarray, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Play actions [B] on boards [B, C], in place; return rewards [B] and whether each game is over [B]."""
        reward, over = np.empty(len(boards), dtype=np.float32), np.empty(len(boards), dtype=np.bool_)
        self.play(boards, np.asarray(actions, dtype=np.int64), reward, over)
        return reward, over

    def planes(self, boards: np.ndarray) -> np.ndarray:
        """Return boards as pictures [B, rows, columns, 2], float32: the stones of the player to move, and the other's."""
        return np.stack([boards == 1, boards == -1], axis=-1).astype(np.float32).reshape(len(boards), *self.shape, 2)

    def boards(self, planes: np.ndarray) -> np.ndarray:
        """Return the boards [B, C] of pictures [B, rows, columns, 2]."""
        flat = np.asarray(planes).reshape(len(planes), self.num_cells, 2)
        return (flat[..., 0].astype(np.int8) - flat[..., 1].astype(np.int8)).copy()
