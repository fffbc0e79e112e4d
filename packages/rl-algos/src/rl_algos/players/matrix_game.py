"""Zero-sum games in normal form: two players choose at once, and what the row player gains the column player loses.

Source: J. von Neumann, "Zur Theorie der Gesellschaftsspiele", 1928 (value); G. B. Dantzig, "A proof of the equivalence of the programming
problem and the game problem", 1951 (the linear program). Departures: none. Letters: M rows, K columns, N environments.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from gymnasium import spaces
from scipy.optimize import linprog

from rl_core.config import Count, Doc, Whole, configclass
from rl_core.envs import Envs, Transition
from rl_core.seeds import Seeds
from rl_core.task import ControlTask, Predict

GAMES: dict[str, tuple[tuple[float, ...], ...]] = {
    "matching-pennies": ((1.0, -1.0), (-1.0, 1.0)),
    "rock-paper-scissors": ((0.0, -1.0, 1.0), (1.0, 0.0, -1.0), (-1.0, 1.0, 0.0)),
    "dear-rock": ((0.0, -1.0, 2.0), (1.0, 0.0, -1.0), (-2.0, 1.0, 0.0)),
}
"""Payoffs of the row player; in `dear-rock` a win of rock over scissors counts twice: its equilibrium is (1/4, 1/2, 1/4)."""


@configclass
class MatrixGameConfig:
    """A game."""

    game: Annotated[Literal["matching-pennies", "rock-paper-scissors", "dear-rock", "random"], Doc("which payoffs")] = "dear-rock"
    size: Annotated[Count, Doc("rows and columns of a random game")] = 5
    game_seed: Annotated[Whole, Doc("which random game; its payoffs are standard normal")] = 0
    rounds: Annotated[Count, Doc("rounds of an episode")] = 100


def solve(payoffs: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Return the value of a game and an equilibrium: strategies of rows [M] and columns [K], by linear programs.

    >>> value, rows, columns = solve(np.array(GAMES["dear-rock"]))
    >>> round(value, 6) + 0.0, rows.round(4).tolist()
    (0.0, [0.25, 0.5, 0.25])
    """

    def best(gains: np.ndarray) -> tuple[float, np.ndarray]:
        rows, columns = gains.shape
        cost = np.append(np.zeros(rows), -1.0)  # maximise v with v <= (x^T A)_j
        bound = np.hstack([-gains.T, np.ones((columns, 1))])
        whole = np.append(np.ones(rows), 0.0)[None]
        solved = linprog(cost, bound, np.zeros(columns), whole, [1.0], [(0, None)] * rows + [(None, None)])
        return float(solved.x[-1]), solved.x[:-1]

    value, rows = best(payoffs)
    return value, rows, best(-payoffs.T)[1]


def exploitability(payoffs: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> float:
    """Return what both players gain together by answering best: max_i (A y)_i - min_j (x^T A)_j, 0 in an equilibrium alone.

    Args:
        payoffs: A [M, K].
        rows: x, strategy of the row player [M].
        columns: y, strategy of the column player [K].

    Both play rock: paper beats it, for a gain of 1 each.

    >>> rock = np.array([1.0, 0.0, 0.0])
    >>> exploitability(np.array(GAMES["rock-paper-scissors"]), rock, rock)
    2.0
    """
    return float((payoffs @ columns).max() - (rows @ payoffs).min())


class MatrixEnvs(Envs):
    """N tables at which the column player plays an equilibrium.

    Args:
        payoffs: A [M, K].
        columns: Strategy of the column player [K].
        num_envs: N.
        seeds: The stream `environments` gives its choices.
        rounds: Of an episode.
    """

    def __init__(self, payoffs: np.ndarray, columns: np.ndarray, num_envs: int, seeds: Seeds, rounds: int) -> None:
        super().__init__(num_envs, spaces.Discrete(1), spaces.Discrete(len(payoffs)))
        self._payoffs, self._cumulative, self._rounds = payoffs, np.cumsum(columns), rounds
        self._rng = seeds.numpy("environments")

    def reset(self) -> np.ndarray:
        """Return the only observation there is [N]."""
        return np.zeros(self.num_envs, dtype=np.int64)

    def step(self, actions: np.ndarray) -> Transition:
        """Play rows [N]."""
        column = np.minimum(np.searchsorted(self._cumulative, self._rng.random(self.num_envs)), self._payoffs.shape[1] - 1)
        reward = self._payoffs[np.asarray(actions), column].astype(np.float32)
        truncated = self._length + 1 >= self._rounds
        self._count(reward, truncated)
        return Transition(self.reset(), reward, np.zeros(self.num_envs, dtype=np.bool_), truncated, self.reset())

    def state_dict(self) -> dict[str, Any]:
        """Return the counters; the column player's stream is saved with the run."""
        return self._counters()

    def load_state_dict(self, state: Mapping[str, Any]) -> np.ndarray:
        """Restore `state`; return the only observation there is [N]."""
        self._load_counters(state)
        return self.reset()


class MatrixGame(ControlTask):
    """A game in normal form. The score of a row player is how much less than the game's value its strategy secures.

    Attributes:
        payoffs: A [M, K], of the row player.
        value: Of the game.
        equilibrium: Strategies of both players [M] and [K].
    """

    Config: ClassVar[type] = MatrixGameConfig
    metric = "exploitability"
    higher_is_better = False
    target = 0.05

    def __init__(self, config: MatrixGameConfig) -> None:
        super().__init__(config)
        if config.game == "random":
            rng = np.random.Generator(np.random.PCG64(config.game_seed))
            self.payoffs = rng.standard_normal((config.size, config.size))
        else:
            self.payoffs = np.array(GAMES[config.game])
        value, rows, columns = solve(self.payoffs)
        self.value, self.equilibrium = value, (rows, columns)
        self.input_space, self.output_space = spaces.Discrete(1), spaces.Discrete(len(self.payoffs))
        self.discount = 0.0

    def traits(self) -> frozenset[str]:
        """Return the traits, with `matrix-game`: the payoffs are known."""
        return super().traits() | {"matrix-game"}

    def envs(self, num_envs: int, seeds: Seeds) -> MatrixEnvs:
        """Return tables at which the column player plays its equilibrium."""
        return MatrixEnvs(self.payoffs, self.equilibrium[1], num_envs, seeds, self.config.rounds)

    def evaluate(self, predict: Predict, *, episodes: int, seeds: Seeds) -> dict[str, float]:
        """Return what a best answer takes from the frequencies of a player's choices, over 100 choices an episode."""
        chosen = np.asarray(predict(np.zeros(100 * episodes, dtype=np.int64)))
        rows = np.bincount(chosen, minlength=len(self.payoffs)) / len(chosen)
        return {"exploitability": float(self.value - (rows @ self.payoffs).min()), "episodes": float(episodes)}
