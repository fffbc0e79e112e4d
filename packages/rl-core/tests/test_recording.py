"""Recordings: whole episodes, files that give back what was written, and words for files that do not fit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from rl_core import minari_data, recording
from rl_core.cli.cli import cli
from rl_core.offline import PARTS
from rl_core.recorded_files import FileConfig, OfflineFile, control_of, write_example
from rl_core.recording import Recording
from rl_core.seeds import Seeds


@pytest.fixture(scope="module")
def made() -> Recording:
    task = control_of("gym:CartPole-v1", {})
    arrays = recording.record(
        task, lambda obs: (obs[:, 2] > 0).astype(np.int64), num_steps=90, random_share=0.5, seeds=Seeds(1), num_lanes=2
    )
    return Recording(arrays, {"task": "gym:CartPole-v1", "policy": "half"})


def test_episodes_are_whole_and_follow_one_another(made: Recording) -> None:
    arrays = made.arrays
    over = arrays["terminated"] | arrays["truncated"]
    inside = ~over[:-1]
    assert len(over) >= 90
    assert over[-1]
    assert np.array_equal(arrays["obs"][1:][inside], arrays["final_obs"][:-1][inside])
    assert made.returns().sum() == len(over)  # CartPole pays 1 a step


def test_the_probability_of_an_action_is_that_of_a_policy_with_random_actions(made: Recording) -> None:
    greedy = made.arrays["action"] == (made.arrays["obs"][:, 2] > 0)
    assert np.allclose(made.arrays["probability"], np.where(greedy, 0.75, 0.25))
    assert abs(greedy.mean() - 0.75) < 0.15  # 90 draws: three deviations


@pytest.mark.parametrize("suffix", ["npz", "parquet", "csv"])
def test_a_file_gives_back_what_was_written(made: Recording, tmp_path: Path, suffix: str) -> None:
    if suffix == "parquet":
        pytest.importorskip("pyarrow", reason="parquet is an extra")
    path = tmp_path / f"some.{suffix}"
    recording.write(made, path)
    found = recording.read(path)
    assert found.facts == ({} if suffix == "csv" else made.facts)
    for name, array in made.arrays.items():
        assert found.arrays[name].dtype == array.dtype
        assert np.array_equal(found.arrays[name], array)


def test_a_log_of_single_decisions_is_read(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("obs_0,obs_1,action,reward,probability\n1,0,2,0.5,0.25\n0.5,-1,0,1,0.5\n")
    found = recording.read(path)
    assert found.arrays["obs"].tolist() == [[1.0, 0.0], [0.5, -1.0]]
    assert found.arrays["action"].tolist() == [2, 0]
    assert found.starts.tolist() == [0, 1]
    assert found.returns().tolist() == [0.5, 1.0]
    for row, message in (
        ("1,2,x,1,1", "row 4 of .* has 'x' in column action; expected a number"),
        ("1,2", "row 4 of .* has 2 cells; expected 5"),
    ):
        path.write_text("obs_0,obs_1,action,reward,probability\n1,0,2,0.5,0.25\n0.5,-1,0,1,0.5\n" + row)
        with pytest.raises(ValueError, match=message):
            recording.read(path)
    path.write_text("obs_0,action\n1,0\n")
    with pytest.raises(ValueError, match="has no array 'reward'"):
        recording.read(path)


def test_minari_gives_back_what_was_written(made: Recording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("minari", reason="Minari is an extra")
    pytest.importorskip("h5py", reason="Minari writes with h5py")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    task = control_of("gym:CartPole-v1", {})
    minari_data.write(made, "cartpole/half-v0", task.input_space, task.output_space)
    found = minari_data.read("cartpole/half-v0")
    for name in PARTS:
        assert np.array_equal(found.arrays[name], made.arrays[name])
    with pytest.raises(ValueError, match="refuses the data set"):
        minari_data.write(made, "cartpole/half-v0", task.input_space, task.output_space)
    with pytest.raises(ValueError, match="is not an id of Minari"):
        minari_data.write(made, "half", task.input_space, task.output_space)


def test_splits_hold_whole_episodes(tmp_path: Path) -> None:
    path = tmp_path / "some.npz"
    write_example(path)
    task = OfflineFile(FileConfig(path=str(path), validation_fraction=0.2, test_fraction=0.2))
    ends = 0
    for split in ("train", "validation", "test"):
        given, _ = task.read(split, np.arange(task.num_examples(split)))
        assert given["terminated"][-1] or given["truncated"][-1]
        ends += task.num_examples(split)
    assert ends == len(task.recording.arrays["reward"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"reward": None}, "has no array 'reward'"),
        ({"obs": np.zeros((200, 3), np.float32)}, "rows of shape"),
        ({"action": np.full(200, 7)}, "is 7, outside"),
        ({"reward": np.full(200, np.nan, np.float32)}, "row 0 of array reward"),
        ({"facts": "{"}, "are not JSON"),
        ({"facts": "{}"}, "does not say which task"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_in_words(tmp_path: Path, change: dict, words: str) -> None:
    path = tmp_path / "some.npz"
    write_example(path)
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    count = len(arrays["reward"])
    for name, value in change.items():
        if value is None:
            del arrays[name]
        else:
            arrays[name] = np.array(value) if isinstance(value, str) else np.resize(value, (count, *value.shape[1:]))
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match=words):
        OfflineFile(FileConfig(path=str(path)))


def test_what_is_not_a_recording_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "some.npz"
    with pytest.raises(ValueError, match="not found"):
        recording.read(path)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match=r"is not an? .*npz file"):
        recording.read(path)


def test_collect_writes_a_file_that_a_task_reads(tmp_path: Path) -> None:
    out = tmp_path / "random.npz"
    run = CliRunner().invoke(cli, ["collect", "gym:CartPole-v1", "--steps", "50", "--out", str(out), "--json"])
    assert run.exit_code == 0, run.output
    said = json.loads(run.stdout)
    assert said["transitions"] == len(recording.read(out).arrays["reward"]) >= 50
    wrong = CliRunner().invoke(cli, ["collect", "gym:CartPole-v1", "--random", "2"])
    assert wrong.exit_code == 2


def test_collect_refuses_a_place_before_it_plays(tmp_path: Path) -> None:
    for place, words in (("nowhere/x.npz", "make it first"), ("x.foo", "expected .npz, .parquet, .csv, or minari:NAME")):
        wrong = CliRunner().invoke(cli, ["collect", "gym:No-such-v0", "--out", str(tmp_path / place)])
        assert wrong.exit_code == 2
        assert words in wrong.stderr
