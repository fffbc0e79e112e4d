"""Board games as control tasks: the opponent's move is a part of the transition.

An observation is the board as a picture of two planes, the stones of the player to move and the other's; an action is a move. The reward
is 1 for a win, -1 for a loss, 0 otherwise, and a move that is not allowed loses. Each player begins every other episode.

Letters: N environments.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from gymnasium import spaces

from rl_algos.games import connect_four, tic_tac_toe
from rl_algos.games.opponents import Opponent, random_moves, searching
from rl_algos.games.rules import Rules
from rl_algos.parts.ranges import require_array
from rl_algos.tasks.sketches import board
from rl_core.config import Count, Doc, configclass
from rl_core.envs import Envs, Transition
from rl_core.seeds import Seeds
from rl_core.task import ControlTask, Predict


@configclass
class GameConfig:
    """Settings of a game against an opponent."""

    opponent: Annotated[
        Literal["random", "search", "perfect"], Doc("who is played against; perfect where the game is small enough to be solved")
    ] = "random"
    simulations: Annotated[Count, Doc("simulations of the opponent that searches, before each of its moves")] = 100


class GameEnvs(Envs):
    """N games against one opponent.

    Args:
        rules: The game.
        opponent: Who is played against.
        num_envs: N.
        seeds: The stream `environments` gives the opponent's draws.
    """

    def __init__(self, rules: Rules, opponent: Opponent, num_envs: int, seeds: Seeds) -> None:
        super().__init__(num_envs, *_spaces(rules))
        self._rules, self._opponent = rules, opponent
        self._rng = seeds.numpy("environments")
        self._boards = rules.start(num_envs)
        self._begins = np.zeros(num_envs, dtype=np.bool_)  # whether the opponent begins the game under way

    @property
    def boards(self) -> np.ndarray:
        """The boards [N, C]; not to be written to."""
        return self._boards

    def reset(self) -> np.ndarray:
        """Return first observations [N, rows, columns, 2]; the opponent begins in every other environment."""
        self._begins = np.arange(self.num_envs) % 2 == 1
        self._boards[:] = 0
        self._reply(np.flatnonzero(self._begins))
        return self._rules.planes(self._boards)

    def step(self, actions: np.ndarray) -> Transition:
        """Play actions [N], and the opponent's answers."""
        reward, over = self._rules.move(self._boards, actions)
        under_way = np.flatnonzero(~over)
        answer, ended = self._reply(under_way)
        reward[under_way], over[under_way] = -answer, ended
        final_obs = self._rules.planes(self._boards)
        if over.any():
            ends = np.flatnonzero(over)
            self._boards[ends] = 0
            self._begins[ends] = ~self._begins[ends]
            self._reply(ends[self._begins[ends]])
        obs = self._rules.planes(self._boards) if over.any() else final_obs
        self._count(reward, over)
        return Transition(obs, reward, over, np.zeros(self.num_envs, dtype=np.bool_), final_obs, self.extras())

    def _reply(self, games: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Let the opponent move in some games [n]; return its rewards [n] and whether the games are over [n]."""
        if not len(games):
            return np.zeros(0, dtype=np.float32), np.zeros(0, dtype=np.bool_)
        boards = self._boards[games]
        reward, over = self._rules.move(boards, self._opponent(boards, self._rng))
        self._boards[games] = boards
        return reward, over

    def extras(self) -> Mapping[str, np.ndarray]:
        """Return which actions are allowed, `legal` [N, A]."""
        return {"legal": self._rules.legal(self._boards)}

    def state_dict(self) -> dict[str, Any]:
        """Return boards, and who began; the opponent's stream is saved with the run."""
        return {"boards": self._boards.copy(), "begins": self._begins.copy(), **self._counters()}

    def load_state_dict(self, state: Mapping[str, Any]) -> np.ndarray:
        """Restore `state`; return its observations.

        Raises:
            ValueError: if an array has another shape or type than here.
        """
        self._boards = require_array("boards", state["boards"], self._boards).copy()
        self._begins = require_array("begins", state["begins"], self._begins).copy()
        self._load_counters(state)
        return self._rules.planes(self._boards)


class SelfPlayEnvs(GameEnvs):
    """N games without an opponent: the learner plays both sides, and sees each board from the side that moves.

    Args:
        rules: The game.
        num_envs: N.
        seeds: Not drawn from.
    """

    def __init__(self, rules: Rules, num_envs: int, seeds: Seeds) -> None:
        super().__init__(rules, random_moves(rules), num_envs, seeds)

    def reset(self) -> np.ndarray:
        """Return observations of empty boards [N, rows, columns, 2]."""
        self._boards[:] = 0
        return self._rules.planes(self._boards)

    def step(self, actions: np.ndarray) -> Transition:
        """Play actions [N]; the reward is that of the side that moved."""
        reward, over = self._rules.move(self._boards, actions)
        final_obs = self._rules.planes(self._boards)
        self._boards[over] = 0
        obs = self._rules.planes(self._boards) if over.any() else final_obs
        self._count(reward, over)
        return Transition(obs, reward, over, np.zeros(self.num_envs, dtype=np.bool_), final_obs, self.extras())


def _spaces(rules: Rules) -> tuple[spaces.Box, spaces.Discrete]:
    return spaces.Box(0.0, 1.0, (*rules.shape, 2), np.float32), spaces.Discrete(rules.num_actions)


class GameTask(ControlTask):
    """A game of two players against an opponent; it offers the trait `game`.

    Attributes:
        rules: The game, which agents that play against themselves use.
    """

    Config: ClassVar[type] = GameConfig
    extras = ("legal",)
    rules: Rules
    perfect: Opponent | None = None

    def __init__(self, config: GameConfig) -> None:
        super().__init__(config)
        self.input_space, self.output_space = _spaces(self.rules)
        if config.opponent == "perfect" and self.perfect is None:
            raise ValueError(f"opponent is perfect, but {type(self).__name__} is too large to be solved here; take random or search")

    def traits(self) -> frozenset[str]:
        """Return the traits, with `game`: the rules are known."""
        return super().traits() | {"game"}

    def envs(self, num_envs: int, seeds: Seeds) -> Envs:
        """Return N games."""
        return GameEnvs(self.rules, self.opponent(), num_envs, seeds)

    def legal_at(self, inputs: np.ndarray) -> np.ndarray:
        """Return which moves are allowed [B, A] on boards [B, rows, columns, 2]."""
        return self.rules.legal(self.rules.boards(inputs))

    frames_per_second = 1.0

    def picture(self, envs: Envs) -> np.ndarray | None:
        """Return a picture of the first game, in which the learner is to move."""
        assert isinstance(envs, GameEnvs)
        return board(envs.boards[0], self.rules.shape)

    def opponent(self) -> Opponent:
        """Return who is played against."""
        config: GameConfig = self.config
        if config.opponent == "perfect" and self.perfect is not None:
            return self.perfect
        return random_moves(self.rules) if config.opponent == "random" else searching(self.rules, config.simulations)

    def evaluate(self, predict: Predict, *, episodes: int, seeds: Seeds) -> dict[str, float]:
        """Return the scores of every control task, and the shares of games won, drawn and lost."""
        scores, signs = super().evaluate(predict, episodes=episodes, seeds=seeds), np.sign(self.returns)
        return scores | {name: float((signs == sign).mean()) for name, sign in (("won", 1), ("drawn", 0), ("lost", -1))}


class TicTacToe(GameTask):
    """Tic-tac-toe. Perfect play wins 0.87 and draws 0.13 against random play, on average over both sides."""

    rules = tic_tac_toe.RULES
    perfect = staticmethod(tic_tac_toe.perfect)


class ConnectFour(GameTask):
    """Connect four, on 6 x 7 cells."""

    rules = connect_four.RULES
