"""Ranges as the comments of config fields state them, and values that a config must not swallow."""

from __future__ import annotations

import re
from typing import Any

from rl_core.config import Range

WRONG: tuple[Any, ...] = ("no such value", 2.5, {"no": {"such": "value"}}, [["no", "such"], "value"])
"""Values of which at least one is of a wrong type, whatever the type of the field."""

ODD: tuple[Any, ...] = (0, -1, 1e308, -1e308, float("inf"), 2**53, "", [], [0], [-1], {}, None)
"""Values at the edges: a config takes them, or refuses them in words."""

_NUMBER = r"(-?\d+(?:\.\d+)?(?:e-?\d+)?)"
_END = r"(?=$|[,;.:)]|\s)"
_COMPARISON = re.compile(rf"(?:^|[,;(] ?|must be |\bis )(>=|>|<=|<) ?{_NUMBER}{_END}")
_ANY_COMPARISON = re.compile(r"[<>]=? ?-?\d")
_INTERVAL = re.compile(rf"(?:^|[,;(] ?|\b)in ([\[(]){_NUMBER}, ?{_NUMBER}([\])])")
_SPAN = re.compile(rf"(?:^|[,;] ){_NUMBER} to {_NUMBER}(?=$|[,;])")
_WORDS = re.compile(
    r"[<>≤≥]|\bin [\[({]|\d to \d|\d ?\.\. ?\d|\bany\b|\bat (least|most)\b|\bbetween\b|\b0 (is|for|means)\b|\b0:|-?inf", re.IGNORECASE
)


def outside(bounds: Range, type_: str) -> list[Any]:
    """Return values just outside of a range, for a field of a type as its source writes it; for a tuple, tuples that hold one."""
    whole = not re.search(r"\bfloat\b", type_)
    if not re.search(r"\b(int|float)\b", type_):
        return []
    beyond = []
    if bounds.low is not None:
        beyond.append(bounds.low - (1 if whole else 1e-3) if bounds.with_low else bounds.low)
    if bounds.high is not None:
        beyond.append(bounds.high + (1 if whole else 1e-3) if bounds.with_high else bounds.high)
    values = [int(value) if whole else float(value) for value in beyond]
    return [[value] for value in values] if type_.startswith("tuple") else values


def stated(help_: str) -> Range | None:
    """The range that a comment states; `None` if it states none, or several (each then belongs to a case).

    >>> str(stated("alpha, step size, > 0")), str(stated("gamma, in [0, 1)")), stated("epsilon in [0, 1]; or temperature, >= 0")
    ('> 0', 'in [0, 1)', None)
    """
    comparisons, intervals, spans = _COMPARISON.findall(help_), _INTERVAL.findall(help_), _SPAN.findall(help_)
    if len(intervals) + len(spans) + len(_ANY_COMPARISON.findall(help_)) != 1:
        return None
    if intervals:
        opening, low, high, closing = intervals[0]
        return Range(float(low), float(high), opening == "[", closing == "]")
    if spans:
        return Range(float(spans[0][0]), float(spans[0][1]), True, True)
    if comparisons:
        sign, number = comparisons[0]
        return Range(float(number), None, sign == ">=", False) if sign[0] == ">" else Range(None, float(number), False, sign == "<=")
    return None


def mentioned(help_: str) -> bool:
    """Whether a comment says in any way which numbers are allowed.

    >>> mentioned("units of a layer, >= 1"), mentioned("any number"), mentioned("how wide")
    (True, True, False)
    """
    return bool(_WORDS.search(help_))
