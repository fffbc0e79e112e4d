"""Several runs side by side: means, intervals of them, and a picture."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from rl_core.statistics import student_t95

pytestmark = pytest.mark.usefixtures("probe")


@pytest.mark.parametrize(("degrees", "quantile"), [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (9, 2.262), (30, 2.042), (120, 1.980)])
def test_quantiles_of_students_t_are_those_of_the_tables(degrees: int, quantile: float) -> None:
    assert student_t95(degrees) == pytest.approx(quantile, abs=6e-4)


def give_score(folder: Path, score: float | None) -> None:
    path = folder / "result.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "score": score}))


def test_runs_are_grouped_by_all_but_their_seed_with_an_interval_of_the_mean(program: Any) -> None:
    for seed, score in ((0, 1.0), (1, 2.0), (2, 6.0)):
        program.succeed("run", "slope", "--budget", 12, "--seed", seed, "--out", f"small{seed}")
        give_score(program.folder / f"small{seed}", score)
    program.succeed("run", "slope", "--budget", 12, "--set", "batch_size=16", "--out", "large")
    give_score(program.folder / "large", 4.0)
    small = ["small0", "small1", "small2"]
    result = program.succeed("compare", "large", *small, "--out", "picture.png", "--json").json
    assert result["higher_is_better"] is False  # a squared error
    three, large = result["groups"]  # the best first
    assert large["name"] == "slope plane linear-map, batch_size=16"
    assert (large["mean"], large["interval"], large["scores"]) == (4.0, None, [4.0])
    assert three["name"] == "slope plane linear-map, batch_size=8"
    assert (three["mean"], three["seeds"], three["scores"]) == (3.0, [0, 1, 2], [1.0, 2.0, 6.0])
    half = 4.3027 * 7**0.5 / 3**0.5  # s^2 = (4 + 1 + 9) / 2 = 7
    assert three["interval"] == pytest.approx([3 - half, 3 + half], abs=1e-3)
    assert (program.folder / "picture.png").read_bytes().startswith(b"\x89PNG")
    table = program.succeed("compare", "large", *small).out
    assert re.search(r"squared error +95 % interval +interquartile mean +95 % interval +runs +seconds\n", table)
    assert re.search(r"batch_size=16 +4 +needs 2 runs +4 +needs 2 runs +1 ", table)
    assert re.search(r"batch_size=8 +3 +-3\.572 to 9\.572 +3 +1 to 6 +3 ", table)
    assert f"picture: {program.folder / 'compare.png'}" in table


def test_what_cannot_be_compared_is_refused(program: Any) -> None:
    program.succeed("run", "slope", "--budget", 3, "--out", "slope")
    program.succeed("run", "slope", "--budget", 3, "--out", "twin")
    program.succeed("run", "hill", "--budget", 100, "--out", "hill")
    program.call("run", "slope", "--set", "fault=raise", "--out", "torn")
    for folders, message, hint in (
        (
            ["slope", "hill"],
            "judged by different metrics: gym:CartPole-v1 \\(mean return\\), plane \\(squared error\\)",
            "one metric at a time",
        ),
        (["slope", "torn"], "'torn' has no result yet", "finish it first: rl-core resume torn"),
        (["slope", "slope"], "'slope' has the same recipe and seed as 'slope', so it is not a second sample", "name one of them"),
        (["slope", "twin"], "'twin' has the same recipe and seed as 'slope', so it is not a second sample", "name one of them"),
        (["slope", "."], "'.' is not a run folder", "such as runs/"),
    ):
        refused = program.call("compare", *folders)
        assert refused.status == 2
        assert re.search(message, refused.err)
        assert hint in refused.err
    give_score(program.folder / "twin", None)
    refused = program.call("compare", "twin")
    assert "error: the score of 'twin' was not a finite number" in refused.err
    failed = program.call("compare", "slope", "--out", "no/such/folder.png")
    assert failed.status == 2
    assert "'no/such/folder.png' cannot be written: 'no/such' is not a folder; make it first" in failed.err
