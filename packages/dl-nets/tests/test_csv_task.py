from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from gymnasium import spaces

from dl_nets.tasks.csv_file import CsvConfig, CsvTask

FLOWERS = "length,colour,kind\n" + "".join(
    f"{index}.5,{'red' if index % 2 else 'blue'},{'rose' if index < 10 else 'iris'}\n" for index in range(20)
)

Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str, name: str = "table.csv", encoding: str = "utf-8") -> str:
        (tmp_path / name).write_bytes(text.encode(encoding))
        return str(tmp_path / name)

    return write


def build(path: str, **config: object) -> CsvTask:
    return CsvTask(CsvConfig(path=path, **config))


def column(values: list[str], name: str = "x") -> str:
    """A table of these values and a target of two classes."""
    return f"{name};y\n" + "".join(f"{value};{'ab'[row % 2]}\n" for row, value in enumerate(values))


def everything(task: CsvTask) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and targets of all splits."""
    parts = [task.read(split, np.arange(task.num_examples(split))) for split in ("train", "validation", "test")]
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


def numbers(task: CsvTask) -> list[float]:
    """The numbers of the only column, as the file has them, sorted."""
    (only,) = task.table.columns
    assert only.kind != "text"
    return sorted(np.round(everything(task)[0][:, 0] * only.scale + only.mean, 3).tolist())


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


def test_equal_numbers_are_one_class_however_they_are_written(write: Write) -> None:
    path = write("x,y\n" + "".join(f"{index},{('0', '1', '0.0', '1.0', '00', '1e0')[index % 6]}\n" for index in range(60)))
    task = build(path)
    assert task.class_names == ("0", "1")
    assert np.bincount(everything(task)[1]).tolist() == [30, 30]
    assert build(path, texts=("y",)).class_names == ("0", "0.0", "00", "1", "1.0", "1e0")


def test_numbers_of_any_size_keep_their_digits_until_they_are_standardised(write: Write) -> None:
    rows = "".join(f"{1_700_000_000 + 3 * index},{1_700_000_000 + 3 * index}.5\n" for index in range(100))
    task = build(write("time,value\n" + rows))
    inputs, targets = everything(task)
    assert targets.dtype == np.float64
    assert len(np.unique(inputs)) == len(np.unique(targets)) == 100
    assert task.output_space.contains(targets[0])


def test_numbers_whose_squares_are_infinite_are_standardised(write: Write) -> None:
    inputs = everything(build(write("x,y\n" + "".join(f"{index}e299,{index % 2}\n" for index in range(100)))))[0]
    assert 0.9 < inputs.std() < 1.1


def test_quotes_blanks_empty_lines_and_a_byte_order_mark_are_read(write: Write) -> None:
    path = write('\ufeffx;"a;b";y\n\n' + "".join(f'{index} ;"say ""{index % 2}""";{index / 4}\n' for index in range(8)))
    columns = build(path, delimiter=";", output="number").table.columns
    assert [(column.name, column.categories) for column in columns] == [("x", ()), ("a;b", ('say "0"', 'say "1"'))]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_inferred_and_said(write: Write, delimiter: str) -> None:
    path = write(FLOWERS.replace(",", delimiter).replace("blue", '"light, blue; or | so"'))
    task = build(path)
    assert task.input_space.shape == (3,)
    assert ("; delimiter " in task.caveat()) == (delimiter != ",")


def test_a_file_that_two_delimiters_split_is_refused(write: Write) -> None:
    path = write("a,b;y\n" + "".join(f"{index},{index};{index}\n" for index in range(10)))
    with pytest.raises(ValueError, match=r"can be read with the delimiters ',' and ';'; set task.delimiter to one of them"):
        build(path)
    assert build(path, delimiter=";", output="number").table.columns[0].name == "a,b"


def test_a_row_is_read_as_the_file_has_it(write: Write) -> None:
    task = build(write(FLOWERS))
    assert task.parse('{"length": 3, "colour": "red"}').shape == (1, 3)
    assert np.array_equal(task.parse('{"length": "3.0", "colour": "red", "kind": "rose"}'), task.parse('[3, "red"]'))
    with pytest.raises(ValueError, match="the input holds 'green' in column 'colour'; it may hold 'blue', 'red'"):
        task.parse('[3, "green"]')


