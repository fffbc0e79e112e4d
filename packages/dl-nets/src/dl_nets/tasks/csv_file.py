"""The scheme `csv:<file>`: any table with a line of column names as a task.

The encoding of the columns, the names of the classes, the split, the test rows and a digest of the file are the task's state: a run
keeps them in its checkpoints, and predicts and is evaluated without the file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from gymnasium import spaces

from dl_nets.tasks import inference
from dl_nets.tasks.columns import Column, Strategy
from dl_nets.tasks.csv_target import Target, fit_target, require_column, require_few_texts
from dl_nets.tasks.csv_words import caveat
from dl_nets.tasks.inference import USUAL_GAPS, Marks
from dl_nets.tasks.sheet import Sheet, read_sheet
from dl_nets.tasks.splits import SplitConfig
from dl_nets.tasks.tables import Table, TableTask
from dl_nets.tasks.text_files import digest_of, printable, shown
from rl_core import config as configs
from rl_core.config import Doc, FilePath, Meta, configclass
from rl_core.runs.checkpoint import Block

SPLITS = ("train", "validation", "test")


@configclass
class CsvConfig(SplitConfig):
    """The file, its target, and how it is read and split."""

    path: Annotated[FilePath, Doc("the file; its first line has the column names")] = ""
    target: Annotated[str, Doc('name of the column to predict; "" is the last one')] = ""
    output: Annotated[
        Literal["auto", "classes", "number"], Doc("kind of the target; auto: classes for texts and up to 20 whole numbers")
    ] = "auto"
    labels_separator: Annotated[
        str, Doc('text between the labels of a target that holds any number of them, such as "|"; "" for a target with one value')
    ] = ""
    ignore: Annotated[tuple[str, ...], Doc("names of columns that are left out")] = ()
    texts: Annotated[tuple[str, ...], Doc("names of columns that are taken as texts even if they hold numbers or dates")] = ()
    missing: Annotated[
        Strategy, Doc("a missing value is refused, its row dropped, or it becomes the column's mean, median or mode, or a category")
    ] = "refuse"
    missing_values: Annotated[tuple[str, ...], Doc("texts that state that a value is missing, in any case")] = USUAL_GAPS
    delimiter: Annotated[str, Doc('character between fields; "" infers it')] = ""
    encoding: Annotated[str, Doc("encoding of the file: utf-8, utf-16, latin-1, cp1252, ...")] = "utf-8"
    decimal: Annotated[Literal["auto", ".", ","], Doc("decimal mark of the numbers; auto infers it")] = "auto"
    thousands: Annotated[str, Doc('marks that may separate thousands; "" for none, auto for those that go with the decimal mark')] = "auto"
    max_categories: Annotated[int, Meta(ge=2), Doc("largest number of different texts in a column")] = 100

    def __post_init__(self) -> None:
        if not self.path:
            raise ValueError("path is empty; name the file after the colon: csv:flowers.csv")
        if len(self.delimiter) > 1 or self.delimiter in ("\r", "\n", '"'):
            raise ValueError(f"delimiter is {self.delimiter!r}; it must be one character, and neither a quote nor the end of a line")
        if self.labels_separator and self.output != "auto":
            raise ValueError(
                f"output is {self.output!r} beside a labels_separator, which makes a yes or no of each label; leave output out"
            )
        if self.thousands != "auto" and any(mark.isalnum() or mark in "+-" for mark in self.thousands):
            raise ValueError(f"thousands is {self.thousands!r}; it must be auto or marks such as ',', '.' or a blank")


class CsvTask(TableTask):
    """Rows [D], numbers standardised and texts one-hot, and the class of each, a number [1], or a yes or no for each label [K].

    A column is one of numbers when most of its fields are numbers, and then each of them must be one. The inferred kinds are said when
    a run starts.

    Args:
        config: The file and how it is read.
        state: The `state_dict` of the task that an agent was trained on; `None` infers everything from the file.
        other: Whether all rows of the file are the test split, in the encoding of `state`.

    Raises:
        ValueError: if the file cannot be read as such a table; the text names line and column.
    """

    Config: ClassVar[type] = CsvConfig
    file_suffixes: ClassVar[tuple[str, ...]] = (".csv", ".tsv", ".txt", ".jsonl")
    config: CsvConfig

    def __init__(self, config: CsvConfig, state: Mapping[str, Any] | None = None, *, other: bool = False) -> None:
        self._words = ""
        if state is None:
            table = self._fit(config)
        else:
            table = self._restore(state)
            if other:
                sheet, *rows = _rows(config, table, self._target)
                self._set_rows(rows, np.full(len(sheet.lines), SPLITS.index("test"), dtype=np.uint8), sheet.digest)
        test = self._split_rows["test"]
        super().__init__(
            config, table, {"train": test, "test": test}, tuple(map(printable, self._target.texts)), several=bool(self._target.separator)
        )
        if not self._target.texts:
            self.output_space = spaces.Box(-np.inf, np.inf, (1,), np.float64)

    @classmethod
    def from_state(cls, config: Any, state: Mapping[str, Any]) -> CsvTask:
        """Return the task of a run, which reads its file only to learn from it."""
        return cls(config, state)

    @classmethod
    def for_evaluation(cls, config: Any, state: Mapping[str, Any]) -> CsvTask:
        """Return a task whose test split is all of another file, in the encoding of `state`."""
        own = {"path": config.path, "delimiter": config.delimiter}
        return cls(configs.build(CsvConfig, {**state["config"], **own}, where="task csv"), state, other=True)

    def state_dict(self) -> dict[str, Any]:
        """Return the encoding, the classes, the split, the test rows, and the digest of the file."""
        inputs, targets = self._split_rows["test"]
        short = self._digest[:16]
        return {
            "config": configs.to_plain(self.config),
            "digest": self._digest,
            "table": self.table.state_dict(),
            "target": {**Table([self._target.column]).state_dict(), "texts": list(self._target.texts), "separator": self._target.separator},
            "sizes": dict(self._sizes),
            "split": Block(f"csv-split-{short}", self._split_of_row),
            "test_inputs": Block(f"csv-inputs-{short}", inputs),
            "test_targets": Block(f"csv-targets-{short}", targets),
        }

    def data_change(self) -> str:
        """Return how the file differs from the one that the run learned from, or ""."""
        path = Path(self.config.path)
        if not path.is_file():
            return f"the data file {shown(path)} is missing (if it was moved, set task_config.path in the run's recipe.yaml)"
        return "" if digest_of(path) == self._digest else f"the data file {shown(path)} has changed since the run learned from it"

    def accept_data(self) -> None:
        """Go on with the file as it is now: rows that were there keep their split by number, further rows are split anew."""
        sheet, inputs, targets = _rows(self.config, self.table, self._target)
        split = np.zeros(len(targets), dtype=np.uint8)
        known = min(len(split), len(self._split_of_row))
        split[:known] = self._split_of_row[:known]
        with suppress(ValueError):  # too few further rows for a test split: all of them are for training
            for number, indices in enumerate(self.config.indices(len(split) - known).values()):
                split[known + indices] = number
        self._set_rows((inputs, targets), split, sheet.digest)
        for name in ("train", "test"):
            if not self._sizes[name]:
                raise ValueError(f"{sheet.name} has no rows left in the {name} split; start a new run")

    def num_examples(self, split: str) -> int:
        """Return the number of rows of the split."""
        return self._sizes[split]

    def read(self, split: str, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return inputs [B, D] and targets [B] or [B, 1] of the rows at `indices` [B] of the split.

        Raises:
            ValueError: if the file must be read, and is not the one that the run learned from.
        """
        if split not in self._split_rows:
            change = self.data_change()
            if change:
                raise ValueError(change)
            sheet, *rows = _rows(self.config, self.table, self._target)
            self._set_rows(rows, self._split_of_row, sheet.digest)
        inputs, targets = self._split_rows[split]
        return inputs[indices], targets[indices]

    def parse_file(self, path: Path) -> np.ndarray:
        """Return the inputs [N, D] of a file of rows; further columns, the target among them, are not read.

        Raises:
            ValueError: naming the line and the column that cannot be read.
        """
        if path.suffix.lower() == ".jsonl":
            return super().parse_file(path)
        sheet = read_sheet(path, encoding=self.config.encoding, least_columns=1)
        self.table.require(sheet.columns)
        for column in self.table.columns:
            if column.fill is None:
                _require_values(sheet, column, self.table.gaps, "fill it in: the model was trained without missing values")
        return self.table.encode(_values(sheet, self.table.columns, self.table.gaps))

    def caveat(self) -> str:
        """Return what was inferred from the file, for the user to check."""
        return self._words

    def _fit(self, config: CsvConfig) -> Table:
        """Infer everything from the file."""
        sheet = read_sheet(Path(config.path), config.delimiter, config.encoding)
        target_name = config.target or list(sheet.columns)[-1]
        for name in (target_name, *config.ignore, *config.texts):
            require_column(sheet, name)
        inputs = [name for name in sheet.columns if name != target_name and name not in config.ignore]
        if not inputs:
            raise ValueError(f"{sheet.name} has no column left as an input beside the target {target_name!r}")
        gaps = frozenset(text.strip().casefold() for text in config.missing_values)
        marks = Marks(config.decimal, config.thousands)
        usual = inference.file_format(sheet, [name for name in (*inputs, target_name) if name not in config.texts], marks)
        texts = (*config.texts, target_name) if config.labels_separator else config.texts
        columns = {
            name: Column(name, "text") if name in texts else inference.infer(sheet, name, gaps, marks, usual)
            for name in (*inputs, target_name)
        }
        target_column = columns.pop(target_name)
        num_rows = len(sheet.lines)
        needed = None if config.labels_separator else target_column
        sheet = _complete(sheet, tuple(columns.values()), needed, gaps, config.missing)
        for column in columns.values():
            require_few_texts(sheet, column, config.max_categories)
        self._target = fit_target(sheet, target_column, config, gaps)
        targets = self._target.values(sheet, gaps)
        split = np.zeros(len(targets), dtype=np.uint8)
        for number, indices in enumerate(config.indices(len(targets), targets if targets.ndim == 1 else None).values()):
            split[indices] = number
        values = _values(sheet, tuple(columns.values()), gaps)
        train, dropped = np.flatnonzero(split == 0), (*config.ignore, target_name)
        table = Table.fit(tuple(columns.values()), tuple(values.values()), train, config.missing, dropped=dropped, gaps=gaps)
        if not table.columns:
            raise ValueError(f"every input of {sheet.name} is constant ({', '.join(map(repr, inputs))}); there is nothing to learn from")
        self._set_rows((table.encode(values), targets), split, sheet.digest)
        self._words = caveat(sheet, table, target_name, targets, self._target.texts, self._sizes, num_rows)
        return table

    def _restore(self, state: Mapping[str, Any]) -> Table:
        """Take everything from the state."""
        try:
            table, target = Table.from_state(state["table"]), state["target"]
            self._target = Target(Table.from_state(target).columns[0], tuple(target["texts"]), str(target["separator"]))
            self._sizes = {name: int(state["sizes"][name]) for name in SPLITS}
            self._digest, self._split_of_row = str(state["digest"]), np.asarray(state["split"].array)
            self._split_rows = {"test": (np.asarray(state["test_inputs"].array), np.asarray(state["test_targets"].array))}
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            raise ValueError(f"the saved state is not one of a csv task: {error}") from error
        return table

    def _set_rows(self, rows: Sequence[np.ndarray], split: np.ndarray, digest: str) -> None:
        """Keep the rows of every split: inputs [N, D] and targets [N] or [N, 1], and the number of the split of each."""
        chosen = {name: np.flatnonzero(split == number) for number, name in enumerate(SPLITS)}
        self._split_of_row, self._digest = split, digest
        self._sizes = {name: len(indices) for name, indices in chosen.items()}
        self._split_rows = {name: (rows[0][indices], rows[1][indices]) for name, indices in chosen.items()}


