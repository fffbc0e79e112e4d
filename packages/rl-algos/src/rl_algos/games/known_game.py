"""The rules of a game as a model for searches.

Letters: B boards, C cells, A actions.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rl_algos.games.rules import Rules
from rl_algos.tree_search.forest import Leaves


class KnownGame:
    """A model for searches: the rules of a game, and what judges its boards.

    Args:
        rules: The game.
        boards: Boards of the roots [B, C].
        num_nodes: Most nodes of a tree.
        judge: Returns values [B] and priors [B, A] of boards [B, C], given whether each game is over [B]; of those they have no meaning.
    """

    def __init__(
        self, rules: Rules, boards: np.ndarray, num_nodes: int, judge: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
    ) -> None:
        self.rules, self.judge = rules, judge
        self.boards = np.zeros((len(boards), num_nodes, rules.num_cells), dtype=np.int8)
        self.boards[:, 0] = boards
        self.trees = np.arange(len(boards))

    def expand(self, node: np.ndarray, action: np.ndarray, place: np.ndarray) -> Leaves:
        """Return rewards, ends, values and priors after actions [B] at nodes [B]."""
        boards = self.boards[self.trees, node]
        reward, over = self.rules.move(boards, action)
        kept = np.flatnonzero(~over)
        self.boards[kept, place[kept]] = boards[kept]
        return Leaves(reward, over, *self.judge(boards, over))
