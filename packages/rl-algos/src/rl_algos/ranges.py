"""Refusing config fields that are out of range, in words."""

from __future__ import annotations

from typing import Any


def require_range(config: Any, name: str, low: float, high: float, *, open_low: bool = False) -> None:
    """Refuse a config field outside [low, high], or (low, high].

    Raises:
        ValueError: that says what came and what is needed.
    """
    value = getattr(config, name)
    if not (low < value if open_low else low <= value) or not value <= high:
        needed = f"{'(' if open_low else '['}{low:g}, {high:g}]" if high < float("inf") else f"{'>' if open_low else '>='} {low:g}"
        raise ValueError(f"{name} is {value}; it must be {'in ' if high < float('inf') else ''}{needed}")