def test_ignored_columns_may_hold_anything(write: Write) -> None:
    path = write("name,x,y\n" + "".join(f"{'' if index == 3 else f'n{index}'},{index},{index % 2}\n" for index in range(200)))
    assert build(path, ignore=("name",)).input_space.shape == (1,)


@pytest.mark.parametrize("values", [["0.1"] * 95, ["7"] * 95, ["red"] * 95, ["1e300"] * 95, ["2024-01-01"] * 95])
def test_a_constant_column_is_left_out_and_said(write: Write, values: list[str]) -> None:
    path = write("same,x,y\n" + "".join(f"{value},{row},{row % 2}\n" for row, value in enumerate(values)))
    task = build(path)
    assert [column.name for column in task.table.columns] == ["x"]
    assert "left out because constant: same" in task.caveat()
    assert np.array_equal(task.parse('{"same": 3, "x": 1}'), task.parse('{"x": 1}'))
    with pytest.raises(ValueError, match=r"every input of .* is constant \('same'\)"):
        build(path, ignore=("x",))


@pytest.mark.parametrize("text", ["", "?", "NA", "nan", "n/a", "<NA>", "#N/A", "null"])
def test_a_missing_value_is_refused_with_its_line_and_column(write: Write, text: str) -> None:
    path = write(f"x,y\n1,a\n{text},b\n")
    with pytest.raises(ValueError, match=r"line 3 of .*table\.csv has no value in column 'x'.* --set task.ignore=\[x\]"):
        build(path)


@pytest.mark.parametrize("text", ["None", "n/a", "<NA>", "#N/A", "inf", "-Infinity", "-", "--", ".", "*", "#DIV/0!", "missing"])
def test_what_means_a_missing_number_is_refused_or_treated_as_stated(write: Write, text: str) -> None:
    values = [str(row) for row in range(60)]
    values[17] = text
    path = write(column(values))
    with pytest.raises(ValueError, match=r"line 19 of .* has no value in column 'x'"):
        build(path)
    task = build(path, missing="mean")
    assert task.table.columns[0].kind == "number"
    assert "missing values filled in: x" in task.caveat()
    assert sum(task.num_examples(split) for split in ("train", "validation", "test")) == 60
    assert numbers(build(path, missing="drop")) == [*range(17), *range(18, 60)]


@pytest.mark.parametrize("text", ["unknown", "12kg", "1_000", "0x10", "1.2.3", "31/12/2024", "١٢"])
def test_a_text_among_numbers_is_refused_unless_the_column_is_one_of_texts(write: Write, text: str) -> None:
    values = [str(row % 40) for row in range(60)]
    values[17] = text
    path = write(column(values))
    with pytest.raises(ValueError, match=r"line 19 of .* holds .* in column 'x', which holds numbers; .* --set task.texts=\[x\]"):
        build(path, missing="mean")
    assert text in build(path, texts=("x",)).table.columns[0].categories
    assert build(path, missing_values=(text.upper(),), missing="mean").table.columns[0].kind == "number"


def test_missing_values_are_filled_from_the_training_rows(write: Write) -> None:
    values = ["1", "1", "1", "4", "10", ""] * 20
    path = write("x;colour;y\n" + "".join(f"{value};{'' if row % 9 == 0 else 'blue'};{row % 2}\n" for row, value in enumerate(values)))
    for missing, wanted in (("mean", 3.4), ("median", 1.0), ("most-frequent", 1.0)):
        task = build(path, missing=missing)
        (only,) = task.table.columns
        assert only.fill == pytest.approx(wanted, abs=0.4 if missing == "mean" else 0.0)
        assert np.array_equal(task.parse('{"x": null}'), task.parse(f'{{"x": {only.fill!r}}}'))
    task = build(path, missing="category")
    assert [(column.name, column.width) for column in task.table.columns] == [("x", 2), ("colour", 2)]  # number and mark; blue and missing
    assert task.parse('{"x": null, "colour": null}')[0, 1:].tolist() == [1.0, 1.0, 0.0]
    assert task.parse('{"x": 3, "colour": "blue"}')[0, 1:].tolist() == [0.0, 0.0, 1.0]


