"""Specs of DQN and its variants, which are one class with other settings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from rl_core.api import AgentSpec


def agents() -> Iterator[AgentSpec]:
    """Yield the specs of agents, sorted by name."""
    yield _variant(
        "double-dqn",
        "DQN whose learning network chooses the action that the target network values",
        "van Hasselt, Guez, Silver. Deep reinforcement learning with double Q-learning, 2016",
        double=True,
    )
    yield _variant(
        "dqn",
        "Deep Q-network: Q-learning from replay, towards a slowly changing target",
        "Mnih and others. Human-level control through deep reinforcement learning, 2015",
    )
    yield _variant(
        "dueling-dqn",
        "DQN whose network gives the value of a state and the advantages of actions",
        "Wang, Schaul, Hessel, van Hasselt, Lanctot, de Freitas. Dueling network architectures for deep reinforcement learning, 2016",
        dueling=True,
    )
    yield _variant(
        "n-step-dqn",
        "DQN with 3-step returns",
        "Sutton. Learning to predict by the methods of temporal differences, 1988",
        return_steps=3,
    )
    yield _variant(
        "per-dqn",
        "DQN with prioritised replay",
        "Schaul, Quan, Antonoglou, Silver. Prioritized experience replay, 2016",
        prioritised=True,
    )
    yield replace(
        _variant(
            "qr-dqn",
            "DQN of quantiles of the return: actions may be chosen by their bad cases",
            "Dabney, Rowland, Bellemare, Munos. Distributional reinforcement learning with quantile regression, 2018",
        ),
        target="rl_algos.q_learning.qr_dqn:QRDQN",
        presets="rl_algos:q_learning/presets/qr-dqn.yaml",
        tags=("off-policy", "value-based", "replay", "distributional", "risk"),
    )
    yield _variant(
        "rainbow-lite",
        "Double, dueling, prioritised DQN with three-step returns",
        "Hessel and others. Rainbow: combining improvements in deep reinforcement learning, 2018",
        double=True,
        dueling=True,
        prioritised=True,
        return_steps=3,
    )


def _variant(name: str, summary: str, reference: str, **config: Any) -> AgentSpec:
    return AgentSpec(
        name=name,
        target="rl_algos.q_learning.dqn:DQN",
        summary=summary,
        reference=reference,
        fits=(
            "control vector-input discrete-output",
            "control image-input discrete-output",
            "control discrete-input discrete-output",
        ),
        unit="environment steps",
        task="CartPole-v1",
        network="mlp",
        budget=50_000,
        config=config,
        presets="rl_algos:q_learning/presets/dqn.yaml",
        space="rl_algos:q_learning/spaces/dqn.yaml",
        tiny={
            **{"num_envs": 2, "rollout_steps": 4, "num_updates": 2, "learning_starts": 4},
            **{"buffer_size": 32, "batch_size": 4, "target_steps": 8},
        },
        tags=("off-policy", "value-based", "replay"),
    )
