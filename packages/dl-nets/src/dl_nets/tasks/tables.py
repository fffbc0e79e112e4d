"""Tables of named columns as inputs of a network: numbers are standardised, texts become one-hot."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dl_nets.learning.data import split_indices

Values = Mapping[str, np.ndarray]
"""Column name to values [N]: float64, or texts."""


@dataclass(frozen=True)
class Column:
    """How one column becomes numbers.

    Attributes:
        name: What the table calls it.
        categories: The texts that it may hold, sorted; empty for a column of numbers.
        mean: Of the numbers in the training split.
        scale: Their standard deviation; 1 where they are all alike.
    """

    name: str
    categories: tuple[str, ...] = ()
    mean: float = 0.0
    scale: float = 1.0

    @staticmethod
    def of(name: str, values: np.ndarray, train: np.ndarray) -> Column:
        """The column that holds `values` [N], with the statistics of the rows at `train`."""
        if values.dtype.kind != "f":
            return Column(name, tuple(sorted(set(values.tolist()))))
        return Column(name, mean=float(values[train].mean()), scale=float(values[train].std()) or 1.0)

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Numbers [N, D]: D is 1, or the number of categories.

        >>> Column("weight", mean=10.0, scale=2.0).encode(np.array([12.0, 9.0])).tolist()
        [[1.0], [-0.5]]
        >>> Column("colour", ("blue", "red")).encode(np.array(["red", "blue"])).tolist()
        [[0.0, 1.0], [1.0, 0.0]]

        Raises:
            ValueError: for a text that is none of the categories.
        """
        if not self.categories:
            return ((values - self.mean) / self.scale).astype(np.float32)[:, None]
        unknown = sorted(set(values.tolist()) - set(self.categories))
        if unknown:
            raise ValueError(f"column {self.name!r} holds {unknown[0]!r}; it may hold {', '.join(map(repr, self.categories[:10]))}")
        hot: np.ndarray = values[:, None] == np.array(self.categories)[None, :]
        return hot.astype(np.float32)


class Table:
    """The columns that go into a network, and how a row of them becomes numbers.

    Args:
        values: The columns by name.
        train: Rows [M] of the training split, whose statistics standardise the numbers.

    Attributes:
        columns: How each column is read, in order.
    """

    def __init__(self, values: Values, train: np.ndarray) -> None:
        self.columns = [Column.of(name, column, train) for name, column in values.items()]

    def encode(self, values: Values) -> np.ndarray:
        """Inputs [N, D] of the rows in `values`."""
        return np.concatenate([column.encode(values[column.name]) for column in self.columns], axis=1)

    def parse(self, text: str) -> np.ndarray:
        """One input [1, D] from a row as the table has it: a JSON object by column, or an array in their order.

        Raises:
            ValueError: if the text is not JSON, lacks a column, names an unknown one, or holds what a column cannot.

        >>> Table({"weight": np.array([1.0, 3.0])}, train=np.arange(2)).parse('{"weight": 4}').tolist()
        [[2.0]]
        """
        names = [column.name for column in self.columns]
        try:
            row = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ValueError(
                f"the input {text[:60]!r} is no JSON; give a row as an object with the keys {', '.join(names[:10])}"
            ) from error
        if isinstance(row, list) and len(row) == len(names):
            row = dict(zip(names, row, strict=True))
        if not isinstance(row, dict):
            raise ValueError(
                f"the input {text[:60]!r} is no row: give an object, or an array of {len(names)} values: {', '.join(names[:10])}"
            )
        odd = sorted(row.keys() - set(names)) + [name for name in names if name not in row]
        if odd:
            problem = "is no column of this table" if odd[0] in row else "is missing"
            raise ValueError(f"{odd[0]!r} {problem}; a row has the columns {', '.join(names)}")
        return self.encode({column.name: _cell(column, row[column.name]) for column in self.columns})


def split_table(
    values: Values, target: np.ndarray, has_classes: bool, validation_fraction: float, test_fraction: float, split_seed: int
) -> tuple[Table, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """The table, and inputs [N, D] and targets of each split: class numbers [N], or numbers [N, 1].

    Args:
        values: The columns that go in, by name.
        target: What must come out [N].
        has_classes: Whether the targets are class numbers; each class then has its share in every split.
        validation_fraction: As `split_indices` takes it, like the two that follow.
        test_fraction: See there.
        split_seed: See there.
    """
    parts = split_indices(len(target), validation_fraction, test_fraction, split_seed, target if has_classes else None)
    table = Table(values, parts["train"])
    inputs = table.encode(values)
    targets = target.astype(np.int64) if has_classes else target.astype(np.float32)[:, None]
    return table, {name: (inputs[indices], targets[indices]) for name, indices in parts.items()}


def _cell(column: Column, value: Any) -> np.ndarray:
    """One value [1] as the column holds it."""
    if column.categories:
        return np.array([str(value)])
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        raise ValueError(f"column {column.name!r} holds numbers, but {value!r} came")
    return np.array([float(value)])
