"""Tables of named columns as inputs of a network."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from gymnasium import spaces

from dl_nets.learning.data import ArrayTask
from dl_nets.tasks.classification import report, report_labels
from dl_nets.tasks.columns import Column, Strategy
from dl_nets.tasks.splits import SplitConfig
from dl_nets.tasks.text_files import printable
from rl_core.errors import nearest


class Table:
    """The columns that go into a network.

    Args:
        columns: The columns, in order.
        dropped: Names of columns that a row may have besides, and that are not read.
        gaps: The texts, in lower case, that state that a value is missing.
        constant: Those of the dropped columns that were constant in the training rows.
    """

    def __init__(
        self, columns: Sequence[Column], dropped: Sequence[str] = (), gaps: frozenset[str] = frozenset(), constant: Sequence[str] = ()
    ) -> None:
        self.columns = tuple(columns)
        self.dropped = tuple(dropped)
        self.gaps = gaps
        self.constant = tuple(constant)

    @classmethod
    def fit(
        cls, columns: Sequence[Column], values: Sequence[np.ndarray], train: np.ndarray, missing: Strategy = "refuse", **options: Any
    ) -> Table:
        """Return the table with the statistics of its training rows, without the columns that are constant.

        Args:
            columns: Name and kind of each column.
            values: Values [N] of each column, as `Column.read` returns them.
            train: Rows [M] of the training split.
            missing: Treatment of missing values.
            options: Arguments of `Table`.
        """
        fitted = [(column.fit(array, train, missing), array) for column, array in zip(columns, values, strict=True)]
        constant = [column.name for column, array in fitted if column.is_constant(array, train)]
        kept = [column for column, _ in fitted if column.name not in constant]
        return cls(kept, (*options.pop("dropped", ()), *constant), constant=constant, **options)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Table:
        """Return the table whose `state_dict` is `state`."""
        columns = [Column(**{**fields, "categories": tuple(fields["categories"])}) for fields in state["columns"]]
        return cls(columns, state["dropped"], frozenset(state["gaps"]), state["constant"])

    def state_dict(self) -> dict[str, Any]:
        """Return all of the encoding as plain values."""
        columns = [{**asdict(column), "categories": list(column.categories)} for column in self.columns]
        return {"columns": columns, "dropped": list(self.dropped), "gaps": sorted(self.gaps), "constant": list(self.constant)}

    @property
    def width(self) -> int:
        """D, the count of numbers that a row becomes."""
        return sum(column.width for column in self.columns)

    def encode(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return inputs [N, D] of the rows in `values`: by name of a column, its values [N]."""
        return np.concatenate([column.encode(values[column.name]) for column in self.columns], axis=1)

    def parse(self, text: str) -> np.ndarray:
        """Return one input [1, D] from a row as the table has it: a JSON object by column, or an array in their order.

        Raises:
            ValueError: if the text is not JSON, lacks a column, names an unknown one, or holds what a column cannot.

        >>> Table([Column("weight", mean=2.0)]).parse('{"weight": 4}').tolist()
        [[2.0]]
        """
        names = [column.name for column in self.columns]
        listed = printable(", ".join(names[:10]))
        try:
            row = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"the input {text[:60]!r} is not JSON; give a row as an object with the keys {listed}") from error
        if isinstance(row, list) and len(row) == len(names):
            row = dict(zip(names, row, strict=True))
        if not isinstance(row, dict):
            raise ValueError(f"the input {text[:60]!r} is not a row: give an object, or an array of {len(names)} values: {listed}")
        self.require(row, names_only=True)
        values = {column.name: column.cell(row[column.name], column.gaps(self.gaps)) for column in self.columns}
        return self.encode(values)

    def require(self, names: Mapping[str, Any], *, names_only: bool = False) -> None:
        """Check that a row or a file has every column.

        Args:
            names: By name, what there is.
            names_only: Whether names that the table does not know are refused.

        Raises:
            ValueError: naming the column that is missing or unknown, and the nearest name.
        """
        known = [column.name for column in self.columns]
        for name in known:
            if name not in names:
                close = nearest(name, [other for other in names if other not in known], 1)
                did_you_mean = f"; it has {close[0]!r}" if close else ""
                raise ValueError(f"column {name!r} is missing{did_you_mean}; a row has the columns {printable(', '.join(known))}")
        for name in sorted(names) if names_only else ():
            if name not in known and name not in self.dropped:
                raise ValueError(f"column {name!r} is unknown; a row has the columns {printable(', '.join(known))}")


class TableTask(ArrayTask):
    """Rows [D] of a table, and the class of each, a number [1], or a yes or no for each label [K].

    Args:
        config: The task's config.
        table: The encoding of a row.
        splits: Inputs [N, D] and targets [N] (classes), [N, 1] (numbers) or [N, K] (labels) of each split.
        class_names: Names of the classes or labels, in order; empty where the targets are numbers.
        several: Whether a row has any number of labels.
    """

    def __init__(
        self,
        config: Any,
        table: Table,
        splits: Mapping[str, tuple[np.ndarray, np.ndarray]],
        class_names: tuple[str, ...],
        *,
        several: bool = False,
    ) -> None:
        super().__init__(config, splits, spaces.Box(-np.inf, np.inf, (table.width,), np.float32), class_names)
        self.table = table
        if several:
            self.output_space, self.metric = spaces.MultiBinary(len(class_names)), "micro F1"

    def parse(self, text: str) -> np.ndarray:
        """Return a batch of one input [1, D] from a row in the table's own units: a JSON object by column, or an array in their order."""
        return self.table.parse(text)

    def score(self, predictions: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        """Return the scores of numbers that `ArrayTask` has, or those of classes or labels of `classification`."""
        if not self.class_names:
            return super().score(predictions, targets)
        if isinstance(self.output_space, spaces.MultiBinary):
            return report_labels(predictions, targets, self.class_names)
        return report(predictions, targets, self.class_names)


def split_table(
    values: Mapping[str, np.ndarray], target: np.ndarray, has_classes: bool, split: SplitConfig
) -> tuple[Table, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """Return the table, and inputs [N, D] and targets of each split: class numbers [N], or numbers [N, 1].

    Args:
        values: By name of a column, its numbers [N].
        target: Target of each row [N].
        has_classes: Whether the targets are class numbers; each class then has its share in every split.
        split: Shares of the splits.
    """
    parts = split.indices(len(target), target if has_classes else None)
    table = Table.fit([Column(name) for name in values], list(values.values()), parts["train"])
    inputs = table.encode(values)
    targets = target.astype(np.int64) if has_classes else target.astype(np.float32)[:, None]
    return table, {name: (inputs[indices], targets[indices]) for name, indices in parts.items()}
