"""Metrics of a run as TensorBoard event files: `rl-core run ppo --logger tensorboard`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rl_core.api import hookimpl

if TYPE_CHECKING:
    from rl_core.runs.run import Run


class TensorBoardLogger:
    """Writes every metric against the agent's progress, into the folder `tensorboard` of the run.

    A run that is resumed goes on in the same folder; TensorBoard drops what an interrupted run had written beyond the
    checkpoint, because the new file says from which step it starts.
    """

    def __init__(self) -> None:
        self._writer: Any = None

    @hookimpl
    def rl_run_started(self, run: Run) -> None:
        """Open the event file."""
        from tensorboardX import SummaryWriter  # type: ignore[import-untyped, import-not-found, unused-ignore]

        self._writer = SummaryWriter(str(run.folder / "tensorboard"), purge_step=run.agent.progress or None)

    @hookimpl
    def rl_metrics(self, progress: int, metrics: Mapping[str, float]) -> None:
        """One point for each metric."""
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, progress)

    @hookimpl
    def rl_run_finished(self, result: Mapping[str, Any] | None) -> None:
        """The score as the last point, and the end of the file."""
        if self._writer is None:
            return
        if result and result.get("score") is not None:
            self._writer.add_scalar(f"score/{result['metric']}", result["score"], result["progress"])
        self._writer.close()
