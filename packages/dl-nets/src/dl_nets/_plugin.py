"""The plugin: yields the specs of every room; nothing heavy is imported."""

from __future__ import annotations

from collections.abc import Iterator

from dl_nets.adaptation import specs as adaptation
from dl_nets.classic import specs as classic
from dl_nets.continual import specs as continual
from dl_nets.generative import specs as generative
from dl_nets.language import specs as language
from dl_nets.learning import specs as learning
from dl_nets.networks import specs as networks
from dl_nets.preferences import specs as preferences
from dl_nets.recommend import specs as recommend
from dl_nets.spiking import specs as spiking
from dl_nets.tasks import specs as tasks
from rl_core.api import AgentSpec, NetworkSpec, TaskSchemeSpec, TaskSpec, hookimpl

RL_API = 2
RL_WEIGHTS = "dl_nets.learning.transfer:Pretrained"

AGENTS = (classic, continual, generative, learning, preferences)
NETWORKS = (adaptation, classic, generative, language, networks, recommend, spiking)
TASKS = (adaptation, continual, generative, language, preferences, recommend, tasks)


@hookimpl
def rl_agents() -> Iterator[AgentSpec]:
    """Yield the agents of every room."""
    for room in AGENTS:
        yield from room.agents()


@hookimpl
def rl_networks() -> Iterator[NetworkSpec]:
    """Yield the networks of every room."""
    for room in NETWORKS:
        yield from room.networks()


@hookimpl
def rl_tasks() -> Iterator[TaskSpec]:
    """Yield the tasks of every room."""
    for room in TASKS:
        yield from room.tasks()


@hookimpl
def rl_task_schemes() -> Iterator[TaskSchemeSpec]:
    """Yield the open families of tasks."""
    for room in TASKS:
        yield from room.schemes()
