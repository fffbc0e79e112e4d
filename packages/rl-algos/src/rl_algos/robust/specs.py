"""Specs of varied and disturbed worlds."""

from __future__ import annotations

from collections.abc import Iterator

from rl_core.api import AgentSpec, TaskSchemeSpec, TaskSpec


def agents() -> Iterator[AgentSpec]:
    """Yield nothing: the agents are those of the other rooms."""
    yield from ()


def tasks() -> Iterator[TaskSpec]:
    """Yield the tasks, by name."""
    yield TaskSpec(
        name="varied-cartpole",
        target="rl_algos.robust.varied_tasks:VariedCartPole",
        summary="CartPole whose pole has another mass and length in each episode",
        reference="Peng and others. Sim-to-real transfer of robotic control with dynamics randomization, 2018",
        traits=("control", "vector-input", "discrete-output"),
        agent="ppo",
        tags=("classic control", "robustness"),
    )
    yield TaskSpec(
        name="varied-pendulum",
        target="rl_algos.robust.varied_tasks:VariedPendulum",
        summary="A pendulum with another mass and length in each episode",
        reference="Peng and others. Sim-to-real transfer of robotic control with dynamics randomization, 2018",
        traits=("control", "vector-input", "continuous-output"),
        agent="ppo",
        tags=("classic control", "robustness"),
    )


def schemes() -> Iterator[TaskSchemeSpec]:
    """Yield the open families of tasks."""
    yield TaskSchemeSpec(
        name="disturbed",
        target="rl_algos.robust.disturbed:Disturbed",
        summary="Any control task with noise, losses, delays, drift and switches, by its settings",
        reference="Dulac-Arnold and others. Challenges of real-world reinforcement learning, 2021",
        argument="task",
        example="disturbed:CartPole-v1",
        traits=("control",),
        agents=("ppo", "q-learning"),
        tags=("robustness",),
    )
