"""Metrics of a run as TensorBoard event files: `rl-core run ppo --logger tensorboard`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rl_core.api import hookimpl

if TYPE_CHECKING:
    from rl_core.api import RunView


class TensorBoardLogger:
    """A logger that writes every metric against the agent's progress, into the folder `tensorboard` of the run.

    A resumed run continues in the same folder; TensorBoard drops the points that an interrupted run had written beyond the checkpoint,
    because the new file states the step at which it starts.
    """

    def __init__(self) -> None:
        self._writer: Any = None

    @hookimpl
    def rl_run_started(self, run: RunView) -> None:
        """Open the event file."""
        from tensorboardX import SummaryWriter  # type: ignore[import-untyped, import-not-found, unused-ignore]

        self._writer = SummaryWriter(str(run.folder / "tensorboard"), purge_step=run.agent.progress or None)

    @hookimpl
    def rl_metrics(self, progress: int, metrics: Mapping[str, float]) -> None:
        """Write one point for each metric."""
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, progress)

    @hookimpl
    def rl_run_finished(self, result: Mapping[str, Any] | None) -> None:
        """Write the score as the last point, and close the file."""
        if self._writer is None:
            return
        if result and result.get("score") is not None:
            self._writer.add_scalar(f"score/{result['metric']}", result["score"], result["progress"])
        self._writer.close()
