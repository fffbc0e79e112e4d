"""Specs of the agents that learn by searching: on games with themselves, and with a learned model."""

from __future__ import annotations

from collections.abc import Iterator

from rl_core.api import AgentSpec


def agents() -> Iterator[AgentSpec]:
    """Yield the specs of agents, sorted by name."""
    yield AgentSpec(
        name="alphazero",
        target="rl_algos.self_play.alphazero:AlphaZero",
        summary="Plays against itself, with a search that a network guides before every move",
        reference="Silver et al. A general reinforcement learning algorithm that masters chess, shogi and Go, 2018",
        fits=("control game",),
        unit="environment steps",
        task="tic-tac-toe",
        network="mlp",
        budget=150_000,
        presets="rl_algos:self_play/presets/alphazero.yaml",
        tiny={"num_games": 4, "num_simulations": 4, "batch_size": 8, "moves_per_step": 6},
        tags=("games", "planning", "self-play"),
    )
