"""Workers as processes of this machine, one thread of linear algebra each, on processors of their own where there are enough."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated

from rl_core.config import Doc, configclass
from rl_core.launchers.launcher import Needs, WorkerState


@configclass
class LocalConfig:
    """Settings of the launcher."""

    pin: Annotated[bool, Doc("give each worker its share of the processors, if there is one for each")] = True
    attached: Annotated[bool, Doc("let the workers save and end when the process that started them does")] = True


class LocalLauncher:
    """Processes of this machine."""

    Config = LocalConfig

    def __init__(self, config: LocalConfig) -> None:
        self._config = config
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, argv: Sequence[str], count: int, needs: Needs, folder: Path) -> list[str]:
        """Start `count` processes; what they print goes to `workers/local-<pid>.log`."""
        ids = []
        for cpus in shares(available(), count, needs.cpus) if self._config.pin else [[]] * count:
            options = ["--cpus", ",".join(map(str, cpus))] if cpus else []
            options += ["--parent", str(os.getpid())] if self._config.attached else []
            name = folder / "workers" / f".local-{time.time_ns()}.log"
            with name.open("wb") as log:
                process = subprocess.Popen([*argv, *options], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
            name.rename(name.with_name(f"local-{process.pid}.log"))
            self._processes[str(process.pid)] = process
            ids.append(str(process.pid))
        return ids

    def look(self, ids: Sequence[str]) -> Mapping[str, WorkerState]:
        """Return which processes have ended."""
        return {each: "running" if self._processes[each].poll() is None else "gone" for each in ids}

    def stop(self, ids: Sequence[str], seconds: float) -> None:
        """Send SIGTERM, and SIGKILL to those that are still there after so many seconds."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            for each in ids:
                with suppress(OSError):
                    self._processes[each].send_signal(number)
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline and "running" in self.look(ids).values():
                time.sleep(0.05)


def available() -> list[int]:
    """Return the processors that this process may use; none where the system does not say."""
    try:
        return sorted(os.sched_getaffinity(0))
    except AttributeError:
        return []


def shares(cpus: Sequence[int], count: int, least: int = 1) -> list[list[int]]:
    """Return disjoint shares of the processors for so many workers; empty ones where a share would have fewer than `least`.

    >>> shares([0, 1, 2, 3, 4], 2), shares([0, 1], 4)
    ([[0, 1], [2, 3]], [[], [], [], []])
    """
    size = len(cpus) // count
    return [list(cpus[index * size : (index + 1) * size]) if size >= least else [] for index in range(count)]
