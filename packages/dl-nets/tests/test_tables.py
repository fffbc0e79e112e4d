from __future__ import annotations

import numpy as np
import pytest

from dl_nets.tasks.columns import Column
from dl_nets.tasks.splits import SplitConfig
from dl_nets.tasks.tables import Table, split_table

COLUMNS = [Column("weight"), Column("colour", "text")]
VALUES = {"weight": np.array([1.0, 3.0, 100.0]), "colour": np.array(["red", "blue", "red"], dtype=object)}


@pytest.fixture
def table() -> Table:
    return Table.fit(COLUMNS, list(VALUES.values()), train=np.array([0, 1]))


def test_numbers_are_standardised_with_the_training_rows_alone_and_texts_become_one_hot(table: Table) -> None:
    assert table.encode(VALUES).tolist() == [[-1.0, 0.0, 1.0], [1.0, 1.0, 0.0], [98.0, 0.0, 1.0]]


def test_a_table_comes_back_from_its_state(table: Table) -> None:
    assert Table.from_state(table.state_dict()).encode(VALUES).tolist() == table.encode(VALUES).tolist()
    assert table.width == 3


def test_a_column_that_is_constant_but_for_rounding_is_left_out() -> None:
    values = [np.full(95, 0.1), np.arange(95.0)]
    assert values[0].std() > 0
    table = Table.fit([Column("same"), Column("x")], values, train=np.arange(60))
    assert [column.name for column in table.columns] == ["x"]
    assert table.constant == ("same",)


def test_a_row_is_read_by_name_and_by_order_as_the_table_has_it(table: Table) -> None:
    expected = table.encode(VALUES)[1:2]
    for text in ('{"colour": "blue", "weight": 3}', '[3.0, "blue"]'):
        assert np.array_equal(table.parse(text), expected)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * 100_000, "is not JSON"),
        ("{", "is not JSON; give a row as an object with the keys weight, colour"),
        ("[1]", r"is not a row: give an object, or an array of 2 values: weight, colour"),
        ('"red"', "is not a row"),
        ('{"weight": 1}', "column 'colour' is missing; a row has the columns weight, colour"),
        ('{"weight": 1, "colour": "red", "size": 2}', "column 'size' is unknown; a row has the columns weight, colour"),
        ('{"weight": "heavy", "colour": "red"}', "the input holds 'heavy' in column 'weight', which holds numbers"),
        ('{"weight": true, "colour": "red"}', "column 'weight' holds numbers, got True"),
        ('{"weight": NaN, "colour": "red"}', "column 'weight' holds numbers, got nan"),
        ('{"weight": 1e999, "colour": "red"}', "column 'weight' holds numbers, got inf"),
        ('{"weight": [1], "colour": "red"}', r"column 'weight' holds numbers, got \[1\]"),
        ('{"weight": null, "colour": "red"}', "column 'weight' has no value"),
        ('{"weight": 1, "colour": "pink"}', "the input holds 'pink' in column 'colour'; it may hold 'blue', 'red'"),
    ],
)
def test_what_is_not_a_row_is_refused_in_words(table: Table, text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        table.parse(text)


def test_targets_are_class_numbers_or_one_number_each() -> None:
    values = {"x": np.arange(20.0)}
    _, splits = split_table(values, np.arange(20) % 2, True, SplitConfig())
    assert splits["train"][1].dtype == np.int64
    assert splits["test"][1].tolist().count(1) == 2
    _, splits = split_table(values, np.arange(20.0), False, SplitConfig())
    assert splits["train"][1].shape == (12, 1)
    assert abs(splits["train"][0].mean()) < 1e-6
