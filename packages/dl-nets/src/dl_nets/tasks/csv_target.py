"""The target column of a table: classes, numbers, or any number of labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

import numpy as np

from dl_nets.tasks.columns import Column
from dl_nets.tasks.numbers import plain
from dl_nets.tasks.sheet import Sheet
from dl_nets.tasks.text_files import printable
from rl_core.errors import nearest

MAX_WHOLE_NUMBER_CLASSES = 20  # a target of whole numbers with more values than these is taken as a number


class TargetConfig(Protocol):
    """The settings that a target is read by."""

    @property
    def output(self) -> Literal["auto", "classes", "number"]:
        """Kind of the target."""

    @property
    def labels_separator(self) -> str:
        """Text between several labels, or ""."""

    @property
    def max_categories(self) -> int:
        """Largest number of different texts."""


class Target(NamedTuple):
    """The way from the fields of the target column to targets.

    Attributes:
        column: The column: numbers or texts.
        texts: The texts of the classes or labels as the file has them, numbers in their shortest form; empty where the targets are numbers.
        separator: Text between the labels of a row; "" where a row has one class or number.
    """

    column: Column
    texts: tuple[str, ...]
    separator: str = ""

    def values(self, sheet: Sheet, gaps: frozenset[str]) -> np.ndarray:
        """Return class numbers [N], numbers [N, 1], float64, or a yes or no for each label [N, K], int8.

        Args:
            sheet: The table.
            gaps: Texts, in lower case, that state that a value is missing: a row without labels.

        Raises:
            ValueError: for a class or label that is unknown, or a field that is not a number.

        >>> sheet = Sheet("films.csv", {"kinds": ["comedy|drama", "", "drama"]}, [2, 3, 4], ",", "")
        >>> Target(Column("kinds", "text"), ("comedy", "drama"), "|").values(sheet, frozenset([""])).tolist()
        [[1, 1], [0, 0], [0, 1]]
        """
        fields = sheet.columns[self.column.name]
        number_of = {text: index for index, text in enumerate(self.texts)}
        if self.separator:
            flags = np.zeros((len(fields), len(self.texts)), dtype=np.int8)
            for row, labels in enumerate(labels_of(fields, self.separator, gaps)):
                self._require_known(sheet, row, labels)
                flags[row, [number_of[label] for label in labels]] = 1
            return flags
        values = self.column.read(fields, frozenset(), sheet.place)
        if not self.texts:
            return values[:, None]
        texts = [plain(value) for value in values.tolist()] if self.column.kind == "number" else values.tolist()
        for row, text in enumerate(texts):
            self._require_known(sheet, row, [text])
        return np.array([number_of[text] for text in texts], dtype=np.int64)

    def _require_known(self, sheet: Sheet, row: int, texts: list[str]) -> None:
        for text in texts:
            if text not in self.texts:
                raise ValueError(
                    f"{sheet.place(row)} holds {text!r} in the target {self.column.name!r}; "
                    f"the {'labels' if self.separator else 'classes'} are {', '.join(map(repr, self.texts[:20]))}"
                )


def labels_of(fields: Sequence[str], separator: str, gaps: frozenset[str]) -> list[list[str]]:
    """Return the labels of each field, without blanks around them.

    >>> labels_of(["a; b", "", "b;"], ";", frozenset([""]))
    [['a', 'b'], [], ['b']]
    """
    absent = gaps | {""}
    return [[label for part in field.split(separator) if (label := part.strip()).casefold() not in absent] for field in fields]


def fit_target(sheet: Sheet, column: Column, config: TargetConfig, gaps: frozenset[str]) -> Target:
    """Return the encoding of the fields of the target as targets.

    Raises:
        ValueError: for texts where numbers are asked for, and for a target that is the same in every row.
    """
    fields = sheet.columns[column.name]
    if config.labels_separator:
        rows = labels_of(fields, config.labels_separator, gaps)
        labels = tuple(sorted({label for row in rows for label in row}))
        _require_at_most(len(labels), sheet, column, config.max_categories)
        constant = [label for label in labels if all(label in row for row in rows)]
        if not labels or len(constant) == len(labels):
            held = f"the labels {', '.join(map(repr, labels))} in every row" if labels else "no labels"
            raise ValueError(f"the target {column.name!r} of {sheet.name} has {held}; there is nothing to learn")
        return Target(column, labels, config.labels_separator)
    if column.kind == "date":
        raise ValueError(f"the target {column.name!r} of {sheet.name} holds dates; write it as a number, such as days")
    if column.kind == "text" and config.output == "number":
        raise ValueError(
            f"{sheet.place(0)} holds {fields[0]!r} in the target {column.name!r}, which is not a number; set task.output to classes"
        )
    values = column.read(fields, frozenset(), sheet.place)
    distinct = sorted(set(values.tolist()))
    if column.kind == "number" and (config.output == "number" or (config.output == "auto" and not _look_like_classes(distinct))):
        return Target(column, ())
    if len(distinct) == 1:
        raise ValueError(f"the target {column.name!r} of {sheet.name} is {fields[0]!r} in every row; there is nothing to learn")
    if column.kind == "text":
        require_few_texts(sheet, column, config.max_categories)
    return Target(column, tuple(plain(value) if column.kind == "number" else value for value in distinct))


def require_column(sheet: Sheet, name: str) -> None:
    """Check that a table has a column.

    Raises:
        ValueError: naming the nearest column.
    """
    if name not in sheet.columns:
        close = nearest(name, sheet.columns, 1)
        did_you_mean = f"; did you mean {close[0]!r}?" if close else "."
        raise ValueError(f"{sheet.name} has no column {name!r}{did_you_mean} Its columns are: {printable(', '.join(sheet.columns))}")


def require_few_texts(sheet: Sheet, column: Column, most: int) -> None:
    """Check that a column of texts holds at most `most` different ones.

    Raises:
        ValueError: if it holds more.
    """
    if column.kind == "text":
        _require_at_most(len(set(sheet.columns[column.name])), sheet, column, most)


def _require_at_most(count: int, sheet: Sheet, column: Column, most: int) -> None:
    if count > most:
        fields = sheet.columns[column.name]
        raise ValueError(
            f"column {column.name!r} of {sheet.name} holds {count} different texts, more than max_categories = {most} "
            f"(the first is {fields[0]!r} in line {sheet.lines[0]}); leave it out with --set task.ignore=[{column.name}]"
        )


def _look_like_classes(distinct: list[float]) -> bool:
    return len(distinct) <= MAX_WHOLE_NUMBER_CLASSES and all(value == round(value) for value in distinct)
