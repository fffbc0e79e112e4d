"""Specs of agents that explore by bonuses, noise or many values, and of the deep sea. Entries are sorted by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rl_core.api import AgentSpec, TaskSpec

_TINY = {
    **{"num_envs": 2, "rollout_steps": 4, "num_updates": 2, "learning_starts": 4},
    **{"buffer_size": 32, "batch_size": 4, "target_steps": 8},
}


def agents() -> Iterator[AgentSpec]:
    """Yield the specs of agents, sorted by name."""
    yield _explorer(
        "bootstrapped-dqn",
        "bootstrapped_dqn:BootstrappedDQN",
        "DQN with many values and random priors, one of which is followed in each episode",
        "Osband, Blundell, Pritzel, Van Roy. Deep exploration via bootstrapped DQN, 2016",
        {"exploration": "greedy"},
        {"num_heads": 2},
    )
    yield _explorer(
        "count-dqn",
        "bonus_dqn:BonusDQN",
        "DQN that is paid for actions which were seldom taken",
        "Tang and others. #Exploration: a study of count-based exploration for deep reinforcement learning, 2017",
        {"exploration_rate": 0.05, "exploration_schedule": "constant"},
        {},
    )
    yield _explorer(
        "curiosity-dqn",
        "bonus_dqn:BonusDQN",
        "DQN that is paid for what it cannot predict",
        "Burda and others. Large-scale study of curiosity-driven learning, 2019",
        {"bonus": "prediction", "bonus_scale": 0.05, "exploration_rate": 0.05, "exploration_schedule": "constant"},
        {"num_features": 2},
    )
    yield _explorer(
        "disagreement-dqn",
        "bonus_dqn:BonusDQN",
        "DQN that is paid where its predictors disagree",
        "Pathak, Gandhi, Gupta. Self-supervised exploration via disagreement, 2019",
        {"bonus": "disagreement", "bonus_scale": 0.05, "exploration_rate": 0.05, "exploration_schedule": "constant"},
        {"num_features": 2, "num_predictors": 2},
    )
    yield _explorer(
        "noisy-dqn",
        "noisy_dqn:NoisyDQN",
        "DQN whose weights have learned noise in place of random actions",
        "Fortunato and others. Noisy networks for exploration, 2018",
        {"exploration": "greedy"},
        {},
    )
    yield _explorer(
        "rnd-dqn",
        "bonus_dqn:BonusDQN",
        "DQN that is paid where a random network is not yet imitated",
        "Burda, Edwards, Storkey, Klimov. Exploration by random network distillation, 2019",
        {"bonus": "distillation", "bonus_scale": 0.05, "exploration_rate": 0.05, "exploration_schedule": "constant"},
        {"num_features": 2},
    )


def _explorer(name: str, target: str, summary: str, reference: str, config: dict[str, Any], tiny: dict[str, Any]) -> AgentSpec:
    return AgentSpec(
        name=name,
        target=f"rl_algos.exploration.{target}",
        summary=summary,
        reference=reference,
        fits=(
            "control vector-input discrete-output",
            "control image-input discrete-output",
            "control discrete-input discrete-output",
        ),
        unit="environment steps",
        task="deep-sea",
        network="mlp",
        budget=20_000,
        config=config,
        presets="rl_algos:exploration/presets/deep_sea.yaml",
        tiny={**_TINY, **tiny},
        tags=("exploration", "off-policy", "replay", "value-based"),
    )


def tasks() -> Iterator[TaskSpec]:
    """Yield the deep sea."""
    yield TaskSpec(
        name="deep-sea",
        target="rl_algos.exploration.deep_sea:DeepSea",
        summary="Dive to a treasure that random play finds once in 2^N episodes",
        reference="Osband and others. Behaviour suite for reinforcement learning, 2020",
        traits=("control", "mdp", "discrete-input", "discrete-output"),
        agent="bootstrapped-dqn",
        tiny={"depth": 4},
        tags=("exploration", "grid"),
    )
