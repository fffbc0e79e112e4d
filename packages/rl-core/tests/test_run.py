"""The loop and the commands on runs: what is written, what is printed, and how it ends when something goes wrong."""

from __future__ import annotations

import dataclasses
import json
import os
import pty
import re
import select
import statistics
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import threadpoolctl

from rl_core.api import hookimpl
from rl_core.errors import RequestError
from rl_core.learning import learn
from rl_core.plugins.catalogue import Catalogue
from rl_core.runs import progress, recipe
from rl_core.runs.run import Run

pytestmark = pytest.mark.usefixtures("probe")
RESULT = {
    "run", "agent", "task", "network", "seed", "progress", "unit", "seconds", "score", "metric", "headline", "metrics", "target",
    "higher_is_better", "reached", "best",
}  # fmt: skip


def test_a_run_that_ends_by_itself_shows_no_time_left() -> None:
    told = []
    for budget in (2_000, progress.ENDLESS):
        agent = SimpleNamespace(progress=0, headline="")
        shown = progress.Progress(SimpleNamespace(agent=agent, budget=budget, spec=SimpleNamespace(unit="steps")), quiet=True)
        agent.progress = 1_000
        told.append(shown.sentence())
    assert "1,000 of 2,000 steps" in told[0]
    assert told[0].endswith("left")
    assert told[1].startswith("1,000 steps, ")
    assert "left" not in told[1]


def test_a_run_leaves_its_papers_and_says_what_came_out(program: Any) -> None:
    ended = program.succeed("run", "slope", "--json")
    folder = program.folder / "runs" / "slope-plane-linear-map-seed0"
    assert ended.json == json.loads((folder / "result.json").read_text())
    assert set(ended.json) == RESULT
    assert (ended.json["run"], ended.json["progress"], ended.json["unit"]) == ("runs/slope-plane-linear-map-seed0", 30, "batches")
    assert ended.json["reached"] is (ended.json["score"] <= 0.05)  # a squared error: less is better
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [list(line) for line in lines] == [["progress", "seconds", "loss", "norm"]] * 30
    assert [line["progress"] for line in lines] == list(range(1, 31))
    assert sorted(line["seconds"] for line in lines) == [line["seconds"] for line in lines]
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["seed"] == 0
    assert manifest["recipe"]["config"]["batch_size"] == 8
    assert {"rl-core", "probe", "numpy"} <= set(manifest["versions"])
    assert manifest["machine"]["cores"] == os.cpu_count()
    assert (folder / "figures" / "weights.txt").exists()


