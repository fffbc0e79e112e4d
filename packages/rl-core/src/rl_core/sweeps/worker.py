"""A worker: takes runs of a sweep until none is left, and has them learned by a warm process of its own.

The worker holds the lease, beats for it, passes signals on, and writes down how each attempt ended; the learning is done in
`rl_core.sweeps.learner`, so that a run that crashes, never ends or prints without end costs that run alone.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from rl_core.runs.signals import STOPPED, TERMINATIONS
from rl_core.sweeps import plan, states
from rl_core.sweeps.claims import HEARTBEAT, Claims, Lease
from rl_core.sweeps.learner import Outcome, Request

LOST = 4  # exit status of a worker whose run another one took over
STOP = "stop"
SECONDS_BETWEEN_LOOKS = 0.5  # at the file `stop`, and for runs that others give back
SECONDS_TO_END = 2.0  # of a process that has closed its pipes
KEPT_OUTPUT = 8_000  # bytes of what a run prints
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


class Assignment(NamedTuple):
    """Runs to learn.

    Attributes:
        sweep: The sweep that they belong to.
        until: Progress at which each pauses; `None` learns it up to its budget.
        only: Ids of the runs; `None` means all.
    """

    sweep: plan.Sweep
    until: int | None = None
    only: frozenset[str] | None = None


class Worker:
    """One worker.

    Args:
        assignment: The runs.
        say: Prints a sentence for the user.
        disabled: Plugins that are left out.
        stop: The file that stops the worker; by default `stop` in the folder of the sweep.
    """

    def __init__(
        self, assignment: Assignment, say: Callable[[str], None], disabled: tuple[str, ...] = (), *, stop: Path | None = None
    ) -> None:
        self._say, self._disabled = say, disabled
        self._stop = stop or assignment.sweep.folder / STOP
        self._child: _Child | None = None
        self._signals = 0
        self._refused: dict[str, str] = {}
        self._failed = 0
        self.assign(assignment)

    def assign(self, assignment: Assignment) -> None:
        """Replace the runs; the warm process stays."""
        self._sweep, self._until = assignment.sweep, assignment.until
        self._left = {run.id: run for run in assignment.sweep.runs if assignment.only is None or run.id in assignment.only}
        self._claims = Claims(assignment.sweep.folder / "claims")
        self._log = assignment.sweep.folder / "workers" / f"{socket.gethostname()}-{os.getpid()}.jsonl"

    def work(self) -> int:
        """Learn until no run is left, and return the exit status: 0, 1 (failed runs, or a full disk), 2 (refused), 3 or 4 (see `LOST`)."""
        with self.handled_signals():
            try:
                return self.finish()
            finally:
                self.close()

    def finish(self) -> int:
        """Learn the assigned runs, and return the exit status; the warm process stays."""
        try:
            while not self.is_stopped():
                taken = self._take()
                if taken is None:
                    if not self._left:
                        return 2 if self._refused else 1 if self._failed else 0
                    time.sleep(SECONDS_BETWEEN_LOOKS)  # others have the rest; what they give back is taken
                    continue
                status = self._learn(*taken)
                if status is not None:
                    return status
            return STOPPED
        finally:
            self._claims.close()

    def close(self) -> None:
        """End the warm process."""
        if self._child is not None:
            self._child.kill()
            self._child = None

    def _take(self) -> tuple[plan.PlannedRun, Lease] | None:
        """Return a run that no worker has, with its lease."""
        for run in list(self._left.values()):
            if self._is_over(run):
                del self._left[run.id]
                continue
            lease = self._claims.take(run.id)
            if lease is None:
                continue
            if self._is_over(run):  # another worker finished it at this moment
                lease.release()
                del self._left[run.id]
                continue
            return run, lease
        return None

    def _is_over(self, run: plan.PlannedRun) -> bool:
        folder = self._sweep.path(run)
        if run.id in self._refused:
            return True
        if not folder.is_dir():
            return False
        if states.result_of(folder) is not None:
            return True
        failure = states.failure_of(folder)
        if failure is not None and failure.final:
            self._failed += 1
            return True
        if self._until is None or states.progress_of(folder) < self._until:
            return False
        return not self._sweep.terms.score_paused or states.is_scored(folder, self._until)

    def _learn(self, run: plan.PlannedRun, lease: Lease) -> int | None:
        """Have a run learned; returns an exit status if the worker has to end."""
        folder = self._sweep.path(run)
        before = states.failure_of(folder)
        self._note(run, "began")
        outcome, status, output = self._attempt(run, lease)
        self._note(run, outcome.ending, progress=outcome.progress, seconds=outcome.seconds, cpu_seconds=outcome.cpu, error=outcome.error)
        if outcome.ending == "lost" or not lease.holds():
            self._say(f"run {run.id}: another worker took it over, since this one was silent for too long; this worker ends")
            return LOST
        if outcome.ending == "failed":
            failure = judged(outcome, before, status=status, output=output, retries=self._sweep.terms.retries)
            states.write_failure(folder, failure)
            self._say(
                f"run {run.id} ({run.group}, seed {run.seed}) failed{'' if failure.final else ' and is tried again'}: {failure.error}"
            )
        elif outcome.ending == "refused":
            self._refused[run.id] = outcome.error
            self._say(f"run {run.id} cannot be learned here: {outcome.error}; {outcome.hint}")
        elif before is not None and outcome.ending in ("paused", "stopped") and outcome.progress <= before.progress:
            states.write_failure(folder, before)
        lease.release()
        if outcome.ending == "full":
            self._say(f"{outcome.error}; {outcome.hint}; this worker ends")
            return 1
        return None

    def _attempt(self, run: plan.PlannedRun, lease: Lease) -> tuple[Outcome, int, str]:
        """Return the outcome of an attempt, the exit status if it ended the warm process, and the end of what it printed."""
        if self._child is None:
            self._child = _Child(self._sweep, self._disabled)
        child = self._child
        child.ask(Request(str(self._sweep.folder), run.id, str(lease.path), lease.number, lease.token, self._until))
        began = beaten = time.monotonic()
        minutes = self._sweep.terms.minutes
        asked = 0
        while (answer := child.answer(SECONDS_BETWEEN_LOOKS)) is None and child.runs:
            now = time.monotonic()
            if now - beaten >= HEARTBEAT:
                lease.beat()
                beaten = now
                if not lease.holds():
                    self.close()
                    return Outcome("lost"), 0, ""
            if minutes is not None and now - began > minutes * 60:
                self.close()
                error = f"took longer than {minutes:g} minutes"
                return (
                    Outcome("failed", states.progress_of(self._sweep.path(run)), error, "give more --minutes", final=True),
                    0,
                    child.output,
                )
            if self.is_stopped() and asked < max(1, self._signals):
                child.signal(signal.SIGTERM if asked == 0 else signal.SIGKILL)
                asked += 1
        if answer is not None:
            return answer, 0, child.output
        self._child = None
        status = child.kill()
        progress = states.progress_of(self._sweep.path(run))
        if self.is_stopped():
            return Outcome("stopped", progress), status, child.output
        error = f"killed by {signal.Signals(-status).name}" if status < 0 else f"ended its process with status {status}"
        return Outcome("failed", progress, error, "see the end of its output in failure.json"), status or 1, child.output

    def is_stopped(self) -> bool:
        """Return whether the worker was asked to end."""
        return self._signals > 0 or self._stop.exists()

    def _note(self, run: plan.PlannedRun, event: str, **facts: Any) -> None:
        line = {"time": round(time.time(), 3), "run": run.id, "event": event, **{name: value for name, value in facts.items() if value}}
        with suppress(OSError), self._log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    @contextmanager
    def handled_signals(self) -> Iterator[None]:
        """Let the signals that end a run stop this worker after it: the first saves, the second kills."""

        def count(number: int, frame: FrameType | None) -> None:
            self._signals += 1

        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before: Mapping[int, Any] = {number: signal.signal(number, count) for number in (signal.SIGINT, *TERMINATIONS)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def judged(outcome: Outcome, before: states.Failure | None, *, status: int, output: str, retries: int) -> states.Failure:
    """Return the failure of a run after one more attempt: whether it is tried again.

    An error that is raised again at the same progress will always be raised there, since runs repeat to the last bit: one more attempt
    shows it. A run that is killed may have met bad luck; it is tried `retries` times without progress in between.

    >>> first = judged(Outcome("failed", 40, "x"), None, status=0, output="", retries=3)
    >>> second = judged(Outcome("failed", 40, "x"), first, status=0, output="", retries=3)
    >>> first.final, second.final, second.hint
    (False, True, 'the same error twice at 40: it is not chance')
    """
    stuck = before is not None and outcome.progress <= before.progress
    attempts = before.attempts + 1 if before is not None and stuck else 1
    repeated = before is not None and stuck and status == 0 and before.error == outcome.error and before.progress == outcome.progress
    error, hint = outcome.error, outcome.hint
    if repeated:
        hint = f"{hint}; " if hint else ""
        hint += f"the same error twice at {outcome.progress:,}: it is not chance"
    elif attempts >= retries and attempts > 1:
        error = f"{error}, {attempts} times at {outcome.progress:,}"
    return states.Failure(error, hint, outcome.progress, status, attempts, outcome.final or repeated or attempts >= retries, output)


class _Child:
    """The warm process, and the pipes to it."""

    def __init__(self, sweep: plan.Sweep, disabled: tuple[str, ...]) -> None:
        threads = dict.fromkeys(THREAD_VARIABLES, str(sweep.threads))
        arguments = [str(os.getpid()), str(sweep.terms.memory or 0), *disabled]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "rl_core.sweeps.learner", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **threads},
            start_new_session=True,  # a Ctrl-C in the terminal is the worker's to pass on
        )
        self._answers = b""
        self._printed = b""
        self.runs = True
        self._selector = selectors.DefaultSelector()
        for pipe in (self._process.stdout, self._process.stderr):
            assert pipe is not None
            self._selector.register(pipe, selectors.EVENT_READ)

    @property
    def output(self) -> str:
        """The end of what was printed since the last request."""
        return self._printed.decode(errors="backslashreplace")

    def ask(self, request: Request) -> None:
        """Send a request; a process that has ended is found out by `answer`."""
        self._printed = b""
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.write(json.dumps(request._asdict()).encode() + b"\n")
            self._process.stdin.flush()

    def answer(self, seconds: float) -> Outcome | None:
        """Return the outcome, or `None` if there is none after so many seconds; `runs` is then False if the process has ended."""
        for key, _ in self._selector.select(seconds):
            data = os.read(key.fd, 1 << 16)
            if not data:
                self._selector.unregister(key.fileobj)
            if key.fileobj is self._process.stderr:
                self._printed = (self._printed + data)[-KEPT_OUTPUT:]
                continue
            self._answers += data
            if not data:
                self.runs = False
        line, newline, rest = self._answers.partition(b"\n")
        if not newline:
            return None
        self._answers = rest
        return Outcome(**json.loads(line))

    def signal(self, number: int) -> None:
        """Send a signal."""
        with suppress(OSError):
            self._process.send_signal(number)

    def kill(self) -> int:
        """End the process and what it started, and return its exit status."""
        deadline = time.monotonic() + (0.0 if self.runs else SECONDS_TO_END)
        while not self._has_ended() and time.monotonic() < deadline:
            time.sleep(0.01)
        with suppress(OSError):
            os.killpg(self._process.pid, signal.SIGKILL)  # before it is waited for, since its number is its own until then
        status = self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        self._selector.close()
        return status

    def _has_ended(self) -> bool:
        """Return whether the process has ended, without taking its exit status."""
        with suppress(AttributeError, OSError):
            return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None
        return False
