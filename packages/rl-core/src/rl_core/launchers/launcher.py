"""The contract of a launcher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

WorkerState = Literal["queued", "running", "gone"]


@dataclass(frozen=True)
class Needs:
    """The resources of one worker.

    Attributes:
        cpus: Processors.
        gpus: Graphics processors.
        memory: Megabytes; 0 leaves it to the launcher.
        minutes: Longest time; 0 leaves it to the launcher.
    """

    cpus: int = 1
    gpus: int = 0
    memory: int = 0
    minutes: int = 0


class Launcher(Protocol):
    """A way to start workers. They need nothing from it but to be started: they find their runs in the sweep's folder.

    A worker that is stopped with SIGTERM saves, and ends with exit status 3; one that is killed loses nothing that was saved.

    Attributes:
        Config: The settings, a `rl_core.config.configclass`; the launcher is made as `Launcher(config)`.
    """

    Config: ClassVar[type[Any]]

    def start(self, argv: Sequence[str], count: int, needs: Needs, folder: Path) -> list[str]:
        """Start `count` copies of a command and return an id of each.

        Args:
            argv: The command.
            count: Number of workers.
            needs: The resources of each.
            folder: The folder of the sweep, for files of the launcher's own.
        """

    def look(self, ids: Sequence[str]) -> Mapping[str, WorkerState]:
        """Return what each worker is doing."""

    def stop(self, ids: Sequence[str], seconds: float) -> None:
        """Ask the workers to save and end, and kill those that are still there after so many seconds."""
