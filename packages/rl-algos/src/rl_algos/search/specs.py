"""Specs of policy search: agents that judge whole policies by whole episodes and need no gradient. Entries are sorted by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rl_core.api import AgentSpec

ANYTHING = tuple(
    f"control {given} {wanted}"
    for given in ("vector-input", "discrete-input", "image-input")
    for wanted in ("discrete-output", "continuous-output")
)


def _search(name: str, target: str, summary: str, reference: str, **fields: Any) -> AgentSpec:
    settings = {"fits": ANYTHING, "tags": ("policy search", "derivative-free"), **fields}
    return AgentSpec(
        name=name,
        target=f"rl_algos.search.{target}",
        summary=summary,
        reference=reference,
        unit="environment steps",
        task="CartPole-v1",
        network="mlp",
        presets=f"rl_algos:search/presets/{name}.yaml",
        **settings,
    )


def agents() -> Iterator[AgentSpec]:
    """Yield the agents, by name."""
    yield _search(
        "ars",
        "ars:ARS",
        "Augmented random search: directions tried both ways, a step along the best",
        "Mania, Guy, Recht. Simple random search of static linear policies is competitive, 2018",
        budget=500_000,
        tiny={"num_directions": 2, "num_top": 1},
    )
    yield _search(
        "cem",
        "cem:CEM",
        "Cross-entropy method: draw policies, keep the best, draw the next like those",
        "Szita, Lorincz. Learning tetris using the noisy cross-entropy method, 2006",
        budget=500_000,
        tiny={"population_size": 4, "elite_fraction": 0.5},
    )
    yield _search(
        "cma-es",
        "cma_es:CMAES",
        "Evolution with an adapted covariance, a diagonal one for many parameters",
        "Hansen. The CMA evolution strategy: a tutorial, 2016",
        budget=500_000,
        tiny={"population_size": 4},
    )
    yield _search(
        "es",
        "es:ES",
        "Evolution strategies: mirrored candidates, ranks, and Adam up the slope",
        "Salimans, Ho, Chen, Sidor, Sutskever. Evolution strategies as a scalable alternative, 2017",
        budget=500_000,
        tiny={"num_pairs": 2},
    )
    yield AgentSpec(
        name="random",
        target="rl_algos.search.random_actions:RandomActions",
        summary="Acts at random and learns nothing: a floor for scores",
        reference="Brockman et al. OpenAI Gym, 2016",
        fits=("control discrete-output", "control continuous-output", "control players"),
        unit="environment steps",
        task="CartPole-v1",
        budget=4_000,
        tiny={"num_envs": 2, "iteration_steps": 10},
        tags=("baseline",),
    )
