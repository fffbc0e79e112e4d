"""Every hook of the host. The docstrings are the reference for plugin authors.

Collecting hooks run on every command, also on `rl-core list`: they must return at once and import nothing heavy.
Run hooks are called in the process of a run; they may import anything. A run hook that raises is reported, and dropped after its third
failure; it never stops a run. Wrappers (`hookwrapper=True`) are not called.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from rl_core.api import AgentSpec, LauncherSpec, LoggerSpec, NetworkSpec, RunView, TaskSchemeSpec, TaskSpec, hookspec

if TYPE_CHECKING:
    from pathlib import Path


@hookspec
def rl_agents() -> Iterable[AgentSpec]:
    """Return the agents of this plugin."""
    return ()


@hookspec
def rl_networks() -> Iterable[NetworkSpec]:
    """Return the networks of this plugin."""
    return ()


@hookspec
def rl_tasks() -> Iterable[TaskSpec]:
    """Return the tasks of this plugin."""
    return ()


@hookspec
def rl_task_schemes() -> Iterable[TaskSchemeSpec]:
    """Return the open families of tasks of this plugin, such as `csv:<file>`."""
    return ()


@hookspec
def rl_loggers() -> Iterable[LoggerSpec]:
    """Return the loggers of this plugin; one is used in a run only if `--logger` names it."""
    return ()


@hookspec
def rl_launchers() -> Iterable[LauncherSpec]:
    """Return the launchers of this plugin, which start the workers of a sweep."""
    return ()


@hookspec
def rl_run_started(run: RunView) -> None:
    """Handle the start of a run, before its first step or its first step after `resume`."""


@hookspec
def rl_metrics(run: RunView, progress: int, metrics: Mapping[str, float]) -> None:
    """Handle the metrics of a step; `progress` is in the agent's unit."""


@hookspec
def rl_checkpoint_saved(run: RunView, path: Path) -> None:
    """Handle a checkpoint that was written completely to the folder `path`."""


@hookspec
def rl_run_finished(run: RunView, result: Mapping[str, Any] | None, error: BaseException | None) -> None:
    """Handle the end of a run: `result` is the content of `result.json`, `None` if it failed or was stopped; `error` is the exception."""
