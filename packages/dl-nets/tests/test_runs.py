"""Whole runs through the program: killed, continued, asked."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytestmark = [pytest.mark.learning, pytest.mark.timeout(900)]


def test_five_kills_leave_no_trace_in_a_run_that_stops_early(program: Any) -> None:
    """Early stopping and dropout have states of their own; tests/test_exact_resume.py kills runs without them."""
    arguments = ["run", "mlp", "--task", "wine", "--set", "patience=10", "--set", "learning_rate=0.02", "--checkpoint-every", 1]
    undisturbed = program.run(*arguments, "--out", "whole", "--json").json
    assert undisturbed["progress"] < 50 * 142  # examples: fewer than all 50 epochs
    program.disturbed("killed", arguments, whole="whole", kills=5, seed=1)
    result = program.run("resume", "killed", "--json").json
    assert program.final("killed") == program.final("whole")
    assert result["metrics"] == undisturbed["metrics"]


def test_three_kills_leave_no_trace_in_a_run_on_a_table(program: Any) -> None:
    """The task's state is in each checkpoint; a continued run must read the same rows into the same splits."""
    rows = [f"{number % 7},{'' if number % 11 == 0 else number % 5},{'ab'[number % 2]}" for number in range(300)]
    (program.folder / "table.csv").write_text("\n".join(["x,z,y", *rows]) + "\n")
    arguments = ["run", "csv:table.csv", "--set", "task.missing=category", "--budget", 60, "--checkpoint-every", 1]
    undisturbed = program.run(*arguments, "--out", "whole", "--json").json
    program.disturbed("killed", arguments, whole="whole", kills=3, seed=1)
    result = program.run("resume", "killed", "--json").json
    assert program.final("killed") == program.final("whole")
    assert result["metrics"] == undisturbed["metrics"]


def test_a_table_of_ones_own_is_learned_and_asked_in_its_own_words(program: Any) -> None:
    rows = [f"{number % 7},{'long' if number % 7 > 3 else 'short'},{'yes' if number % 7 > 3 else 'no'}" for number in range(100)]
    (program.folder / "table.csv").write_text("\n".join(["size,name,answer", *rows]) + "\n")
    ran = program.run("run", "csv:table.csv", "--set", "epochs=20", "--out", "run", "--json")
    assert ran.json["score"] == 1.0
    assert "target 'answer' has 2 classes (no, yes); numbers: size; one-hot: name (2 texts)" in ran.err
    assert json.loads(program.run("predict", "run", '{"size": 6, "name": "long"}', "--json").out)["answer"] == "yes"
