from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dl_nets.tasks.csv_file import CsvConfig, CsvTask

FLOWERS = "length,colour,kind\n" + "".join(
    f"{index}.5,{'red' if index % 2 else 'blue'},{'rose' if index < 10 else 'iris'}\n" for index in range(20)
)

Write = Callable[[str], str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str) -> str:
        (tmp_path / "table.csv").write_text(text, encoding="utf-8")
        return str(tmp_path / "table.csv")

    return write


def build(path: str, **config: object) -> CsvTask:
    return CsvTask(CsvConfig(path=path, **config))


def test_numbers_texts_and_classes_are_told_apart(write: Write) -> None:
    task = build(write(FLOWERS))
    assert task.traits() == {"data", "vector-input", "discrete-output"}
    assert task.class_names == ("iris", "rose")
    assert task.input_space.shape == (3,)  # a number and two colours
    inputs, targets = task.read("train", np.arange(task.num_examples("train")))
    assert set(np.unique(inputs[:, 1:])) == {0.0, 1.0}
    assert np.bincount(targets).tolist() == [6, 6]


def test_what_was_inferred_is_said(write: Write) -> None:
    words = build(write(FLOWERS)).caveat()
    assert "target 'kind' has 2 classes (iris, rose); numbers: length; one-hot: colour (2 texts)" in words
    assert "rows: 12 train, 4 validation, 4 test" in words
    assert "target 'length' has numbers" in build(write(FLOWERS), target="length").caveat()


def test_a_target_of_numbers_makes_a_regression(write: Write) -> None:
    task = build(write(FLOWERS), target="length")
    assert "continuous-output" in task.traits()
    assert task.read("train", np.arange(2))[1].shape == (2, 1)


def test_a_target_of_a_few_whole_numbers_is_taken_as_classes_in_their_order_unless_told(write: Write) -> None:
    path = write("x,rating\n" + "".join(f"{index},{index % 11}\n" for index in range(44)))
    assert build(path).class_names == tuple(str(number) for number in range(11))
    assert build(path, output="number").class_names == ()
    many = write("x,y\n" + "".join(f"{index % 3},{index}\n" for index in range(60)))
    assert build(many).class_names == ()


def test_quotes_blanks_empty_lines_a_byte_order_mark_and_other_delimiters_are_read(write: Write) -> None:
    path = write('\ufeffx;"a;b";y\n\n' + "".join(f'{index} ;"say ""no""";{index / 4}\n' for index in range(8)))
    columns = build(path, delimiter=";").table.columns
    assert [(column.name, column.categories) for column in columns] == [("x", ()), ("a;b", ('say "no"',))]


def test_a_row_is_read_as_the_file_has_it(write: Write) -> None:
    task = build(write(FLOWERS))
    assert task.parse('{"length": 3, "colour": "red"}').shape == (1, 3)
    with pytest.raises(ValueError, match="column 'colour' holds 'green'; it may hold 'blue', 'red'"):
        task.parse('[3, "green"]')


def test_ignored_columns_may_hold_anything(write: Write) -> None:
    path = write("name,x,y\n" + "".join(f"{'' if index == 3 else f'n{index}'},{index},{index % 2}\n" for index in range(200)))
    assert build(path, ignore=("name",)).input_space.shape == (1,)


@pytest.mark.parametrize("text", ["", "?", "NA", "nan"])
def test_a_missing_value_is_refused_with_its_line_and_column(write: Write, text: str) -> None:
    path = write(f"x,y\n1,a\n{text},b\n")
    with pytest.raises(ValueError, match=r"line 3 of .*table\.csv has no value in column 'x'.* --set task.ignore=\[x\]"):
        build(path)


@pytest.mark.parametrize(
    ("text", "config", "words"),
    [
        ("", {}, "is empty; its first line must name the columns"),
        ("x,y\n", {}, "has column names, but no rows"),
        ("x,,y\n1,2,3\n", {}, "column 2 of .* has no name in the first line"),
        ("x,x\n1,2\n", {}, "has two columns 'x'; give each its own name"),
        ("x;y\n1;2\n", {}, "has one column, 'x;y'; if another character than ',' parts it, set task.delimiter"),
        ("x,y\n1,2\n3\n", {}, "line 3 of .* has 1 fields; the first line names 2 columns"),
        ('x,y\n1,"2\n', {}, "is no table: line 2: unexpected end of data"),
        ("x,colour\n1,2\n", {"target": "color"}, "has no column 'color'; did you mean 'colour'.* Its columns are: x, colour"),
        ("x,y\n1,2\n", {"ignore": ("z",)}, "has no column 'z'"),
        ("x,y\n1,2\n", {"ignore": ("x",)}, "has no column left that could go in beside the target 'y'"),
        ("x,y\n1,a\n2,a\n", {}, "target 'y' of .* is 'a' in every row; there is nothing to learn"),
        ("x,y\n1,2\n1,b\n", {"output": "number"}, "target 'y' of .* holds 'b', which is no number"),
        ("x,y\n1,2\n2,3\n", {}, "2 examples in 2 groups are split into"),
    ],
)
def test_what_is_no_table_is_refused_in_words(write: Write, text: str, config: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        build(write(text), **config)


def test_a_column_with_too_many_texts_is_refused_with_the_first_of_them(write: Write) -> None:
    path = write("id,y\n" + "1,0\n" + "".join(f"n{index},{index % 2}\n" for index in range(101)))
    with pytest.raises(ValueError, match=r"'id' of .* holds 102 different texts, .* max_categories = 100 \('n0' in line 3 is no number\)"):
        build(path)
    assert build(path, max_categories=102).input_space.shape == (102,)


@pytest.mark.parametrize("text", ["inf", "1_000", "0x10"])
def test_what_only_python_would_call_a_number_is_a_text(write: Write, text: str) -> None:
    task = build(write("x,y\n" + "".join(f"{text if index == 4 else index},{index % 2}\n" for index in range(20))))
    assert text in task.table.columns[0].categories


def test_a_file_that_is_missing_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"there is no file 'flowers\.csv' in "):
        build("flowers.csv")
    (tmp_path / "latin.csv").write_bytes(b"x,y\n1,caf\xe9\n")
    with pytest.raises(ValueError, match="is no text in UTF-8: byte 9 is 0xe9; save it as UTF-8"):
        build(str(tmp_path / "latin.csv"))


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"path": ""}, "path is empty; name the file after the colon: csv:flowers.csv"),
        ({"delimiter": ", "}, "delimiter is ', '; it must be one character"),
        ({"delimiter": '"'}, "delimiter is '\"'; it must be one character"),
        ({"max_categories": 1}, "max_categories is 1; it must be >= 2"),
        ({"split_seed": -1}, "split_seed is -1; it must be >= 0"),
        ({"test_fraction": 0.0}, r"test_fraction is 0\.0; it must be in \(0, 1\)"),
    ],
)
def test_a_config_out_of_range_is_refused_in_words(config: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        CsvConfig(**{"path": "x.csv", **config})
