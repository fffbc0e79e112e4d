"""Specs of games of several players in normal form."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rl_core.api import AgentSpec, TaskSpec


def agents() -> Iterator[AgentSpec]:
    """Yield the agents, by name."""
    yield _learner(
        "fictitious-play",
        "Fictitious play: the best answer to what the other player did so far",
        "Brown. Iterative solution of games by fictitious play, 1951",
        rule="fictitious-play",
    )
    yield _learner(
        "regret-matching",
        "Regret matching: actions in proportion to how much they are missed",
        "Hart, Mas-Colell. A simple adaptive procedure leading to correlated equilibrium, 2000",
    )


def _learner(name: str, summary: str, reference: str, **config: Any) -> AgentSpec:
    return AgentSpec(
        name=name,
        target="rl_algos.players.regret:Regret",
        summary=summary,
        reference=reference,
        fits=("control discrete-input discrete-output matrix-game",),
        unit="rounds",
        task="matrix-game",
        budget=10_000,
        config=config,
        tiny={"rounds_per_step": 3},
        tags=("several players", "games", "self-play"),
    )


def tasks() -> Iterator[TaskSpec]:
    """Yield the tasks, by name."""
    yield TaskSpec(
        name="matrix-game",
        target="rl_algos.players.matrix_game:MatrixGame",
        summary="A zero-sum game in normal form, its equilibrium known",
        reference="von Neumann. Zur Theorie der Gesellschaftsspiele, 1928",
        traits=("control", "discrete-input", "discrete-output", "matrix-game"),
        agent="regret-matching",
        tags=("games", "two players"),
    )
