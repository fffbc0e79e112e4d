"""Evaluations while learning: their curve, the best checkpoint, the end at the target; and runs that start from another run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rl_core.errors import RequestError
from rl_core.learning import learn
from rl_core.runs import checkpoint
from rl_core.runs.run import Run

pytestmark = pytest.mark.usefixtures("probe")
HILL = ["run", "hill", "--task", "gym:CartPole-v1", "--budget", 3000, "--set", "num_steps=5"]
EVALUATED = [*HILL, "--evaluate-every", 500, "--evaluate-episodes", 3]


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 3,000 steps that was evaluated every 500."""
    folder = tmp_path_factory.mktemp("evaluated") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parent / "probe")
        learn("hill", task="gym:CartPole-v1", budget=3000, evaluate_every=500, evaluate_episodes=3, overrides=["num_steps=5"], out=folder)
    return folder


def lines_of(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_the_curve_has_an_evaluation_at_each_multiple_and_the_best_of_them_is_kept(evaluated: Path) -> None:
    scores = {line["progress"]: line["evaluation_mean_return"] for line in lines_of(evaluated) if "evaluation_mean_return" in line}
    assert list(scores) == [510, 1005, 1500, 2010, 2505, 3000]  # steps of 15
    progress = max(scores, key=scores.__getitem__)
    best = json.loads((evaluated / "result.json").read_text())["best"]
    assert best == {"progress": progress, "score": scores[progress], "checkpoint": f"best/{progress}"}
    assert [path.name for path in (evaluated / "best").iterdir()] == [str(progress)]
    with Run.open(evaluated, best=True) as run:
        assert run.agent.progress == progress
        state = checkpoint.load(evaluated / "best" / str(progress))
        assert np.array_equal(run.agent.best, state["agent"]["best"])


def test_evaluations_move_no_stream_of_the_learning(evaluated: Path, tmp_path: Path) -> None:
    learn("hill", task="gym:CartPole-v1", budget=3000, overrides=["num_steps=5"], out=tmp_path / "alone")
    ends = [path / "checkpoints" / "3000" / "arrays.safetensors" for path in (evaluated, tmp_path / "alone")]
    assert ends[0].read_bytes() == ends[1].read_bytes()


def test_a_killed_run_keeps_the_same_best_checkpoint(program: Any) -> None:
    undisturbed = program.succeed(*EVALUATED, "--out", "whole", "--json").json
    program.disturbed("killed", [*EVALUATED, "--checkpoint-every", 60], whole="whole", kills=2, seed=1)
    result = program.succeed("resume", "killed", "--json").json
    assert program.final("killed") == program.final("whole")
    assert result["best"] == undisturbed["best"]
    best = [program.folder / name / result["best"]["checkpoint"] / "arrays.safetensors" for name in ("killed", "whole")]
    assert best[0].read_bytes() == best[1].read_bytes()


def test_a_best_checkpoint_that_was_written_and_not_kept_is_kept_on_resume(evaluated: Path, program: Any) -> None:
    progress = json.loads((evaluated / "result.json").read_text())["best"]["progress"]
    arguments = [*EVALUATED, "--out", "run", "--until", progress]
    program.succeed(*arguments)
    (program.folder / "run" / "best" / str(progress)).rename(program.folder / "elsewhere")
    program.succeed("resume", "run")
    assert (program.folder / "run" / "best" / str(progress) / "state.json").exists()


def test_a_run_stops_at_its_target(program: Any) -> None:
    arguments = ["run", "slope", "--budget", 500, "--set", "learning_rate=0.1", "--evaluate-every", 5, "--stop-at-target"]
    result = program.succeed(*arguments, "--out", "run", "--json").json
    assert result["progress"] < 500
    lines = lines_of(program.folder / "run")
    scores = [line["evaluation_squared_error"] for line in lines if "evaluation_squared_error" in line]
    assert scores[-1] <= 0.05 < min(scores[:-1])
    assert lines[-1]["progress"] == result["progress"] == result["best"]["progress"]
    assert program.succeed("resume", "run", "--json").json["progress"] == result["progress"]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (
            {"task": "gym:CartPole-v1", "task_config": {"options": {"max_episode_steps": 50}}, "evaluate_every": 5, "stop_at_target": True},
            "has no target to stop at",
        ),
        ({"stop_at_target": True}, "looked for in evaluations while learning"),
        ({"evaluate_every": 0}, "'evaluate_every' of the run's options is 0"),
        ({"from_run": "nowhere"}, "not a run folder"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(options: dict[str, Any], problem: str, tmp_path: Path) -> None:
    name = "hill" if "task" in options else "slope"
    with pytest.raises(RequestError, match=problem):
        learn(name, out=tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


def test_a_best_checkpoint_that_was_not_asked_for_is_refused_in_words(program: Any) -> None:
    program.succeed("run", "slope", "--budget", 3, "--out", "run")
    ended = program.call("eval", "run", "--best")
    assert ended.status == 2
    assert "kept no best checkpoint" in ended.err
    assert "--evaluate-every" in ended.err


def test_a_run_starts_from_what_another_one_learned_and_names_it(evaluated: Path, program: Any) -> None:
    best = next((evaluated / "best").iterdir())
    program.succeed("run", "--from", best, "--set", "spread=0.1", "--budget", 15, "--out", "child", "--json")
    child = program.folder / "child"
    begun = checkpoint.load(child / "checkpoints" / "0")["agent"]
    assert np.array_equal(begun["best"], checkpoint.load(best)["agent"]["best"])
    manifest = json.loads((child / "manifest.json").read_text())
    assert manifest["parent"]["run"] == str(evaluated)
    assert manifest["parent"]["progress"] == int(best.name)
    assert manifest["recipe"]["config"] == {"num_envs": 3, "num_steps": 5, "spread": 0.1}
    evaluated_parent = evaluated.rename(evaluated.parent / "moved")
    try:
        program.succeed("resume", "child", "--budget", 30)  # the child needs its parent no more
    finally:
        evaluated_parent.rename(evaluated)


def test_a_run_that_does_not_fit_is_not_started_from(evaluated: Path, program: Any) -> None:
    ended = program.call("run", "--from", evaluated, "--task", "gym:Acrobot-v1", "--budget", 15, "--out", "child")
    assert ended.status == 2
    assert "float64[4, 2], but the agent has float64[6, 3]" in ended.err
    ended = program.call("run", "slope", "--from", evaluated, "--out", "child")
    assert ended.status == 2
    assert not (program.folder / "child").exists()
