"""Specs of agents for continuous actions that learn from a replay buffer. Entries are sorted by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rl_core.api import AgentSpec

_TAGS = ("off-policy", "actor-critic", "replay")
_TINY: Mapping[str, Any] = {"num_envs": 2, "iteration_steps": 4, "hold_steps": 3, "learning_starts": 4, "batch_size": 4, "buffer_size": 12}


def agents() -> Iterator[AgentSpec]:
    """Yield the specs of agents, sorted by name."""
    yield AgentSpec(
        name="ddpg",
        target="rl_algos.continuous.ddpg:DDPG",
        summary="Deep deterministic policy gradient: a policy follows its critic's gradient",
        reference="Lillicrap and others. Continuous control with deep reinforcement learning, 2016",
        fits=("control vector-input continuous-output",),
        unit="environment steps",
        task="Pendulum-v1",
        network="mlp",
        budget=20_000,
        presets="rl_algos:continuous/presets/ddpg.yaml",
        tiny=_TINY,
        tags=_TAGS,
    )
    yield AgentSpec(
        name="sac",
        target="rl_algos.continuous.sac:SAC",
        summary="Soft actor-critic: reward and entropy, with a temperature that is learned",
        reference="Haarnoja and others. Soft actor-critic algorithms and applications, 2018",
        fits=("control vector-input continuous-output",),
        unit="environment steps",
        task="Pendulum-v1",
        network="mlp",
        budget=20_000,
        presets="rl_algos:continuous/presets/sac.yaml",
        space="rl_algos:continuous/spaces/sac.yaml",
        tiny=_TINY,
        tags=(*_TAGS, "maximum entropy"),
    )
    yield AgentSpec(
        name="td3",
        target="rl_algos.continuous.td3:TD3",
        summary="Twin delayed DDPG: two critics, noise on the target action, fewer policy steps",
        reference="Fujimoto, van Hoof, Meger. Addressing function approximation error in actor-critic methods, 2018",
        fits=("control vector-input continuous-output",),
        unit="environment steps",
        task="Pendulum-v1",
        network="mlp",
        budget=20_000,
        presets="rl_algos:continuous/presets/td3.yaml",
        tiny=_TINY,
        tags=_TAGS,
    )
