"""The scheme `csv:<file>`: any table with a line of column names as a task."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
from gymnasium import spaces

from dl_nets.learning.data import ArrayTask, check_fractions
from dl_nets.tasks.tables import split_table
from rl_core.config import Doc, Meta, Whole, configclass
from rl_core.errors import nearest

MAX_WHOLE_NUMBER_CLASSES = 20  # a target of whole numbers with more values than these is taken as a number


@configclass
class CsvConfig:
    """Which file, what is asked of it, and how it is split."""

    path: Annotated[str, Doc("the file, in UTF-8, its first line the column names")] = ""
    target: Annotated[str, Doc('name of the column that must come out; "" is the last one')] = ""
    output: Annotated[
        Literal["auto", "classes", "number"], Doc("what the target is; auto: classes for texts and up to 20 whole numbers")
    ] = "auto"
    ignore: Annotated[tuple[str, ...], Doc("names of columns that are left out")] = ()
    delimiter: Annotated[str, Doc("one character between fields")] = ","
    missing: Annotated[tuple[str, ...], Doc("texts that say that a value is missing")] = (
        "",
        "?",
        "NA",
        "N/A",
        "NaN",
        "nan",
        "NULL",
        "null",
    )
    max_categories: Annotated[int, Meta(ge=2), Doc("different texts that a column may hold")] = 100
    validation_fraction: Annotated[float, Meta(ge=0, lt=1), Doc("share of the rows that settings and early stopping are chosen by")] = 0.2
    test_fraction: Annotated[float, Meta(gt=0, lt=1), Doc("share of the rows that the score comes from")] = 0.2
    split_seed: Annotated[Whole, Doc("which of the possible splits; the run's own seed has no part in it")] = 0

    def __post_init__(self) -> None:
        if not self.path:
            raise ValueError("path is empty; name the file after the colon: csv:flowers.csv")
        if len(self.delimiter) != 1 or self.delimiter in '\r\n"':
            raise ValueError(f"delimiter is {self.delimiter!r}; it must be one character, and neither a quote nor the end of a line")
        if self.max_categories < 2:
            raise ValueError(f"max_categories is {self.max_categories}; it must be >= 2")
        if self.split_seed < 0:
            raise ValueError(f"split_seed is {self.split_seed}; it must be >= 0")
        check_fractions(self.validation_fraction, self.test_fraction)


class CsvTask(ArrayTask):
    """Rows [D], numbers standardised and texts one-hot, and the class of each or a number [1].

    A column is one of numbers when every field of it is. What was inferred is said when a run starts.

    Raises:
        ValueError: if the file cannot be read as such a table; the text names line and column.
    """

    Config: ClassVar[type] = CsvConfig

    def __init__(self, config: CsvConfig) -> None:
        fields, lines = read_fields(config)
        target_name = config.target or list(fields)[-1]
        for name in (target_name, *config.ignore):
            if name not in fields:
                close = nearest(name, fields, 1)
                did_you_mean = f"; did you mean {close[0]!r}?" if close else ""
                raise ValueError(f"{config.path} has no column {name!r}{did_you_mean} Its columns are: {', '.join(fields)}")
        inputs = [name for name in fields if name != target_name and name not in config.ignore]
        if not inputs:
            raise ValueError(f"{config.path} has no column left that could go in beside the target {target_name!r}")
        values = {name: _typed(name, fields[name], lines, config) for name in inputs}
        target, class_names = _target(target_name, fields[target_name], config)
        self.table, splits = split_table(
            values, target, bool(class_names), config.validation_fraction, config.test_fraction, config.split_seed
        )
        self._target_name = target_name
        super().__init__(config, splits, spaces.Box(-np.inf, np.inf, splits["train"][0].shape[1:], np.float32), class_names)

    def parse(self, text: str) -> np.ndarray:
        """A batch of one input [1, D] from a row as the file has it: a JSON object by column, or an array in their order."""
        return self.table.parse(text)

    def caveat(self) -> str:
        """What was inferred: that is a guess, and a user should see it."""
        numbers = [column.name for column in self.table.columns if not column.categories]
        texts = [f"{column.name} ({len(column.categories)} texts)" for column in self.table.columns if column.categories]
        sizes = ", ".join(f"{self.num_examples(split)} {split}" for split in ("train", "validation", "test"))
        kinds = f"{len(self.class_names)} classes ({', '.join(self.class_names[:5])}{', ...' if len(self.class_names) > 5 else ''})"
        return (
            f"types were inferred from {self.config.path}: target {self._target_name!r} has {kinds if self.class_names else 'numbers'}; "
            f"numbers: {', '.join(numbers) or 'none'}; one-hot: {', '.join(texts) or 'none'}; rows: {sizes}"
        )


def read_fields(config: CsvConfig) -> tuple[dict[str, list[str]], list[int]]:
    """Fields of each column by name, without the blanks around them, and the line of the file that each row ends on.

    Raises:
        ValueError: for a file that is missing, no UTF-8 text, empty, has unnamed columns or two of one name, a row of another length,
            or a missing value.
    """
    path = Path(config.path)
    if not path.is_file():
        raise ValueError(f"there is no file {config.path!r} in {Path.cwd()}")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=config.delimiter, strict=True)
            names = [name.strip() for name in next(reader, [])]
            _check_names(names, config)
            columns: list[list[str]] = [[] for _ in names]
            lines = []
            for row in reader:
                if not row:  # an empty line
                    continue
                if len(row) != len(names):
                    raise ValueError(
                        f"line {reader.line_num} of {config.path} has {len(row)} fields; the first line names {len(names)} columns"
                    )
                for name, column, field in zip(names, columns, row, strict=True):
                    text = field.strip()
                    if text in config.missing and name not in config.ignore:
                        raise ValueError(
                            f"line {reader.line_num} of {config.path} has no value in column {name!r} ({text!r} came); fill it in, "
                            f"drop the row, or leave the column out with --set task.ignore=[{name}]"
                        )
                    column.append(text)
                lines.append(reader.line_num)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{config.path} is no text in UTF-8: byte {error.start} is {error.object[error.start]:#x}; save it as UTF-8"
        ) from error
    except csv.Error as error:
        raise ValueError(f"{config.path} is no table: line {reader.line_num}: {error}") from error
    except OSError as error:
        raise ValueError(f"{config.path} cannot be read: {error.strerror}") from error
    if not lines:
        raise ValueError(f"{config.path} has column names, but no rows")
    return dict(zip(names, columns, strict=True)), lines


def _check_names(names: list[str], config: CsvConfig) -> None:
    if not names:
        raise ValueError(f"{config.path} is empty; its first line must name the columns")
    for index, name in enumerate(names):
        if not name:
            raise ValueError(f"column {index + 1} of {config.path} has no name in the first line")
        if name in names[:index]:
            raise ValueError(f"{config.path} has two columns {name!r}; give each its own name in the first line")
    if len(names) == 1:
        raise ValueError(
            f"{config.path} has one column, {names[0]!r}; if another character than {config.delimiter!r} parts it, set task.delimiter"
        )


def _typed(name: str, fields: list[str], lines: list[int], config: CsvConfig) -> np.ndarray:
    """A column of numbers, or of texts when one field is no number."""
    numbers = _numbers(fields)
    if numbers is not None:
        return numbers
    count = len(set(fields))
    if count > config.max_categories:
        first = next(index for index, field in enumerate(fields) if _number(field) is None)
        raise ValueError(
            f"column {name!r} of {config.path} holds {count} different texts, more than max_categories = {config.max_categories} "
            f"({fields[first]!r} in line {lines[first]} is no number); leave it out with --set task.ignore=[{name}]"
        )
    return np.array(fields)


def _target(name: str, fields: list[str], config: CsvConfig) -> tuple[np.ndarray, tuple[str, ...]]:
    """The targets and the names of their classes: class numbers [N] and names, or numbers [N] and no names."""
    numbers = _numbers(fields)
    if numbers is None and config.output == "number":
        first = next(field for field in fields if _number(field) is None)
        raise ValueError(f"target {name!r} of {config.path} holds {first!r}, which is no number; set task.output to classes, or mend it")
    if numbers is not None and (config.output == "number" or (config.output == "auto" and not _look_like_classes(numbers))):
        return numbers, ()
    class_names = sorted(set(fields), key=lambda text: (_number(text) is None, _number(text) or 0.0, text))
    if len(class_names) == 1:
        raise ValueError(f"target {name!r} of {config.path} is {class_names[0]!r} in every row; there is nothing to learn")
    number_of = {text: index for index, text in enumerate(class_names)}
    return np.array([number_of[text] for text in fields]), tuple(class_names)


def _look_like_classes(numbers: np.ndarray) -> bool:
    return len(np.unique(numbers)) <= MAX_WHOLE_NUMBER_CLASSES and np.array_equal(numbers, np.round(numbers))


def _numbers(fields: list[str]) -> np.ndarray | None:
    numbers = [_number(field) for field in fields]
    return None if None in numbers else np.array(numbers, dtype=np.float64)


def _number(text: str) -> float | None:
    """The finite number that a text says, or `None`; Python's own 1_000 is no number in a table."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and "_" not in text else None
