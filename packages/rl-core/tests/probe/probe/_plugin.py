"""What the probe brings."""

from __future__ import annotations

from collections.abc import Iterable

from rl_core.api import AgentSpec, NetworkSpec, TaskSchemeSpec, TaskSpec, hookimpl

RL_API = 2


@hookimpl
def rl_agents() -> Iterable[AgentSpec]:
    """One agent for data and one for control."""
    yield AgentSpec(
        name="slope",
        target="probe.slope:Slope",
        summary="Stochastic gradient descent on squares",
        fits=("data vector-input continuous-output",),
        unit="batches",
        budget=40,
        task="plane",
        network="linear-map",
        presets="probe:presets.yaml",
    )
    yield AgentSpec(
        name="hill",
        target="probe.hill:Hill",
        summary="Climbs by keeping what did better",
        fits=("control vector-input discrete-output",),
        unit="environment steps",
        budget=2000,
        task="gym:CartPole-v1",
        presets="probe:hill.yaml",
    )


@hookimpl
def rl_networks() -> Iterable[NetworkSpec]:
    """One network."""
    yield NetworkSpec(
        name="linear-map",
        target="probe.slope:LinearMap",
        summary="A matrix and a bias",
        fits=("vector-input continuous-output",),
        task="plane",
    )
    yield NetworkSpec(name="image-map", target="probe.slope:LinearMap", summary="For images alone", fits=("image-input",), task="plane")


@hookimpl
def rl_tasks() -> Iterable[TaskSpec]:
    """One data task, and one that must not be built."""
    traits = ("data", "vector-input", "continuous-output")
    yield TaskSpec(name="plane", target="probe.plane:Plane", summary="Points near a plane", traits=traits, agent="slope")
    yield TaskSpec(
        name="trap",
        target="probe.plane:Trap",
        summary="Ends the test when it is built",
        traits=("data", "image-input", "discrete-output"),
        agent="slope",
    )


@hookimpl
def rl_task_schemes() -> Iterable[TaskSchemeSpec]:
    """Tasks from files."""
    yield TaskSchemeSpec(
        name="points",
        target="probe.points:Points",
        summary="Points of a file",
        argument="path",
        example="points:points.txt",
        traits=("data", "vector-input", "continuous-output"),
        agents=("slope",),
    )
