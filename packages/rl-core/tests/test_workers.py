"""Processes whose methods a run calls; those of `a3c`, policy search and shards are tested with their packages."""

from __future__ import annotations

import pytest

from rl_core.errors import WorkError
from rl_core.workers import Workers, _dismiss


def test_methods_are_called_in_each_process_and_an_end_is_named() -> None:
    workers = Workers(list, [([1, 2],), ([3],)], threads=1, work="counts")
    assert workers.call("pop", [(0,), (0,)]) == [1, 3]
    with pytest.raises(RuntimeError, match="IndexError: pop from empty list"):
        workers.call("pop", [(), ()])
    assert workers.call("__len__", [(), ()]) == [0, 0]  # the others went on
    workers.processes[1].kill()
    with pytest.raises(WorkError, match=r"a process that counts has ended \(number 1, exit code -9\)"):
        workers.call("__len__", [(), ()])


def test_ctrl_c_while_processes_leave_kills_them_in_silence() -> None:
    class Process:
        killed = False

        def join(self, timeout: float) -> None:
            raise KeyboardInterrupt

        def is_alive(self) -> bool:
            return not self.killed

        def kill(self) -> None:
            self.killed = True

    processes = [Process(), Process()]
    _dismiss([], processes)
    assert all(process.killed for process in processes)
