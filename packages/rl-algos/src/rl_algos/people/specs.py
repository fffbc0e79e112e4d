"""Specs of learning from people."""

from __future__ import annotations

from collections.abc import Iterator

from rl_core.api import AgentSpec


def agents() -> Iterator[AgentSpec]:
    """Yield the agents, by name."""
    yield AgentSpec(
        name="preference-reward",
        target="rl_algos.people.preference_reward:PreferenceReward",
        summary="PPO on a reward that is learned from comparisons of pieces of behaviour",
        reference="Christiano, Leike, Brown, Martic, Legg, Amodei. Deep reinforcement learning from human preferences, 2017",
        fits=("control vector-input discrete-output", "control vector-input continuous-output"),
        unit="environment steps",
        task="CartPole-v1",
        network="mlp",
        budget=100_000,
        presets="rl_algos:people/presets/preference-reward.yaml",
        tiny={
            **{"num_envs": 2, "rollout_steps": 8, "num_epochs": 1, "batch_size": 8, "piece_steps": 4, "comparisons": 20},
            **{"comparisons_per_rollout": 10, "reward_hidden": 4, "reward_updates": 2, "reward_batch_size": 8},
        },
        tags=("on-policy", "policy gradient", "preferences"),
    )
