"""Specs of the board games."""

from __future__ import annotations

from collections.abc import Iterator

from rl_core.api import TaskSpec

TRAITS = ("control", "game", "image-input", "discrete-output", "legal")


def tasks() -> Iterator[TaskSpec]:
    """Yield the specs of the games."""
    yield TaskSpec(
        name="connect-four",
        target="rl_algos.games.task:ConnectFour",
        summary="Four in a row on 6 x 7 cells, against random play or a search",
        reference="Allis. A knowledge-based approach of connect-four, 1988",
        traits=TRAITS,
        extras=("legal",),
        agent="alphazero",
        tags=("games", "two players"),
    )
    yield TaskSpec(
        name="tic-tac-toe",
        target="rl_algos.games.task:TicTacToe",
        summary="Three in a row on 3 x 3 cells, against random play, a search or perfect play",
        reference="Schaefer. MathRec solutions (tic-tac-toe), 2002",
        traits=TRAITS,
        extras=("legal",),
        agent="alphazero",
        tags=("games", "two players"),
    )
