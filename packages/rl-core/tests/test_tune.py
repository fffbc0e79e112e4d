"""Tunings: the same trials whatever happens to the workers, halving that continues runs, and what is said of mistakes."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from rl_core.errors import RequestError
from rl_core.sweeps import plan, proposals, space, tuning
from rl_core.sweeps.proposals import Trial
from rl_core.sweeps.space import Dimension

pytestmark = pytest.mark.usefixtures("probe")

GRID = (
    *("tune", "slope", "--choice", "learning_rate=0.01,0.05,0.1", "--choice", "batch_size=2,8", "--sampler", "grid"),
    *("--batch", 3, "--trials", 6, "--seeds", "0-1", "--confirm", "100-101", "--budget", 27, "--evaluate-every", 27),
)


@pytest.mark.learning  # three tunings, some twenty processes
def test_a_tuning_that_is_killed_makes_the_same_trials_byte_for_byte(program: Any) -> None:
    whole = program.run(*GRID, "--workers", 1, "--halving", 3, "--out", "whole", "--json")
    assert whole.status == 0, whole.err
    slow = program.start(*GRID, "--set", "milliseconds=4", "--workers", 2, "--halving", 3, "--out", "torn")
    deadline = time.monotonic() + 60
    while not (program.folder / "torn/trials.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(slow.pid, signal.SIGKILL)
    slow.communicate()
    assert len((program.folder / "torn/trials.jsonl").read_text().splitlines()) == 3
    again = program.run("resume", "torn", "--workers", 2, "--json")
    assert again.status == 0, again.err
    assert (program.folder / "torn/trials.jsonl").read_bytes() == (program.folder / "whole/trials.jsonl").read_bytes()
    document = again.json
    assert document["best"] == whole.json["best"]
    assert [trial["state"] for trial in document["trials"]].count("done") == 2  # of each batch of three one learned its whole budget
    # A survivor was paused at both rungs, and has the bytes of the run alone.
    best = document["best"]
    confirmed = document["confirmed"]
    assert confirmed["seeds"] == [100, 101]
    assert len(confirmed["default_scores"]) == 2
    batch = plan.read(program.folder / f"whole/batches/{document['trials'][best['number']]['batch']:03d}")
    run = next(run for run in batch.runs if run.group == f"trial {best['number']}" and run.seed == 1)
    program.succeed("run", "--recipe", "whole/best.yaml", "--seed", 1, "--out", "alone")
    assert program.final(f"whole/{batch.folder.relative_to(program.folder / 'whole')}/{run.folder}") == program.final("alone")
    shown = program.succeed("show", "whole").out
    assert "on 2 seeds that no trial saw: best" in shown
    assert re.search(r"plane:\n  budget: 27\n  config:\n", shown)
    assert (program.folder / "whole/figures/history.png").read_bytes().startswith(b"\x89PNG")


SPACE = [Dimension("a", 1e-5, 1e-1, log=True), Dimension("n", 1, 64, log=True, whole=True), Dimension("c", choices=("x", "y"))]


def valued(trials: list[Trial]) -> list[Trial]:
    return [tuning.judged(trial, [-abs(trial.point["n"] - 20.0)], rung=0, state="done") for trial in trials]


def test_what_optuna_proposes_depends_on_the_trials_before_and_nothing_else() -> None:
    pytest.importorskip("optuna", reason="the extra `tune` is not installed")

    def batches(trials: list[Trial], count: int) -> list[Trial]:
        for batch in range(len(trials) // 4, count):
            points = proposals.propose(SPACE, trials, 4, sampler="tpe", seed=1, batch=batch, higher_is_better=True)
            trials = trials + valued([Trial(len(trials) + i, batch, {}, point, [0]) for i, point in enumerate(points)])
        return trials

    whole = batches([], 12)
    lines = [json.loads(json.dumps(trial.__dict__)) for trial in whole[:20]]  # as a killed tuning reads them
    assert batches([Trial(**line) for line in lines], 12) == whole
    values = [trial.value for trial in whole if trial.value is not None]
    assert max(values) > -4
    assert sum(values[24:]) > sum(values[:24])  # it learns from what it knows
    assert next(iter(proposals.importance(SPACE, whole, higher_is_better=True))) == "n"


def test_half_of_a_batch_goes_on_and_a_failed_trial_is_worth_the_worst() -> None:
    batch = [Trial(number, 0, {}, {}, [0], [float(number)], float(number)) for number in range(5)]
    batch[4] = tuning.judged(batch[4], [None], rung=0, state="done")
    assert (batch[4].state, batch[4].value) == ("failed", None)
    assert tuning.survivors(batch, 3, higher_is_better=True) == [3, 2]  # two of the four that have a value
    assert tuning.survivors(batch, 3, higher_is_better=False) == [0, 1]
    assert tuning.with_worst([], batch, higher_is_better=True)[4].value == 0.0
    assert tuning.with_worst([], batch, higher_is_better=False)[4].value == 3.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "agent slope has no search space"),
        (["--range", "learning_rate=0.1"], "--range expects KEY=LOW:HIGH"),
        (["--range", "learning_rate=0.1:0.01"], "has the range 0.1 to 0.01"),
        (["--range", "learning_rat=0.1:0.2"], "unknown config field 'learning_rat'"),
        (["--choice", "batch_size=2,2"], "has a choice twice"),
        (["--choice", "batch_size=2,0"], "batch_size is 0"),
        (["--range", "learning_rate=0.1:inf"], "has the range 0.1 to inf"),
        (["--choice", "batch_size=2,4", "--confirm", "0-3"], "--confirm names seed 0, which the trials use"),
        (["--choice", "batch_size=2,4", "--range", "batch_size=2:8"], "batch_size is searched twice"),
    ],
)
def test_a_mistake_costs_no_trial(program: Any, arguments: list[str], message: str) -> None:
    refused = program.call("tune", "slope", "--evaluate-every", 5, *arguments, "--out", "tuning")
    assert refused.status == 2
    assert message in refused.err
    assert not list(program.folder.iterdir())


def test_without_optuna_nothing_is_written(program: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    refused = program.call("tune", "slope", "--choice", "batch_size=2,4", "--evaluate-every", 5)
    assert refused.status == 2
    assert "a tuning needs optuna, which is not installed" in refused.err
    assert not list(program.folder.iterdir())


def test_the_test_split_is_not_tuned_on(program: Any) -> None:
    refused = program.call("tune", "slope", "--choice", "batch_size=2,4", "--out", "tuning")
    assert "is judged on its test split, which a tuning must not see" in refused.err
    assert "--evaluate-every, in batches" in refused.err


def test_a_space_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "space.yaml"
    path.write_text("rate: {low: 1e-5, high: 1e-2, log: true}\nn: {low: 1, high: 9, whole: true}\nsizes: {choices: [[8, 8], [4]]}\n")
    found = space.of_file(path)
    assert [each.first for each in found] == ["1e-05", "1", "[8, 8]"]
    assert space.parse(space.to_document(found), "it") == found
    path.write_text("rate: {low: 1}\n")
    with pytest.raises(RequestError, match="'rate' of the space"):
        space.of_file(path)
