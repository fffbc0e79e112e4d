"""Objects in processes of their own, whose methods a run calls: the work of a step that `--processes` shares.

The processes are started anew, not forked. Signals are left to the run, which saves first, and they end with the run, however it ends.
What is sent goes through pipes of this machine; nothing of it is kept.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from rl_core.errors import RequestError, RlError, WorkError
from rl_core.threads import limited_threads

SPAWN = multiprocessing.get_context("spawn")  # a fork would copy the threads of linear algebra in a broken state
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)  # the signals that stop a run, see `rl_core.runs.signals`
PATIENCE = 5.0  # seconds that a process has to leave before it is killed
UNGUARDED = 93  # exit code of a process that was about to start processes of its own


class Workers:
    """Some processes with an object each.

    Args:
        make: Builds the object; a function or class of a module, since its name is sent.
        arguments: What it is called with in each process.
        threads: Threads of linear algebra in each.
        work: What the processes do, for the message when one has ended: "plays episodes".

    Attributes:
        processes: The processes.

    Raises:
        ValueError: if the arguments cannot be sent to another process.
    """

    def __init__(self, make: Callable[..., Any], arguments: Sequence[tuple[Any, ...]], *, threads: int, work: str) -> None:
        self._work = work
        self._connections: list[Connection] = []
        self._answered = False
        self.processes: list[BaseProcess] = []
        self._end = weakref.finalize(self, _dismiss, self._connections, self.processes)
        if arguments:
            if getattr(multiprocessing.current_process(), "_inheriting", False):
                os._exit(UNGUARDED)  # a process that imports an unguarded script; the run's process says so
            resource_tracker.ensure_running()  # its start unblocks signals; a process would then be started unprotected
        for each in arguments:
            ours, theirs = SPAWN.Pipe()
            process = SPAWN.Process(target=_serve, args=(theirs, make, each, threads), daemon=True)
            blocked = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)  # or a signal could end it before it ignores them
            try:
                process.start()
            except (pickle.PicklingError, AttributeError, TypeError) as error:
                raise ValueError(f"the task or the network cannot be sent to another process ({error}); leave --processes out") from error
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
            theirs.close()  # so that each side notices the death of the other
            self._connections.append(ours)
            self.processes.append(process)

    def begin(self, name: str, arguments: Sequence[tuple[Any, ...]]) -> None:
        """Call a method of each object, with arguments of its own, and do not wait for the results."""
        for index, (connection, each) in enumerate(zip(self._connections, arguments, strict=True)):
            try:
                connection.send((name, each))
            except OSError as error:
                raise self._ended(index) from error

    def results(self) -> list[Any]:
        """Wait for what the methods return, in the order of the processes.

        Raises:
            WorkError: if a process has ended.
            RequestError: if it ended since the script that started it starts again in it.
        """
        answers = []
        for index, connection in enumerate(self._connections):
            try:
                answers.append(connection.recv())
            except (EOFError, OSError) as error:
                raise self._ended(index) from error
        self._answered = True
        for failure, _ in answers:
            if failure is not None:
                raise failure
        return [result for _, result in answers]

    def call(self, name: str, arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Call a method of each object at once, and wait for the results."""
        self.begin(name, arguments)
        return self.results()

    def _ended(self, index: int) -> RlError:
        self.processes[index].join(PATIENCE)
        code = self.processes[index].exitcode
        if code == UNGUARDED or not self._answered:
            return RequestError(
                f"a process that {self._work} ended before its first answer (number {index}, exit code {code}): each process imports the "
                "script that starts it, and an unguarded script starts again there",
                'put the script\'s calls under `if __name__ == "__main__":`, or take one process',
            )
        return WorkError(
            f"a process that {self._work} has ended (number {index}, exit code {code})", "continue the run with rl-core resume"
        )


def _serve(connection: Connection, make: Callable[..., Any], arguments: tuple[Any, ...], threads: int) -> None:
    """Answer calls until the connection is closed or the process of the run has ended."""
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
    threading.Thread(target=_end_with_the_run, daemon=True).start()
    served = make(*arguments)
    with limited_threads(threads), suppress(EOFError, OSError):
        while True:
            name, given = connection.recv()
            answer: tuple[Exception | None, Any]
            try:
                answer = None, getattr(served, name)(*given)
            except RlError as error:
                answer = error, None
            except Exception as error:
                answer = RuntimeError(f"{type(error).__name__}: {error}"), None
            connection.send(answer)


def _end_with_the_run() -> None:
    """Wait for the end of the process that started this one, be it killed, and end this one."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _dismiss(connections: list[Connection], processes: list[BaseProcess]) -> None:
    """Close the connections, on which the processes leave, and kill those that have not left after a while or at Ctrl-C."""
    for connection in connections:
        connection.close()
    for process in processes:
        with suppress(KeyboardInterrupt):
            process.join(PATIENCE)
        if process.is_alive():
            process.kill()
