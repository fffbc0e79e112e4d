from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dl_nets.tasks.npz import Npz, NpzConfig


def test_keras_names_keep_their_split_and_images_of_bytes_get_a_channel(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = {name: rng.integers(0, 255, (count, 4, 5)).astype(np.uint8) for name, count in (("x_train", 20), ("x_test", 6))}
    np.savez_compressed(tmp_path / "a.npz", **images, y_train=np.arange(20) % 3, y_test=np.arange(6) % 3)
    task = Npz(NpzConfig(path=str(tmp_path / "a.npz")))
    assert task.traits() == {"data", "image-input", "discrete-output"}
    assert [task.num_examples(split) for split in ("train", "validation", "test")] == [16, 4, 6]
    assert np.array_equal(task.read("test", np.array([5, 0]))[0][..., 0], images["x_test"][[5, 0]])
    assert task.class_names == ("0", "1", "2")


def test_vectors_are_standardised_and_numbers_are_targets(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "b.npz", X=rng.normal(5.0, 2.0, (50, 3)), target=rng.normal(size=50))
    task = Npz(NpzConfig(path=str(tmp_path / "b.npz")))
    inputs, targets = task.read("train", np.arange(30))
    np.testing.assert_allclose(inputs.mean(axis=0), 0.0, atol=1e-6)
    assert targets.shape == (30, 1)
    again = Npz.from_state(task.config, task.state_dict())
    assert np.array_equal(again.read("train", np.arange(30))[0], inputs)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"a": np.ones(3)}, r"bad\.npz holds a; expected x and y, or x_train"),
        ({"x": np.ones((3, 2)), "y": np.ones(2)}, r"array y of .*bad\.npz is float64\[2\]; expected numbers, one row for each of 3 inputs"),
        ({"x": np.array([[1.0], [np.nan]]), "y": np.ones(2)}, r"array x of .*bad\.npz holds nan at \[1, 0\]; expected finite numbers"),
        ({"x": np.array([[1e300], [1.0]]), "y": np.ones(2)}, r"array x of .*bad\.npz holds 1e\+300; expected numbers up to 1e\+18"),
        ({"x": np.array([{}, {}]), "y": np.ones(2)}, r"bad\.npz holds objects, which need pickle; expected an \.npz file of numbers"),
    ],
)
def test_arrays_that_are_not_examples_are_refused(tmp_path: Path, arrays: dict[str, np.ndarray], words: str) -> None:
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(ValueError, match=words):
        Npz(NpzConfig(path=str(tmp_path / "bad.npz")))


def test_what_is_no_npz_file_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", np.ones((30, 2)))
    (tmp_path / "text.npz").write_text("hello")
    for name, words in (("one.npy", r"one\.npy holds one array; expected an \.npz file"), ("text.npz", r"text\.npz is not an \.npz file")):
        with pytest.raises(ValueError, match=words):
            Npz(NpzConfig(path=str(tmp_path / name)))


def test_a_cut_file_is_refused_by_name(tmp_path: Path) -> None:
    np.savez(tmp_path / "cut.npz", x=np.ones((30, 2)), y=np.arange(30) % 2)
    (tmp_path / "cut.npz").write_bytes((tmp_path / "cut.npz").read_bytes()[:-40])
    with pytest.raises(ValueError, match=r"cut\.npz is not a whole \.npz file"):
        Npz(NpzConfig(path=str(tmp_path / "cut.npz")))
