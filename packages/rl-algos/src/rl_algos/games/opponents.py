"""Opponents in board games: at random, perfect where the game is solved, and by tree search with random continuations.

Letters: B boards, A actions.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rl_algos.games.known_game import KnownGame
from rl_algos.games.rules import Rules
from rl_algos.tree_search.forest import grown, masked_priors, visit_shares
from rl_algos.tree_search.tree import Search

Opponent = Callable[[np.ndarray, np.random.Generator], np.ndarray]
"""Function from boards [B, C] and a random stream to allowed actions [B]."""


def random_moves(rules: Rules) -> Opponent:
    """Return an opponent that takes any allowed action."""

    def choose(boards: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        allowed = rules.legal(boards)
        return np.argmax(np.where(allowed, rng.random(allowed.shape), -1.0), axis=1)

    return choose


class Rollouts(KnownGame):
    """A known game whose boards are worth the results of random play, with even priors.

    Args:
        rules: The game.
        boards: Boards of the roots [B, C].
        num_nodes: Most nodes of a tree.
        rng: Source of the random play.
    """

    def __init__(self, rules: Rules, boards: np.ndarray, num_nodes: int, rng: np.random.Generator) -> None:
        super().__init__(rules, boards, num_nodes, self.played_out)
        self.rng, self.random = rng, random_moves(rules)

    def played_out(self, boards: np.ndarray, over: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the results of random play [B] and even priors [B, A]."""
        allowed = self.rules.legal(boards)
        return self.results(boards, over), masked_priors(np.zeros(allowed.shape), allowed | over[:, None])

    def results(self, boards: np.ndarray, over: np.ndarray) -> np.ndarray:
        """Return the results [B] of random play for the players to move; 0 where the game is over."""
        result, sign = np.zeros(len(boards)), 1.0
        under_way, boards = np.flatnonzero(~over), boards[~over].copy()
        while len(under_way):
            reward, ended = self.rules.move(boards, self.random(boards, self.rng))
            result[under_way] = sign * reward
            under_way, boards, sign = under_way[~ended], boards[~ended], -sign
        return result


def searching(rules: Rules, num_simulations: int) -> Opponent:
    """Return an opponent that takes the action which a search by UCB1 with random rollouts visits most.

    Source: Kocsis and Szepesvari, *Bandit based Monte-Carlo planning*, 2006; the settings are the usual ones for results in [-1, 1].
    """
    search = Search(num_simulations, 1.4, rules.num_cells, -1.0, best=False, merge=False)

    def choose(boards: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        model, allowed = Rollouts(rules, boards, num_simulations + 1, rng), rules.legal(boards)
        priors = masked_priors(np.zeros(allowed.shape), allowed)
        forest = grown(model, np.zeros(len(boards)), priors, search, rng, bounds=(-1.0, 1.0), by_priors=False)
        return np.argmax(visit_shares(forest), axis=1)

    return choose
