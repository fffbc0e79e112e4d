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
    yield AgentSpec(
        name="league",
        target="rl_algos.self_play.league:League",
        summary="PPO that plays against its earlier selves, which are rated by Elo",
        reference="Bansal et al. Emergent complexity via multi-agent competition, 2018",
        fits=("control game",),
        unit="environment steps",
        task="tic-tac-toe",
        network="mlp",
        budget=200_000,
        presets="rl_algos:self_play/presets/league.yaml",
        tiny={"num_envs": 2, "rollout_steps": 8, "num_epochs": 1, "batch_size": 8, "members": 2, "games_per_pair": 4},
        tags=("games", "self-play", "policy gradient"),
    )
    yield AgentSpec(
        name="muzero",
        target="rl_algos.self_play.muzero:MuZero",
        summary="Searches in a model that it learns, on games and on tasks for one player",
        reference="Schrittwieser et al. Mastering Atari, Go, chess and shogi by planning with a learned model, 2020",
        fits=("control vector-input discrete-output", "control game"),
        unit="environment steps",
        task="CartPole-v1",
        network="mlp",
        budget=80_000,
        presets="rl_algos:self_play/presets/muzero.yaml",
        tiny={"num_envs": 2, "num_simulations": 3, "batch_size": 8, "steps_per_iteration": 8, "num_steps": 2, "num_unrolled": 2},
        tags=("model-based", "planning", "self-play"),
    )