def test_the_learning_curve_is_a_picture_of_the_data(program: Any) -> None:
    from matplotlib.image import imread

    program.succeed("run", "slope", "--budget", 80, "--out", "run")
    curve = imread(program.folder / "run" / "figures" / "learning-curve.png")
    assert curve.shape[0] > 250
    assert curve.shape[1] > 700  # two panels
    blue = (curve[..., 2] > 0.6) & (curve[..., 0] < 0.3)
    assert blue.sum() > 500
    assert blue[:, : blue.shape[1] // 2].any()
    assert blue[:, blue.shape[1] // 2 :].any()


def test_a_second_run_of_one_name_gets_a_folder_of_its_own(program: Any) -> None:
    runs = [program.succeed("run", "slope", "--json").json["run"] for _ in range(3)]
    assert runs == [f"runs/slope-plane-linear-map-seed0{ending}" for ending in ("", "-2", "-3")]


def test_evaluating_a_finished_run_reproduces_its_score(program: Any) -> None:
    for name in ("slope", "hill"):
        result = program.succeed("run", name, "--budget", 300, "--out", name, "--json").json
        again = program.succeed("eval", name, "--json").json
        learned = result.pop("seconds")
        assert again.pop("seconds") == pytest.approx(learned, abs=0.05)  # the log's last line is a moment older than the result
        assert again == result
    other = program.succeed("eval", "hill", "--seed", 9, "--episodes", 7, "--json").json
    assert other["metrics"]["episodes"] == 7
    assert other["metrics"] != result["metrics"]


@pytest.mark.filterwarnings("ignore:.*CartPole-v0 is out of date")
def test_a_run_is_evaluated_on_another_task_of_the_same_spaces(program: Any) -> None:
    program.succeed("run", "hill", "--budget", 300, "--out", "run")
    other = program.succeed("eval", "run", "--task", "gym:CartPole-v0", "--json").json
    assert other["task"] == "gym:CartPole-v0"
    refused = program.call("eval", "run", "--task", "gym:Acrobot-v1")
    assert refused.status == 2
    assert "error: task gym:Acrobot-v1 has the input space" in refused.err
    assert "hint: name a task with the same spaces" in refused.err


def test_predictions_are_answers_and_wrong_inputs_are_refused(program: Any) -> None:
    program.succeed("run", "slope", "--out", "run")
    ended = program.succeed("predict", "run", "[1, 2, 3]", "--json")
    ((answer,),) = ended.json["answer"]
    assert answer == pytest.approx(14, abs=3)  # 1 + 4 + 9
    assert json.loads(program.succeed("predict", "run", "[1, 2, 3]").out) == [[answer]]
    for text, message in (
        ("[1, 2]", r"the input has shape \[2\]; this task takes \[3\]"),
        ("[1, 2, x]", "is not a JSON array of numbers"),
        ("[" * 5000, "is not a JSON array of numbers"),
        ('{"a": 1}', "is not made of float32 numbers"),
        ('["1", "2", "3"]', "is not made of float32 numbers"),
        ("[1, 2, NaN]", "is outside of what this task takes"),
        ("[1, 2, 1e999]", "is outside of what this task takes"),
        (f"[1, 2, {10**400}]", "is not made of float32 numbers"),
        ("", "is not a JSON array of numbers"),
    ):
        refused = program.call("predict", "run", text)
        assert refused.status == 2
        assert re.search(message, refused.err), refused.err
        assert "hint: see: rl-core show plane" in refused.err


def test_a_format_that_the_agent_does_not_write_is_refused(program: Any) -> None:
    program.succeed("run", "slope", "--out", "run")
    refused = program.call("export", "run", "--format", "onnx", "--out", "x.onnx")
    assert refused.status == 2
    assert "error: agent slope cannot export the format 'onnx'" in refused.err
    assert "hint: agent slope has no weights to write; what it keeps is safetensors and JSON in run/checkpoints" in refused.err
    assert not (program.folder / "x.onnx").exists()


def test_each_command_prints_one_json_document_and_nothing_else(program: Any) -> None:
    program.succeed("run", "slope", "--out", "other", "--seed", 1)
    for arguments in (
        ["run", "slope", "--set", "fault=print", "--out", "run"],
        ["resume", "run", "--budget", 35],
        ["eval", "run"],
        ["predict", "run", "[1, 2, 3]"],
        ["compare", "run", "other"],
        ["list"],
        ["show", "slope"],
        ["doctor"],
    ):
        ended = program.succeed(*arguments, "--json")
        assert isinstance(ended.json, dict)


def test_what_an_agent_prints_goes_to_standard_error(program: Any) -> None:
    ended = program.run("run", "slope", "--set", "fault=print", "--json")
    assert ended.status == 0
    assert ended.json["agent"] == "slope"
    assert "an agent that prints" in ended.err


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("nan", "error: loss became nan at 20 batches; the last good checkpoint is 16"),
        ("inf", "error: loss became inf at 20 batches; the last good checkpoint is 16"),
        ("text", "error: loss became 'low' at 20 batches, which is not a number"),
        ("stuck", "error: agent slope took a step at 19 batches and made no progress"),
        ("raise", "error: RuntimeError: the agent broke down"),
        ("none", "error: agent slope returned None from step(); it must be a dict of metrics"),
    ],
)
def test_a_step_that_goes_wrong_ends_the_run_in_words(program: Any, fault: str, message: str) -> None:
    ended = program.call("run", "slope", "--set", f"fault={fault}", "--checkpoint-every", 4, "--out", "run", "--json")
    assert ended.status == 1
    assert message in ended.err
    assert "hint: " in ended.err
    assert ("a fault of the package probe: report it to its authors" in ended.err) is (fault in ("raise", "none", "stuck", "text"))
    assert ended.out == ""
    assert "Traceback" not in ended.err
    assert sorted(path.name for path in (program.folder / "run" / "checkpoints").iterdir()) == ["12", "16", "8"]
    assert program.progress("run") == list(range(1, 20))
    assert not (program.folder / "run" / "result.json").exists()


def test_a_bad_number_before_the_first_checkpoint_is_said_so(program: Any) -> None:
    ended = program.call("run", "slope", "--set", "fault=nan", "--out", "run")
    assert "error: loss became nan at 20 batches; the run has no earlier checkpoint" in ended.err


def test_a_score_that_is_no_number_is_null(program: Any) -> None:
    ended = program.succeed("run", "slope", "--set", "fault=nan score", "--out", "run", "--json")
    assert (ended.json["score"], ended.json["reached"], ended.json["metrics"]) == (None, None, {"squared error": None})
    assert "squared error  not a finite number" in program.succeed("eval", "run").out


def test_a_step_without_metrics_leaves_no_line(program: Any) -> None:
    program.succeed("run", "slope", "--set", "silent=true", "--out", "run")
    assert (program.folder / "run" / "metrics.jsonl").read_text() == ""


