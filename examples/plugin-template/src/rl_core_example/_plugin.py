"""The components of this distribution. Every command reads this file, so it imports `rl_core.api` and nothing else."""

from collections.abc import Iterator

from rl_core.api import AgentSpec, NetworkSpec, TaskSpec, hookimpl

RL_API = 2  # the version of rl-core's plugin API that this is written for
TRAITS = ("control", "vector-input", "discrete-output")


@hookimpl
def rl_agents() -> Iterator[AgentSpec]:
    """Yield one agent, for every control task with vectors as observations and a choice as action."""
    yield AgentSpec(
        name="random-search",
        target="rl_core_example.random_search:RandomSearch",
        summary="Two opposite random steps of a policy's weights; the better one is taken",
        reference="Mania, Guy, Recht: Simple random search provides a competitive approach to reinforcement learning, 2018",
        fits=(" ".join(TRAITS),),
        unit="trials",
        budget=100,
        task="homing",
        network="linear",
    )


@hookimpl
def rl_networks() -> Iterator[NetworkSpec]:
    """Yield one network, for every task whose inputs are vectors."""
    yield NetworkSpec(name="linear", target="rl_core_example.linear:Linear", summary="One matrix", fits=("vector-input",), task="homing")


@hookimpl
def rl_tasks() -> Iterator[TaskSpec]:
    """Yield one task."""
    yield TaskSpec(
        name="homing", target="rl_core_example.homing:Homing", summary="A point moves home", traits=TRAITS, agent="random-search"
    )
