"""Sentences about what was inferred from a table."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from dl_nets.tasks.columns import Column
from dl_nets.tasks.sheet import Sheet
from dl_nets.tasks.tables import Table
from dl_nets.tasks.text_files import printable

RARE = 0.1  # share of the rows below which a class is said to be rare
ALMOST_CONSTANT = 1e-5  # deviation by the mean below which a column of numbers is said to vary hardly
FEWEST_ROWS = 10  # with fewer rows, distinct values say nothing about a column
_IDENTIFIER = re.compile(r"(.*[_ -])?(id|uid|uuid|guid|key|index|row|number|nr|no)|[a-z]+(Id|ID)|unnamed.*", re.IGNORECASE)


def caveat(
    sheet: Sheet,
    table: Table,
    target: str,
    targets: np.ndarray,
    classes: Sequence[str],
    sizes: Mapping[str, int],
    num_rows: int,
) -> str:
    """Return what was inferred: a guess, which a user should check.

    Args:
        sheet: The table, without the rows that were dropped.
        table: The encoding.
        target: Name of the target.
        targets: Targets of the rows.
        classes: Names of the classes or labels; empty for numbers.
        sizes: Number of rows of each split.
        num_rows: Number of rows of the file.
    """
    of = "labels, any number of them in a row" if targets.ndim == 2 and classes else "classes"
    kinds = f"{len(classes)} {of} ({', '.join(classes[:5])}{', ...' if len(classes) > 5 else ''})" if classes else "numbers"
    named = {kind: [column for column in table.columns if column.kind == kind] for kind in ("number", "date", "text")}
    parts = [
        f"target {target!r} has {kinds}",
        f"numbers: {', '.join(column.name for column in named['number']) or 'none'}",
        f"one-hot: {', '.join(f'{column.name} ({len(column.categories)} texts)' for column in named['text']) or 'none'}",
    ]
    if named["date"]:
        parts.append(f"dates, as days since 1970: {', '.join(column.name for column in named['date'])}")
    parts.append(f"rows: {', '.join(f'{size} {split}' for split, size in sizes.items())}")
    words = [f"types were inferred from {sheet.name}: {'; '.join(parts)}", *_further(sheet, table, targets, classes, num_rows)]
    return printable("; ".join(words))


def _further(sheet: Sheet, table: Table, targets: np.ndarray, classes: Sequence[str], num_rows: int) -> list[str]:
    """Return remarks on what a user may not expect."""
    words = []
    if num_rows != len(sheet.lines):
        words.append(f"dropped {num_rows - len(sheet.lines)} rows with missing values")
    if table.constant:
        words.append(f"left out because constant: {', '.join(table.constant)}")
    filled = [
        column.name
        for column in table.columns
        if column.fill is not None and any(text.casefold() in column.gaps(table.gaps) for text in sheet.columns[column.name])
    ]
    if filled:
        words.append(f"missing values filled in: {', '.join(filled)}")
    if sheet.delimiter != ",":
        words.append(f"delimiter {'tab' if sheet.delimiter == chr(9) else repr(sheet.delimiter)}")
    commas = [column.name for column in table.columns if column.kind == "number" and column.decimal == ","]
    if commas:
        words.append(f"decimal comma in: {', '.join(commas)}")
    units = [f"{column.name} ({column.unit})" for column in table.columns if column.unit]
    if units:
        words.append(f"units left out: {', '.join(units)}")
    identifiers = [column.name for column in table.columns if _is_identifier(sheet, column)]
    if identifiers:
        words.append(
            f"looks like an identifier of the row: {', '.join(identifiers)} (leave it out with --set task.ignore=[{','.join(identifiers)}])"
        )
    close = [column.name for column in table.columns if 0.0 < column.scale < ALMOST_CONSTANT * abs(column.mean)]
    if close:
        words.append(f"almost constant: {', '.join(close)} (small differences are scaled up; leave it out unless they matter)")
    if classes and targets.ndim == 1:
        counts = np.bincount(targets, minlength=len(classes))
        rarest = int(counts.argmin())
        if counts[rarest] < RARE * len(targets) / 2 and len(classes) <= 1 / RARE:
            words.append(
                f"class {classes[rarest]!r} has {counts[rarest]} of {len(targets)} rows: accuracy says little, see its recall "
                "(--set class_weights=balanced weighs it up)"
            )
        folded = {text.casefold() for text in classes}
        if len(folded) < len(classes):
            words.append("some classes differ only in upper and lower case")
    return words


def _is_identifier(sheet: Sheet, column: Column) -> bool:
    """Return whether a column seems to identify the rows: all values differ, and its name says so or they are consecutive numbers."""
    fields = sheet.columns[column.name]
    if len(fields) < FEWEST_ROWS or len(set(fields)) < len(fields) or column.kind == "date":
        return False
    if column.kind == "text" or _IDENTIFIER.fullmatch(column.name):
        return True
    try:
        numbers = [int(text) for text in fields]
    except ValueError:
        return False
    return numbers == list(range(numbers[0], numbers[0] + len(numbers)))
