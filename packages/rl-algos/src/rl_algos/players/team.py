"""Tasks of several players who choose at the same time: what one observation, one answer and one reward of them hold.

The interface is that of PettingZoo's parallel environments, with the players as an axis of arrays instead of a dict: an observation is one
row a player [P, D], an answer one action a player [P], and `Transition.extras["rewards"]` has the reward of each [N, P]. The reward of a
transition is their mean, which in a team is everybody's reward.

Source: J. Terry and others, "PettingZoo: gym for multi-agent reinforcement learning", 2021; for partly observed teams, F. Oliehoek,
C. Amato, "A concise introduction to decentralized POMDPs", 2016. Departures: players with other observations or other numbers of actions
get rows that are filled with zeros, and actions that are never allowed.
Letters: B batch, N environments, P players, D numbers of an observation, S numbers of a state, A actions.
"""

from __future__ import annotations

import numpy as np
from gymnasium import spaces

from rl_core.task import ControlTask


class TeamTask(ControlTask):
    """A task of P players who choose at the same time; it offers the trait `players`.

    Attributes:
        num_players: P.
        num_actions: A, of each player.
    """

    extras: tuple[str, ...] = ("rewards",)
    num_players: int
    num_actions: int

    def set_spaces(self, num_players: int, num_numbers: int, num_actions: int, bounds: tuple[float, float] = (-1.0, 1.0)) -> None:
        """Set the spaces for P players with D numbers and A actions each; numbers are within `bounds`."""
        self.num_players, self.num_actions = num_players, num_actions
        self.input_space = spaces.Box(*bounds, (num_players, num_numbers), np.float32)
        self.output_space = spaces.MultiDiscrete(np.full(num_players, num_actions))

    def traits(self) -> frozenset[str]:
        """Return the traits, with `players`."""
        return super().traits() | {"players"}

    @property
    def player_space(self) -> spaces.Box:
        """The space of what a shared network reads of one player: its observation, and which player it is [D + P]."""
        numbers = (self.input_space.shape or (0, 0))[1]
        return spaces.Box(-np.inf, np.inf, (numbers + self.num_players,), np.float32)

    @property
    def state_space(self) -> spaces.Box:
        """The space of `states`."""
        return spaces.Box(-np.inf, np.inf, (int(np.prod(self.input_space.shape or ())),), np.float32)

    def states(self, obs: np.ndarray) -> np.ndarray:
        """Return what is known to all together [B, S], for critics and mixers that only learning needs; here all observations [B, P, D]."""
        return obs.reshape(len(obs), -1)


def with_player(rows: np.ndarray) -> np.ndarray:
    """Return rows [B, P, D] of players with which player each is of [B P, D + P], so that one network serves all.

    >>> with_player(np.array([[[5.0], [6.0]]], np.float32)).tolist()
    [[5.0, 1.0, 0.0], [6.0, 0.0, 1.0]]
    """
    batch, players, _ = rows.shape
    numbers = np.broadcast_to(np.eye(players, dtype=np.float32), (batch, players, players))
    return np.concatenate([rows, numbers], axis=2).reshape(batch * players, -1)
