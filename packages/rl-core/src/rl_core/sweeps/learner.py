"""The warm process of a worker: it imports the components once and learns one run after the other, as its worker asks.

A line of JSON on standard input asks for a run, a line of JSON on standard output says how it ended. The process ends with its worker.
What a run prints goes to standard error, of which the worker keeps the end. A run that ends this process costs only itself.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple

from rl_core.errors import RequestError, RlError, printable
from rl_core.launchers.death import end_with_parent
from rl_core.plugins.containment import stdout_to_stderr
from rl_core.runs.signals import StopRequest, termination_as_interrupt
from rl_core.sweeps import plan, states
from rl_core.sweeps.claims import Lease

Ending = Literal["done", "paused", "stopped", "failed", "refused", "lost", "full"]


class Request(NamedTuple):
    """A run to learn.

    Attributes:
        sweep: Folder of the sweep.
        run: Its id.
        lease: File of the worker's lease.
        number: Number of the lease.
        token: Token of the lease.
        until: Progress at which to pause.
    """

    sweep: str
    run: str
    lease: str
    number: int
    token: str
    until: int | None


class Outcome(NamedTuple):
    """The end of one attempt at a run.

    Attributes:
        ending: "done", "paused" (at `until`), "stopped" (a signal; saved), "failed" (it raised), "refused" (its components cannot be
            used here), "lost" (another worker has it) or "full" (the disk is).
        progress: Progress of the run.
        error: The error, in words.
        hint: Its remedy.
        final: Whether it would be the same again.
        seconds: Wall time of the attempt.
        cpu: Processor time of it.
    """

    ending: Ending
    progress: int = 0
    error: str = ""
    hint: str = ""
    final: bool = False
    seconds: float = 0.0
    cpu: float = 0.0


class Learner:
    """The runs of this process.

    Args:
        parent: The process of the worker.
        disabled: Plugins that are left out.
    """

    def __init__(self, parent: int, disabled: tuple[str, ...] = ()) -> None:
        from rl_core.plugins.catalogue import Catalogue

        self._parent = parent
        self._catalogue = Catalogue.discover(disabled)
        self._sweeps: dict[str, dict[str, plan.PlannedRun]] = {}
        self._terms: dict[str, plan.Terms] = {}
        self._recipes: dict[Path, Any] = {}  # that of a group is read once for all of its seeds

    def learn(self, request: Request) -> Outcome:
        """Learn a run up to its budget or up to `until`, and return how that ended."""
        began, cpu = time.monotonic(), time.process_time()
        try:
            with termination_as_interrupt(), stdout_to_stderr():
                outcome = self._attempt(request)
        except KeyboardInterrupt:
            outcome = Outcome("stopped")
        return outcome._replace(seconds=round(time.monotonic() - began, 3), cpu=round(time.process_time() - cpu, 3))

    def _attempt(self, request: Request) -> Outcome:
        from rl_core.runs import recipe
        from rl_core.runs.run import Paused, Stopped
        from rl_core.sweeps.leased import Fence, LeaseLost, leased

        terms, run = self._planned(request.sweep, request.run)
        folder = Path(request.sweep) / run.folder
        lease = Lease(request.run, request.number, Path(request.lease), request.token)
        kind = leased(Fence(lease, self._parent), draws=terms.draw)
        try:
            if (folder / "recipe.yaml").exists():
                if hashlib.sha256((folder / "recipe.yaml").read_bytes()).hexdigest() != run.sha256:
                    message = f"recipe.yaml of {str(folder)!r} is not the one that was planned"
                    return Outcome("failed", 0, message, "remove the run's folder, and it is learned anew", final=True)
                resolved = None
            else:
                path = Path(request.sweep) / run.recipe
                file = self._recipes.get(path) or self._recipes.setdefault(path, recipe.read(path))
                resolved = recipe.resolve(self._catalogue, file=file, seed=run.seed)
                if hashlib.sha256(resolved.recipe.to_yaml().encode()).hexdigest() != run.sha256:
                    message = f"run {run.id} resolves to another recipe here than where it was planned"
                    return Outcome("refused", 0, message, "install the versions of sweep.yaml")
        except RequestError as error:
            return Outcome("refused", 0, error.message, error.hint)
        made = None
        try:
            if request.number > 1:  # a process that is suspended may hold the lock of a file that this one replaces
                (folder / ".lock").unlink(missing_ok=True)
            if resolved is None:
                made = kind.open(folder, self._catalogue, lock=True)
            else:
                (folder / states.FAILURE).unlink(missing_ok=True)  # a new run takes an empty folder; the worker knows what it held
                made = kind.create(resolved, self._catalogue, folder)
            with made:
                made.learn(quiet=True, until=request.until, episodes=terms.episodes)
            (folder / states.FAILURE).unlink(missing_ok=True)
            return Outcome("done", made.agent.progress)
        except Stopped as stopped:
            assert made is not None
            if isinstance(stopped, Paused) and terms.score_paused and request.until is not None:
                states.write_pause(folder, request.until, _score(made, terms.episodes))
            return Outcome("paused" if isinstance(stopped, Paused) else "stopped", made.agent.progress)
        except LeaseLost as error:
            return Outcome("lost", 0, str(error))
        except RlError as error:
            progress = 0 if made is None else made.agent.progress
            if _is_full(error):
                return Outcome("full", progress, error.message, error.hint)
            return Outcome("failed", progress, error.message, error.hint, final=isinstance(error, RequestError))
        except (Exception, SystemExit) as error:
            progress = 0 if made is None else made.agent.progress
            text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            again = f"see where with: rl-core resume {folder} --traceback"
            return Outcome("failed", progress, printable(" ".join(text.split()), 2_000), again)

    def _planned(self, folder: str, run: str) -> tuple[plan.Terms, plan.PlannedRun]:
        if folder not in self._sweeps:
            sweep = plan.read(Path(folder))
            self._sweeps[folder] = {planned.id: planned for planned in sweep.runs}
            self._terms[folder] = sweep.terms
        return self._terms[folder], self._sweeps[folder][run]


def _score(made: Any, episodes: int) -> float:
    """Return the score of a run that is paused: of the best evaluation so far, or of one that is made now, with streams of its own."""
    if made.evaluations.best is not None:
        return float(made.evaluations.best[1])
    return float(made.evaluate(episodes=episodes)[made.task.metric])


def _is_full(error: BaseException | None) -> bool:
    """Return whether an error goes back to a full disk."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        error = error.__cause__
    return False


def limit_memory(megabytes: int) -> None:
    """Let this process allocate no more than that; nothing where the system cannot."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (megabytes << 20, megabytes << 20))


def main() -> None:
    """Answer the requests on standard input. The arguments: the worker's process, megabytes (0: any), plugins to leave out."""
    parent, megabytes, *disabled = sys.argv[1:]
    end_with_parent(int(parent))
    StopRequest.second_stops = False
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    if int(megabytes):
        limit_memory(int(megabytes))
    learner = Learner(int(parent), tuple(disabled))
    while line := sys.stdin.readline():
        outcome: Any = learner.learn(Request(**json.loads(line)))
        answers.write(json.dumps(outcome._asdict()) + "\n")


if __name__ == "__main__":
    main()
