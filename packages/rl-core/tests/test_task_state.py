"""The state of a task travels in the checkpoint: the data may move, change or go away."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rl_core.runs import checkpoint

pytestmark = pytest.mark.usefixtures("probe")

POINTS = "\n".join(f"{x} {x % 3} {x % 5}" for x in range(30))
OTHER = "\n".join(f"{x + 1000} {x % 3} {x % 5}" for x in range(40))


@pytest.fixture
def trained(program: Any) -> Path:
    """A run on a file of points, given by a path relative to the program's folder."""
    program.folder.joinpath("points.txt").write_text(POINTS)
    program.succeed("run", "slope", "--task", "points:points.txt", "--budget", 40, "--out", "run")
    return program.folder / "points.txt"


def ask(program: Any) -> Any:
    return json.loads(program.succeed("predict", "run", "[1, 2, 3]").out)


def test_a_model_predicts_and_is_evaluated_in_the_encoding_of_its_training(program: Any, trained: Path) -> None:
    answer = ask(program)
    trained.write_text(OTHER)
    assert ask(program) == answer
    warned = program.call("predict", "run", "[1, 2, 3]").err
    assert f"{trained} changed; the encoding of the training is used" in warned
    trained.unlink()
    assert ask(program) == answer


def test_a_model_is_judged_on_other_data_in_the_encoding_of_its_training(program: Any, trained: Path) -> None:
    score = program.succeed("eval", "run", "--json").json["score"]
    program.folder.joinpath("same.txt").write_text(POINTS)
    program.folder.joinpath("other.txt").write_text(OTHER)
    assert program.succeed("eval", "run", "--task", "points:same.txt", "--json").json["score"] == score
    assert program.succeed("eval", "run", "--task", "points:other.txt", "--json").json["score"] > 100 * score  # far from the training


def test_changed_data_is_refused_by_resume_unless_accepted(program: Any, trained: Path) -> None:
    trained.write_text(OTHER)
    refused = program.call("resume", "run", "--budget", 60)
    assert refused.status == 2
    assert f"error: {trained} changed" in refused.err
    assert "rl-core resume run --accept-changed-data" in refused.err
    accepted = program.succeed("resume", "run", "--budget", 60, "--accept-changed-data")
    assert f"{trained} changed; the run continues on it" in accepted.err
    program.succeed("resume", "run", "--budget", 70)  # accepted once
    _, state, _ = checkpoint.newest(program.folder / "run" / "checkpoints")
    np.testing.assert_allclose(state["task"]["mean"], np.loadtxt(POINTS.splitlines()).mean(axis=0))


def test_the_state_is_saved_before_the_first_step(program: Any) -> None:
    program.folder.joinpath("points.txt").write_text(POINTS)
    assert program.call("run", "slope", "--task", "points:points.txt", "--set", "fault=raise", "--set", "fault_at=1", "--out", "run").status
    assert checkpoint.newest(program.folder / "run" / "checkpoints")[0] == 0


def test_relative_paths_are_resolved_where_they_are_given(program: Any, trained: Path) -> None:
    recipe = (program.folder / "run" / "recipe.yaml").read_text()
    assert f"path: {trained}\n" in recipe
    recipes = program.folder / "recipes"
    recipes.mkdir()
    recipes.joinpath("data.txt").write_text(OTHER)
    for name, text in {"by-name": "task: points:data.txt", "by-field": "task: points:nothing.txt\ntask_config: {path: data.txt}"}.items():
        recipes.joinpath(f"{name}.yaml").write_text(f"agent: slope\nbudget: 1\n{text}\n")
        program.succeed("run", "--recipe", f"recipes/{name}.yaml", "--out", name)
        assert f"path: {recipes / 'data.txt'}\n" in (program.folder / name / "recipe.yaml").read_text()


def test_a_task_that_the_call_names_takes_the_place_of_the_recipe_s(program: Any, trained: Path) -> None:
    program.folder.joinpath("other.txt").write_text(OTHER)
    for number, arguments in enumerate((["--task", "points:other.txt"], ["points:other.txt"])):
        program.succeed("run", *arguments, "--recipe", "run/recipe.yaml", "--out", f"again{number}")
        assert f"path: {program.folder / 'other.txt'}\n" in (program.folder / f"again{number}" / "recipe.yaml").read_text()
    program.succeed("run", "--recipe", "run/recipe.yaml", "--out", "same")
    assert f"path: {trained}\n" in (program.folder / "same" / "recipe.yaml").read_text()
