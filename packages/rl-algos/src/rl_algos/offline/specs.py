"""Specs of agents that learn from recorded transitions, and of the recordings that come with them. Entries are sorted by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rl_core.api import AgentSpec, TaskSpec

_DISCRETE = "offline vector-input discrete-output"
_CONTINUOUS = "offline vector-input continuous-output"
_PRESETS = {(_DISCRETE,): "discrete", (_CONTINUOUS,): "continuous", (_DISCRETE, _CONTINUOUS): "both"}
_TINY: Mapping[str, Any] = {"batch_size": 4, "iteration_updates": 3}


def agents() -> Iterator[AgentSpec]:
    """Yield the specs of agents, sorted by name."""
    yield _learner(
        "bcq",
        "bcq:BCQ",
        "Batch-constrained Q-learning: the best of the actions that the data supports",
        "Fujimoto, Conti, Ghavamzadeh, Pineau. Benchmarking batch deep reinforcement learning algorithms, 2019",
        (_DISCRETE,),
    )
    yield _learner(
        "behaviour-cloning",
        "behaviour_cloning:BehaviourCloning",
        "Imitation of recorded actions, or of those of the best episodes",
        "Pomerleau. ALVINN: an autonomous land vehicle in a neural network, 1989",
        (_DISCRETE, _CONTINUOUS),
        tags=("imitation",),
    )
    yield _learner(
        "cql",
        "cql:CQL",
        "Conservative Q-learning: values of actions that the data lacks are pushed down",
        "Kumar, Zhou, Tucker, Levine. Conservative Q-learning for offline reinforcement learning, 2020",
        (_DISCRETE,),
    )
    yield _learner(
        "dagger",
        "dagger:DAgger",
        "Imitation that asks an expert about the observations which the learner reaches",
        "Ross, Gordon, Bagnell. A reduction of imitation learning and structured prediction to no-regret online learning, 2011",
        (f"expert {_DISCRETE}", f"expert {_CONTINUOUS}"),
        task="cartpole-expert",
        tiny={"num_envs": 2, "rollout_steps": 3},
        tags=("imitation",),
        presets="both",
    )
    yield _learner(
        "iql",
        "iql:IQL",
        "Implicit Q-learning: never values an action that the data lacks",
        "Kostrikov, Nair, Levine. Offline reinforcement learning with implicit Q-learning, 2021",
        (_DISCRETE, _CONTINUOUS),
    )
    yield _learner(
        "td3-bc",
        "td3_bc:TD3BC",
        "TD3 on recorded data, drawn towards the recorded actions",
        "Fujimoto, Gu. A minimalist approach to offline reinforcement learning, 2021",
        (_CONTINUOUS,),
        task="pendulum-mixed",
        presets="td3_bc",
        tiny={"policy_delay": 1},
    )


def _learner(name: str, target: str, summary: str, reference: str, fits: tuple[str, ...], **options: Any) -> AgentSpec:
    return AgentSpec(
        name=name,
        target=f"rl_algos.offline.{target}",
        summary=summary,
        reference=reference,
        fits=fits,
        unit="gradient steps",
        task=options.get("task", "cartpole-mixed"),
        network="mlp",
        budget=8_000,
        presets=f"rl_algos:offline/presets/{options.get('presets') or _PRESETS[fits]}.yaml",
        tiny={**_TINY, **options.get("tiny", {})},
        tags=("offline", *options.get("tags", ())),
    )


def tasks() -> Iterator[TaskSpec]:
    """Yield the recordings."""
    for name, environment, output, agent in (
        ("cartpole", "CartPole-v1", "discrete-output", "iql"),
        ("pendulum", "Pendulum-v1", "continuous-output", "td3-bc"),
    ):
        for policy, summary in (
            ("expert", "of an expert"),
            ("mixed", "of an expert and random actions"),
            ("random", "of random actions"),
        ):
            yield TaskSpec(
                name=f"{name}-{policy}",
                target="rl_algos.offline.scripted:ScriptedData",
                summary=f"Transitions {summary} in {environment}, which judges",
                traits=("expert", "offline", "vector-input", output),
                agent=agent,
                config={"environment": environment, "policy": policy},
                tags=("offline", "classic control"),
            )
