"""Metrics of a run as a table that spreadsheets open while it learns: `rl-core run ppo --logger csv-table`."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from rl_core.api import hookimpl
from rl_core.figure import metric_names
from rl_core.runs import metrics_log
from rl_core.runs.files import opened

if TYPE_CHECKING:
    from rl_core.api import RunView

NAME = "metrics.csv"


class CsvLogger:
    """A logger that writes a row for each step and a column for each metric, into `metrics.csv` of the run.

    A metric that appears later gets a column of its own, which is empty in the rows before it. A resumed run takes out the rows of steps
    that will be taken again.
    """

    def __init__(self) -> None:
        self._columns: list[str] = []
        self._file: TextIO | None = None

    @hookimpl
    def rl_run_started(self, run: RunView) -> None:
        """Write the rows of the steps so far."""
        self._rewrite(run.folder, run.agent.progress)

    @hookimpl
    def rl_metrics(self, run: RunView, progress: int, metrics: Mapping[str, float]) -> None:
        """Append a row; a new column writes the table anew."""
        if self._file is None or not metrics.keys() <= set(self._columns):
            self._rewrite(run.folder, progress)
            return
        csv.writer(self._file).writerow([progress, *(metrics.get(name, "") for name in self._columns)])
        self._file.flush()

    @hookimpl
    def rl_run_finished(self) -> None:
        """Close the table."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _rewrite(self, folder: Path, progress: int) -> None:
        """Write the table from `metrics.jsonl`, up to `progress`."""
        self.rl_run_finished()
        lines: list[dict[str, Any]] = [line for line in metrics_log.read(folder) if line["progress"] <= progress]
        self._columns = list(metric_names(lines))
        descriptor = opened(folder / NAME, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        self._file = open(descriptor, "w", newline="", encoding="utf-8")  # noqa: SIM115, PTH123 - a descriptor has no path
        writer = csv.writer(self._file)
        writer.writerow(["progress", *self._columns])
        writer.writerows([int(line["progress"]), *(line.get(name, "") for name in self._columns)] for line in lines)
        self._file.flush()
