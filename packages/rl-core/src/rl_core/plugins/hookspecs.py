"""Every hook of the host. The docstrings are the reference that a plugin's author reads.

Collecting hooks run on every command, also on `rl-core list`: they must return at once and import nothing heavy.
Run hooks are called in the process of a run; they may import what they like. A run hook that raises is reported,
and dropped after its third failure; it never stops a run. Wrappers (`hookwrapper=True`) are not called.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from rl_core.api import AgentSpec, LoggerSpec, NetworkSpec, TaskSchemeSpec, TaskSpec, hookspec

if TYPE_CHECKING:
    from pathlib import Path

    from rl_core.runs.run import Run


@hookspec
def rl_agents() -> Iterable[AgentSpec]:
    """Agents that this plugin brings."""
    return ()


@hookspec
def rl_networks() -> Iterable[NetworkSpec]:
    """Networks that this plugin brings."""
    return ()


@hookspec
def rl_tasks() -> Iterable[TaskSpec]:
    """Tasks that this plugin brings."""
    return ()


@hookspec
def rl_task_schemes() -> Iterable[TaskSchemeSpec]:
    """Open families of tasks that this plugin brings, such as `csv:<file>`."""
    return ()


@hookspec
def rl_loggers() -> Iterable[LoggerSpec]:
    """Loggers that this plugin brings; one takes part in a run only when `--logger` names it."""
    return ()


@hookspec
def rl_run_started(run: Run) -> None:
    """A run is about to take its first step, or its first step after `resume`."""


@hookspec
def rl_metrics(run: Run, progress: int, metrics: Mapping[str, float]) -> None:
    """One step was taken and these numbers came out; `progress` is in the agent's unit."""


@hookspec
def rl_checkpoint_saved(run: Run, path: Path) -> None:
    """A checkpoint stands whole on disk at `path`, a folder."""


@hookspec
def rl_run_finished(run: Run, result: Mapping[str, Any] | None, error: BaseException | None) -> None:
    """The run has ended: `result` is what `result.json` holds, `None` when it failed or was stopped (then `error` may say why)."""
