"""The logger writes metrics and score, into the folder of the run."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from rl_core.plugins.loading import Plugins
from rl_core.runs.loggers.tensorboard import TensorBoardLogger


class Writer:
    """Stands in for tensorboardX, which is behind an extra, and notes its calls."""

    made: list[Writer] = []  # noqa: RUF012 - emptied by the test

    def __init__(self, folder: str, purge_step: int | None) -> None:
        self.folder, self.purge_step, self.points, self.closed = folder, purge_step, [], False
        self.made.append(self)

    def add_scalar(self, name: str, value: float, step: int) -> None:
        """Note a point."""
        self.points.append((name, value, step))

    def close(self) -> None:
        """Note the end."""
        self.closed = True


def learn(folder: Path, progress: int, result: dict[str, Any] | None) -> None:
    plugins = Plugins()
    plugins.register(TensorBoardLogger(), "tensorboard")
    run = SimpleNamespace(folder=folder, agent=SimpleNamespace(progress=progress))
    plugins.notify("rl_run_started", run=run)
    plugins.notify("rl_metrics", run=run, progress=progress + 10, metrics={"loss": 0.5, "entropy": 1.0})
    plugins.notify("rl_run_finished", run=run, result=result, error=None)


def test_every_metric_is_a_point_and_the_score_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("tensorboardX")
    module.SummaryWriter = Writer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tensorboardX", module)
    Writer.made.clear()
    learn(tmp_path, 0, {"score": 475.0, "metric": "mean return", "progress": 10})
    learn(tmp_path, 30, None)
    fresh, resumed = Writer.made
    assert fresh.folder == str(tmp_path / "tensorboard")
    assert fresh.points == [("loss", 0.5, 10), ("entropy", 1.0, 10), ("score/mean return", 475.0, 10)]
    assert (fresh.purge_step, resumed.purge_step) == (None, 30)
    assert fresh.closed
    assert resumed.closed


def test_it_writes_event_files(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX", reason="the extra rl-core[tensorboard] is not installed")
    learn(tmp_path, 0, None)
    (events,) = (tmp_path / "tensorboard").iterdir()
    assert b"entropy" in events.read_bytes()


def test_a_run_that_never_started_ends_quietly(capsys: pytest.CaptureFixture[str]) -> None:
    plugins = Plugins()
    plugins.register(TensorBoardLogger(), "tensorboard")
    plugins.notify("rl_run_finished", run=None, result=None, error=ValueError())
    assert capsys.readouterr().err == ""
