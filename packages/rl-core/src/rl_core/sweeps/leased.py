"""A run that a worker learns while it holds the lease of it: before anything is written, the lease is looked at."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from rl_core.runs.run import Run
from rl_core.sweeps.claims import Lease

SECONDS_BETWEEN_LOOKS = 1.0  # at the lease, from one line of metrics to the next


class LeaseLost(Exception):
    """Another worker took the run over; nothing was written since."""


class Fence:
    """A check that this process may still write to a run.

    Args:
        lease: The lease of the run.
        parent: The process that beats for it; without it, nothing may be written.
    """

    def __init__(self, lease: Lease, parent: int) -> None:
        self._lease, self._parent = lease, parent
        self._looked = 0.0

    def check(self, *, now: bool) -> None:
        """Check the lease, if `now` or if it was not looked at for a second.

        Raises:
            LeaseLost: if another worker has the run, or the parent process has ended.
        """
        if os.getppid() != self._parent:
            raise LeaseLost(f"the worker that held the lease of run {self._lease.run} has ended")
        moment = time.monotonic()
        if not now and moment - self._looked < SECONDS_BETWEEN_LOOKS:
            return
        if not self._lease.holds():
            raise LeaseLost(f"another worker took over run {self._lease.run}")
        self._looked = time.monotonic()


class LeasedRun(Run):
    """A run that is written only while its lease holds, and drawn only when the sweep asks for it.

    Attributes:
        fence: The check of the lease; `None` until the run is made.
        draws: Whether its figures are drawn.
    """

    fence: ClassVar[Fence | None] = None
    draws: ClassVar[bool] = False

    def record(self, metrics: Mapping[str, float]) -> None:
        """Write a line of metrics, if the lease holds."""
        self._check(now=False)
        super().record(metrics)

    def checkpoint(self) -> Path:
        """Save what the newest checkpoint lacks, if the lease holds."""
        self._check(now=True)
        return super().checkpoint()

    def _write(self, name: str, text: str) -> None:
        self._check(now=True)
        super()._write(name, text)

    def draw(self, score: float | None = None) -> None:
        """Draw the figures, if the sweep asks for it."""
        if self.draws:
            super().draw(score)

    def _check(self, *, now: bool) -> None:
        if self.fence is not None:
            self.fence.check(now=now)


def leased(fence: Fence, *, draws: bool) -> type[LeasedRun]:
    """Return the class of runs behind this fence."""
    return type("LeasedRun", (LeasedRun,), {"fence": fence, "draws": draws, "__doc__": LeasedRun.__doc__})
