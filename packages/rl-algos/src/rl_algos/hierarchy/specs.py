"""Specs of agents that learn at several levels, of the four rooms and of a maze. Entries are sorted by name."""

from __future__ import annotations

from collections.abc import Iterator

from rl_core.api import AgentSpec, TaskSpec


def agents() -> Iterator[AgentSpec]:
    """Yield the specs of agents, sorted by name."""
    yield AgentSpec(
        name="feudal",
        target="rl_algos.hierarchy.feudal:Feudal",
        summary="A manager points in a learned space, a worker is paid for going that way",
        reference="Vezhnevets and others. FeUdal networks for hierarchical reinforcement learning, 2017",
        fits=(
            "control vector-input discrete-output",
            "control image-input discrete-output",
            "control discrete-input discrete-output",
        ),
        unit="environment steps",
        task="four-rooms",
        network="mlp",
        budget=150_000,
        presets="rl_algos:hierarchy/presets/feudal.yaml",
        tiny={"num_envs": 2, "rollout_steps": 4, "horizon": 2, "goal_size": 3, "embedding_size": 2, "num_features": 4},
        tags=("hierarchy", "actor-critic", "on-policy"),
    )
    yield AgentSpec(
        name="hiro",
        target="rl_algos.hierarchy.hiro:HIRO",
        summary="A manager asks for changes of the observation that a worker brings about",
        reference="Nachum, Gu, Lee, Levine. Data-efficient hierarchical reinforcement learning, 2018",
        fits=("control vector-input continuous-output",),
        unit="environment steps",
        task="point-u-maze",
        network="mlp",
        budget=100_000,
        presets="rl_algos:hierarchy/presets/hiro.yaml",
        tiny={
            **{"num_envs": 2, "iteration_steps": 8, "decision_steps": 2, "goal_size": 1, "learning_starts": 4, "random_goal_steps": 8},
            **{"worker_updates": 1, "manager_updates": 1, "batch_size": 4, "buffer_size": 16},
        },
        tags=("hierarchy", "off-policy", "actor-critic", "replay"),
    )
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
    """Yield the four rooms and the maze."""
    yield TaskSpec(
        name="four-rooms",
        target="rl_algos.hierarchy.four_rooms:FourRooms",
        summary="Find the goal through four rooms with a doorway between neighbours",
        reference="Sutton, Precup, Singh. Between MDPs and semi-MDPs, 1999",
        traits=("control", "mdp", "options", "discrete-input", "discrete-output"),
        agent="smdp-q-learning",
        tags=("grid", "hierarchy"),
    )
    yield TaskSpec(
        name="point-u-maze",
        target="rl_algos.hierarchy.u_maze:UMaze",
        summary="Go around a wall to a goal that pays only on arrival",
        reference="Duan and others. Benchmarking deep reinforcement learning for continuous control, 2016",
        traits=("control", "dynamics", "vector-input", "continuous-output"),
        agent="hiro",
        tags=("maze", "hierarchy", "exploration"),
    )
