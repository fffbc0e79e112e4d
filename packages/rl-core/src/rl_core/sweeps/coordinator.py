"""The process that starts the workers of a sweep, shows how far they are, and sums up."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from rl_core.errors import WorkError
from rl_core.launchers.launcher import Launcher, Needs
from rl_core.runs import files
from rl_core.runs.signals import TERMINATIONS
from rl_core.sweeps import plan, states
from rl_core.sweeps.claims import Claims
from rl_core.sweeps.worker import STOP

SUMMARY = "summary.json"
SECONDS_BETWEEN_LOOKS = 0.2
SECONDS_BETWEEN_LINES = 30.0  # where standard error is not a terminal
SECONDS_TO_SAVE = 120.0


@dataclass
class Crew:
    """The workers of a coordinator.

    Attributes:
        launcher: What starts them.
        count: How many are started.
        needs: Resources of each.
        disabled: Plugins that they leave out.
        arguments: Further arguments of `rl-core work`.
        ids: Those that were started, as the launcher knows them.
    """

    launcher: Launcher
    count: int
    needs: Needs = field(default_factory=Needs)
    disabled: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    ids: list[str] = field(default_factory=list)

    def start(self, folder: Path) -> None:
        """Start the workers."""
        options = [part for name in self.disabled for part in ("--disable", name)]
        argv = [sys.executable, "-m", "rl_core", *options, "work", str(folder.resolve()), *self.arguments]
        self.ids = self.launcher.start(argv, self.count, self.needs, folder.resolve())

    def is_gone(self) -> bool:
        """Return whether none of them is there any more."""
        return all(state == "gone" for state in self.launcher.look(self.ids).values())


class Watch:
    """The states of the runs of a sweep; those that are done are looked at once."""

    def __init__(self, sweep: plan.Sweep) -> None:
        self._sweep = sweep
        self._claims = Claims(sweep.folder / "claims")
        self._final: dict[str, states.State] = {}

    def look(self) -> dict[str, states.State]:
        """Return the state of each run."""
        fresh = self._claims.fresh()
        known = {entry.name for entry in os.scandir(self._sweep.folder / "runs")}
        found: dict[str, states.State] = {}
        for run in self._sweep.runs:
            if run.id in self._final:
                found[run.id] = self._final[run.id]
            elif run.folder.removeprefix("runs/") not in known:
                found[run.id] = "running" if run.id in fresh else "waiting"
            else:
                state = found[run.id] = states.state_of(self._sweep.path(run), claimed=run.id in fresh)
                if state == "done":
                    self._final[run.id] = state
        return found

    def close(self) -> None:
        """Remove the file that the clock is read with."""
        self._claims.close()


def is_left(sweep: plan.Sweep, found: Mapping[str, states.State], until: int | None) -> bool:
    """Return whether a worker has something to do."""
    return not all(is_over(sweep, run, found[run.id], until) for run in sweep.runs)


def is_over(sweep: plan.Sweep, run: plan.PlannedRun, state: states.State, until: int | None) -> bool:
    """Return whether no worker has anything to do for a run."""
    if state in ("done", "failed"):
        return True
    if until is None or state != "paused" or states.progress_of(sweep.path(run)) < until:
        return False
    return not sweep.terms.score_paused or states.is_scored(sweep.path(run), until)


def coordinate(sweep: plan.Sweep, crew: Crew, say: Callable[[str], None], *, until: int | None = None) -> bool:
    """Start workers, wait until nothing is left to do, and return whether all ended of their own accord.

    Workers that were killed are replaced, as long as runs get done in between.

    Raises:
        WorkError: if every worker ended and left runs behind.
    """
    (sweep.folder / STOP).unlink(missing_ok=True)
    watch, line = Watch(sweep), Line(say)
    found = watch.look()
    with interruptible(sweep.folder / STOP) as interrupts:
        done = -1
        while is_left(sweep, found, until):
            now_done = sum(state in ("done", "failed") for state in found.values())
            if now_done <= done:
                raise WorkError(
                    f"the workers ended and left runs behind: {_counted(found)}{_last_words(sweep, crew)}",
                    f"continue with: rl-core resume {sweep.folder}",
                )
            done = now_done
            crew.start(sweep.folder)
            try:
                while not crew.is_gone():
                    line.show(found)
                    time.sleep(SECONDS_BETWEEN_LOOKS)
                    found = watch.look()
                    if interrupts.count > 1:
                        return False
            finally:
                if not crew.is_gone() and interrupts.count < 2:
                    crew.launcher.stop(crew.ids, SECONDS_TO_SAVE)
            found = watch.look()
            if interrupts.count:
                break
    line.end(found)
    watch.close()
    return not interrupts.count


def summary(sweep: plan.Sweep, *, seconds: float, groups: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the JSON document of a sweep, and write it to `summary.json`."""
    watch = Watch(sweep)
    found = watch.look()
    watch.close()
    counts = Counter(found.values())
    document = {
        "sweep": str(sweep.folder),
        "runs": [_row(sweep, run, found[run.id]) for run in sweep.runs],
        "groups": list(groups),
        "counts": {state: counts.get(state, 0) for state in states.STATES},
        "seconds": round(seconds, 3),
        "cpu_seconds": round(sum(line.get("cpu_seconds", 0.0) for line in worker_lines(sweep)), 3),
    }
    files.replace(sweep.folder / SUMMARY, (json.dumps(document, indent=1) + "\n").encode())
    return document


