"""Positions of games that an agent plays against itself, with what is known of them once a game is over.

Letters: G games, C cells, A actions, T most moves of a game.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from rl_algos.games.rules import Rules
from rl_algos.parts.ranges import require_array


class Ended(NamedTuple):
    """Games that a move ended.

    Attributes:
        results: 1 where the player who moved last won, 0 for a draw.
        lengths: Moves of each game.
    """

    results: list[float]
    lengths: list[int]


class Positions:
    """Games under way, and a ring of positions with the shares of visits and what they are worth to the player to move.

    A position is worth the result of its game, or a mean of that and of the value that the search gave it.

    Args:
        capacity: Positions that are kept.
        num_games: G.
        rules: The game.
        search_share: Weight of the search's value in that mean, in [0, 1].

    Attributes:
        boards: Of the games under way [G, C].
        lengths: Moves of the games under way [G].
        num_added: Positions ever added.
    """

    def __init__(self, capacity: int, num_games: int, rules: Rules, search_share: float = 0.0) -> None:
        self.rules, self._search_share = rules, search_share
        actions, most = rules.num_actions, rules.num_cells
        self.boards, self.lengths = rules.start(num_games), np.zeros(num_games, dtype=np.int64)
        self._seen = np.zeros((num_games, most, rules.num_cells), dtype=np.int8)
        self._shares = np.zeros((num_games, most, actions), dtype=np.float32)
        self._values = np.zeros((num_games, most), dtype=np.float32)
        self._known: tuple[np.ndarray, ...] = (
            np.zeros((capacity, rules.num_cells), dtype=np.int8),
            np.zeros((capacity, actions), dtype=np.float32),
            np.zeros(capacity, dtype=np.float32),
        )
        self.num_added = 0

    def __len__(self) -> int:
        """Positions that can be drawn."""
        return min(self.num_added, len(self._known[0]))

    def play(self, actions: np.ndarray, shares: np.ndarray, values: np.ndarray) -> Ended:
        """Play actions [G] of searches with shares of visits [G, A] and values of their roots [G]; games that are over begin anew."""
        games = np.arange(len(actions))
        self._seen[games, self.lengths], self._shares[games, self.lengths] = self.boards, shares
        self._values[games, self.lengths] = values
        reward, over = self.rules.move(self.boards, actions)
        self.lengths += 1
        ends = np.flatnonzero(over)
        ended = Ended([abs(float(reward[game])) for game in ends], [int(self.lengths[game]) for game in ends])
        for game in ends:
            self._add(int(game), float(reward[game]))
        self.boards[ends], self.lengths[ends], self._seen[ends], self._shares[ends], self._values[ends] = 0, 0, 0, 0.0, 0.0
        return ended

    def _add(self, game: int, reward: float) -> None:
        """Add the positions of a game whose last move earned `reward`; the result changes its sign from one position to the next."""
        length = int(self.lengths[game])
        result = reward * (1.0 - 2.0 * (np.arange(length)[::-1] % 2))
        worth = result + self._search_share * (self._values[game, :length] - result)
        places = (self.num_added + np.arange(length)) % len(self._known[0])
        for ring, values in zip(self._known, (self._seen[game, :length], self._shares[game, :length], worth), strict=True):
            ring[places] = values
        self.num_added += length

    def sample(self, rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return boards [B, C], shares [B, A] and worths [B] of positions drawn with replacement, each in a symmetry that is drawn too."""
        drawn, symmetry = rng.integers(len(self), size=count), rng.integers(len(self.rules.cells), size=count)
        boards, shares, worth = (ring[drawn] for ring in self._known)
        boards = np.take_along_axis(boards, self.rules.cells[symmetry], axis=1)
        return boards, np.take_along_axis(shares, self.rules.actions[symmetry], axis=1), worth

    def state_dict(self) -> dict[str, Any]:
        """Return games and positions."""
        size, most = len(self), int(self.lengths.max(initial=0))
        under_way = {"boards": self.boards, "lengths": self.lengths, "seen": self._seen[:, :most], "shares": self._shares[:, :most]}
        under_way["values"] = self._values[:, :most]
        known = {f"known_{index}": ring[:size] for index, ring in enumerate(self._known)}
        return {name: array.copy() for name, array in (under_way | known).items()} | {"num_added": self.num_added}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned.

        Raises:
            ValueError: if an array has another shape or type than here, or a number is out of range.
        """
        lengths = require_array("lengths", state["lengths"], self.lengths, 0, self._seen.shape[1])
        num_added, most = int(state["num_added"]), int(lengths.max(initial=0))
        if num_added < 0:
            raise ValueError(f"num_added is {num_added}; expected at least 0")
        size = min(num_added, len(self._known[0]))
        boards = require_array("boards", state["boards"], self.boards)
        seen = require_array("seen", state["seen"], self._seen[:, :most])
        shares = require_array("shares", state["shares"], self._shares[:, :most])
        values = require_array("values", state["values"], self._values[:, :most])
        known = [require_array(f"known_{index}", state[f"known_{index}"], ring[:size]) for index, ring in enumerate(self._known)]
        self.boards, self.lengths, self.num_added = boards.copy(), lengths.copy(), num_added
        self._seen[:, :most], self._shares[:, :most], self._values[:, :most] = seen, shares, values
        for ring, values in zip(self._known, known, strict=True):
            ring[:size] = values
