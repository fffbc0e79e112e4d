"""Specs of the applications."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rl_core.api import AgentSpec, TaskSpec


def agents() -> Iterator[AgentSpec]:
    """Yield nothing: the agents are those of the other rooms."""
    yield from ()


def tasks() -> Iterator[TaskSpec]:
    """Yield the tasks, by name."""
    yield _decision(
        "adaptive-trial",
        "AdaptiveTrial",
        "Assign patients to two treatments while their success is being learned",
        "Berry, Fristedt. Bandit problems, 1985",
        tags=("health", "exploration"),
    )
    yield TaskSpec(
        name="execution",
        target="rl_algos.applications.markets:Execution",
        summary="Sell many shares over a while: fast sales move the price, slow ones bear risk",
        reference="Almgren, Chriss. Optimal execution of portfolio transactions, 2001",
        traits=("control", "dynamics", "vector-input", "continuous-output"),
        agent="ppo",
        tags=("finance",),
    )
    yield TaskSpec(
        name="lane-keeping",
        target="rl_algos.applications.lane_keeping:LaneKeeping",
        summary="Steer a car along a winding road, in the middle of its lane",
        reference="Rajamani. Vehicle dynamics and control, 2012",
        traits=("control", "vector-input", "continuous-output"),
        agent="ppo",
        tags=("driving",),
    )
    yield TaskSpec(
        name="portfolio",
        target="rl_algos.applications.markets:Portfolio",
        summary="Bet a share of the wealth on a risky asset, in two regimes",
        reference="Kelly. A new interpretation of information rate, 1956",
        traits=("control", "vector-input", "continuous-output"),
        agent="ppo",
        tags=("finance",),
    )
    yield _decision(
        "recommender",
        "Recommender",
        "Show items to a user whom each kind bores, before they leave",
        "stated in the source",
        tags=("recommendation",),
    )
    yield _decision(
        "traffic-signal",
        "TrafficSignal",
        "Switch the green light between two queues of cars",
        "Gazis. Optimum control of a system of oversaturated intersections, 1964",
        tags=("traffic",),
    )
    yield _decision(
        "treatment", "Treatment", "Choose doses against a disease and their side effects", "stated in the source", tags=("health",)
    )
    yield _decision(
        "two-roads",
        "TwoRoads",
        "A long safe road, or a short one with accidents: a matter of risk",
        "stated in the source",
        tags=("risk",),
    )


def _decision(name: str, target: str, summary: str, reference: str, **fields: Any) -> TaskSpec:
    return TaskSpec(
        name=name,
        target=f"rl_algos.applications.decisions:{target}",
        summary=summary,
        reference=reference,
        traits=("control", "mdp", "discrete-input", "discrete-output"),
        agent="value-iteration",
        **fields,
    )
