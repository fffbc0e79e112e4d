"""Specs of learning within limits: agents, and the tasks whose steps cost."""

from __future__ import annotations

from collections.abc import Iterator

from rl_core.api import AgentSpec, TaskSpec

FITS = tuple(
    f"control cost {input_}-input {output}-output" for input_ in ("vector", "image", "discrete") for output in ("discrete", "continuous")
)
"""Tasks with a cost whose observations any network takes and whose actions a policy can give."""


def agents() -> Iterator[AgentSpec]:
    """Yield the agents, by name."""
    yield AgentSpec(
        name="cpo",
        target="rl_algos.safety.cpo:CPO",
        summary="Constrained policy optimisation: natural steps that keep the cost under a limit",
        reference="Achiam, Held, Tamar, Abbeel. Constrained policy optimization, 2017",
        fits=FITS,
        unit="environment steps",
        task="grid-lava",
        network="mlp",
        budget=200_000,
        presets="rl_algos:safety/presets/cpo.yaml",
        tiny={"num_envs": 2, "rollout_steps": 8, "gradient_iterations": 2, "value_epochs": 1, "value_batch_size": 8, "cost_epochs": 1},
        tags=("safety", "on-policy", "policy gradient", "trust region"),
    )
    yield AgentSpec(
        name="pid",
        target="rl_algos.safety.pid:PID",
        summary="PID control of a data centre's fans at a fixed temperature of the air",
        reference="Astrom, Hagglund. PID controllers: theory, design, and tuning, 1995",
        fits=("control cooling cost vector-input continuous-output",),
        unit="environment steps",
        task="data-centre",
        budget=8_000,
        tiny={"num_envs": 2, "iteration_steps": 4},
        tags=("optimal control", "baseline"),
    )
    yield AgentSpec(
        name="ppo-lagrangian",
        target="rl_algos.safety.lagrangian:PPOLagrangian",
        summary="PPO that pays for costs, at a price which rises while they exceed a limit",
        reference="Ray, Achiam, Amodei. Benchmarking safe exploration in deep reinforcement learning, 2019",
        fits=FITS,
        unit="environment steps",
        task="grid-lava",
        network="mlp",
        budget=200_000,
        presets="rl_algos:safety/presets/ppo-lagrangian.yaml",
        tiny={"num_envs": 2, "rollout_steps": 8, "num_epochs": 1, "batch_size": 8, "cost_epochs": 1, "multiplier": 0.5},
        tags=("safety", "on-policy", "policy gradient", "actor-critic"),
    )


def tasks() -> Iterator[TaskSpec]:
    """Yield the tasks, by name."""
    yield TaskSpec(
        name="data-centre",
        target="rl_algos.safety.data_centre:DataCentre",
        summary="Cool a data centre with little electricity and no hot racks",
        reference="ASHRAE TC 9.9. Thermal guidelines for data processing environments, 2021",
        traits=("control", "cooling", "cost", "vector-input", "continuous-output"),
        extras=("cost",),
        agent="ppo-lagrangian",
        tiny={"time_limit": 20},
        tags=("energy", "safety"),
    )
    yield TaskSpec(
        name="grid-lava",
        target="rl_algos.safety.lava:GridLava",
        summary="A short way over lava, a long way around it, and a limit on the lava",
        reference="Altman. Constrained Markov decision processes, 1999",
        traits=("control", "cost", "mdp", "discrete-input", "discrete-output"),
        extras=("cost",),
        agent="ppo-lagrangian",
        tags=("grid", "safety"),
    )
    yield TaskSpec(
        name="pendulum-limited",
        target="rl_algos.safety.tasks:LimitedPendulum",
        summary="Swing a pendulum up with few steps above a speed limit",
        reference="Ray, Achiam, Amodei. Benchmarking safe exploration in deep reinforcement learning, 2019",
        traits=("control", "cost", "dynamics", "vector-input", "continuous-output"),
        extras=("cost",),
        agent="ppo-lagrangian",
        tags=("classic control", "safety"),
    )
    yield TaskSpec(
        name="point-hazards",
        target="rl_algos.safety.tasks:PointHazards",
        summary="Cross a square with few steps inside of its hazards",
        reference="Ray, Achiam, Amodei. Benchmarking safe exploration in deep reinforcement learning, 2019",
        traits=("control", "cost", "dynamics", "vector-input", "continuous-output"),
        extras=("cost",),
        agent="ppo-lagrangian",
        tags=("navigation", "safety"),
    )
