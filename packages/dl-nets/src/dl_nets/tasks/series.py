"""The scheme `series:<csv>`: forecast the next values of time series, one row of a table for each time.

The last rows are the test split and those before them the validation split, so that a model is judged by what happens after what it
learned from. A window of T rows is one example, and the values of the next rows are its targets.

Source: Hyndman and Koehler, *Another look at measures of forecast accuracy*, 2006, equation (2): the mean absolute scaled error. Target:
the score of repeating the last value on the same test windows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from gymnasium import spaces

from dl_nets.learning.data import check_fractions, r2
from dl_nets.tasks import inference
from dl_nets.tasks.columns import Column
from dl_nets.tasks.inference import USUAL_GAPS, Marks
from dl_nets.tasks.numbers import LARGEST
from dl_nets.tasks.sheet import Sheet, read_sheet
from dl_nets.tasks.text_files import digest_of, printable, shown
from rl_core.config import Count, Doc, FilePath, Meta, configclass
from rl_core.errors import nearest
from rl_core.task import DataTask

SPLITS = ("train", "validation", "test")


@configclass
class SeriesConfig:
    """The file, what is forecast from what, and how it is split."""

    path: Annotated[FilePath, Doc("the file; its first line has the column names, and its rows are in the order of time")] = ""
    targets: Annotated[tuple[str, ...], Doc("names of the columns to forecast; () is the last column of numbers")] = ()
    ignore: Annotated[tuple[str, ...], Doc("names of columns that are left out; all other numbers are seen")] = ()
    window: Annotated[Count, Doc("T, rows that are seen")] = 24
    horizon: Annotated[Count, Doc("rows to forecast")] = 1
    missing: Annotated[
        Literal["refuse", "previous", "linear"],
        Doc("a missing value is refused, the one before, or on a line to the next one, which comes later"),
    ] = "refuse"
    missing_values: Annotated[tuple[str, ...], Doc("texts that state that a value is missing, in any case")] = USUAL_GAPS
    validation_fraction: Annotated[float, Meta(ge=0, lt=1), Doc("share of the rows that are held out before the test part")] = 0.15
    test_fraction: Annotated[float, Meta(gt=0, lt=1), Doc("share of the rows at the end that the score is computed on")] = 0.15
    delimiter: Annotated[str, Doc('character between fields; "" infers it')] = ""
    encoding: Annotated[str, Doc("encoding of the file: utf-8, utf-16, latin-1, cp1252, ...")] = "utf-8"
    decimal: Annotated[Literal["auto", ".", ","], Doc("decimal mark of the numbers; auto infers it")] = "auto"

    def __post_init__(self) -> None:
        if not self.path:
            raise ValueError("path is empty; name the file after the colon: series:sales.csv")
        check_fractions(self.validation_fraction, self.test_fraction)


class Series(DataTask):
    """Rows [T, D] of standardised numbers, and the next values of the targets [horizon], or [horizon, targets] where there are several.

    Args:
        config: The file, what is forecast from what, and how it is split.
        state: The `state_dict` of the task that an agent was trained on; `None` takes columns and scales from the file.
        other: Whether all windows of the file are the test split.

    Raises:
        ValueError: if the file cannot be read as such a table, or is too short; the text names the place.
    """

    Config: ClassVar[type] = SeriesConfig
    file_suffixes: ClassVar[tuple[str, ...]] = (".csv", ".tsv", ".txt", ".jsonl")
    config: SeriesConfig
    metric = "mean absolute scaled error"
    higher_is_better = False

    def __init__(self, config: SeriesConfig, state: Mapping[str, Any] | None = None, *, other: bool = False) -> None:
        super().__init__(config)
        self._whole_is_test, self._remarks = other, list[str]()
        if state is None:
            self._fit()
        else:
            self._state = dict(state)
        self._columns = tuple(Column(**{**fields, "categories": ()}) for fields in self._state["columns"])
        names = [column.name for column in self._columns]
        self._target_places = [names.index(name) for name in self._state["targets"]]
        self._step = np.array(self._state["steps"], np.float64)
        if other:
            self._state["rows"] = len(self._values)
        if state is None or other:
            self._require_windows()
        self.target = self._persistence() if state is None or other else self._state["target"]
        self._state["target"] = self.target
        several = (len(self._target_places),) if len(self._target_places) > 1 else ()
        self.input_space = spaces.Box(-np.inf, np.inf, (config.window, len(names)), np.float32)
        self.output_space = spaces.Box(-np.inf, np.inf, (config.horizon, *several), np.float32)

    @classmethod
    def from_state(cls, config: Any, state: Mapping[str, Any]) -> Series:
        """Return the task of a run, which reads its file only to learn or to be judged."""
        return cls(config, state)

    @classmethod
    def for_evaluation(cls, config: Any, state: Mapping[str, Any]) -> Series:
        """Return a task whose test split is all of another file, in the columns and scales of `state`."""
        return cls(config, state, other=True)

    def state_dict(self) -> dict[str, Any]:
        """Return the columns with their scales, the targets, and the digest of the file."""
        return dict(self._state)

    def data_change(self) -> str:
        """Return how the file differs from the one that the run learned from, or ""."""
        path = Path(self.config.path)
        if not path.is_file():
            return f"the file {shown(path)} is missing (if it was moved, set task_config.path in the run's recipe.yaml)"
        return "" if digest_of(path) == self._state["digest"] else f"the file {shown(path)} has changed since the run learned from it"

    def accept_data(self) -> None:
        """Go on with the file as it is now, in the scales that were learned from."""
        sheet = self._sheet()
        self._values = self._read(sheet)
        self._state |= {"digest": sheet.digest, "rows": len(self._values)}
        self._require_windows()

    def caveat(self) -> str:
        """Return what was inferred from the file."""
        return printable("; ".join(self._remarks))

    def num_examples(self, split: str) -> int:
        """Return how many windows the split has: those whose targets are all in its rows."""
        first, last = self._bounds[split]
        return max(0, last - first - self.config.horizon + 1)

    def read(self, split: str, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return rows [B, T, D], float32, and the values that follow, in their own unit, of the windows at `indices` [B]."""
        begins = self._bounds[split][0] - self.config.window + indices
        rows = begins[:, None] + np.arange(self.config.window + self.config.horizon)
        inputs = self._standardised[rows[:, : self.config.window]]
        targets = self._values[rows[:, self.config.window :]][:, :, self._target_places].astype(np.float32)
        return inputs, targets if len(self._target_places) > 1 else targets[:, :, 0]

    def score(self, predictions: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        """Return the mean absolute error in units of the mean step from row to row in training, in the targets' unit, and r2.

        Args:
            predictions: Forecasts [N, horizon] or [N, horizon, targets].
            targets: What happened, of the same shape.
        """
        error = np.abs(predictions.astype(np.float64) - targets)
        scaled = float((error / (self._step if targets.ndim == 3 else self._step[0])).mean())
        return {
            "mean absolute scaled error": scaled,
            "mean absolute error": float(error.mean()),
            "r2": r2(predictions.astype(np.float64), targets.astype(np.float64)),
        }

    def parse(self, text: str) -> np.ndarray:
        """Return the last T rows [1, T, D] of a JSON array: of numbers where one column is seen, else of rows, arrays or objects.

        Raises:
            ValueError: if it has fewer than T rows, or a row lacks a column.
        """
        names = [column.name for column in self._columns]
        words = f"expected a JSON array of {self.config.window} or more " + (
            "numbers" if len(names) == 1 else f"rows with the columns {', '.join(names)}"
        )
        try:
            rows = json.loads(text)
            if not isinstance(rows, list):
                raise TypeError
            values = np.array([self._row(row, names) for row in rows], dtype=np.float64).reshape(len(rows), len(names))
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ValueError(f"the input {text[:60]!r} cannot be read; {words}") from error
        if len(values) < self.config.window or not np.isfinite(values).all():
            raise ValueError(f"the input has {len(values)} rows{'' if np.isfinite(values).all() else ', not all of them numbers'}; {words}")
        return self._scaled(values[-self.config.window :])[None]

    def parse_file(self, path: Path) -> np.ndarray:
        """Return the last T rows [1, T, D] of a table: the forecast is of what comes after it.

        Raises:
            ValueError: naming the line that cannot be read, or the number of rows that are missing.
        """
        if path.suffix.lower() == ".jsonl":
            return np.asarray(super().parse_file(path))
        values = self._read(read_sheet(path, encoding=self.config.encoding, least_columns=1))
        if len(values) < self.config.window:
            raise ValueError(f"{shown(path)} has {len(values)} rows; expected {self.config.window} or more")
        return self._scaled(values[-self.config.window :])[None]

    @cached_property
    def _values(self) -> np.ndarray:
        """The columns of numbers [rows, D] in their own units, float64."""
        if not self._whole_is_test and (change := self.data_change()):
            raise ValueError(change)
        return self._read(self._sheet())

    @cached_property
    def _standardised(self) -> np.ndarray:
        return self._scaled(self._values)

    @property
    def _bounds(self) -> dict[str, tuple[int, int]]:
        """First and last row that each split forecasts."""
        count, window = self._state["rows"], self.config.window
        if self._whole_is_test:
            return {"train": (0, 0), "validation": (0, 0), "test": (window, count)}
        test = count - round(count * self.config.test_fraction)
        validation = test - round(count * self.config.validation_fraction)
        return {"train": (window, validation), "validation": (max(window, validation), test), "test": (max(window, test), count)}

    def _scaled(self, values: np.ndarray) -> np.ndarray:
        parts = [column.encode(values[:, place]) for place, column in enumerate(self._columns)]
        return np.concatenate(parts, axis=1)

    def _row(self, row: Any, names: list[str]) -> list[float]:
        if isinstance(row, dict):
            return [float(row[name]) for name in names]
        found = [float(value) for value in row] if isinstance(row, list) else [float(row)]
        if len(found) != len(names):
            raise ValueError
        return found

    def _sheet(self) -> Sheet:
        return read_sheet(Path(self.config.path), self.config.delimiter, self.config.encoding, least_columns=1)

    def _read(self, sheet: Sheet) -> np.ndarray:
        """Return the known columns of a sheet [rows, D], missing values filled in."""
        gaps = frozenset(text.strip().casefold() for text in self.config.missing_values)
        parts = []
        for column in self._columns:
            if column.name not in sheet.columns:
                raise ValueError(f"{sheet.name} has no column {column.name!r}; its columns are {printable(', '.join(sheet.columns))}")
            values = column.read(sheet.columns[column.name], column.gaps(gaps), sheet.place)
            parts.append(filled(values, self.config.missing, lambda row, name=column.name: f"{sheet.place(row)}, column {name!r}"))
            largest = int(np.abs(parts[-1]).argmax()) if len(parts[-1]) else 0
            if len(parts[-1]) and abs(parts[-1][largest]) > LARGEST:
                place = f"{sheet.place(largest)}, column {column.name!r}"
                raise ValueError(f"{place} holds {parts[-1][largest]:.3g}; expected numbers up to {LARGEST:g}: change the unit")
        return np.stack(parts, axis=1)

    def _fit(self) -> None:
        """Take columns and scales from the file."""
        config, sheet = self.config, self._sheet()
        for name in (*config.targets, *config.ignore):
            if name not in sheet.columns:
                close = nearest(name, sheet.columns, 1)
                hint = f"did you mean {close[0]!r}?" if close else f"its columns are {printable(', '.join(sheet.columns))}"
                raise ValueError(f"{sheet.name} has no column {name!r}; {hint}")
        gaps, marks = frozenset(text.strip().casefold() for text in config.missing_values), Marks(config.decimal)
        candidates = [name for name in sheet.columns if name not in config.ignore]
        usual = inference.file_format(sheet, candidates, marks)
        columns = {name: inference.infer(sheet, name, gaps, marks, usual) for name in candidates}
        numbers = [column for column in columns.values() if column.kind == "number"]
        wrong = [name for name in config.targets if name in columns and columns[name].kind != "number"]
        if wrong or not numbers:
            found = f"holds {columns[wrong[0]].kind}s in column {wrong[0]!r}" if wrong else "has no column of numbers"
            raise ValueError(f"{sheet.name} {found}; only numbers can be forecast")
        for column in columns.values():
            if column.kind == "date":
                self._require_order(sheet, column, gaps)
        targets = config.targets or (numbers[-1].name,)
        self._columns, self._state = tuple(numbers), {"rows": len(sheet.lines)}
        self._values = self._read(sheet)
        train = np.arange(max(1, self._bounds["train"][1]))
        fitted = [column.fit(self._values[:, place], train, "refuse") for place, column in enumerate(numbers)]
        steps = np.abs(np.diff(self._values[train], axis=0)).mean(axis=0) if len(train) > 1 else np.ones(len(numbers))
        places = [[column.name for column in numbers].index(name) for name in targets]
        self._state |= {
            "columns": [{"name": column.name, "mean": column.mean, "scale": column.scale, "decimal": column.decimal, "unit": column.unit,
                         "thousands": column.thousands} for column in fitted],
            "targets": list(targets),
            "steps": [float(steps[place]) or 1.0 for place in places],
            "digest": sheet.digest,
        }  # fmt: skip
        left_out = [column.name for column in columns.values() if column.kind == "text"]
        self._remarks.append(f"forecasts {', '.join(targets)} from {', '.join(column.name for column in numbers)}")
        self._remarks += [f"left out because they hold texts: {', '.join(left_out)}"] if left_out else []

    def _require_order(self, sheet: Sheet, column: Column, gaps: frozenset[str]) -> None:
        days = column.read(sheet.columns[column.name], column.gaps(gaps), sheet.place)
        steps = np.diff(days)
        if (steps < 0).any():
            row = int(np.flatnonzero(steps < 0)[0]) + 1
            raise ValueError(
                f"{sheet.place(row)} goes back in time in column {column.name!r}; sort the rows by it, or set task.ignore=[{column.name}]"
            )
        if len(steps) and steps.min() > 0 and steps.max() > 1.5 * np.median(steps):
            row = int(steps.argmax())
            self._remarks.append(f"the steps of {column.name} are uneven: {steps[row]:g} days before {sheet.place(row + 1)}")

    def _require_windows(self) -> None:
        config = self.config
        for split in ("test",) if self._whole_is_test else ("train", "test"):
            if self.num_examples(split) < 1:
                raise ValueError(
                    f"{shown(Path(config.path))} has {self._state['rows']} rows, too few for the {split} split with window = "
                    f"{config.window} and horizon = {config.horizon}; set task.window lower, or take a longer table"
                )

    def _persistence(self) -> float:
        """Return the score of repeating the last value on the test split."""
        first, last = self._bounds["test"]
        rows = np.arange(first, last - self.config.horizon + 1)
        values = self._values[:, self._target_places]
        targets = values[rows[:, None] + np.arange(self.config.horizon)]
        return float((np.abs(targets - values[rows - 1][:, None]) / self._step).mean())


def filled(values: np.ndarray, missing: str, place: Any) -> np.ndarray:
    """Return a column [N] without gaps.

    Args:
        values: Numbers, NaN where one is missing.
        missing: "refuse", "previous": the value before, or "linear": on a line between its neighbours.
        place: Words for the place of a row.

    Raises:
        ValueError: if a value is missing and cannot be filled in.

    >>> filled(np.array([1.0, np.nan, np.nan, 4.0]), "linear", str).tolist(), filled(np.array([1.0, np.nan]), "previous", str).tolist()
    ([1.0, 2.0, 3.0, 4.0], [1.0, 1.0])
    """
    absent = np.isnan(values)
    if not absent.any():
        return values
    rows, known = np.arange(len(values)), np.flatnonzero(~absent)
    if missing == "refuse" or not len(known) or (missing == "previous" and known[0] > 0):
        row = int(np.flatnonzero(absent)[0])
        raise ValueError(
            f"{place(row)} has no value; fill it in, or set task.missing to {'linear' if missing != 'refuse' else 'previous or linear'}"
        )
    if missing == "linear":
        return np.interp(rows, known, values[known])
    return values[np.maximum.accumulate(np.where(absent, 0, rows))]


def write_example(path: Path) -> None:
    """Write a table of days with two numbers: a weekly wave, and noise."""
    rng = np.random.Generator(np.random.PCG64(0))
    days = np.datetime64("2024-01-01") + np.arange(120)
    noise = rng.normal(0.0, 1.0, 120)
    rows = [
        f"{day},{extra:.2f},{50 + 10 * np.sin(2 * np.pi * n / 7) + extra:.2f}"
        for n, (day, extra) in enumerate(zip(days, noise, strict=True))
    ]
    path.write_text("\n".join(["day,weather,sales", *rows]) + "\n", encoding="utf-8")
