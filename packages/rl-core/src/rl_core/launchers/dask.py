"""Workers as tasks of a Dask cluster whose nodes see the folder of the sweep.

Dask is given strings alone. A task whose node dies is started on another one. Dask gives code execution to whom its ports can be reached
by: a cluster that is started here listens to this machine alone, without a dashboard.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

from rl_core.config import Doc, configclass
from rl_core.launchers.command import call
from rl_core.launchers.launcher import Needs, WorkerState


@configclass
class DaskConfig:
    """Settings of the cluster."""

    address: Annotated[str, Doc("its scheduler, such as tcp://10.0.0.1:8786; empty starts a cluster on this machine")] = ""


class DaskLauncher:
    """Tasks of a Dask cluster."""

    Config = DaskConfig

    def __init__(self, config: DaskConfig) -> None:
        self._config = config
        self._client: Any = None
        self._tasks: dict[str, Any] = {}

    def start(self, argv: Sequence[str], count: int, needs: Needs, folder: Path) -> list[str]:
        """Submit `count` tasks, each of which runs the command."""
        distributed: Any = import_module("distributed")

        if self._client is None:
            cluster = self._config.address or distributed.LocalCluster(
                n_workers=count, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
            )
            self._client = distributed.Client(cluster)
        tasks = [self._client.submit(call, list(argv), pure=False, retries=100) for _ in range(count)]
        self._tasks |= {task.key: task for task in tasks}
        return [task.key for task in tasks]

    def look(self, ids: Sequence[str]) -> Mapping[str, WorkerState]:
        """Return which tasks have ended."""
        return {each: "gone" if self._tasks[each].done() else "running" for each in ids}

    def stop(self, ids: Sequence[str], seconds: float) -> None:
        """Wait for the workers, which save when the sweep's file `stop` is there, and cancel those that are left after so many seconds."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and "running" in self.look(ids).values():
            time.sleep(0.2)
        left = [self._tasks[each] for each, state in self.look(ids).items() if state != "gone"]
        if left:
            self._client.cancel(left, force=True)
