"""Specs of the families of tasks."""

from __future__ import annotations

from collections.abc import Iterator

from rl_core.api import TaskSpec

DUAN = "Duan and others. RL^2: fast reinforcement learning via slow reinforcement learning, 2016"
FINN = "Finn, Abbeel, Levine. Model-agnostic meta-learning for fast adaptation of deep networks, 2017"
RAKELLY = "Rakelly and others. Efficient off-policy meta-reinforcement learning via probabilistic context variables, 2019"
PACKER = "Packer and others. Assessing generalization in deep reinforcement learning, 2018"


def tasks() -> Iterator[TaskSpec]:
    """Yield the specs of the families, sorted by name."""
    for name, target, summary, reference, inputs, outputs, agent in (
        ("CartPole-mass", "bodies:CartPoleFamily", "CartPoles of any mass, length and force", PACKER, "vector", "discrete", "ppo"),
        ("Pendulum-mass", "bodies:PendulumFamily", "Pendulums of any mass, length and gravity", PACKER, "vector", "continuous", "sac"),
        ("bandit-distribution", "tables:BanditFamily", "Bernoulli bandits, each with other arms", DUAN, "discrete", "discrete", "ppo"),
        ("mdp-distribution", "tables:TableFamily", "Small decision processes with random tables", DUAN, "discrete", "discrete", "ppo"),
        ("navigation-2d", "points:Navigation", "Go to a goal in the plane that is not shown", FINN, "vector", "continuous", "ppo"),
        ("point-robot", "points:PointRobot", "Go from anywhere to a goal that is not shown", RAKELLY, "vector", "continuous", "sac"),
        (
            "sparse-point-robot",
            "points:SparsePointRobot",
            "Find a goal on a half circle that pays only nearby",
            RAKELLY,
            "vector",
            "continuous",
            "sac",
        ),
    ):
        yield TaskSpec(
            name=name,
            target=f"rl_algos.meta.{target}",
            summary=summary,
            reference=reference,
            traits=("control", "family", f"{inputs}-input", f"{outputs}-output"),
            agent=agent,
            tags=("meta-learning", "family"),
        )
