"""Specs of agents for continuous actions that learn from a replay buffer. Entries are sorted by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rl_core.api import AgentSpec

_TAGS = ("off-policy", "actor-critic", "replay")
_TINY: Mapping[str, Any] = {"num_envs": 2, "iteration_steps": 4, "hold_steps": 3, "learning_starts": 4, "batch_size": 4, "buffer_size": 12}


def _agent(name: str, target: str, summary: str, reference: str, **fields: Any) -> AgentSpec:
    return AgentSpec(
        name=name,
        target=f"rl_algos.continuous.{target}",
        summary=summary,
        reference=reference,
        fits=("control vector-input continuous-output",),
        unit="environment steps",
        task="Pendulum-v1",
        network="mlp",
        budget=20_000,
        presets=f"rl_algos:continuous/presets/{name}.yaml",
        **{"tiny": _TINY, "tags": _TAGS, **fields},
    )


def agents() -> Iterator[AgentSpec]:
    """Yield the specs of agents, sorted by name."""
    yield _agent(
        "ddpg",
        "ddpg:DDPG",
        "Deep deterministic policy gradient: a policy follows its critic's gradient",
        "Lillicrap and others. Continuous control with deep reinforcement learning, 2016",
    )
    yield _agent(
        "sac",
        "sac:SAC",
        "Soft actor-critic: reward and entropy, with a temperature that is learned",
        "Haarnoja and others. Soft actor-critic algorithms and applications, 2018",
        space="rl_algos:continuous/spaces/sac.yaml",
        tags=(*_TAGS, "maximum entropy"),
    )
    yield _agent(
        "td3",
        "td3:TD3",
        "Twin delayed DDPG: two critics, noise on the target action, fewer policy steps",
        "Fujimoto, van Hoof, Meger. Addressing function approximation error in actor-critic methods, 2018",
    )
