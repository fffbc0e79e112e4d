"""Tic-tac-toe: three in a row on 3 x 3 cells, and its perfect players.

Source: the game of the public domain; the number of positions, 5,478, is that of S. Schaefer, "MathRec solutions (tic-tac-toe)", 2002.
Departures: none. Letters: B boards.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from dl_nets.fast.kernels import kernel
from rl_algos.games.rules import Rules

LINES = np.array([[0, 1, 2], [3, 4, 5], [6, 7, 8], [0, 3, 6], [1, 4, 7], [2, 5, 8], [0, 4, 8], [2, 4, 6]])


@kernel
def play(boards: np.ndarray, actions: np.ndarray, reward: np.ndarray, over: np.ndarray) -> None:
    """Set stones on boards [B, 9] at cells [B]; see `Rules.play`."""
    for b in range(len(boards)):
        board, cell = boards[b], actions[b]
        reward[b], over[b] = 0.0, False
        if board[cell] != 0:
            reward[b], over[b] = -1.0, True
        else:
            board[cell] = 1
            full = True
            for i in range(9):
                full &= board[i] != 0
            over[b] = full
            for line in range(8):
                if board[LINES[line, 0]] + board[LINES[line, 1]] + board[LINES[line, 2]] == 3:
                    reward[b], over[b] = 1.0, True
        for i in range(9):
            board[i] = -board[i]


@kernel
def legal(boards: np.ndarray) -> np.ndarray:
    """Return which cells are empty [B, 9]."""
    return boards == 0


GRID = np.arange(9).reshape(3, 3)
TURNED = np.stack([np.rot90(grid, turns) for grid in (GRID, GRID[:, ::-1]) for turns in range(4)]).reshape(8, -1)
RULES = Rules(play, legal, (3, 3), 9, TURNED, TURNED)


@cache
def values() -> dict[bytes, tuple[float, tuple[int, ...]]]:
    """Return, for every position that play can reach, its value under perfect play for the player to move, and the moves that keep it.

    >>> value, moves = values()[RULES.start(1).tobytes()]
    >>> value, len(moves), len(values())  # a draw whatever is played first; positions that end a game are not counted
    (0.0, 9, 4520)
    """
    known: dict[bytes, tuple[float, tuple[int, ...]]] = {}

    def solve(board: np.ndarray) -> float:
        key = board.tobytes()
        if key not in known:
            worth = {}
            for cell in np.flatnonzero(board == 0):
                after = board[None].copy()
                reward, over = RULES.move(after, np.array([cell]))
                worth[int(cell)] = float(reward[0]) if over[0] else -solve(after[0])
            best = max(worth.values())
            known[key] = best, tuple(cell for cell, value in worth.items() if value == best)
        return known[key][0]

    solve(RULES.start(1)[0])
    return known


def perfect(boards: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return perfect moves [B] on boards [B, 9], at random among those that are equally good."""
    moves = [values()[board.tobytes()][1] for board in boards]
    return np.array([choice[int(uniform * len(choice))] for choice, uniform in zip(moves, rng.random(len(boards)), strict=True)], np.int64)
