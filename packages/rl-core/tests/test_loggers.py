"""Loggers write metrics and score into the folder of the run."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from rl_core.plugins.loading import Plugins
from rl_core.runs.files import require_ordinary
from rl_core.runs.loggers.csv_table import CsvLogger
from rl_core.runs.loggers.tensorboard import TensorBoardLogger
from rl_core.runs.loggers.wandb import WandbLogger
from rl_core.runs.metrics_log import MetricsLog


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
    learn(tmp_path, 0, None)
    (events,) = (tmp_path / "tensorboard").iterdir()
    assert b"entropy" in events.read_bytes()


def test_a_run_that_never_started_ends_quietly(capsys: pytest.CaptureFixture[str]) -> None:
    plugins = Plugins()
    plugins.register(TensorBoardLogger(), "tensorboard")
    plugins.notify("rl_run_finished", run=None, result=None, error=ValueError())
    assert capsys.readouterr().err == ""


class Session:
    """Stands in for a session of W&B, which is behind an extra, and notes its calls."""

    made: list[Session] = []  # noqa: RUF012 - emptied by the test

    def __init__(self, **options: Any) -> None:
        self.options, self.points, self.summary, self.status = options, [], {}, None
        self.made.append(self)

    def define_metric(self, name: str, step_metric: str | None = None) -> None:
        """Take note of nothing."""

    def log(self, point: dict[str, float]) -> None:
        """Note a point."""
        self.points.append(point)

    def finish(self, exit_code: int) -> None:
        """Note the end."""
        self.status = exit_code


def finish(logger: object, folder: Path, progress: int, *, error: BaseException | None = None) -> None:
    plugins = Plugins()
    plugins.register(logger, "logger")
    recipe = SimpleNamespace(to_dict=lambda: {"agent": "ppo", "seed": 3})
    run = SimpleNamespace(folder=folder, agent=SimpleNamespace(progress=progress), recipe=recipe)
    plugins.notify("rl_run_started", run=run)
    plugins.notify("rl_metrics", run=run, progress=progress + 10, metrics={"loss": 0.5})
    result = None if error else {"score": 475.0, "metric": "mean return", "progress": 10, "seed": 3}
    plugins.notify("rl_run_finished", run=run, result=result, error=error)


def test_wandb_is_offline_and_a_resumed_run_keeps_its_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("wandb")
    module.init = Session  # type: ignore[attr-defined]
    module.Settings = lambda **settings: settings  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "wandb", module)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    Session.made.clear()
    finish(WandbLogger(), tmp_path, 0, error=RuntimeError())
    finish(WandbLogger(), tmp_path, 20)
    first, second = Session.made
    assert first.options["mode"] == "offline"
    assert first.options["config"]["seed"] == 3
    assert first.options["id"] == second.options["id"]
    assert (first.status, second.status) == (1, 0)
    assert second.points == [{"progress": 30, "loss": 0.5}]
    assert second.summary["score/mean return"] == 475.0


def test_wandb_writes_a_session_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = pytest.importorskip("wandb", reason="the extra rl-core[wandb] is not installed")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    run = tmp_path / "run"
    run.mkdir()
    finish(WandbLogger(), run, 0)
    wandb.teardown()  # a process of its own writes the file
    (session,) = (tmp_path / "wandb").glob("offline-run-*/run-*.wandb")
    assert b"loss" in session.read_bytes()
    require_ordinary(run)  # a run's folder with a link would not be opened again


def test_the_table_has_a_column_for_each_metric_and_each_step_once(tmp_path: Path) -> None:
    plugins = Plugins()
    plugins.register(CsvLogger(), "csv-table")

    def learn_from(progress: int, steps: list[dict[str, float]]) -> None:
        run = SimpleNamespace(folder=tmp_path, agent=SimpleNamespace(progress=progress))
        plugins.notify("rl_run_started", run=run)
        with MetricsLog(tmp_path, progress) as log:
            for number, metrics in enumerate(steps, start=1):
                log.write({"progress": progress + number, "seconds": 0.1, **metrics})
                plugins.notify("rl_metrics", run=run, progress=progress + number, metrics=metrics)
        plugins.notify("rl_run_finished", run=run, result=None, error=None)

    learn_from(0, [{"loss": 0.5}, {"loss": 0.25, "kl": 0.1}, {"loss": 0.125}])
    learn_from(2, [{"loss": 0.0}])  # step 3 is taken again
    rows = (tmp_path / "metrics.csv").read_text().splitlines()
    assert rows == ["progress,loss,kl", "1,0.5,", "2,0.25,0.1", "3,0.0,"]
