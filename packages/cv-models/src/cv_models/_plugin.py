"""The plugin: yields the specs of every room; nothing heavy is imported."""

from __future__ import annotations

from collections.abc import Iterator

from cv_models.classify import specs as classify
from cv_models.detect import specs as detect
from cv_models.segment import specs as segment
from cv_models.tasks import box_specs, map_specs
from rl_core.api import NetworkSpec, TaskSchemeSpec, TaskSpec, hookimpl

RL_API = 2

NETWORKS = (classify, segment, detect)
TASKS = (map_specs, box_specs)


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
