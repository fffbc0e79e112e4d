from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from dl_nets.tasks.idx import IdxFile, write_idx
from dl_nets.tasks.mnist import Mnist, MnistConfig, write_example


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_example(tmp_path / "bars")
    return tmp_path / "bars"


def test_raw_and_compressed_files_hold_the_same_array_and_a_raw_one_is_mapped(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.int32).reshape(2, 3, 4)
    for name in ("raw", "packed.gz"):
        write_idx(tmp_path / name, array)
        assert np.array_equal(IdxFile(tmp_path / name, 3).array, array)
    assert (tmp_path / "raw").read_bytes()[:8] == bytes([0, 0, 0x0C, 3, 0, 0, 0, 2])  # the format's own table: 0x0C is int
    assert isinstance(IdxFile(tmp_path / "raw", 3).array, np.memmap)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", r"bad is not an idx file: it begins with the bytes \(none\)"),
        (b"\x89PNG\r\n", "bad is not an idx file: it begins with the bytes 89 50 4e 47; expected 00 00, a type"),
        (b"\0\0\x08\x03", "byte 4 of .*bad says that it has 3 axes; expected 1"),
        (b"\0\0\x08\x01\0\0", "bad ends after byte 6, in its header of 8 bytes"),
        (b"\0\0\x08\x01\0\0\0\x05abc", "bad ends after byte 11; its header says 5 numbers, 13 bytes"),
        (b"\0\0\x08\x01\0\0\0\x02abc", "bad goes on after byte 10, where its 2 numbers end"),
        (gzip.compress(b"\0\0\x08\x01\0\0\0\x05abc", mtime=0), "bad ends after byte 11; its header says 5 numbers"),
        (gzip.compress(b"\0\0\x08\x01\0\0\0\x64" + bytes(range(100)), mtime=0)[:60], "bad is cut off: the compressed data ends too early"),
        (b"\x1f\x8bnonsense", "bad cannot be read"),
    ],
)
def test_a_file_that_is_not_what_it_says_is_refused_with_name_and_place(tmp_path: Path, data: bytes, words: str) -> None:
    (tmp_path / "bad").write_bytes(data)
    with pytest.raises(ValueError, match=words):
        IdxFile(tmp_path / "bad", 1)


def test_a_cut_file_refuses_the_task_when_it_is_built(folder: Path) -> None:
    path = folder / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte\.gz is cut off"):
        Mnist(MnistConfig(path=str(folder)))


def test_files_that_do_not_fit_each_other_are_refused_by_name(folder: Path) -> None:
    write_idx(folder / "train-labels-idx1-ubyte", np.zeros(39, np.uint8))
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte\.gz has 40 images, .*train-labels-idx1-ubyte 39 labels"):
        Mnist(MnistConfig(path=str(folder)))
    (folder / "train-labels-idx1-ubyte").unlink()
    (folder / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(ValueError, match=r"bars has no file t10k-labels-idx1-ubyte or t10k-labels-idx1-ubyte\.gz; it holds t10k-images"):
        Mnist(MnistConfig(path=str(folder)))


def test_the_given_split_is_kept_and_the_validation_images_are_training_images(folder: Path) -> None:
    task = Mnist(MnistConfig(path=str(folder), validation_fraction=0.25))
    assert [task.num_examples(split) for split in ("train", "validation", "test")] == [30, 10, 20]
    images, classes = task.read("validation", np.arange(10))
    assert np.bincount(classes).tolist() == [5, 5]
    everything = IdxFile(folder / "train-images-idx3-ubyte.gz", 3).array[..., None]
    train = task.read("train", np.arange(30))[0]
    both = np.concatenate([train, images])
    assert sorted(map(bytes, both)) == sorted(map(bytes, everything))


def test_chosen_labels_are_the_classes_in_their_order_and_few_examples_are_the_first(folder: Path) -> None:
    task = Mnist(MnistConfig(path=str(folder), labels=(1, 0), examples_per_class=3, validation_fraction=0))
    assert task.class_names == ("1", "0")
    images, classes = task.read("train", np.arange(6))
    assert classes.tolist() == [1, 0, 1, 0, 1, 0]  # the file's labels are 0, 1, 0, 1, ...
    assert np.array_equal(images[..., 0], IdxFile(folder / "train-images-idx3-ubyte.gz", 3).array[:6])
    with pytest.raises(ValueError, match=r"train-labels.* has no image with label 7; expected some of each class"):
        Mnist(MnistConfig(path=str(folder), labels=(1, 7)))
    with pytest.raises(ValueError, match=r"labels is \(1, 1\); expected two or more different labels"):
        MnistConfig(path=str(folder), labels=(1, 1))


def test_changed_files_are_said_and_other_classes_are_refused(folder: Path, tmp_path: Path) -> None:
    task = Mnist(MnistConfig(path=str(folder)))
    state = task.state_dict()
    write_idx(folder / "t10k-images-idx3-ubyte.gz", np.zeros((20, 8, 8), np.uint8))
    assert "t10k-images-idx3-ubyte.gz changed since" in Mnist.from_state(task.config, state).data_change()
    write_example(tmp_path / "other")
    write_idx(tmp_path / "other" / "t10k-images-idx3-ubyte.gz", np.zeros((20, 9, 8), np.uint8))
    with pytest.raises(ValueError, match=r"has images of 8 x 8, .* of 9 x 8; expected one size"):
        Mnist.for_evaluation(MnistConfig(path=str(tmp_path / "other")), state)


def test_training_images_vary_by_epoch_as_the_config_says_and_test_images_stay(folder: Path) -> None:
    plain, varied = Mnist(MnistConfig(path=str(folder))), Mnist(MnistConfig(path=str(folder), augment=("affine",)))
    assert not plain.augments
    assert varied.augments
    rows = np.arange(varied.num_examples("train"))
    images, classes = varied.read("train", rows)
    first, same_classes = varied.read_augmented(rows, seed=1, progress=0.0)
    assert np.array_equal(classes, same_classes)
    assert first.shape == images.shape
    assert first.dtype == np.uint8
    assert not np.array_equal(first, images)
    assert not np.array_equal(first, varied.read_augmented(rows, seed=2, progress=0.0)[0])
    assert np.array_equal(first[5:], varied.read_augmented(rows[5:], seed=1, progress=0.0)[0])
    assert np.array_equal(varied.read("test", rows[:3])[0], plain.read("test", rows[:3])[0])
