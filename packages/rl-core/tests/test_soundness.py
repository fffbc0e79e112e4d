"""Parameters that have diverged are never saved, and how an agent computes is written down."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rl_core.errors import WorkError
from rl_core.plugins.catalogue import Catalogue
from rl_core.runs import recipe
from rl_core.runs.run import Run
from rl_core.state import saved_state

pytestmark = pytest.mark.usefixtures("probe")


def make(folder: Path) -> Run:
    catalogue = Catalogue.discover()
    return Run.create(recipe.resolve(catalogue, "slope", budget=30, checkpoint_every=10), catalogue, folder / "run")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.float32(np.nan), "parameter weight became nan at 20 batches; the last good checkpoint is 10"),
        (np.float32(-np.inf), "parameter weight became inf at 20 batches; the last good checkpoint is 10"),
        (np.float32(-3e10), r"parameter weight grew to 3e\+10 at 20 batches; the last good checkpoint is 10"),
        (np.float64(np.nan), "parameter weight became nan at 20 batches; the last good checkpoint is 10"),
    ],
)
def test_diverged_parameters_are_not_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: Any, message: str) -> None:
    with make(tmp_path) as run:
        small = np.ones(3, value.dtype)
        monkeypatch.setattr(
            run.agent, "parameters", lambda: {"weight": small if run.agent.progress < 15 else np.array([0, value], value.dtype)}
        )
        with pytest.raises(WorkError, match=message):
            run.learn(quiet=True)
    assert [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()] == ["10"]


def test_large_numbers_in_double_precision_and_parameters_that_are_not_numbers_are_saved(tmp_path: Path, monkeypatch: Any) -> None:
    tables = {"values": np.full(2, -1e12), "counts": np.ones(2, np.int64), "none": np.zeros(0)}
    with make(tmp_path) as run:
        monkeypatch.setattr(run.agent, "parameters", lambda: tables)
        run.learn(quiet=True)
    assert (tmp_path / "run" / "checkpoints" / "30").is_dir()


def test_the_path_of_the_agent_is_printed_and_in_the_manifest(tmp_path: Path, program: Any) -> None:
    with make(tmp_path) as run:
        run.agent.path = "fast: by hand"
        run._write_recipe()
    sessions = json.loads((tmp_path / "run" / "manifest.json").read_text())["sessions"]
    assert [session["path"] for session in sessions] == ["", "fast: by hand"]
    assert "path: " not in program.succeed("run", "slope", "--out", "there").err


@pytest.mark.parametrize(("field", "problem"), [("nowhere", "has no attribute 'nowhere'"), ("network", "which cannot be saved")])
def test_a_state_that_cannot_be_saved_names_the_package(tmp_path: Path, field: str, problem: str) -> None:
    with make(tmp_path) as run:
        run.agent.state_dict = lambda: saved_state(run.agent, (field,))  # type: ignore[method-assign]
        with pytest.raises(WorkError, match=f"the state of agent slope cannot be saved: .*{problem}") as failed:
            run.learn(quiet=True)
        assert failed.value.hint == "this is a fault of the package probe: report it to its authors"
