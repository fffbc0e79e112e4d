"""Runs that are killed, starved and damaged, and end in the bytes of a run that was never disturbed."""

from __future__ import annotations

import json
import os
import platform
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rl_core import learn

PROBE = Path(__file__).parent / "probe"
pytestmark = pytest.mark.usefixtures("probe")
SLOPE = ["run", "slope", "--budget", 80, "--seed", 3, "--set", "milliseconds=3"]
HILL = ["run", "hill", "--task", "gym:CartPole-v1", "--budget", 6000, "--set", "num_steps=5"]


@pytest.mark.parametrize(
    ("arguments", "chance"),
    [
        ([*SLOPE, "--checkpoint-every", 1, "--set", "ballast=150000"], 1),  # writes a checkpoint most of its time
        ([*HILL, "--checkpoint-every", 60, "--episodes", 3], 2),  # judged by as many after a kill
    ],
    ids=["killed while it saves", "a replayed environment"],
)
def test_five_kills_leave_no_trace_in_the_final_checkpoint(program: Any, arguments: list[object], chance: int) -> None:
    undisturbed = program.succeed(*arguments, "--out", "whole", "--json").json
    program.disturbed("killed", arguments, whole="whole", kills=5, seed=chance)
    result = program.succeed("resume", "killed", "--json").json
    assert program.final("killed") == program.final("whole")
    assert program.progress("killed") == program.progress("whole")
    assert {**result, "run": "", "seconds": 0} == {**undisturbed, "run": "", "seconds": 0}
    assert result["seconds"] > 0
    assert not list((program.folder / "killed" / "checkpoints").glob(".*"))


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the run `whole`, and `run`, the same one torn down at batch 38, with checkpoints 30, 33 and 36 of 40."""
    folder = tmp_path_factory.mktemp("template")
    options = {"budget": 40, "checkpoint_every": 3}
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(PROBE)
        learn("slope", out=folder / "whole", **options)
        with pytest.raises(RuntimeError, match="broke down"):
            learn("slope", out=folder / "run", overrides=["fault=raise", "fault_at=38"], **options)
    path = folder / "run" / "recipe.yaml"
    path.write_text(path.read_text().replace("fault: raise", "fault: ''").replace("fault_at: 38", "fault_at: 20"))
    return folder


@pytest.fixture
def stopped(program: Any, template: Path) -> Path:
    """The folder of the run that was torn down."""
    shutil.copytree(template, program.folder, dirs_exist_ok=True)
    assert sorted(path.name for path in (program.folder / "run" / "checkpoints").iterdir()) == ["30", "33", "36"]
    return program.folder / "run"


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


DAMAGE: dict[str, tuple[Callable[[Path], object], int, str]] = {
    "its arrays were cut": (
        lambda newest: truncate(newest / "arrays.safetensors"),
        33,
        "checkpoint 36 was refused: arrays.safetensors has",
    ),
    "its state was cut": (lambda newest: truncate(newest / "state.json"), 33, "checkpoint 36 was refused: state.json is not JSON"),
    "a bit of its arrays was flipped": (lambda newest: flip(newest / "arrays.safetensors"), 33, "does not have the checksum"),
    "a bit of its state was flipped": (lambda newest: flip(newest / "state.json"), 33, "checkpoint 36 was refused: state.json"),
    "one file is gone": (lambda newest: (newest / "state.json").unlink(), 33, "state.json cannot be read"),
    "it was deleted": (shutil.rmtree, 33, ""),
    "all were deleted": (lambda newest: shutil.rmtree(newest.parent), 0, "the run has no checkpoint: the agent is at its beginning"),
    "the metrics were cut within a line": (lambda newest: truncate(newest.parents[1] / "metrics.jsonl"), 36, ""),
    "another run's is in its place": (
        lambda newest: (shutil.rmtree(newest), shutil.copytree(newest.parents[2] / "whole" / "checkpoints" / "40", newest)),
        33,
        "is of progress 40, but its folder is called '36'",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_run_goes_on_when_of_its_newest_checkpoint(program: Any, stopped: Path, damage: str) -> None:
    harm, goes_on_at, message = DAMAGE[damage]
    harm(stopped / "checkpoints" / "36")
    ended = program.succeed("resume", "run")
    assert message in ended.err
    assert f"continuing run at {goes_on_at} of 40 batches" in ended.err
    assert program.final("run") == program.final("whole")
    assert json.loads((stopped / "manifest.json").read_text())["sessions"][-1]["progress"] == goes_on_at
    if "metrics" not in damage:
        assert program.progress("run") == list(range(1, 41))


def test_a_run_without_any_whole_checkpoint_is_not_begun_anew_unasked(program: Any, stopped: Path) -> None:
    for path in (stopped / "checkpoints").glob("*/state.json"):
        path.write_text("{}")
    before = sorted(stopped.rglob("*"))
    ended = program.call("resume", "run")
    assert ended.status == 1
    assert (
        "error: no checkpoint of 'run' can be used: checkpoint 36 was refused: state.json was not written by a checkpoint; checkpoint 33"
        in ended.err
    )
    assert "hint: start again with: rl-core run --recipe run/recipe.yaml" in ended.err
    assert sorted(stopped.rglob("*")) == before


def test_a_checkpoint_that_another_agent_wrote_is_refused_in_words(program: Any, stopped: Path) -> None:
    path = stopped / "recipe.yaml"
    path.write_text("agent: hill\ntask: gym:CartPole-v1\n")
    ended = program.call("resume", "run")
    assert ended.status == 1
    assert "error: checkpoint 36 of 'run' does not fit agent hill: KeyError: 'best'" in ended.err
    assert "Traceback" not in ended.err


def test_where_a_replay_ends_elsewhere_new_episodes_begin_and_a_warning_says_so(program: Any) -> None:
    program.call(*HILL, "--budget", 900, "--checkpoint-every", 300, "--out", "run")
    path = program.folder / "run" / "recipe.yaml"
    path.write_text(path.read_text().replace("seed: 0", "seed: 1").replace("budget: 900", "budget: 1200"))
    ended = program.succeed("resume", "run", "--json")
    assert ended.json["progress"] >= 1200
    assert ended.err.count("did not lead back to the saved observations") == 1
    assert "new episodes begin" in ended.err


def test_a_longer_budget_continues_a_finished_run(program: Any) -> None:
    program.succeed("run", "slope", "--budget", 20, "--out", "run")
    result = program.succeed("resume", "run", "--budget", 25, "--json").json
    assert result["progress"] == 25
    assert program.progress("run") == list(range(1, 26))
    assert "budget: 25\n" in (program.folder / "run" / "recipe.yaml").read_text()


def test_a_budget_that_is_used_up_already_is_refused_and_the_recipe_stays_true(program: Any) -> None:
    program.succeed("run", "slope", "--budget", 20, "--out", "run")
    before = (program.folder / "run" / "recipe.yaml").read_text()
    refused = program.call("resume", "run", "--budget", 19)
    assert refused.status == 2
    assert "error: budget is 19, but 'run' has learned for 20 batches already" in refused.err
    assert "rl-core eval run" in refused.err
    assert (program.folder / "run" / "recipe.yaml").read_text() == before


def test_a_finished_run_that_is_resumed_only_concludes_again(program: Any) -> None:
    program.succeed("run", "slope", "--out", "run")
    before = program.final("run")
    (program.folder / "run" / "result.json").unlink()
    assert program.succeed("resume", "run", "--json").json["progress"] == 30
    assert program.final("run") == before


def test_one_run_is_worked_on_by_one_process(program: Any) -> None:
    first = program.start("run", "slope", "--budget", 2000, "--set", "milliseconds=5", "--out", "run")
    try:
        while not (program.folder / "run" / "metrics.jsonl").exists():
            assert first.poll() is None
        ended = program.call("resume", "run")
        assert ended.status == 2
        assert "error: 'run' is in use by another process" in ended.err
        assert program.call("eval", "run").status == 0  # looking is allowed
    finally:
        first.kill()
        first.communicate()
    assert program.call("resume", "run", "--budget", 1).status == 0  # a killed process gives its lock back


def test_versions_that_changed_are_named(program: Any) -> None:
    program.succeed("run", "slope", "--out", "run")
    path = program.folder / "run" / "manifest.json"
    path.write_text(path.read_text().replace('"probe": "1.0"', '"probe": "0.9"'))
    ended = program.succeed("resume", "run", "--budget", 31)
    assert "warning: made with probe 0.9 (now 1.0): the run continues, but no longer to the last bit" in ended.err
    assert json.loads(path.read_text())["sessions"][-1]["differences"] == ["probe 0.9 (now 1.0)"]


@pytest.mark.skipif(platform.machine() != "x86_64", reason="names kernels of x86-64 processors")
def test_another_kernel_of_linear_algebra_is_said_before_the_first_step_and_refused_where_exactness_is_asked(program: Any) -> None:
    program.succeed("run", "slope", "--out", "run", "--until", 10)
    path = program.folder / "run" / "manifest.json"
    document = json.loads(path.read_text())
    (name,) = [name for name in document["machine"]["kernels"] if name.startswith("openblas")]
    now = document["machine"]["kernels"][name]
    other = "Nehalem" if now != "Nehalem" else "Haswell"
    program.environment["OPENBLAS_CORETYPE"] = other
    before = {file: file.read_bytes() for file in (program.folder / "run").rglob("*") if file.is_file()}
    refused = program.run("resume", "run", "--exact")
    assert refused.status == 2
    assert f"was made with {name} {now} (now {other}): it would not continue to the last bit" in refused.err
    assert "leave out --exact" in refused.err
    assert {file: file.read_bytes() for file in (program.folder / "run").rglob("*") if file.is_file()} == before
    continued = program.run("resume", "run")
    assert continued.status == 0
    assert f"warning: made with {name} {now} (now {other})" in continued.err
    assert json.loads(path.read_text())["sessions"][-1]["differences"] == [f"{name} {now} (now {other})"]


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """A file system of that size at `folder`."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small tmpfs; the test with a limit of file sizes runs instead")
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=False, capture_output=True).returncode:
        pytest.skip("this system lets not even root mount a tmpfs; the test with a limit of file sizes runs instead")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_said_in_words_and_the_run_goes_on_once_there_is_space(program: Any) -> None:
    arguments = ["run", "slope", "--budget", 40, "--checkpoint-every", 5, "--set", "ballast=20000"]  # 160 kB each
    program.succeed(*arguments, "--out", "whole")
    with small_disk(program.folder / "disk", "1m"):
        ballast = program.folder / "disk" / "ballast"
        ballast.write_bytes(bytes(600_000))
        ended = program.call(*arguments, "--out", "disk/run")
        assert ended.status == 1
        assert "error: checkpoint 15 of 'disk/run' could not be written: No space left on device" in ended.err
        assert "hint: free some space, then: rl-core resume disk/run (it continues from checkpoint 10)" in ended.err
        assert "Traceback" not in ended.err
        assert sorted(path.name for path in (program.folder / "disk" / "run" / "checkpoints").iterdir()) == ["10", "5"]
        again = program.call("resume", "disk/run")
        assert again.status == 1
        assert "could not be written: No space left on device" in again.err
        ballast.unlink()
        program.succeed("resume", "disk/run")
        assert program.final("disk/run") == program.final("whole")
        assert program.progress("disk/run") == program.progress("whole")


