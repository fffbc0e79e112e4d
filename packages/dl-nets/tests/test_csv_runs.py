"""Tables through the program: learned from, asked and judged, while their files move, change and go away."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

ANIMALS = "x,kind\n" + "".join(f"{x},{'cat' if x < 100 else 'dog'}\n" for x in range(200))


@pytest.fixture
def run(program: Any) -> Path:
    """The folder of a run on `animals.csv`."""
    (program.folder / "animals.csv").write_text(ANIMALS)
    program.succeed("run", "csv:animals.csv", "--out", "run", "--set", "epochs=60")
    return program.folder / "run"


def predict(program: Any, *arguments: object) -> Any:
    return program.succeed("predict", "run", *arguments, "--json").json


def score(program: Any, *arguments: object) -> float:
    return program.succeed("eval", "run", *arguments, "--json").json["score"]


def test_a_model_does_not_change_with_its_file(program: Any, run: Path) -> None:
    before = score(program)
    assert before > 0.9
    table = program.folder / "animals.csv"
    table.write_text(ANIMALS.replace("cat", "wolf"))
    assert predict(program, '{"x": 20}')["answer"] == "cat"
    assert score(program) == before
    assert f"the data file {table.name} has changed" in program.call("predict", "run", "[20]").err
    refused = program.call("resume", "run", "--budget", 11_200)
    assert refused.status == 2
    assert "--accept-changed-data" in refused.err
    unknown = program.call("resume", "run", "--budget", 11_200, "--accept-changed-data")
    assert unknown.status == 2
    assert "line 2 of animals.csv holds 'wolf' in the target 'kind'; the classes are 'cat', 'dog'" in unknown.err
    table.unlink()
    assert predict(program, "[20]")["answer"] == "cat"
    assert score(program) == before
    missing = program.call("resume", "run", "--budget", 11_200)
    assert (missing.status, "the data file animals.csv is missing" in missing.err) == (2, True)


def test_a_run_continues_on_rows_that_were_added_when_that_is_accepted(program: Any, run: Path) -> None:
    (program.folder / "animals.csv").write_text(ANIMALS + "".join(f"{x},dog\n" for x in range(200, 300)))
    program.succeed("resume", "run", "--budget", 12_800, "--accept-changed-data")
    assert program.call("resume", "run", "--budget", 14_400).status == 0
    assert predict(program, "[290]")["answer"] == "dog"


def test_a_model_is_judged_on_every_row_of_another_file_in_its_own_encoding(program: Any, run: Path) -> None:
    """A file of dogs alone, in another order of columns: its own mean and classes would make half of them cats."""
    (program.folder / "dogs.csv").write_text("kind;x\n" + "".join(f"dog;{x}\n" for x in range(120, 200)))
    assert score(program, "--task", "csv:dogs.csv") == 1.0
    (program.folder / "wrong.csv").write_text("kind;x\n" + "".join(f"cat;{x}\n" for x in range(120, 200)))
    assert score(program, "--task", "csv:wrong.csv") == 0.0
    refused = program.call("eval", "run", "--task", "csv:nothing.csv")
    assert (refused.status, "file 'nothing.csv' not found" in refused.err) == (2, True)


def test_a_file_of_rows_is_answered_in_one_call(program: Any, run: Path) -> None:
    (program.folder / "rows.csv").write_text("name,x\na,0\nb,20\nc,180\n")
    assert program.succeed("predict", "run", "rows.csv").out == "answer\ncat\ncat\ndog\n"
    assert predict(program, "rows.csv")["answers"] == [{"answer": "cat"}, {"answer": "cat"}, {"answer": "dog"}]
    program.succeed("predict", "run", "rows.csv", "--probabilities", "--out", "answers.csv")
    with (program.folder / "answers.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["answer"] for row in rows] == ["cat", "cat", "dog"]
    for row in rows:
        shares = {name: float(row[f"probability of {name}"]) for name in ("cat", "dog")}
        assert sum(shares.values()) == pytest.approx(1.0)
        assert max(shares, key=lambda name: shares[name]) == row["answer"]
    program.succeed("predict", "run", "rows.csv", "--out", "answers.jsonl")
    assert [json.loads(line) for line in (program.folder / "answers.jsonl").read_text().splitlines()] == [
        {"answer": name} for name in ("cat", "cat", "dog")
    ]
    one = predict(program, '{"x": 20}', "--probabilities")
    assert one["answer"] == "cat"
    assert sum(one["probabilities"].values()) == pytest.approx(1.0)
    for text in ("nothing.csv", "rows.csv"):
        (program.folder / "rows.csv").write_text("x\n1\nlong\n")
        refused = program.call("predict", "run", text)
        assert refused.status == 2
    assert "line 3 of rows.csv holds 'long' in column 'x', which holds numbers" in refused.err


def test_numbers_are_answered_and_have_no_probabilities(program: Any) -> None:
    (program.folder / "line.csv").write_text("x,y\n" + "".join(f"{x},{1_700_000_000 + 3 * x}.5\n" for x in range(200)))
    program.succeed("run", "csv:line.csv", "--out", "run", "--set", "epochs=100")
    (program.folder / "rows.csv").write_text("x\n0\n199\n")
    first, last = (row["answer"][0] for row in predict(program, "rows.csv")["answers"])
    assert abs(first - 1_700_000_000) < 100 < last - first
    assert first % 128 or last % 128  # float32 numbers of this size are multiples of 128
    assert float(program.succeed("predict", "run", "rows.csv").out.splitlines()[1]) == first
    refused = program.call("predict", "run", "[3]", "--probabilities")
    assert (refused.status, "agent supervised has no probabilities on task csv:line.csv" in refused.err) == (2, True)


def test_a_finished_run_is_opened_from_another_folder(program: Any, run: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    program.folder = tmp_path_factory.mktemp("elsewhere")
    assert program.succeed("predict", run, "[20]", "--json").json["answer"] == "cat"
    assert program.succeed("eval", run, "--json").json["score"] > 0.9
    program.succeed("resume", run, "--budget", 10_400)