def test_a_target_without_a_value_can_only_be_dropped(write: Write) -> None:
    path = write("x,y\n" + "".join(f"{row},{'' if row == 5 else 'ab'[row % 2]}\n" for row in range(40)))
    with pytest.raises(ValueError, match=r"line 7 of .* has no value in column 'y'"):
        build(path, missing="mean")
    task = build(path, missing="drop")
    assert len(everything(task)[0]) == 39
    assert "dropped 1 rows with missing values" in task.caveat()


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (["1,5", "2,25", "3", "-0,5"], [-0.5, 1.5, 2.25, 3.0]),
        (["1.234,5", "2.000,0", "3", "12.345.678"], [3.0, 1234.5, 2000.0, 12345678.0]),
        (["1,234.5", "2,000", "3", "12,345,678"], [3.0, 1234.5, 2000.0, 12345678.0]),
        (["1 234,5", "2 000,0", "3,0", "4,0"], [3.0, 4.0, 1234.5, 2000.0]),
        (["5 %", "12.5%", "3%", "-1%"], [-1.0, 3.0, 5.0, 12.5]),
        (["$3", "$1,000.50", "-$2", "$ 4"], [-2.0, 3.0, 4.0, 1000.5]),
        (["3 €", "1.000,50 €", "2€", "4 €"], [2.0, 3.0, 4.0, 1000.5]),
        (["1970-01-02", "1970-01-05", "1969-12-31", "1970-01-02 12:00"], [-1.0, 1.0, 1.5, 4.0]),
    ],
)
def test_numbers_and_dates_are_recognised_as_tables_write_them(write: Write, values: list[str], wanted: list[float]) -> None:
    task = build(write(column(values * 5)))
    assert numbers(task) == pytest.approx(sorted(wanted * 5), rel=1e-6, abs=1e-3 * max(wanted) if max(wanted) > 1e6 else 1e-3)


def test_a_number_that_can_be_read_in_two_ways_needs_the_decimal_mark(write: Write) -> None:
    path = write(column(["1,234", "5,678", "9,012", "3,456"] * 3))
    with pytest.raises(ValueError, match=r"line 2 of .* holds '1,234' in column 'x', which is 1234 .* and 1\.234 .*; set task\.decimal"):
        build(path)
    assert numbers(build(path, decimal=","))[0] == pytest.approx(1.234)
    assert numbers(build(path, decimal="."))[0] == 1234.0
    beside = "x;z;y\n" + "".join(f"{x};{x % 9},5;{x % 2}\n".replace(f"{x};", f"{x}.000;", 1) for x in range(1, 13))
    assert build(write(beside)).table.columns[0].mean > 1000  # the column z has decimal commas


def test_units_that_differ_in_a_column_are_refused(write: Write) -> None:
    with pytest.raises(ValueError, match=r"column 'x' of .* mixes units: '\$3' in line 2 and '4 €' in line 3"):
        build(write(column(["$3", "4 €"] * 6)))
    task = build(write(column(["3%", "4%"] * 6)))
    assert "units left out: x (%)" in task.caveat()
    assert np.array_equal(task.parse('{"x": 3}'), task.parse('{"x": "3 %"}'))
    with pytest.raises(ValueError, match=r"the input holds '\$3' in column 'x', whose numbers are in '%'"):
        task.parse('{"x": "$3"}')


def test_dates_and_columns_that_look_like_identifiers_are_said(write: Write) -> None:
    path = write("user_id,day,z,y\n" + "".join(f"{7 * row},2024-01-{row + 1:02},{row % 5},{row % 2}\n" for row in range(30)))
    words = build(path).caveat()
    assert "dates, as days since 1970: day" in words
    assert "looks like an identifier of the row: user_id (leave it out with --set task.ignore=[user_id])" in words


