"""Sentences about a run: how it stopped, what went wrong, and what to type next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rl_core.errors import EnvironmentFailure, RlError, WorkError
from rl_core.plugins.containment import author_remedy
from rl_core.runs import checkpoint, recipe
from rl_core.task import ControlTask

if TYPE_CHECKING:
    from rl_core.runs.run import Run

FEW_EPISODES = 10  # of the evaluation that is offered while a long one goes on


def stopped(run: Run, how: str) -> str:
    """Return where a run "stopped" or "paused", and how to continue it."""
    return f"{how} at {run.agent.progress:,} {run.spec.unit} and saved; continue with: {run.command('resume')}"


def still_evaluating(run: Run, episodes: int) -> str:
    """Return what is said while an evaluation takes long: how to evaluate later, by fewer episodes where that is possible."""
    fewer = f" --episodes {FEW_EPISODES}" if isinstance(run.task, ControlTask) and episodes > FEW_EPISODES else ""
    return f"learned and saved; still evaluating, see also: {run.command('eval')}{fewer}"


def beyond_budget(run: Run, until: int | None = None) -> list[str]:
    """Return a warning if the iterations of the agent took it far beyond the budget, or over the place where it should have paused."""
    if until is not None and until < run.budget <= run.agent.progress:
        return [f"agent {run.spec.name} did not pause at {until:,} {run.spec.unit}: one of its iterations goes on to the end of the budget"]
    if run.agent.progress <= 2 * run.budget:
        return []
    took = f"agent {run.spec.name} took {run.agent.progress:,} {run.spec.unit} where the budget is {run.budget:,}"
    return [f"{took}: one of its iterations takes more"]


def failure(run: Run, error: EnvironmentFailure | MemoryError | SystemExit) -> RlError:
    """Return the error to raise for one that says nothing to a user."""
    agent, place = f"agent {run.spec.name}", f"at {run.agent.progress:,} {run.spec.unit}"
    if isinstance(error, SystemExit):
        return WorkError(f"{agent} ended the process with sys.exit({error.code!r}) {place}", author_remedy(run.package))
    if isinstance(error, EnvironmentFailure):
        kept = checkpoint.names(run.folder / "checkpoints")
        saved = f"the last checkpoint is {kept[-1]}" if kept else "the run has no checkpoint yet"
        message = f"after {run.agent.progress:,} {run.spec.unit}: {error.message}; {saved}"
        return WorkError(message, f"continue with: {run.command('resume')}; {error.hint}")
    refused = recipe.out_of_memory(f"{agent} on task {run.task_name}", error)
    return WorkError(f"{refused.message} ({place})", refused.hint) if run.agent.progress else refused
