"""Specs of the agents that plan with a known model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rl_core.api import AgentSpec

BOOK = "Sutton, Barto. Reinforcement Learning: An Introduction, 2nd edition, 2018"
KNOWN = ("mdp discrete-input discrete-output",)


def _planner(name: str, target: str, summary: str, reference: str, **fields: Any) -> AgentSpec:
    settings = {"task": "FrozenLake-v1", "budget": 100_000, "fits": KNOWN, "tags": ("deterministic", "planning", "tabular"), **fields}
    return AgentSpec(name=name, target=f"rl_algos.planning.{target}", summary=summary, reference=reference, unit="sweeps", **settings)


def agents() -> Iterator[AgentSpec]:
    """Yield the specs of the planners, sorted by name."""
    yield _planner(
        "modified-policy-iteration",
        "policy_iteration:PolicyIteration",
        "Policy iteration that evaluates by a few sweeps",
        "Puterman, Shin. Modified policy iteration algorithms, 1978",
        config={"evaluation": "partial"},
    )
    yield _planner(
        "policy-evaluation",
        "policy_evaluation:PolicyEvaluation",
        "What a given policy is worth, from the model",
        BOOK,
        task="random-walk",
    )
    yield _planner(
        "policy-iteration",
        "policy_iteration:PolicyIteration",
        "Evaluates a policy, improves it, until nothing improves",
        "Howard. Dynamic programming and Markov processes, 1960",
    )
    yield _planner(
        "prioritised-sweeping",
        "value_iteration:ValueIteration",
        "Value iteration that updates first what is most wrong",
        "Moore, Atkeson. Prioritized sweeping, 1993",
        config={"order": "prioritised"},
    )
    yield _planner(
        "value-iteration",
        "value_iteration:ValueIteration",
        "Sweeps the Bellman optimality equation, with a proven bound on the error",
        "Bellman. Dynamic programming, 1957; MacQueen. A modified dynamic programming method, 1966",
    )