def test_a_rare_class_is_said_and_scored(write: Write) -> None:
    task = build(write("x,y\n" + "".join(f"{row},{'yes' if row % 50 == 0 else 'no'}\n" for row in range(500))))
    assert "class 'yes' has 10 of 500 rows" in task.caveat()
    targets = task.read("test", np.arange(task.num_examples("test")))[1]
    scores = task.score(np.zeros_like(targets), targets)
    assert scores["accuracy"] == scores["majority accuracy"] == 0.98
    assert (scores["recall of yes"], scores["precision of yes"], scores["F1 of yes"], scores["balanced accuracy"]) == (0.0, 0.0, 0.0, 0.5)
    assert (scores["support of yes"], scores["support of no"]) == (2.0, 98.0)


def test_a_target_with_a_separator_has_any_number_of_labels(write: Write) -> None:
    kinds = ("comedy | drama", "", "drama", "comedy")
    path = write("x,kinds\n" + "".join(f"{row},{kinds[row % 4]}\n" for row in range(80)))
    task = build(path, labels_separator="|")
    assert (task.class_names, task.output_space, task.metric) == (("comedy", "drama"), spaces.MultiBinary(2), "micro F1")
    inputs, targets = everything(task)
    wanted = {0: [1, 1], 1: [0, 0], 2: [0, 1], 3: [1, 0]}
    rows = np.rint(inputs[:, 0] * task.table.columns[0].scale + task.table.columns[0].mean).astype(int)
    assert targets.tolist() == [wanted[row % 4] for row in rows]
    assert task.describe(np.array([[1, 1], [0, 0]], dtype=np.int8)) == [["comedy", "drama"], []]
    assert task.score(targets, targets)["exact match"] == 1.0
    assert task.score(np.zeros_like(targets), targets)["majority label accuracy"] == 0.5
    other = CsvTask.for_evaluation(CsvConfig(path=write("x,kinds\n1,drama\n", "other.csv")), task.state_dict())
    assert other.read("test", np.arange(1))[1].tolist() == [[0, 1]]
    with pytest.raises(ValueError, match=r"line 2 of .*strange.csv holds 'farce' in the target 'kinds'; the labels are 'comedy', 'drama'"):
        CsvTask.for_evaluation(CsvConfig(path=write("x,kinds\n1,farce|drama\n", "strange.csv")), task.state_dict())
    with pytest.raises(ValueError, match="has no labels"):
        build(write("x,kinds\n1,\n2,\n3,\n", "none.csv"), labels_separator="|")


def test_control_characters_in_names_are_shown_as_escapes(write: Write) -> None:
    names = ("cat\x1b[31m", "dog")
    task = build(write("x,y\n" + "".join(f"{row},{names[row % 2]}\n" for row in range(40))))
    assert task.class_names == ("cat\\x1b[31m", "dog")
    assert "\x1b" not in task.caveat()


