"""Workers as tasks of a Ray cluster whose nodes see the folder of the sweep.

Ray is given strings alone. A worker whose node dies is started on another one, and takes the runs over.
Ray gives code execution to whom its ports can be reached by: a cluster that is started here listens to this machine alone, without a
dashboard.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

from rl_core.config import Doc, Whole, configclass
from rl_core.launchers.command import call
from rl_core.launchers.launcher import Needs, WorkerState


@configclass
class RayConfig:
    """Settings of the cluster."""

    address: Annotated[str, Doc("the cluster, such as auto or 10.0.0.1:6379; empty starts one on this machine")] = ""
    retries: Annotated[int, Doc("starts of a worker after a node died; -1 for any number")] = -1
    gpus: Annotated[Whole, Doc("graphics processors of a worker")] = 0


class RayLauncher:
    """Tasks of a Ray cluster."""

    Config = RayConfig

    def __init__(self, config: RayConfig) -> None:
        self._config = config
        self._tasks: dict[str, Any] = {}

    def start(self, argv: Sequence[str], count: int, needs: Needs, folder: Path) -> list[str]:
        """Submit `count` tasks, each of which runs the command."""
        ray = _ray()

        if not ray.is_initialized():
            ray.init(address=self._config.address or None, include_dashboard=False, log_to_driver=False, logging_level="error")
        options = {"num_cpus": needs.cpus, "num_gpus": needs.gpus or self._config.gpus, "max_retries": self._config.retries}
        work = ray.remote(**options)(call)
        ids = []
        for _ in range(count):
            task = work.remote(list(argv))
            self._tasks[task.hex()] = task
            ids.append(task.hex())
        return ids

    def look(self, ids: Sequence[str]) -> Mapping[str, WorkerState]:
        """Return which tasks have ended; Ray does not say which are queued."""
        ray = _ray()

        done, _ = ray.wait([self._tasks[each] for each in ids], num_returns=len(ids), timeout=0)
        ended = {task.hex() for task in done}
        return {each: "gone" if each in ended else "running" for each in ids}

    def stop(self, ids: Sequence[str], seconds: float) -> None:
        """Wait for the workers, which save when the sweep's file `stop` is there, and cancel those that are left after so many seconds."""
        ray = _ray()

        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and "running" in self.look(ids).values():
            time.sleep(0.2)
        for each, state in self.look(ids).items():
            if state != "gone":
                ray.cancel(self._tasks[each], force=True)


def _ray() -> Any:
    return import_module("ray")