def write_example(path: Path) -> None:
    """Write a small table of flowers to `path`: a number and a text for each, and the kind to predict."""
    rows = [f"{2 + number % 5}.5,{'red' if number % 2 else 'white'},{'rose' if number % 5 > 2 else 'lily'}" for number in range(60)]
    path.write_text("\n".join(["length,colour,kind", *rows]) + "\n", encoding="utf-8")


def _rows(config: CsvConfig, table: Table, target: Target) -> tuple[Sheet, np.ndarray, np.ndarray]:
    """Return the file, and inputs [N, D] and targets [N] or [N, 1] of its rows in a given encoding."""
    sheet = read_sheet(Path(config.path), config.delimiter, config.encoding)
    table.require(sheet.columns)
    require_column(sheet, target.column.name)
    sheet = _complete(sheet, table.columns, None if target.separator else target.column, table.gaps, config.missing)
    return sheet, table.encode(_values(sheet, table.columns, table.gaps)), target.values(sheet, table.gaps)


def _values(sheet: Sheet, columns: Sequence[Column], gaps: frozenset[str]) -> dict[str, np.ndarray]:
    return {column.name: column.read(sheet.columns[column.name], column.gaps(gaps), sheet.place) for column in columns}


def _complete(sheet: Sheet, columns: Sequence[Column], target: Column | None, gaps: frozenset[str], missing: Strategy) -> Sheet:
    """Return the sheet without the rows that the strategy drops.

    Raises:
        ValueError: for a missing value that is neither dropped nor filled in.
    """
    dropped: set[int] = set()
    for column in (*columns, *([target] if target else [])):
        if missing == "drop":
            absent = column.gaps(gaps)
            dropped |= {row for row, text in enumerate(sheet.columns[column.name]) if text.casefold() in absent}
        elif missing == "refuse" or column is target:
            others = f"mean, median, most-frequent or category, or leave the column out with --set task.ignore=[{column.name}]"
            _require_values(sheet, column, gaps, f"fill it in, or set task.missing to drop{'' if column is target else f', {others}'}")
    if len(dropped) == len(sheet.lines):
        raise ValueError(f"every row of {sheet.name} lacks a value; fill values in, or set task.missing to mean")
    return sheet.without(dropped) if dropped else sheet


def _require_values(sheet: Sheet, column: Column, gaps: frozenset[str], remedy: str) -> None:
    absent = column.gaps(gaps)
    rows = [row for row, text in enumerate(sheet.columns[column.name]) if text.casefold() in absent]
    if rows:
        more = f" (and {len(rows) - 1} more rows have none)" if len(rows) > 1 else ""
        raise ValueError(
            f"{sheet.place(rows[0])} has no value in column {column.name!r}, got {sheet.columns[column.name][rows[0]]!r}{more}; {remedy}"
        )
