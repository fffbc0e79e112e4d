"""A run's folder: what a stranger put into it is not followed, and what a kill left in it is not a dead end."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rl_core.errors import RequestError
from rl_core.runs import files, metrics_log, recipe
from rl_core.runs.metrics_log import MetricsLog

pytestmark = pytest.mark.usefixtures("probe")

RUN = ["run", "slope", "--budget", 30, "--checkpoint-every", 10]
LINKS = {
    ".recipe.yaml.writing": "file",
    ".result.json.writing": "file",
    ".manifest.json.writing": "file",
    "metrics.jsonl": "file",
    ".lock": "file",
    "result.json": "file",
    "manifest.json": "file",
    "recipe.yaml": "file",
    "figures/learning-curve.png": "file",
    "checkpoints/30/arrays.safetensors": "file",
    "checkpoints/.40.writing": "folder",
    "figures": "folder",
    "tensorboard": "folder",
    "checkpoints": "folder",
    "checkpoints/30": "folder",
}


@pytest.fixture
def stopped(program: Any) -> Path:
    """A run that can be continued."""
    program.succeed(*RUN, "--out", "run")
    return program.folder / "run"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", LINKS)
def test_a_link_in_a_run_is_refused_by_name_and_not_followed(program: Any, stopped: Path, tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    place = stopped / name
    target = outside / "7"
    if place.exists():
        shutil.move(place, target)
    elif LINKS[name] == "file":
        target.write_text("precious")
    else:
        (target / "3").mkdir(parents=True)
        (target / "3" / "precious").write_text("precious")
    place.parent.mkdir(exist_ok=True)
    place.symlink_to(target)
    before = contents(outside)
    for command in (["resume", "run", "--budget", 60], ["eval", "run"], ["predict", "run", "[1, 2, 3]"], ["compare", "run"]):
        ended = program.call(*command)
        assert ended.status == 2, ended.err
        assert f"error: {name!r} in 'run' is a link; a run's folder holds only ordinary files and folders" in ended.err
    assert contents(outside) == before


@pytest.mark.parametrize("name", ["manifest.json", "result.json", "metrics.jsonl", ".lock", "checkpoints/30/state.json"])
def test_a_pipe_in_a_run_is_refused_and_not_waited_for(program: Any, stopped: Path, name: str) -> None:
    (stopped / name).unlink(missing_ok=True)
    os.mkfifo(stopped / name)
    for command in (["resume", "run", "--budget", 60], ["eval", "run"], ["compare", "run"]):
        ended = program.call(*command)
        assert ended.status == 2
        assert f"{name!r} in 'run' is a named pipe" in ended.err


def test_a_file_that_is_appended_to_has_no_second_name_elsewhere(tmp_path: Path) -> None:
    outside = tmp_path / "precious"
    outside.write_text("precious")
    (tmp_path / "run").mkdir()
    os.link(outside, tmp_path / "run" / "metrics.jsonl")
    with pytest.raises(OSError, match="has a second name elsewhere"):
        MetricsLog(tmp_path / "run", 0)
    os.link(outside, tmp_path / "run" / ".recipe.yaml.writing")
    files.replace(tmp_path / "run" / "recipe.yaml", b"agent: ppo\n")
    assert outside.read_text() == "precious"


def test_a_document_of_absurd_size_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    with path.open("wb") as file:
        file.truncate(files.LARGEST_DOCUMENT + 1)
    with pytest.raises(OSError, match="at most 67,108,864 are expected"):
        files.read(path)


@pytest.mark.parametrize("left", [[], [".lock"], [".lock", ".recipe.yaml.writing"]])
def test_a_run_that_was_killed_before_it_began_begins_anew(program: Any, left: list[str]) -> None:
    folder = program.folder / "run"
    folder.mkdir()
    for name in left:
        (folder / name).write_text("")
    ended = program.call("resume", "run")
    assert ended.status == 2
    if left:
        assert "error: the run in 'run' was killed before it began, so there is nothing to continue" in ended.err
        assert "hint: give the `rl-core run` command again, with --out run" in ended.err
    program.succeed(*RUN, "--out", "run")
    assert program.final("run")


def test_a_folder_that_holds_anything_else_is_left_alone(program: Any) -> None:
    folder = program.folder / "run"
    folder.mkdir()
    (folder / ".lock").mkdir()
    assert program.call(*RUN, "--out", "run").status == 2
    assert (folder / ".lock").is_dir()


@pytest.mark.parametrize(
    ("call", "name"), [("opened", ".lock"), ("write_synced", ".recipe.yaml.writing"), ("write_synced", ".manifest.json.writing")]
)
@pytest.mark.parametrize("out", ["a/b/run", "there"])
def test_a_disk_that_refuses_the_first_files_keeps_nothing(
    program: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, name: str, out: str
) -> None:
    from rl_core.errors import WorkError
    from rl_core.plugins.catalogue import Catalogue
    from rl_core.runs.run import Run

    original = getattr(files, call)

    def full(path: Path, *arguments: Any) -> Any:
        if path.name == name:
            raise OSError(28, "No space left on device")
        return original(path, *arguments)

    monkeypatch.setattr(files, call, full)
    (tmp_path / "there").mkdir()
    before = sorted(tmp_path.rglob("*"))
    catalogue = Catalogue.discover()
    with pytest.raises(WorkError, match="No space left"):
        Run.create(recipe.resolve(catalogue, "slope"), catalogue, tmp_path / out)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("refuse", "error: the corpus has 3 words"),
        ("memory", "error: agent slope on task plane needs more memory than there is: Unable to allocate 7.45 GiB"),
    ],
)
def test_what_is_refused_at_the_first_step_leaves_nothing(program: Any, fault: str, message: str) -> None:
    ended = program.call("run", "slope", "--set", f"fault={fault}", "--set", "fault_at=1")
    assert ended.status == 2
    assert message in ended.err
    assert "report it" not in ended.err
    assert not (program.folder / "runs").exists()
    ended = program.call("run", "slope", "--set", f"fault={fault}", "--set", "fault_at=5", "--out", "run")
    assert ended.status == (2 if fault == "refuse" else 1)
    assert (program.folder / "run").exists()  # something was learned


def test_an_agent_that_ends_the_process_is_named(program: Any) -> None:
    ended = program.call("run", "slope", "--set", "fault=exit", "--set", "fault_at=3", "--out", "run")
    assert ended.status == 1
    assert "error: agent slope ended the process with sys.exit(0) at 2 batches" in ended.err


def test_a_run_pauses_with_its_budget_unchanged(program: Any) -> None:
    program.succeed(*RUN, "--out", "whole")
    document = program.succeed(*RUN, "--out", "run", "--until", 12, "--json").json
    assert document == {"stopped": True, "run": "run", "progress": 12, "unit": "batches"}
    program.succeed("resume", "run", "--until", 20)
    program.succeed("resume", "run")
    assert program.final("run") == program.final("whole")


def test_a_new_budget_says_that_schedules_change(program: Any, stopped: Path) -> None:
    ended = program.succeed("resume", "run", "--budget", 60)
    assert "warning: the budget changes from 30 to 60 batches after 30" in ended.err
    assert "use --until" in ended.err
    assert "warning: the budget" not in program.succeed("resume", "run").err


def test_a_killed_run_has_a_checkpoint_after_two_seconds(program: Any) -> None:
    process = program.start("run", "slope", "--budget", 10**6, "--set", "milliseconds=10", "--out", "run")
    import time

    end = time.monotonic() + 60
    while not list((program.folder / "run" / "checkpoints").glob("[0-9]*/state.json")):
        assert time.monotonic() < end
        time.sleep(0.05)
    process.kill()
    process.communicate()
    assert metrics_log.read(program.folder / "run")[-1]["seconds"] < 5


def test_a_package_that_is_gone_is_named_with_its_version(program: Any, stopped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = json.loads((stopped / "manifest.json").read_text())
    assert document["packages"] == {"agent": "probe", "task": "probe", "network": "probe"}
    document["packages"]["agent"] = "gone-algos"
    document["versions"]["gone-algos"] = "2.5"
    (stopped / "manifest.json").write_text(json.dumps(document))
    ended = program.call("eval", "run")
    assert ended.status == 2
    assert "error: the agent of 'run' belongs to package gone-algos, which is not installed" in ended.err
    assert 'hint: pip install "gone-algos==2.5"' in ended.err


def test_a_renamed_field_of_an_old_recipe_is_carried_over(program: Any, stopped: Path) -> None:
    path = stopped / "recipe.yaml"
    path.write_text(path.read_text().replace("learning_rate:", "alpha:"))
    assert "alpha" in program.call("eval", "run").err  # written by the present version, it is a mistake
    manifest = stopped / "manifest.json"
    document = json.loads(manifest.read_text())
    document["recipe_versions"]["probe"] = "0.1"
    manifest.write_text(json.dumps(document))
    program.succeed("eval", "run")
    program.succeed("resume", "run", "--budget", 40)
    assert "learning_rate:" in path.read_text()
    assert json.loads(manifest.read_text())["recipe_versions"]["probe"] != "0.1"


def test_other_kernels_and_processors_are_named(program: Any, stopped: Path) -> None:
    path = stopped / "manifest.json"
    document = json.loads(path.read_text())
    assert document["machine"]["kernels"]
    document["machine"]["kernels"] = dict.fromkeys(document["machine"]["kernels"], "Prescott")
    document["machine"]["processor"] = "a slide rule"
    path.write_text(json.dumps(document))
    ended = program.succeed("resume", "run", "--budget", 40)
    assert "Prescott (now " in ended.err
    assert "processor a slide rule (now " in ended.err


def test_many_lines_of_metrics_are_averaged_when_they_are_drawn(tmp_path: Path) -> None:
    with MetricsLog(tmp_path, 0) as log:
        for number in range(1, 1001):
            log.write({"progress": number, "seconds": number / 2, "loss": 1.0, **({"rare": 3.0} if number % 100 == 0 else {})})
    lines = metrics_log.read(tmp_path, 64)
    assert 32 <= len(lines) <= 64
    assert lines[-1]["progress"] == 1000
    assert [line["progress"] for line in lines] == sorted(line["progress"] for line in lines)
    assert {line["loss"] for line in lines} == {1.0}
    assert {line["rare"] for line in lines if "rare" in line} == {3.0}
    assert len(metrics_log.read(tmp_path)) == 1000


def _twice(document: Any) -> None:
    document["state"]["agent"]["ballast"] = document["state"]["agent"]["weights"]


@pytest.mark.parametrize("alter", [_twice])
def test_an_array_is_taken_once(stopped: Path, alter: Callable[[Any], None]) -> None:
    from rl_core.runs import checkpoint

    path = stopped / "checkpoints" / "30"
    document = json.loads((path / "state.json").read_text())
    alter(document)
    document.pop("sha256")
    document["sha256"] = checkpoint._digest(document)
    (path / "state.json").write_text(json.dumps(document))
    with pytest.raises(checkpoint.BadCheckpoint, match="does not have, or twice"):
        checkpoint.load(path)


def test_a_folder_without_a_recipe_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="is not a run folder"):
        recipe.path_in(tmp_path)
