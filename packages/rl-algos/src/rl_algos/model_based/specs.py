"""Specs of the agents that plan with a model of the dynamics, known or learned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rl_core.api import AgentSpec

ANY = ("control vector-input discrete-output", "control vector-input continuous-output")
FITS = ("control dynamics vector-input discrete-output", "control dynamics vector-input continuous-output")

_TINY_MODEL: Mapping[str, Any] = {
    "num_envs": 2,
    "steps_per_iteration": 3,
    "learning_starts": 4,
    "fit_every": 4,
    "horizon": 2,
    "num_candidates": 4,
    "num_iterations": 1,
    "num_particles": 2,
    "num_members": 2,
    "hidden_layers": (4,),
    "model_updates": 2,
    "model_batch_size": 4,
    "num_held_steps": 2,
}


def agents() -> Iterator[AgentSpec]:
    """Yield the specs of agents that plan with known dynamics, and of those that learn them."""
    yield from _planners()
    yield from _learners()


def _learners() -> Iterator[AgentSpec]:
    chua = "Chua, Calandra, McAllister, Levine. Deep reinforcement learning in a handful of trials, 2018"
    nagabandi = "Nagabandi, Kahn, Fearing, Levine. Neural network dynamics for model-based deep reinforcement learning, 2018"
    shooting = {"optimiser": "random", "num_candidates": 100, "horizon": 10, "num_particles": 1, "learning_starts": 100}
    for name, summary, reference, task, budget, config in (
        ("pets", "Plans by CEM through a probabilistic ensemble that it learns", chua, "Pendulum-v1", 2_000, {}),
        (
            "deterministic-model",
            "Plans by CEM through one deterministic network that it learns",
            nagabandi,
            "Pendulum-v1",
            2_000,
            {"model": "deterministic", "num_particles": 1},
        ),
        (
            "dropout-model",
            "Plans by CEM through one network with dropout, a mask a trajectory",
            "Gal, McAllister, Rasmussen. Improving PILCO with Bayesian neural network dynamics models, 2016",
            "Pendulum-v1",
            2_000,
            {"model": "dropout"},
        ),
        (
            "simple-mbrl",
            "Learns a small model, shoots 100 random sequences, takes the best one",
            nagabandi,
            "CartPole-v1",
            2_000,
            {"model": "deterministic", **shooting},
        ),
    ):
        yield AgentSpec(
            name=name,
            target="rl_algos.model_based.pets:PETS",
            summary=summary,
            reference=reference,
            fits=ANY,
            unit="environment steps",
            task=task,
            budget=budget,
            config=config,
            presets=f"rl_algos:model_based/presets/{'mbrl' if name == 'simple-mbrl' else 'pets'}.yaml",
            tiny=_TINY_MODEL,
            tags=("model-based", "learned model", "planning"),
        )


def _planners() -> Iterator[AgentSpec]:
    for name, summary, reference, config in (
        (
            "mpc-cem",
            "Plans with the task's dynamics by the cross-entropy method",
            "Chua, Calandra, McAllister, Levine. Deep reinforcement learning in a handful of trials, 2018",
            {},
        ),
        (
            "mpc-cma",
            "Plans with the task's dynamics by CMA-ES over action sequences",
            "Hansen. The CMA evolution strategy: a tutorial, 2016",
            {"optimiser": "cma-es", "num_candidates": 20, "num_iterations": 10, "first_std": 0.3},
        ),
        (
            "mpc-mppi",
            "Plans with the task's dynamics by path-integral control",
            "Williams and others. Information theoretic MPC for model-based reinforcement learning, 2017",
            {"optimiser": "mppi", "num_candidates": 200, "num_iterations": 1},
        ),
        (
            "mpc-random",
            "Plans with the task's dynamics: the best of random action sequences",
            "Nagabandi, Kahn, Fearing, Levine. Neural network dynamics for model-based deep reinforcement learning, 2018",
            {"optimiser": "random", "num_candidates": 1_000},
        ),
    ):
        yield AgentSpec(
            name=name,
            target="rl_algos.model_based.mpc:MPC",
            summary=summary,
            reference=reference,
            fits=FITS,
            unit="environment steps",
            task="Pendulum-v1",
            budget=2_000,
            config=config,
            presets="rl_algos:model_based/presets/mpc.yaml",
            tiny={"num_envs": 2, "horizon": 4, "num_candidates": 8, "num_iterations": 2, "steps_per_iteration": 4},
            tags=("model-based", "planning"),
        )
    yield AgentSpec(
        name="mpc-gradient",
        target="rl_algos.model_based.gradient:MPCGradient",
        summary="Plans with the task's dynamics by iterative LQR",
        reference="Tassa, Mansard, Todorov. Control-limited differential dynamic programming, 2014",
        fits=("control dynamics vector-input continuous-output",),
        unit="environment steps",
        task="Pendulum-v1",
        budget=2_000,
        tiny={"num_envs": 2, "horizon": 4, "num_candidates": 2, "steps_per_iteration": 4},
        tags=("model-based", "planning", "trajectory optimisation"),
    )
    yield AgentSpec(
        name="lqr",
        target="rl_algos.model_based.lqr:LQR",
        summary="Best control of a linear system with a quadratic cost, exactly",
        reference="Kalman. Contributions to the theory of optimal control, 1960",
        fits=("control dynamics linear vector-input continuous-output",),
        unit="sweeps",
        task="linear-quadratic",
        budget=1_000,
        tiny={"sweeps_per_iteration": 2},
        tags=("model-based", "planning", "trajectory optimisation"),
    )
