"""Text files with one row of a table in each line, read as texts and refused with their line and column."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from dl_nets.tasks.text_files import read_text, require_without, shown

DELIMITERS = ",;\t|"
SNIFFED_ROWS = 50  # rows that a delimiter is inferred from


class Sheet(NamedTuple):
    """The content of a file.

    Attributes:
        name: The file, as messages show it.
        columns: By name of a column, its texts [N] without blanks around them.
        lines: Line of the file on which each row ends [N].
        delimiter: The character between fields.
        digest: SHA-256 of the bytes of the file.
    """

    name: str
    columns: Mapping[str, Sequence[str]]
    lines: Sequence[int]
    delimiter: str
    digest: str

    def place(self, row: int) -> str:
        """Return the words for a row: "line 3 of flowers.csv"."""
        return f"line {self.lines[row]} of {self.name}"

    def without(self, rows: set[int]) -> Sheet:
        """Return the sheet without these rows."""
        kept = [row for row in range(len(self.lines)) if row not in rows]
        columns = {name: [fields[row] for row in kept] for name, fields in self.columns.items()}
        return self._replace(columns=columns, lines=[self.lines[row] for row in kept])


def read_sheet(path: Path, delimiter: str = "", encoding: str = "utf-8", *, least_columns: int = 2) -> Sheet:
    """Return the table in a text file whose first line has the names of the columns.

    Args:
        path: The file.
        delimiter: The character between fields; "" infers it from the first rows.
        encoding: Name of the encoding; a byte order mark of UTF-8 is skipped.
        least_columns: Number of columns that the table must have; a table of fewer was read with the wrong delimiter.

    Raises:
        ValueError: for a file that is missing, not text in that encoding, empty, has unnamed columns or two with one name, or a row
            with another number of fields.
    """
    name = shown(path)
    text, digest = read_text(path, encoding)
    require_without(text, "\ufeff", "a byte order mark; remove it", name)
    delimiter = delimiter or _sniffed(text, name)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        names = [column.strip() for column in next(reader, [])]
        _check_names(names, name, delimiter, least_columns)
        columns: list[list[str]] = [[] for _ in names]
        lines: list[int] = []
        empty: list[int] = []
        for row in reader:
            if not row:  # an empty line: of a table with one column it is a row without a value, unless the file ends with it
                empty.append(reader.line_num)
                continue
            if len(names) == 1:
                columns[0] += [""] * len(empty)
                lines += empty
            empty.clear()
            if len(row) != len(names):
                raise ValueError(
                    f"line {reader.line_num} of {name} has {len(row)} fields; line 1 names {len(names)} columns "
                    f"(the delimiter is {delimiter!r}; a field that contains it must be quoted)"
                )
            for column, field in zip(columns, row, strict=True):
                column.append(field.strip())
            lines.append(reader.line_num)
    except csv.Error as error:
        raise ValueError(f"{name} is not a table: line {reader.line_num}: {error}") from error
    if not lines:
        raise ValueError(f"{name} has column names, but no rows")
    return Sheet(name, dict(zip(names, columns, strict=True)), lines, delimiter, digest)


def _sniffed(text: str, name: str) -> str:
    """Return the delimiter that splits the first rows into the same number of fields, more than one."""
    widths: dict[str, int] = {}
    headers: dict[str, int] = {}
    for delimiter in DELIMITERS:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        try:
            rows = [row for _, row in zip(range(SNIFFED_ROWS), reader, strict=False) if row]
        except csv.Error:
            continue
        headers[delimiter] = len(rows[0]) if rows else 0
        if rows and len(rows[0]) > 1 and all(len(row) == len(rows[0]) for row in rows):
            widths[delimiter] = len(rows[0])
    best = [delimiter for delimiter, width in widths.items() if width == max(widths.values())]
    if len(best) > 1:
        raise ValueError(f"{name} can be read with the delimiters {' and '.join(map(repr, best))}; set task.delimiter to one of them")
    return best[0] if best else max(DELIMITERS, key=lambda delimiter: headers.get(delimiter, 0))


def _check_names(names: list[str], file: str, delimiter: str, least_columns: int) -> None:
    if not names:
        raise ValueError(f"{file} is empty; line 1 must name the columns")
    for index, name in enumerate(names):
        if not name:
            raise ValueError(f"column {index + 1} of {file} has no name in line 1; name it there")
        if name in names[:index]:
            first = names.index(name) + 1
            raise ValueError(f"line 1 of {file} names columns {first} and {index + 1} {name!r}; give each its own name")
    if len(names) < least_columns:
        raise ValueError(
            f"{file} has one column, {names[0]!r}, not {least_columns} or more. "
            f"If the fields are separated by another character than {delimiter!r}, set task.delimiter"
        )
    if all(_is_number(name) for name in names) and [float(name) for name in names] != [*map(float, range(len(names)))]:
        raise ValueError(
            f"line 1 of {file} has only numbers ({', '.join(names[:5])}); expected the names of the columns: add a line with them"
        )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
