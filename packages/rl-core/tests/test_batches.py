from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rl_core import batches
from rl_core.batches import Ragged
from rl_core.runs import checkpoint

BOXES = Ragged.of([[[0.0, 1.0]], [], [[2.0, 3.0], [4.0, 5.0]]], np.zeros((0, 2), np.float32))
BATCH: dict[str, Any] = {
    "image": np.arange(12, dtype=np.uint8).reshape(3, 2, 2),
    "boxes": {"box": BOXES, "label": Ragged(np.array([7, 8, 9]), BOXES.splits)},
    "name": np.array(["cat", "ox", ""]),
}


def test_rows_are_taken_in_any_order_and_repeated() -> None:
    part = batches.take(BATCH, np.array([2, 0, 2]))
    assert isinstance(part, dict)
    assert part["image"].shape == (3, 2, 2)
    assert part["boxes"]["box"].splits.tolist() == [0, 2, 3, 5]
    assert part["boxes"]["box"].values.tolist() == [[2, 3], [4, 5], [0, 1], [2, 3], [4, 5]]
    assert part["boxes"]["label"].values.tolist() == [8, 9, 7, 8, 9]
    assert part["name"].tolist() == ["", "cat", ""]


@pytest.mark.parametrize("indices", [np.zeros(0, np.int64), slice(1, 3), np.array([True, False, True])])
def test_a_slice_a_mask_and_no_index_take_what_they_take_of_an_array(indices: Any) -> None:
    part = batches.take(BATCH, indices)
    wanted = np.arange(3)[indices]
    assert batches.equal(part, batches.take(BATCH, wanted))
    assert batches.count(part) == len(wanted)


def test_joined_parts_are_the_whole() -> None:
    parts = [batches.take(BATCH, slice(start, start + 1)) for start in range(3)]
    assert batches.equal(batches.concatenate(parts), BATCH)


def test_a_batch_survives_a_checkpoint_and_a_file_without_pickle(tmp_path: Path) -> None:
    arrays = batches.to_arrays(BATCH)
    assert all(array.dtype.kind in "biuf" for array in arrays.values())
    loaded = checkpoint.load(checkpoint.save(tmp_path, 1, arrays))
    assert batches.equal(batches.from_arrays(loaded), BATCH)
    file = io.BytesIO()
    np.savez(file, **arrays)
    file.seek(0)
    with np.load(file, allow_pickle=False) as saved:
        assert batches.equal(batches.from_arrays(dict(saved)), BATCH)


@pytest.mark.parametrize("batch", [np.arange(3), BOXES, np.array(["a"]), Ragged.of([["ab", "c"], []])])
def test_each_kind_of_batch_alone_survives_being_taken_apart(batch: Any) -> None:
    assert batches.equal(batches.from_arrays(batches.to_arrays(batch)), batch)


@pytest.mark.parametrize(
    ("values", "splits", "words"),
    [
        (np.arange(3), np.array([0, 4]), "splits must rise from 0 to the number of values, 3"),
        (np.arange(3), np.array([1, 3]), "splits must rise from 0"),
        (np.arange(3), np.array([0, 2, 1, 3]), "splits must rise from 0"),
        (np.arange(3), np.array([0.0, 3.0]), r"splits is float64\[2\]; expected whole numbers"),
        (np.array([None]), np.array([0, 1]), "are objects"),
    ],
)
def test_splits_that_are_not_splits_are_refused(values: np.ndarray, splits: np.ndarray, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Ragged(values, splits)


@pytest.mark.parametrize(
    ("batch", "words"),
    [
        (np.array([[1], [2, 3]], dtype=object), "an array of objects"),
        ([1, 2], "it is a list"),
        (np.float64(1.0), "it is a float64"),
        (np.array(1.0), "a single number"),
        ({}, "no parts"),
        ({"a": np.zeros(2), "b": np.zeros(3)}, "the same number of examples"),
        ({"a/b": np.zeros(2)}, "names are texts without '/'"),
        ({"a": {"b": np.array([{}])}}, "its part 'a': its part 'b': it is an array of objects"),
    ],
)
def test_what_is_not_a_batch_is_said(batch: Any, words: str) -> None:
    assert words in batches.problem(batch)


def test_a_batch_is_a_batch() -> None:
    assert batches.problem(BATCH) == ""


def test_batches_that_differ_in_structure_are_not_joined() -> None:
    with pytest.raises(ValueError, match="batches of one structure are expected, got Ragged, ndarray"):
        batches.concatenate([BOXES, np.zeros(2)])
    with pytest.raises(ValueError, match=r"every batch must have the parts \['a'\]"):
        batches.concatenate([{"a": np.zeros(2)}, {"b": np.zeros(2)}])
    with pytest.raises(ValueError, match="expected at least one batch to join"):
        batches.concatenate([])


def test_a_row_beyond_the_last_is_an_index_error() -> None:
    assert BOXES[-1].tolist() == [[2, 3], [4, 5]]
    with pytest.raises(IndexError, match="row 3 of 3 ragged rows"):
        BOXES[3]