def worker_lines(sweep: plan.Sweep) -> Iterator[dict[str, Any]]:
    """Yield what the workers noted, file by file."""
    for path in sorted((sweep.folder / "workers").glob("*.jsonl")):
        for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
            with suppress(ValueError):
                line = json.loads(text)
                if isinstance(line, dict):
                    yield line


def clean(sweep: plan.Sweep) -> None:
    """Remove the claims of workers that have ended; the folder `claims` goes when every run is done."""
    claims = Claims(sweep.folder / "claims")
    claims.clear()


def _row(sweep: plan.Sweep, run: plan.PlannedRun, state: states.State) -> dict[str, Any]:
    folder = sweep.path(run)
    result = states.result_of(folder) if state == "done" else None
    failure = None if state == "done" else states.failure_of(folder)
    return {
        "id": run.id,
        "folder": run.folder,
        "group": run.group,
        "seed": run.seed,
        "state": state,
        "progress": result["progress"] if result else states.progress_of(folder),
        "score": result["score"] if result else None,
        "attempts": failure.attempts if failure else 0,
        "error": failure.error if failure else None,
    }


def _counted(found: Mapping[str, states.State]) -> str:
    counts = Counter(found.values())
    return ", ".join(f"{counts[state]:,} {state}" for state in states.STATES if counts[state])


def _last_words(sweep: plan.Sweep, crew: Crew) -> str:
    """Return the last line that the workers of this machine printed."""
    for each in crew.ids:
        path = sweep.folder / "workers" / f"local-{each}.log"
        with suppress(OSError):
            lines = path.read_text(errors="replace").strip().splitlines()
            if lines:
                return f"; the last line of a worker: {lines[-1][:500]}"
    return ""


class Line:
    """One line about the sweep: replaced once a second on a terminal, added every 30 s elsewhere."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._terminal = sys.stderr is not None and sys.stderr.isatty()
        self._began = self._shown = time.monotonic()
        self._done: int | None = None

    def show(self, found: Mapping[str, states.State]) -> None:
        """Show the states, if it is time."""
        now = time.monotonic()
        done = sum(state == "done" for state in found.values())
        self._done = done if self._done is None else self._done
        if now - self._shown < (1.0 if self._terminal else SECONDS_BETWEEN_LINES):
            return
        self._shown = now
        text = f"{_counted(found)} of {len(found):,} runs"
        since = done - self._done
        if since:
            left = int((len(found) - done) * (now - self._began) / since)
            text += f", {left // 3600}:{left // 60 % 60:02d}:{left % 60:02d} left"
        if self._terminal:
            sys.stderr.write(f"\r\x1b[K{text}")
            sys.stderr.flush()
        else:
            self._say(text)

    def end(self, found: Mapping[str, states.State]) -> None:
        """Leave the last state on the screen."""
        if self._terminal:
            sys.stderr.write("\r\x1b[K")
        self._say(f"{_counted(found)} of {len(found):,} runs")


class Interrupts:
    """The number of signals so far."""

    count = 0


@contextmanager
def interruptible(stop: Path) -> Iterator[Interrupts]:
    """Let the first signal ask the workers to save, and the second end the waiting for them."""
    found = Interrupts()

    def count(number: int, frame: FrameType | None) -> None:
        found.count += 1
        if found.count == 1:
            with suppress(OSError):
                stop.touch()
            os.write(2, b"\nthe workers finish a step, save and end; send the signal again (Ctrl-C) to leave them to it\n")

    if threading.current_thread() is not threading.main_thread():
        yield found
        return
    before = {number: signal.signal(number, count) for number in (signal.SIGINT, *TERMINATIONS)}
    try:
        yield found
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