@pytest.mark.parametrize(
    ("text", "config", "words"),
    [
        ("", {}, "is empty; line 1 must name the columns"),
        ("x,y\n", {}, "has column names, but no rows"),
        ("x,,y\n1,2,3\n", {}, "column 2 of .* has no name in line 1"),
        ("x,y,x\n1,2,3\n", {}, "line 1 of .* names columns 1 and 3 'x'; give each its own name"),
        ("x:y\n1:2\n", {}, "has one column, 'x:y', not 2.* If the fields are separated by another character .* set task.delimiter"),
        ("x,y\n1,2\n3\n", {}, "line 3 of .* has 1 fields; line 1 names 2 columns"),
        ("x,y\n1,2\n3,4,5\n", {}, "line 3 of .* has 3 fields; line 1 names 2 columns"),
        ('x,y\n1,"2\n', {}, "is not a table: line 2: unexpected end of data"),
        ("1.5,2.5,0\n2.5,3.5,1\n", {}, r"line 1 of .* has only numbers \(1.5, 2.5, 0\); expected the names of the columns"),
        ("x,y\n1,a\n\ufeff2,b\n", {}, "line 3 of .* contains a byte order mark"),
        ("x,y\n1,a\x00\n", {}, "line 2 of .* contains a NUL character"),
        ("x,colour\n1,2\n", {"target": "color"}, "has no column 'color'; did you mean 'colour'.* Its columns are: x, colour"),
        ("x,y\n1,2\n", {"ignore": ("z",)}, "has no column 'z'"),
        ("x,y\n1,2\n", {"ignore": ("x",)}, "has no column left as an input beside the target 'y'"),
        ("x,y\n1,a\n2,a\n", {}, "the target 'y' of .* is 'a' in every row; there is nothing to learn"),
        ("x,y\n1,c\n1,b\n", {"output": "number"}, "line 2 of .* holds 'c' in the target 'y', which is not a number"),
        ("x,y\n1,2024-01-01\n1,2024-01-02\n", {}, "the target 'y' of .* holds dates"),
        ("x,y\n1,2\n2,3\n", {}, "2 examples of 2 classes, each split on its own, are split into"),
    ],
)
def test_what_is_not_a_table_is_refused_in_words(write: Write, text: str, config: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        build(write(text), **config)


def test_a_column_with_too_many_texts_is_refused_with_the_first_of_them(write: Write) -> None:
    path = write("id,y\n" + "".join(f"n{index},{index % 2}\n" for index in range(102)))
    with pytest.raises(ValueError, match=r"'id' of .* holds 102 different texts, .* max_categories = 100 \(the first is 'n0' in line 2\)"):
        build(path)
    assert build(path, max_categories=102).input_space.shape == (102,)


def test_a_file_that_is_missing_or_in_another_encoding_is_refused(tmp_path: Path, write: Write) -> None:
    with pytest.raises(ValueError, match=r"file 'flowers\.csv' not found in "):
        build("flowers.csv")
    with pytest.raises(ValueError, match="is a folder; expected a file"):
        build(str(tmp_path))
    text = FLOWERS.replace("blue", "café")
    latin = write(text, encoding="latin-1")
    with pytest.raises(ValueError, match=r"line 2 of .* is not text in UTF-8: byte 8 of it is e9 .*set task\.encoding"):
        build(latin)
    assert build(latin, encoding="latin-1").table.columns[1].categories == ("café", "red")
    wide = write(text, encoding="utf-16")
    with pytest.raises(ValueError, match=r"is encoded in UTF-16, not in UTF-8; save it as UTF-8, or set task.encoding=utf-16"):
        build(wide)
    assert build(wide, encoding="utf-16").table.columns[1].categories == ("café", "red")
    with pytest.raises(ValueError, match="encoding is 'utf-9', which is unknown"):
        build(latin, encoding="utf-9")


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"path": ""}, "path is empty; name the file after the colon: csv:flowers.csv"),
        ({"delimiter": ", "}, "delimiter is ', '; it must be one character"),
        ({"delimiter": '"'}, "delimiter is '\"'; it must be one character"),
        ({"thousands": "1"}, "thousands is '1'; it must be auto or marks"),
        ({"max_categories": 1}, "max_categories is 1; it must be >= 2"),
        ({"split_seed": -1}, "split_seed is -1; it must be >= 0"),
        ({"test_fraction": 0.0}, r"test_fraction is 0\.0; it must be in \(0, 1\)"),
    ],
)
def test_a_config_out_of_range_is_refused_in_words(config: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        CsvConfig(**{"path": "x.csv", **config})


def test_a_file_of_rows_is_read_in_the_encoding_of_the_training(write: Write) -> None:
    task = build(write(FLOWERS))
    path = Path(write("note;kind;colour;length\nx;rose;red;3,5\n".replace("3,5", "3.5") + "y;;blue;1\n", "rows.csv"))
    assert np.array_equal(task.parse_file(path), np.concatenate([task.parse('[3.5, "red"]'), task.parse('[1, "blue"]')]))
    lines = Path(write('[3.5, "red"]\n\n{"length": 1, "colour": "blue"}\n', "rows.jsonl"))
    assert np.array_equal(task.parse_file(lines), task.parse_file(path))
    for text, words in {
        "length\n1\n": "column 'colour' is missing; a row has the columns length, colour",
        "length,color\n1,red\n": "column 'colour' is missing; it has 'color'",
        "length,colour\n1,red\n2,green\n": "line 3 of .* holds 'green' in column 'colour'; it may hold 'blue', 'red'",
        "length,colour\n1,red\nlong,red\n": "line 3 of .* holds 'long' in column 'length', which holds numbers",
        "length,colour\n1,red\n,red\n": "line 3 of .* has no value in column 'length'",
    }.items():
        with pytest.raises(ValueError, match=words):
            task.parse_file(Path(write(text, "bad.csv")))


def test_the_state_gives_the_task_back_without_the_file(write: Write) -> None:
    path = write(FLOWERS)
    task = build(path)
    inputs = task.parse('[3, "red"]')
    state = task.state_dict()
    Path(path).write_text("length,colour,kind\n" + "1000,green,tulip\n2000,pink,lily\n" * 20)
    restored = CsvTask.from_state(task.config, state)
    assert restored.class_names == task.class_names
    assert np.array_equal(restored.parse('[3, "red"]'), inputs)
    assert [restored.num_examples(split) for split in ("train", "validation", "test")] == [12, 4, 4]
    for mine, theirs in zip(restored.read("test", np.arange(4)), task.read("test", np.arange(4)), strict=True):
        assert np.array_equal(mine, theirs)
    assert "has changed since the run learned from it" in restored.data_change()
    with pytest.raises(ValueError, match="has changed since the run learned from it"):
        restored.read("train", np.arange(1))
    Path(path).unlink()
    assert "is missing" in restored.data_change()
    assert np.array_equal(CsvTask.from_state(task.config, state).parse('[3, "red"]'), inputs)
    with pytest.raises(ValueError, match="the saved state is not one of a csv task"):
        CsvTask.from_state(task.config, {"table": {}})


def test_the_same_file_gives_the_same_splits_back(write: Write) -> None:
    task = build(write(FLOWERS))
    restored = CsvTask.from_state(task.config, task.state_dict())
    assert restored.data_change() == ""
    for mine, theirs in zip(everything(restored), everything(task), strict=True):
        assert np.array_equal(mine, theirs)


def test_accepted_rows_keep_their_split_and_further_ones_are_split_anew(write: Write) -> None:
    path = write(FLOWERS)
    task = build(path)
    write(FLOWERS + "".join(f"{index},red,iris\n" for index in range(100, 120)))
    restored = CsvTask.from_state(task.config, task.state_dict())
    restored.accept_data()
    assert restored.data_change() == ""
    assert [restored.num_examples(split) for split in ("train", "validation", "test")] == [24, 8, 8]
    before, after = (each.read("test", np.arange(each.num_examples("test")))[0] for each in (task, restored))
    assert {row.tobytes() for row in before} <= {row.tobytes() for row in after}
    assert restored.table.columns == task.table.columns
    write(FLOWERS.replace("rose", "tulip"))
    with pytest.raises(ValueError, match=r"line 2 of .* holds 'tulip' in the target 'kind'; the classes are 'iris', 'rose'"):
        restored.accept_data()


def test_another_file_is_judged_whole_in_the_encoding_of_the_training(write: Write) -> None:
    task = build(write(FLOWERS), ignore=(), texts=())
    other = write("kind;length;colour\nrose;100.5;red\nrose;200.5;red\nrose;3;blue\n", "other.csv")
    judged = CsvTask.for_evaluation(CsvConfig(path=other), task.state_dict())
    assert [judged.num_examples(split) for split in ("train", "validation", "test")] == [0, 0, 3]
    inputs, targets = judged.read("test", np.arange(3))
    assert np.array_equal(inputs[1:2], task.parse('[200.5, "red"]'))
    assert targets.tolist() == [1, 1, 1]
    assert (judged.input_space, judged.output_space) == (task.input_space, task.output_space)
    with pytest.raises(ValueError, match="has no column 'kind'"):
        CsvTask.for_evaluation(CsvConfig(path=write("length,colour\n1,red\n", "no-target.csv")), task.state_dict())


def test_a_state_survives_json(write: Write) -> None:
    state = build(write(FLOWERS)).state_dict()
    plain = {name: value for name, value in state.items() if name not in ("split", "test_inputs", "test_targets")}
    assert json.loads(json.dumps(plain))["target"]["texts"] == ["iris", "rose"]
