"""Values that a config must refuse, or must refuse in words if it refuses them."""

from __future__ import annotations

import re
import typing
from typing import Any

from rl_core.config import range_of

WRONG: tuple[Any, ...] = ("no such value", 2.5, {"no": {"such": "value"}}, [["no", "such"], "value"])
"""Values of which at least one is of a wrong type, whatever the type of the field."""

ODD: tuple[Any, ...] = (0, -1, 1e308, -1e308, float("inf"), 2**53, "", [], [0], [-1], {}, None)
"""Values at the edges: a config takes them, or refuses them in words."""

STATED = re.compile(r"any number|[<>]=? ?-?\w|\bin \[|\d to \d|\b0( is|:| means)|\bnone for\b")
"""Ranges in the words of a `Doc`, for numbers whose range depends on another field."""


def outside(hint: Any) -> list[Any]:
    """Return values just outside the range that an annotation states; of a tuple, lists that hold one.

    >>> from typing import Annotated
    >>> from rl_core.config import Count, Meta
    >>> outside(Annotated[float, Meta(gt=0, le=1)]), outside(tuple[Count, ...]), outside(str)
    ([0.0, 1.001], [[0]], [])
    """
    bounds, types = range_of(hint), set(_types(hint))
    if not types & {int, float}:
        return []
    whole = float not in types
    beyond = []
    if bounds.low is not None:
        beyond.append(bounds.low - (1 if whole else 1e-3) if bounds.with_low else bounds.low)
    if bounds.high is not None:
        beyond.append(bounds.high + (1 if whole else 1e-3) if bounds.with_high else bounds.high)
    values = [int(value) if whole else float(value) for value in beyond]
    return [[value] for value in values] if tuple in types else values


def is_number(hint: Any) -> bool:
    """Return whether an annotation is that of one number, or of one number or nothing."""
    return bool({int, float} & set(_types(hint))) and not {tuple, str, dict, list} & set(_types(hint))


def _types(hint: Any) -> list[Any]:
    """Return the types within an annotation, containers included."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return [str]
    if origin is typing.Annotated:
        return _types(parts[0])
    return [origin, *(inner for part in parts if part is not ... for inner in _types(part))] if parts else [hint]
