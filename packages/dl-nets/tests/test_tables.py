from __future__ import annotations

import numpy as np
import pytest

from dl_nets.tasks.tables import Column, Table, split_table

VALUES = {"weight": np.array([1.0, 3.0, 100.0]), "colour": np.array(["red", "blue", "red"])}


@pytest.fixture
def table() -> Table:
    return Table(VALUES, train=np.array([0, 1]))


def test_numbers_are_standardised_with_the_training_rows_alone_and_texts_become_one_hot(table: Table) -> None:
    assert table.encode(VALUES).tolist() == [[-1.0, 0.0, 1.0], [1.0, 1.0, 0.0], [98.0, 0.0, 1.0]]


def test_a_column_of_one_number_becomes_zero() -> None:
    assert Column.of("same", np.array([7.0, 7.0]), np.arange(2)).encode(np.array([7.0, 8.0])).tolist() == [[0.0], [1.0]]


def test_a_row_is_read_by_name_and_by_order_as_the_table_has_it(table: Table) -> None:
    expected = table.encode(VALUES)[1:2]
    for text in ('{"colour": "blue", "weight": 3}', '[3.0, "blue"]'):
        assert np.array_equal(table.parse(text), expected)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * 100_000, "is no JSON"),
        ("{", "is no JSON; give a row as an object with the keys weight, colour"),
        ("[1]", r"is no row: give an object, or an array of 2 values: weight, colour"),
        ('"red"', "is no row"),
        ('{"weight": 1}', "'colour' is missing; a row has the columns weight, colour"),
        ('{"weight": 1, "colour": "red", "size": 2}', "'size' is no column of this table"),
        ('{"weight": "heavy", "colour": "red"}', "column 'weight' holds numbers, but 'heavy' came"),
        ('{"weight": true, "colour": "red"}', "column 'weight' holds numbers, but True came"),
        ('{"weight": NaN, "colour": "red"}', "column 'weight' holds numbers, but nan came"),
        ('{"weight": 1, "colour": "pink"}', "column 'colour' holds 'pink'; it may hold 'blue', 'red'"),
    ],
)
def test_what_is_no_row_is_refused_in_words(table: Table, text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        table.parse(text)


def test_targets_are_class_numbers_or_one_number_each() -> None:
    values = {"x": np.arange(20.0)}
    _, splits = split_table(values, np.arange(20) % 2, True, 0.2, 0.2, 0)
    assert splits["train"][1].dtype == np.int64
    assert splits["test"][1].tolist().count(1) == 2
    _, splits = split_table(values, np.arange(20.0), False, 0.2, 0.2, 0)
    assert splits["train"][1].shape == (12, 1)
    assert abs(splits["train"][0].mean()) < 1e-6
