"""Specs of agents that learn at several levels, and of the four rooms. Entries are sorted by name."""

from __future__ import annotations

from collections.abc import Iterator

from rl_core.api import AgentSpec, TaskSpec


def agents() -> Iterator[AgentSpec]:
    """Yield the specs of agents, sorted by name."""
    yield AgentSpec(
        name="option-critic",
        target="rl_algos.hierarchy.option_critic:OptionCritic",
        summary="Options whose policies and endings are learned by gradients, on a table",
        reference="Bacon, Harb, Precup. The option-critic architecture, 2017",
        fits=("control discrete-input discrete-output",),
        unit="environment steps",
        task="four-rooms",
        budget=60_000,
        tiny={"steps_per_iteration": 20, "num_options": 2},
        tags=("hierarchy", "options", "tabular"),
    )
    yield AgentSpec(
        name="smdp-q-learning",
        target="rl_algos.hierarchy.smdp_q_learning:SMDPQLearning",
        summary="Q-learning over the options that a task gives",
        reference="Sutton, Precup, Singh. Between MDPs and semi-MDPs, 1999",
        fits=("mdp options discrete-input discrete-output",),
        unit="environment steps",
        task="four-rooms",
        budget=60_000,
        tiny={"steps_per_iteration": 20},
        tags=("hierarchy", "options", "tabular"),
    )


def tasks() -> Iterator[TaskSpec]:
    """Yield the four rooms."""
    yield TaskSpec(
        name="four-rooms",
        target="rl_algos.hierarchy.four_rooms:FourRooms",
        summary="Find the goal through four rooms with a doorway between neighbours",
        reference="Sutton, Precup, Singh. Between MDPs and semi-MDPs, 1999",
        traits=("control", "mdp", "options", "discrete-input", "discrete-output"),
        agent="smdp-q-learning",
        tags=("grid", "hierarchy"),
    )
