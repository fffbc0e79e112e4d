"""Connect four: stones fall into seven columns of six cells; four in a row, column or diagonal win.

Source: the game of Wexler and Strongin, 1974; V. Allis, "A knowledge-based approach of connect-four", 1988, proves that the first player
wins. Departures: none. Letters: B boards.
"""

from __future__ import annotations

import numpy as np

from dl_nets.fast.kernels import inlined, kernel
from rl_algos.games.rules import Rules

ROWS, COLUMNS = 6, 7


@inlined
def stones(board: np.ndarray, row: int, column: int, down: int, right: int) -> int:
    """Return how many stones of the player to move follow a cell without a gap in one direction."""
    count = 0
    while True:
        row, column = row + down, column + right
        if row < 0 or row >= ROWS or column < 0 or column >= COLUMNS or board[row * COLUMNS + column] != 1:
            return count
        count += 1


@kernel
def play(boards: np.ndarray, actions: np.ndarray, reward: np.ndarray, over: np.ndarray) -> None:
    """Drop stones into columns [B] of boards [B, 42], whose first row is the top; see `Rules.play`."""
    for b in range(len(boards)):
        board, column = boards[b], actions[b]
        reward[b], over[b] = 0.0, False
        row = ROWS - 1
        while row >= 0 and board[row * COLUMNS + column] != 0:
            row -= 1
        if row < 0:
            reward[b], over[b] = -1.0, True
        else:
            board[row * COLUMNS + column] = 1
            full = True
            for top in range(COLUMNS):
                full &= board[top] != 0
            over[b] = full
            for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
                if stones(board, row, column, down, right) + stones(board, row, column, -down, -right) >= 3:
                    reward[b], over[b] = 1.0, True
        for i in range(ROWS * COLUMNS):
            board[i] = -board[i]


@kernel
def legal(boards: np.ndarray) -> np.ndarray:
    """Return which columns have an empty cell [B, 7]."""
    return boards[:, :COLUMNS] == 0


GRID = np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS)
MIRRORED = np.stack([GRID, GRID[:, ::-1]]).reshape(2, -1)
RULES = Rules(play, legal, (ROWS, COLUMNS), COLUMNS, MIRRORED, MIRRORED[:, :COLUMNS])