def test_a_folder_that_is_in_use_is_not_touched(program: Any) -> None:
    program.succeed("run", "slope", "--out", "run")
    (program.folder / "file").write_text("mine")
    refused = program.call("run", "slope", "--out", "run")
    assert refused.status == 2
    assert "error: 'run' exists and is not empty" in refused.err
    assert "hint: continue it with `rl-core resume run`, or give another --out" in refused.err
    for command in (("run", "slope"), ("export", "run", "--format", "arrays")):
        refused = program.call(*command, "--out", "file" if command[0] == "run" else ".")
        assert refused.status == 2
        assert re.search("'file' is a file; a run is written into a folder|'.' is a folder; expected a file to write", refused.err)
    refused = program.call("run", "slope", "--out", "file/below")
    assert refused.status == 2
    assert "error: the run's folder cannot be made: " in refused.err
    assert (program.folder / "file").read_text() == "mine"


def test_a_folder_that_is_no_run_is_refused_by_every_command(program: Any) -> None:
    for command in (["resume"], ["eval"], ["predict"], ["compare"], ["export", "--format", "x", "--out", "y"]):
        refused = program.call(*command, ".", *(["[1]"] if command == ["predict"] else []))
        assert refused.status == 2
        assert "error: '.' is not a run folder: it has no recipe.yaml" in refused.err


