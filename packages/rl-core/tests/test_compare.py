"""Several runs side by side: means, intervals of them, and a picture."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("probe")


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
    assert three["interval"] == [1.0, 6.0]  # 1 of 27 samples is of the least alone, more than the fortieth that is cut off
    assert (program.folder / "picture.png").read_bytes().startswith(b"\x89PNG")
    table = program.succeed("compare", "large", *small).out
    assert re.search(r"squared error +95 % interval +interquartile mean +95 % interval +runs +seconds\n", table)
    assert re.search(r"batch_size=16 +4 +needs 2 runs +4 +needs 2 runs +1 ", table)
    assert re.search(r"batch_size=8 +3 +1 to 6 +3 +1 to 6 +3 ", table)
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


def test_methods_are_ranked_over_tasks_where_two_have_runs_on_each_and_else_words_say_what_is_missing(program: Any) -> None:
    program.folder.joinpath("a.txt").write_text("1 2 3\n4 5 6\n7 8 10\n0 1 0\n")
    for task, scores in (("plane", (1.0, 3.0)), ("points:a.txt", (5.0, 4.0))):
        for size, score in zip((8, 16), scores, strict=True):
            out = f"{task[:6]}{size}"
            program.succeed("run", "slope", "--task", task, "--budget", 3, "--set", f"batch_size={size}", "--out", out)
            give_score(program.folder / out, score)
    ranked = program.succeed("compare", "plane8", "plane16", "points8", "points16", "--json").json
    assert [(row["name"][-2:], row["interquartile_mean"], row["better_than_next"]) for row in ranked["overall"]] == [
        ("=8", 0.5, 0.5),
        ("16", 0.5, None),
    ]
    assert ranked["partial"] is None
    alone = program.succeed("compare", "plane8", "points8").out
    assert "no ranking over the 2 tasks: it takes two methods with runs on each of them; here is only slope linear-map" in alone
    half = program.succeed("compare", "plane8", "plane16", "points16").out
    assert "batch_size=8 has no run on points:a.txt" in half


def test_the_picture_is_given_the_mean_score_of_each_group(program: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from rl_core import figure
    from rl_core.runs.compare import compare

    folders = []
    for seed, score in ((0, 1.0), (1, 2.0)):
        folders.append(Path(program.succeed("run", "hill", "--budget", 30, "--seed", seed, "--json").json["run"]))
        give_score(program.folder / folders[-1], score)
    given: dict[str, Any] = {}
    monkeypatch.setattr(figure, "comparison", lambda curves, path, **options: given.update(options))
    compare([program.folder / folder for folder in folders], out=None)
    assert [list(groups.values()) for groups in given["scores"].values()] == [[1.5]]
