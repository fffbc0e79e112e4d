"""Specs of the agents that search a tree before every decision."""

from __future__ import annotations

from collections.abc import Iterator

from rl_core.api import AgentSpec


def agents() -> Iterator[AgentSpec]:
    """Yield the specs of the tree searches, sorted by name."""
    yield AgentSpec(
        name="mcts",
        target="rl_algos.tree_search.mcts:MCTS",
        summary="Tree search by simulation before every decision (UCT)",
        presets="rl_algos:tree_search/presets/mcts.yaml",
        reference="Kocsis, Szepesvari. Bandit based Monte-Carlo planning, 2006",
        unit="environment steps",
        task="FrozenLake-v1",
        config={"leaf": "value", "exploration": 0.5, "num_simulations": 2_000},
        fits=("control discrete-input discrete-output",),
        budget=2_000,
        tiny={"num_simulations": 10, "rollout_depth": 10},
        tags=("planning", "simulation"),
    )
    yield AgentSpec(
        name="mcts-rollouts",
        target="rl_algos.tree_search.mcts:MCTS",
        summary="Tree search with random rollouts from its leaves, on any observation",
        presets="rl_algos:tree_search/presets/mcts-rollouts.yaml",
        reference="Kocsis, Szepesvari. Bandit based Monte-Carlo planning, 2006",
        unit="environment steps",
        fits=("control discrete-output",),
        task="maze",
        budget=100,
        tiny={"num_simulations": 10, "rollout_depth": 10},
        tags=("planning", "simulation"),
    )
