"""Games of two players with one payoff, whose best joint action is known: climbing, penalty, and the two-step game.

Source: C. Claus, C. Boutilier, "The dynamics of reinforcement learning in cooperative multiagent systems", 1998, sections 4 and 5, for the
climbing and the penalty game; T. Rashid and others, "QMIX", 2018, section 5 and figure 3, for the two-step game. Departures: none.
Letters: N environments, S states, A actions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np

from rl_algos.parts.ranges import require_array
from rl_algos.players.team import TeamTask
from rl_core.config import Doc, configclass
from rl_core.envs import Envs, Transition
from rl_core.seeds import Seeds


class TeamGame(NamedTuple):
    """A game as tables.

    Attributes:
        payoffs: Of both players [S, A, A].
        following: State after an action of the first player [S, A]; -1 ends the game.
    """

    payoffs: np.ndarray
    following: np.ndarray

    def best(self) -> float:
        """Return the largest sum of payoffs from state 0 on, by going through all joint actions.

        >>> [GAMES[name].best() for name in sorted(GAMES)]
        [11.0, 10.0, 8.0]
        """

        def value(state: int) -> float:
            later = np.array([0.0 if after < 0 else value(int(after)) for after in self.following[state]])
            return float((self.payoffs[state] + later[:, None]).max())

        return value(0)


def _once(payoffs: list[list[float]]) -> TeamGame:
    table = np.array([payoffs])
    return TeamGame(table, np.full(table.shape[:2], -1))


GAMES = {
    "climbing": _once([[11, -30, 0], [-30, 7, 6], [0, 0, 5]]),
    "penalty": _once([[10, 0, -10], [0, 2, 0], [-10, 0, 10]]),
    "two-step": TeamGame(np.array([[[0, 0], [0, 0]], [[7, 7], [7, 7]], [[0, 1], [1, 8]]], float), np.array([[1, 2], [-1, -1], [-1, -1]])),
}
"""The games; in `penalty` k is -10."""


@configclass
class TeamGameConfig:
    """A game of one payoff."""

    game: Annotated[Literal["climbing", "penalty", "two-step"], Doc("which game")] = "climbing"


class TeamGameEnvs(Envs):
    """N tables at which two players choose at once.

    Args:
        task: The game.
        num_envs: N.
    """

    def __init__(self, task: TeamGameTask, num_envs: int) -> None:
        super().__init__(num_envs, task.input_space, task.output_space)
        self._game = task.game
        self._state = np.zeros(num_envs, dtype=np.int64)
        self._seen = np.repeat(np.eye(len(self._game.payoffs) + 1, dtype=np.float32)[:, None], 2, axis=1)  # [S + 1, 2, S + 1]

    def reset(self) -> np.ndarray:
        """Return first observations [N, 2, S + 1]: the state, or that the game is over, for both players."""
        self._state[:] = 0
        return self._seen[self._state]

    def step(self, actions: np.ndarray) -> Transition:
        """Play actions [N, 2]."""
        first, second = np.asarray(actions, dtype=np.int64).T
        reward = self._game.payoffs[self._state, first, second].astype(np.float32)
        after = self._game.following[self._state, first]
        over = after < 0
        final_obs = self._seen[after]  # -1 is the last row
        self._state = np.where(over, 0, after)
        self._count(reward, over)
        rewards = np.repeat(reward[:, None], 2, axis=1)
        return Transition(self._seen[self._state], reward, over, np.zeros_like(over), final_obs, {"rewards": rewards})

    def state_dict(self) -> dict[str, Any]:
        """Return the states of the games."""
        return {"state": self._state.copy(), **self._counters()}

    def load_state_dict(self, state: Mapping[str, Any]) -> np.ndarray:
        """Restore `state`; return its observations [N, 2, S + 1].

        Raises:
            ValueError: if an array has another shape or type than here.
        """
        self._state = require_array("state", state["state"], self._state, 0, len(self._game.payoffs)).copy()
        self._load_counters(state)
        return self._seen[self._state]


class TeamGameTask(TeamTask):
    """A game of one payoff for both players. Its target is the best joint play.

    Attributes:
        game: The tables.
    """

    Config: ClassVar[type] = TeamGameConfig

    def __init__(self, config: TeamGameConfig) -> None:
        super().__init__(config)
        self.game = GAMES[config.game]
        self.set_spaces(2, len(self.game.payoffs) + 1, self.game.payoffs.shape[1], (0.0, 1.0))
        self.target = self.game.best()

    def envs(self, num_envs: int, seeds: Seeds) -> TeamGameEnvs:
        """Return N tables; nothing is drawn."""
        return TeamGameEnvs(self, num_envs)
