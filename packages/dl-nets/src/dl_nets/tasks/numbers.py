"""Numbers and dates as tables write them: `1,234.5`, `1.234,5`, `12 %`, `$3.50`, `2024-12-31`."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import NamedTuple

LARGEST = 1e18  # squares of larger numbers leave single precision
CURRENCIES = "$€£¥"
THOUSANDS = {".": ", \u00a0\u202f'", ",": ". \u00a0\u202f'"}
"""Decimal mark to the marks between thousands that may go with it."""
GAPS_AMONG_NUMBERS = frozenset(
    ["none", "-", "--", "---", ".", "*", "nil", "missing", "inf", "+inf", "-inf", "infinity", "+infinity", "-infinity", "1.#inf"]
) | frozenset(["-1.#inf", "#div/0!", "#value!", "#ref!", "#num!", "#name?", "#null!"])
"""Texts, in lower case, that state in a column of numbers that a value is missing; among texts they are texts."""
_UNIT_BEFORE = re.compile(rf"([+-]?)([{CURRENCIES}])\s*(?=[\d.,+-])")
_UNIT_BEHIND = re.compile(rf"(?<=[\d.,])\s*([%{CURRENCIES}])")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}([.,]\d{1,6})?)?(Z|[+-]\d{2}:?\d{2})?)?")
_PLAIN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Quantity(NamedTuple):
    """A number and its unit.

    Attributes:
        value: The number; `5 %` is 5.
        unit: "%", a currency sign, or "".
    """

    value: float
    unit: str = ""


@cache
def _grouped(decimal: str, thousands: str) -> re.Pattern[str]:
    """Return the pattern of a number with this decimal mark, whose thousands may be separated by one of these marks, throughout."""
    point = re.escape(decimal)
    groups = f"|\\d{{1,3}}(?:(?P<mark>[{re.escape(thousands)}])\\d{{3}}(?:(?P=mark)\\d{{3}})*)" if thousands else ""
    return re.compile(rf"[+-]?(?:(?:\d+{groups})(?:{point}\d*)?|{point}\d+)(?:[eE][+-]?\d+)?", re.ASCII)


@dataclass(frozen=True)
class NumberFormat:
    """The marks that numbers are written with.

    Attributes:
        decimal: Mark before the decimals, "." or ",".
        thousands: Marks that may separate groups of three digits; each number uses one of them.
    """

    decimal: str = "."
    thousands: str = ","

    def parse(self, text: str) -> Quantity | None:
        """Return the finite number that a text states, or `None`.

        >>> NumberFormat().parse("1,234.5"), NumberFormat(",", ".").parse("1.234,5 €")
        (Quantity(value=1234.5, unit=''), Quantity(value=1234.5, unit='€'))
        >>> NumberFormat().parse("12,34") is None, NumberFormat().parse("1_000") is None, NumberFormat().parse("inf") is None
        (True, True, True)
        """
        if _PLAIN.fullmatch(text) and self.decimal == ".":
            return _finite(text, "")
        unit = ""
        if before := _UNIT_BEFORE.match(text):
            unit, text = before[2], before[1] + text[before.end() :]
        elif behind := _UNIT_BEHIND.search(text):
            if behind.end() != len(text):
                return None
            unit, text = behind[1], text[: behind.start()]
        if not _grouped(self.decimal, self.thousands).fullmatch(text):
            return None
        for mark in self.thousands:
            text = text.replace(mark, "")
        return _finite(text.replace(self.decimal, "."), unit)


POINT = NumberFormat(".", THOUSANDS["."])
COMMA = NumberFormat(",", THOUSANDS[","])


def is_ambiguous(text: str) -> bool:
    """Return whether a text is one number with a decimal point and another one with a decimal comma.

    >>> is_ambiguous("1,234"), is_ambiguous("1,23"), is_ambiguous("12"), is_ambiguous("1,234,567")
    (True, False, False, False)
    """
    point, comma = POINT.parse(text), COMMA.parse(text)
    return point is not None and comma is not None and point != comma


def days(text: str) -> float | None:
    """Return the days since 1970-01-01 of a date or a time in ISO 8601, UTC where it states no zone; `None` for another text.

    >>> days("1970-01-03"), days("1970-01-01 12:00"), days("3.1.1970")
    (2.0, 0.5, None)
    """
    if not _DATE.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH) / timedelta(days=1)


def plain(number: float) -> str:
    """Return the shortest text of a number.

    >>> plain(1.0), plain(0.5)
    ('1', '0.5')
    """
    return str(int(number)) if number == int(number) and abs(number) < 2**53 else repr(number)


def format_of(fields: Iterable[str]) -> NumberFormat | None:
    """Return the format that most of the fields with a comma or two points can only be written in; `None` where none decides it.

    >>> format_of(["1,5", "2"]) == COMMA, format_of(["1,234.5", "2"]) == POINT, format_of(["1", "a", "1,234"])
    (True, True, None)
    """
    votes = {".": 0, ",": 0}
    for text in fields:
        if "," in text or text.count(".") > 1:  # a single point is the decimal mark unless another field tells otherwise
            point, comma = POINT.parse(text), COMMA.parse(text)
            if (point is None) != (comma is None):
                votes["." if comma is None else ","] += 1
    if votes["."] == votes[","]:
        return None
    return POINT if votes["."] > votes[","] else COMMA


def _finite(text: str, unit: str) -> Quantity | None:
    number = float(text)
    return Quantity(number, unit) if math.isfinite(number) else None
