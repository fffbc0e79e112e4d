"""The plugin: yields the specs of every room; nothing heavy is imported."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cv_models.classify import specs as classify
from cv_models.describe import specs as describe
from cv_models.detect import specs as detect
from cv_models.generate import specs as generate
from cv_models.segment import specs as segment
from cv_models.tasks import box_specs, map_specs
from cv_models.watch import specs as watch
from rl_core.api import AgentSpec, NetworkSpec, RunView, TaskSchemeSpec, TaskSpec, hookimpl

RL_API = 2

AGENTS = (generate,)
NETWORKS = (classify, segment, detect, describe, watch, generate)
TASKS = (map_specs, box_specs, describe, watch, generate)


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


@hookimpl
def rl_run_started(run: RunView) -> None:
    """Draw the varied training pictures of a run that varies them, before it learns."""
    if getattr(run.agent.task, "augments", False) and "image-input" in run.agent.task.traits():
        from cv_models.figures import draw_varied

        draw_varied(run)


@hookimpl
def rl_run_finished(run: RunView, result: Mapping[str, Any] | None, error: BaseException | None) -> None:
    """Draw the confusion matrix of a classifier of pictures, and where it looks."""
    if result is not None and {"data", "image-input", "discrete-output"} <= run.agent.task.traits():
        from cv_models.figures import draw_classifier

        draw_classifier(run)
