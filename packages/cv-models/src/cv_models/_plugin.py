"""The plugin: yields the specs of every room; nothing heavy is imported."""

from __future__ import annotations

from collections.abc import Iterator

from cv_models.classify import specs as classify
from rl_core.api import NetworkSpec, hookimpl

RL_API = 2

NETWORKS = (classify,)


@hookimpl
def rl_networks() -> Iterator[NetworkSpec]:
    """Yield the networks of every room."""
    for room in NETWORKS:
        yield from room.networks()
