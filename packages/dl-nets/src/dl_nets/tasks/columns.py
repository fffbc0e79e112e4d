"""Columns of tables as numbers: numbers and dates are standardised, texts become one-hot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from dl_nets.tasks.numbers import GAPS_AMONG_NUMBERS, THOUSANDS, NumberFormat, Quantity, days, plain

Strategy = Literal["refuse", "drop", "mean", "median", "most-frequent", "category"]
"""Treatment of a missing value; `mean` and `median` fill numbers, and texts then take their most frequent value."""
MISSING_CATEGORY = "(missing)"
CONSTANT = 1e-12  # numbers that differ by less than this share of the largest are equal but for rounding
LARGE = 1e150  # numbers whose squares may be infinite
Place = Callable[[int], str]
"""From the number of a row to the words that say where it is: "line 3 of flowers.csv"."""


@dataclass(frozen=True)
class Column:
    """The way one column becomes numbers.

    Attributes:
        name: Name in the table.
        kind: Numbers, dates (days since 1970) or texts.
        categories: The texts that it may hold, sorted; empty for numbers and dates.
        mean: Mean of the training rows.
        scale: Their standard deviation.
        fill: Value that takes the place of a missing one; `None`: a missing value is refused.
        marked: Whether a second number says if the value was missing.
        decimal: Decimal mark of the numbers.
        thousands: Marks that may separate their thousands.
        unit: "%" or a currency sign behind or before each number, or "".
    """

    name: str
    kind: Literal["number", "date", "text"] = "number"
    categories: tuple[str, ...] = ()
    mean: float = 0.0
    scale: float = 1.0
    fill: float | str | None = None
    marked: bool = False
    decimal: str = "."
    thousands: str = THOUSANDS["."]
    unit: str = ""

    @property
    def width(self) -> int:
        """The count of numbers that a value becomes."""
        return len(self.categories) or 1 + self.marked

    def gaps(self, usual: frozenset[str]) -> frozenset[str]:
        """Return the texts, in lower case, that state that a value is missing here: the usual ones, and some more among numbers."""
        return usual if self.kind == "text" else usual | GAPS_AMONG_NUMBERS

    def read(self, fields: Sequence[str], gaps: frozenset[str], place: Place) -> np.ndarray:
        """Return the values [N] of fields as a file has them: float64 with NaN, or texts with `None`, where a value is missing.

        Args:
            fields: Texts without blanks around them.
            gaps: The texts, in lower case, that state that a value is missing.
            place: Words for the row of a field.

        Raises:
            ValueError: for a field that the column cannot hold; the text names its place.
        """
        if self.kind == "text":
            texts = [None if text.casefold() in gaps else text for text in fields]
            known = {None, *self.categories}
            if self.categories and not known.issuperset(texts):
                row = next(row for row, text in enumerate(texts) if text not in known)
                may_hold = ", ".join(map(repr, self.categories[:10])) + (", ..." if len(self.categories) > 10 else "")
                raise ValueError(f"{place(row)} holds {texts[row]!r} in column {self.name!r}; it may hold {may_hold}")
            return np.array(texts, dtype=object)
        values = np.full(len(fields), np.nan)
        form = NumberFormat(self.decimal, self.thousands)
        for row, text in enumerate(fields):
            if text.casefold() in gaps:
                continue
            found = form.parse(text) if self.kind == "number" else days(text)
            if isinstance(found, Quantity) and found.unit not in ("", self.unit):
                expected = f"in {self.unit!r}" if self.unit else "without a unit"
                raise ValueError(f"{place(row)} holds {text!r} in column {self.name!r}, whose numbers are {expected}")
            if found is None:
                kind = "numbers" if self.kind == "number" else "dates as 2024-12-31"
                raise ValueError(f"{place(row)} holds {text!r} in column {self.name!r}, which holds {kind}")
            values[row] = found.value if isinstance(found, Quantity) else found
        return values

    def fit(self, values: np.ndarray, train: np.ndarray, missing: Strategy) -> Column:
        """Return the column with the statistics of the rows `train` [M] of `values` [N]."""
        absent = _absent(values)
        if self.kind == "text":
            present = values[~absent]
            categories = sorted(set(present.tolist()))
            fill: str | None = None
            if missing == "category" and absent.any():
                fill = MISSING_CATEGORY
                categories = sorted({*categories, MISSING_CATEGORY})
            elif missing not in ("refuse", "drop") and len(present):
                fill = _most_frequent(present)
            return replace(self, categories=tuple(categories), fill=fill)
        known = values[train][~absent[train]]
        if not len(known):
            return self
        number = _filling(known, missing)
        scaled = known if number is None else np.where(absent[train], number, values[train])
        unit = max(1.0, float(np.abs(known).max()) / LARGE)
        return replace(
            self,
            mean=unit * float((scaled / unit).mean()),
            scale=unit * float((scaled / unit).std()) or 1.0,
            fill=number,
            marked=missing == "category" and bool(absent[train].any()),
        )

    def is_constant(self, values: np.ndarray, train: np.ndarray) -> bool:
        """Return whether there is nothing to learn from the column: a text in every row, or a number in every training row."""
        if self.kind == "text":
            return len(self.categories) < 2
        known = values[train][~np.isnan(values[train])]
        return not self.marked and (not len(known) or float(known.max() - known.min()) <= CONSTANT * float(np.abs(known).max()))

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Return numbers [N, width], float32, of values [N].

        >>> Column("weight", mean=10.0, scale=2.0).encode(np.array([12.0, 9.0])).tolist()
        [[1.0], [-0.5]]
        >>> Column("colour", "text", ("blue", "red")).encode(np.array(["red", "blue"], dtype=object)).tolist()
        [[0.0, 1.0], [1.0, 0.0]]

        Raises:
            ValueError: if a value is missing and cannot be filled in.
        """
        absent = _absent(values)
        if absent.any() and self.fill is None:
            raise ValueError(f"column {self.name!r} has no value")
        if self.kind != "text":
            numbers = np.where(absent, self.fill if isinstance(self.fill, float) else np.nan, values.astype(np.float64))
            standardised = ((numbers - self.mean) / self.scale).astype(np.float32)
            return np.stack([standardised, absent.astype(np.float32)], axis=1) if self.marked else standardised[:, None]
        index_of = {text: index for index, text in enumerate(self.categories)}
        texts = [str(self.fill) if gap else text for text, gap in zip(values.tolist(), absent, strict=True)]
        hot = np.zeros((len(texts), len(self.categories)), dtype=np.float32)
        hot[np.arange(len(texts)), [index_of[text] for text in texts]] = 1.0
        return hot

    def cell(self, value: Any, gaps: frozenset[str]) -> np.ndarray:
        """Return one value [1] of a JSON document as the column holds it.

        Raises:
            ValueError: if the column cannot hold it.
        """
        if value is None:
            return np.array([None if self.kind == "text" else np.nan], dtype=object if self.kind == "text" else np.float64)
        if self.kind == "text":
            number = isinstance(value, int | float) and not isinstance(value, bool)
            return self.read([plain(value) if number and np.isfinite(value) else str(value)], gaps, lambda row: "the input")
        if isinstance(value, str):
            return self.read([value.strip()], gaps, lambda row: "the input")
        if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value) or self.kind == "date":
            raise ValueError(f"column {self.name!r} holds {self.kind}s, got {value!r}")
        return np.array([float(value)])


def _absent(values: np.ndarray) -> np.ndarray:
    """Return whether each of the values is missing [N], bool."""
    if values.dtype.kind == "f":
        return np.isnan(values)
    return np.array([value is None for value in values.tolist()], dtype=np.bool_)


def _filling(known: np.ndarray, missing: Strategy) -> float | None:
    """Return the number that replaces a missing one."""
    match missing:
        case "mean" | "category":
            return float(known.mean())
        case "median":
            return float(np.median(known))
        case "most-frequent":
            return float(_most_frequent(known))
        case _:
            return None


def _most_frequent(values: np.ndarray) -> Any:
    """Return the most frequent value; of several the smallest."""
    distinct, counts = np.unique(values, return_counts=True)
    return distinct[counts.argmax()].item() if values.dtype.kind == "f" else distinct[counts.argmax()]
