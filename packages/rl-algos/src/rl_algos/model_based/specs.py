"""Specs of the agents that plan with a model of the dynamics."""

from __future__ import annotations

from collections.abc import Iterator

from rl_core.api import AgentSpec

FITS = ("control dynamics vector-input discrete-output", "control dynamics vector-input continuous-output")


def agents() -> Iterator[AgentSpec]:
    """Yield the specs of agents, sorted by name."""
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