def test_a_disk_that_fills_at_any_size_loses_nothing(program: Any) -> None:
    arguments = ["run", "slope", "--budget", 40, "--checkpoint-every", 5]
    program.succeed(*arguments, "--out", "whole")
    with small_disk(program.folder / "disk", "400k"):
        for free in (4096, 8192, 12288, 20480, 32768, 49152):
            shutil.rmtree(program.folder / "disk" / "run", ignore_errors=True)
            ballast = program.folder / "disk" / "ballast"
            ballast.write_bytes(bytes(os.statvfs(program.folder / "disk").f_bavail * 4096 - free))
            ended = program.call(*arguments, "--out", "disk/run")
            assert ended.status in (0, 1)
            assert "Traceback" not in ended.err
            assert ended.status == 0 or "could not be written: No space left on device" in ended.err
            ballast.unlink()
            if (program.folder / "disk" / "run").exists():
                program.succeed("resume", "disk/run")
                assert program.final("disk/run") == program.final("whole")


@contextmanager
def small_files(size: int) -> Iterator[None]:
    """No file that this process writes may grow beyond that size."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_limit_of_file_sizes_is_said_in_words_and_the_run_goes_on_without_it(program: Any) -> None:
    arguments = ["run", "slope", "--budget", 40, "--checkpoint-every", 5, "--set", "ballast=2000"]
    program.succeed(*arguments, "--out", "whole")
    with small_files(10_000):
        ended = program.call(*arguments, "--out", "run")
    assert ended.status == 1
    assert "error: checkpoint 5 of 'run' could not be written: File too large" in ended.err
    assert "hint: free some space, then: rl-core resume run" in ended.err
    with small_files(1_800):
        ended = program.call("run", "slope", "--budget", 40, "--out", "short")
    assert "error: metrics.jsonl of 'short' could not be written" in ended.err
    program.succeed("resume", "run")
    assert program.final("run") == program.final("whole")
    assert program.progress("run") == program.progress("whole")
