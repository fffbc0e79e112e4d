"""Specs of the agents that learn to learn, and of the families of tasks."""

from __future__ import annotations

from collections.abc import Iterator

from rl_core.api import AgentSpec, TaskSpec

DUAN = "Duan and others. RL^2: fast reinforcement learning via slow reinforcement learning, 2016"
FINN = "Finn, Abbeel, Levine. Model-agnostic meta-learning for fast adaptation of deep networks, 2017"
RAKELLY = "Rakelly and others. Efficient off-policy meta-reinforcement learning via probabilistic context variables, 2019"
PACKER = "Packer and others. Assessing generalization in deep reinforcement learning, 2018"


FITS = tuple(f"control family {input_}-input {output}-output" for input_ in ("vector", "discrete") for output in ("discrete", "continuous"))


def agents() -> Iterator[AgentSpec]:
    """Yield the specs of agents, sorted by name."""
    yield AgentSpec(
        name="maml",
        target="rl_algos.meta.maml:MAML",
        summary="Learns first parameters from which one gradient step on a new task goes far",
        reference=FINN,
        fits=FITS,
        unit="environment steps",
        task="navigation-2d",
        budget=4_000_000,
        presets="rl_algos:meta/presets/maml.yaml",
        tiny={"num_tasks": 2, "episodes_per_task": 2, "max_steps": 6, "hidden_layers": (4,), "outer_updates": 2},
        tags=("meta-learning", "policy gradient"),
    )
    context = {
        "num_tasks": 3,
        "max_steps": 4,
        "context_size": 4,
        "num_latents": 2,
        "num_updates": 2,
        "batch_tasks": 2,
        "batch_size": 4,
        "hidden_layers": (4,),
        "capacity": 12,
    }
    yield AgentSpec(
        name="mier",
        target="rl_algos.meta.mier:MIER",
        summary="Adapts a model to a task by gradient steps on a vector that its policy reads",
        reference="Mendonca, Geng, Finn, Levine. Meta-reinforcement learning robust to distributional shift via model identification, 2020",
        fits=("control family vector-input continuous-output",),
        unit="environment steps",
        task="point-robot",
        budget=100_000,
        presets="rl_algos:meta/presets/mier.yaml",
        tiny={**context, "model_layers": (4,), "relabel_updates": 1, "relabel_tasks": 1, "relabel_episodes": 2, "model_updates": 2},
        tags=("meta-learning", "model-based", "off-policy"),
    )
    yield AgentSpec(
        name="pearl",
        target="rl_algos.meta.pearl:PEARL",
        summary="Infers a distribution over descriptions of a task, acts with a draw of it",
        reference=RAKELLY,
        fits=("control family vector-input continuous-output",),
        unit="environment steps",
        task="point-robot",
        budget=100_000,
        presets="rl_algos:meta/presets/pearl.yaml",
        tiny={**context, "encoder_layers": (4,)},
        tags=("meta-learning", "off-policy"),
    )
    tiny = {"num_trials": 4, "max_steps": 8, "num_epochs": 1, "batch_trials": 2, "trial_episodes": 2}
    yield AgentSpec(
        name="rl2",
        target="rl_algos.meta.rl2:RL2",
        summary="A recurrent policy that learns a task within its state",
        reference=DUAN,
        fits=FITS,
        unit="environment steps",
        task="bandit-distribution",
        budget=1_500_000,
        presets="rl_algos:meta/presets/trials.yaml",
        tiny={**tiny, "units": 3},
        tags=("meta-learning", "recurrent"),
    )
    yield AgentSpec(
        name="snail",
        target="rl_algos.meta.snail:SNAIL",
        summary="A policy that looks back over its trial by convolutions and attention",
        reference="Mishra, Rohaninejad, Chen, Abbeel. A simple neural attentive meta-learner, 2018",
        fits=FITS,
        unit="environment steps",
        task="bandit-distribution",
        budget=1_500_000,
        presets="rl_algos:meta/presets/trials.yaml",
        tiny={**tiny, "embedding": 3, "filters": 2, "keys": 2, "num_blocks": 1},
        tags=("meta-learning", "attention"),
    )


def tasks() -> Iterator[TaskSpec]:
    """Yield the specs of the families, sorted by name."""
    for name, target, summary, reference, inputs, outputs, agent in (
        ("CartPole-mass", "bodies:CartPoleFamily", "CartPoles of any mass, length and force", PACKER, "vector", "discrete", "maml"),
        ("Pendulum-mass", "bodies:PendulumFamily", "Pendulums of any mass, length and gravity", PACKER, "vector", "continuous", "mier"),
        ("bandit-distribution", "tables:BanditFamily", "Bernoulli bandits, each with other arms", DUAN, "discrete", "discrete", "rl2"),
        ("mdp-distribution", "tables:TableFamily", "Small decision processes with random tables", DUAN, "discrete", "discrete", "rl2"),
        ("navigation-2d", "points:Navigation", "Go to a goal in the plane that is not shown", FINN, "vector", "continuous", "maml"),
        ("point-robot", "points:PointRobot", "Go from anywhere to a goal that is not shown", RAKELLY, "vector", "continuous", "pearl"),
        (
            "sparse-point-robot",
            "points:SparsePointRobot",
            "Find a goal on a half circle that pays only nearby",
            RAKELLY,
            "vector",
            "continuous",
            "pearl",
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
