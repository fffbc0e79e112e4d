"""Stopping on request: the first signal finishes the step, the second stops at once."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType, TracebackType
from typing import Any, ClassVar

TERMINATIONS = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGUSR1", "SIGUSR2") if hasattr(signal, name)
)  # Slurm warns with one of the user signals before it kills
STOPPED = 3  # exit status of a run that was stopped and can be continued
GRACE = 1.0  # seconds that Python code has to react to a second signal


@contextmanager
def termination_as_interrupt() -> Iterator[None]:
    """Let SIGTERM and the user signals raise KeyboardInterrupt as Ctrl-C does.

    A run that is stopped while it is evaluated or drawn then still prints how to resume it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.default_int_handler) for number in TERMINATIONS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class StopRequest:
    """A context in which Ctrl-C, SIGTERM and the user signals set `requested` instead of interrupting the step.

    The second signal stops at once. Python calls its handlers only between instructions of Python, so a thread watches for a second
    signal that comes inside a long compiled loop, and ends the process: what is on the disk is whole at any instant.
    Outside the main thread, to which Python delivers no signals, the context does nothing.

    Attributes:
        second_stops: Whether a second signal stops at once. False in the processes of workers: a cluster signals each process of a job,
            so that the worker's own request is the second signal, and the worker ends a process that does not save by SIGKILL.

    Args:
        resume: The command that continues the run.
    """

    second_stops: ClassVar[bool] = True

    def __init__(self, resume: str = "rl-core resume RUN") -> None:
        self.requested = False
        self._resume = resume
        self._before: dict[int, Any] = {}
        self._pipe: tuple[int, int] | None = None
        self._wakeup = -1

    def __enter__(self) -> StopRequest:
        """Take over the signals."""
        if threading.current_thread() is threading.main_thread():
            self._pipe = os.pipe()
            os.set_blocking(self._pipe[1], False)
            self._wakeup = signal.set_wakeup_fd(self._pipe[1], warn_on_full_buffer=False)
            threading.Thread(target=self._watch, args=(self._pipe[0],), daemon=True).start()
            for number in (signal.SIGINT, *TERMINATIONS):
                self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Restore the handlers that were there before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._pipe is not None:
            signal.set_wakeup_fd(self._wakeup)
            os.close(self._pipe[1])  # the watching thread then ends, and closes the other end
            self._pipe = None

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            if self.second_stops:
                raise KeyboardInterrupt
            return
        self.requested = True
        _say("finishing this step, then saving; send the signal again (Ctrl-C) to stop immediately")

    def _watch(self, pipe: int) -> None:
        """Count the stop signals as the system delivers them, whatever the main thread is doing."""
        numbers = (signal.SIGINT, *TERMINATIONS)
        count = 0
        while data := os.read(pipe, 64):
            count += sum(number in numbers for number in data)
            if count < 2 or not self.second_stops:
                continue
            time.sleep(GRACE)
            if self._pipe is not None and self._pipe[0] == pipe:
                _say(f"stopped immediately; continue from the last checkpoint with: {self._resume}")
                os._exit(128 + signal.SIGINT)
        os.close(pipe)


def _say(text: str) -> None:
    with suppress(OSError):  # not print: the signal may arrive while the same buffer is being written
        os.write(2, f"\n{text}\n".encode())
