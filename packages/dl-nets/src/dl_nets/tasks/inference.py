"""Kinds of columns, inferred from the texts of a table: numbers, dates or categories."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from dl_nets.tasks.columns import Column
from dl_nets.tasks.numbers import COMMA, GAPS_AMONG_NUMBERS, POINT, NumberFormat, Quantity, days, format_of, is_ambiguous
from dl_nets.tasks.sheet import Sheet

USUAL_GAPS = ("", "?", "NA", "N/A", "n.a.", "#N/A", "<NA>", "NaN", "NULL", "NaT")
MOSTLY = 0.5  # share of the values above which a column is one of numbers (dates), and every other text in it is a fault


class Marks(NamedTuple):
    """The settings that numbers are recognised by.

    Attributes:
        decimal: ".", "," or "auto".
        thousands: "auto", or the marks that may separate thousands.
    """

    decimal: Literal["auto", ".", ","] = "auto"
    thousands: str = "auto"

    def formats(self) -> list[NumberFormat]:
        """Return the formats to try."""
        chosen = [form for form in (POINT, COMMA) if self.decimal in ("auto", form.decimal)]
        return (
            chosen
            if self.thousands == "auto"
            else [NumberFormat(form.decimal, self.thousands.replace(form.decimal, "")) for form in chosen]
        )


def file_format(sheet: Sheet, names: Sequence[str], marks: Marks) -> NumberFormat | None:
    """Return the format that the numbers of the named columns are written in, as far as it is known."""
    formats = marks.formats()
    if len(formats) == 1:
        return formats[0]
    found = format_of(text for name in names for text in sheet.columns[name])
    return next((form for form in formats if found is not None and form.decimal == found.decimal), None)


def infer(sheet: Sheet, name: str, gaps: frozenset[str], marks: Marks, usual: NumberFormat | None) -> Column:
    """Return the kind of a column, without statistics.

    Args:
        sheet: The table.
        name: Name of the column.
        gaps: Texts, in lower case, that state that a value is missing.
        marks: The settings that numbers are recognised by.
        usual: The format of the other numbers of the file, where it is known.

    Raises:
        ValueError: for a text among numbers or dates, numbers in two units, and numbers that can be read in two ways.
    """
    fields = sheet.columns[name]
    present = [row for row, text in enumerate(fields) if text.casefold() not in gaps]
    candidates = [row for row in present if fields[row].casefold() not in GAPS_AMONG_NUMBERS]
    form, quantities = _best(fields, candidates, [usual] if usual else [], marks.formats())
    if candidates and len(quantities) > MOSTLY * len(present):
        _require_all(sheet, name, candidates, quantities, "numbers")
        if usual is None and any("," in fields[row] and is_ambiguous(fields[row]) for row in candidates):
            row = next(row for row in candidates if "," in fields[row] and is_ambiguous(fields[row]))
            if all(other.parse(fields[row]) for row in candidates for other in marks.formats()):
                one, two = (other.parse(fields[row]) for other in marks.formats())
                assert one is not None
                assert two is not None
                raise ValueError(
                    f"{sheet.place(row)} holds {fields[row]!r} in column {name!r}, which is {one.value:g} with a decimal point and "
                    f"{two.value:g} with a decimal comma; set task.decimal to '.' or ','"
                )
        return Column(name, decimal=form.decimal, thousands=form.thousands, unit=_unit(sheet, name, quantities))
    dates = {row for row in present if days(fields[row]) is not None}
    if dates and len(dates) > MOSTLY * len(present):
        _require_all(sheet, name, candidates, dates, "dates as 2024-12-31")
        return Column(name, "date")
    return Column(name, "text")


def _best(
    fields: Sequence[str], rows: Sequence[int], preferred: list[NumberFormat], formats: list[NumberFormat]
) -> tuple[NumberFormat, dict[int, Quantity]]:
    """Return the format in which most of the rows are numbers, the preferred one among equals, and those numbers by row."""
    best: tuple[NumberFormat, dict[int, Quantity]] = (formats[0], {})
    for form in [*preferred, *formats]:
        found = {row: quantity for row in rows if (quantity := form.parse(fields[row])) is not None}
        if len(found) > len(best[1]):
            best = form, found
        if len(found) == len(rows):
            break
    return best


def _require_all(sheet: Sheet, name: str, rows: Sequence[int], fitting: object, kind: str) -> None:
    odd = [row for row in rows if row not in fitting]  # type: ignore[operator]
    if odd:
        raise ValueError(
            f"{sheet.place(odd[0])} holds {sheet.columns[name][odd[0]]!r} in column {name!r}, which holds {kind}"
            f"{f' (and {len(odd) - 1} more rows do)' if len(odd) > 1 else ''}; correct it, add the text to task.missing_values, take the "
            f"column as texts with --set task.texts=[{name}], or leave it out with --set task.ignore=[{name}]"
        )


def _unit(sheet: Sheet, name: str, quantities: dict[int, Quantity]) -> str:
    """Return the unit of all the numbers.

    Raises:
        ValueError: if they have different units.
    """
    first: dict[str, int] = {}
    for row, quantity in quantities.items():
        first.setdefault(quantity.unit, row)
    if len(first) > 1:
        row, other_row = list(first.values())[:2]
        raise ValueError(
            f"column {name!r} of {sheet.name} mixes units: {sheet.columns[name][row]!r} in line {sheet.lines[row]} and "
            f"{sheet.columns[name][other_row]!r} in line {sheet.lines[other_row]}; write all of its numbers in one unit"
        )
    return next(iter(first), "")