@pytest.mark.parametrize("quiet", [False, True])
def test_a_long_evaluation_is_not_silent(
    quiet: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    catalogue = Catalogue.discover()
    for seconds, told in ((30.0, False), (0.0, not quiet)):
        monkeypatch.setattr(progress, "SECONDS_OF_SILENCE", seconds)
        with Run.create(recipe.resolve(catalogue, "slope", budget=5), catalogue, tmp_path / str(seconds)) as run:
            concluded = run.conclude
            monkeypatch.setattr(run, "conclude", lambda episodes, concluded=concluded: time.sleep(0.2) or concluded(episodes))
            run.learn(quiet=quiet)
        assert ("learned and saved; still evaluating, see also: rl-core eval" in capsys.readouterr().err) == told


def test_the_agent_is_built_before_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from probe.slope import Slope

    def refuse(*arguments: Any, **options: Any) -> None:
        raise ValueError("it is too hot")

    monkeypatch.setattr(Slope, "__init__", refuse)
    catalogue = Catalogue.discover()
    with pytest.raises(RequestError, match="agent slope refuses task plane: it is too hot"):
        Run.create(recipe.resolve(catalogue, "slope"), catalogue, tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_what_a_network_refuses_is_not_laid_at_the_agent_s_door(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from probe.slope import LinearMap

    def refuse(self: LinearMap, *arguments: Any) -> None:
        raise ValueError("too few pixels")

    monkeypatch.setattr(LinearMap, "build", refuse)
    catalogue = Catalogue.discover()
    message = "network linear-map refuses what agent slope asks of it on task plane: too few pixels"
    with pytest.raises(RequestError, match=message) as caught:
        Run.create(recipe.resolve(catalogue, "slope"), catalogue, tmp_path / "run")
    assert caught.value.hint == "see: rl-core show linear-map"


def test_an_agent_never_evaluated_before_its_first_checkpoint_is_said_to_be_at_its_beginning(program: Any) -> None:
    program.call("run", "slope", "--set", "fault=raise", "--out", "run")
    assert "warning: the run has no checkpoint: the agent is at its beginning" in program.succeed("eval", "run").err


def test_threads_are_limited_before_numpy_is_imported(program: Any) -> None:
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        program.environment[name] = "7"
    code = """
import os, sys
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "numpy":
            sys.stderr.write(f"numpy with {os.environ['OMP_NUM_THREADS']} and {os.environ['OPENBLAS_NUM_THREADS']}\\n")
sys.meta_path.insert(0, Watch())
from rl_core.__main__ import main
main()
"""
    ended = program.run("run", "slope", "--out", "run", python=["-c", code])
    assert "numpy with 1 and 1\n" in ended.err
    ended = program.run("run", "slope", "--threads", "2", "--out", "two", python=["-c", code])
    assert "numpy with 2 and 2\n" in ended.err
    ended = program.run("eval", "two", python=["-c", code])
    assert "numpy with 2 and 2\n" in ended.err


def test_more_threads_than_processors_are_said(program: Any) -> None:
    many = (os.cpu_count() or 1) + 1
    ended = program.run("run", "slope", "--threads", str(many), "--out", "many")
    assert ended.status == 0
    assert f"warning: threads is {many}, and this machine has {many - 1} processors" in ended.err


def test_learning_from_python_takes_the_threads_of_the_recipe_though_numpy_is_loaded(tmp_path: Path) -> None:
    seen: list[int] = []

    class Watch:
        @hookimpl
        def rl_metrics(self) -> None:
            seen.extend(pool["num_threads"] for pool in threadpoolctl.threadpool_info())

    catalogue = Catalogue.discover()
    catalogue.register(Watch(), "watch")
    with threadpoolctl.threadpool_limits(2):
        learn("slope", out=tmp_path / "run", budget=3, catalogue=catalogue)
        assert {pool["num_threads"] for pool in threadpoolctl.threadpool_info()} == {2}  # given back
    assert set(seen) == {1}


def on_a_terminal(program: Any, *arguments: str, **environment: str) -> str:
    """What `rl-core` writes to a terminal on which its standard error is."""
    program.environment.update(environment, TERM="xterm", COLUMNS="100")
    ours, theirs = pty.openpty()
    process = program.start(*arguments, stderr=theirs)
    os.close(theirs)
    text = b""
    while select.select([ours], [], [], 60)[0]:
        try:
            part = os.read(ours, 10_000)
        except OSError:  # the other side was closed
            break
        if not part:
            break
        text += part
    process.communicate()
    os.close(ours)
    return text.decode()


def test_a_bar_is_drawn_on_a_terminal_alone(program: Any) -> None:
    arguments = ["run", "slope", "--budget", "60", "--set", "milliseconds=5"]
    text = on_a_terminal(program, *arguments, "--out", "shown")
    assert "slope on plane" in text
    assert re.search(r"\d+ of 60 batches, [\d.]+/s", text)
    assert "left" in text
    assert "\x1b[" in text
    quiet = program.run(*arguments, "--out", "quiet")
    assert quiet.err == ""
    assert "\x1b" not in quiet.out


def test_an_error_has_no_colour_unless_on_a_terminal(program: Any) -> None:
    assert "\x1b" not in program.run("run", "slop").err
    assert "\x1b[31m" in on_a_terminal(program, "run", "slop")
    assert "\x1b" not in on_a_terminal(program, "run", "slop", NO_COLOR="1")


def test_a_long_run_says_a_line_now_and_then_where_there_is_no_terminal(program: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rl_core.runs.progress.SECONDS_BETWEEN_LINES", 0.0)
    err = program.succeed("run", "slope", "--set", "milliseconds=2").err
    assert re.search(r"^9 of 30 batches, [\d.]+/s, 0:00 left, loss [\d.]+$", err, re.MULTILINE)


def test_events_are_written_for_tensorboard(program: Any) -> None:
    program.succeed("run", "slope", "--logger", "tensorboard", "--out", "run")
    (events,) = (program.folder / "run" / "tensorboard").iterdir()
    data = events.read_bytes()
    assert events.name.startswith("events.out.tfevents.")
    assert data.count(b"loss") == data.count(b"norm") == 30
    assert b"squared error" in data or b"squared_error" in data
    refused = program.call("run", "slope", "--logger", "tensorbord", "--out", "other")
    assert refused.status == 2
    assert "did you mean tensorboard" in refused.err
    assert not (program.folder / "other").exists()


def test_the_loop_costs_little_beside_a_step(program: Any, tmp_path: Path) -> None:
    def nanoseconds(silent: bool) -> float:
        catalogue = Catalogue.discover()
        resolved = recipe.resolve(catalogue, "slope", budget=10**6, overrides=[f"silent={str(silent).lower()}"])
        with Run.create(resolved, catalogue, tmp_path / f"{silent}{time.monotonic_ns()}") as run:
            agent = run.agent

            def step() -> dict[str, float]:
                agent.progress += 1
                return {} if silent else {"loss": 1.0, "norm": 2.0}

            agent.step = step  # nothing but the loop is left
            run.recipe = dataclasses.replace(run.recipe, budget=5000)
            began = time.process_time_ns()
            run._loop(quiet=False)
            return (time.process_time_ns() - began) / 5000

    without, with_metrics = (statistics.median(nanoseconds(silent) for _ in range(3)) for silent in (True, False))
    assert without < 30_000
    assert with_metrics < 300_000


def test_learning_leaves_the_global_generators_alone(tmp_path: Path) -> None:
    import random

    import numpy as np

    before = (random.getstate(), np.random.get_state()[1].tolist())
    learn("slope", out=tmp_path / "slope", budget=5)
    learn("hill", out=tmp_path / "hill", budget=100)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before


def test_a_pause_that_one_step_went_over_is_said(program: Any) -> None:
    ended = program.succeed("run", "hill", "--budget", 20, "--until", 10, "--episodes", 2, "--out", "run")
    assert "warning: agent hill did not pause at 10 environment steps: one of its iterations goes on to the end of the budget" in ended.err
    ended = program.succeed("run", "hill", "--budget", 60, "--until", 10, "--out", "paused")
    assert "paused at 21 environment steps" in ended.err
    assert "did not pause" not in ended.err
