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


def require_at_least(config: Any, least: float, *names: str) -> None:
    """Refuse config fields below `least`.

    Raises:
        ValueError: that says what came and what is needed.
    """
    for name in names:
        if not getattr(config, name) >= least:
            raise ValueError(f"{name} is {getattr(config, name)}; it must be >= {least}")


def require_positive(config: Any, *names: str) -> None:
    """Refuse config fields that are not above 0; one that is `None` is left out.

    Raises:
        ValueError: that says what came and what is needed.
    """
    for name in names:
        if getattr(config, name) is not None and not getattr(config, name) > 0:
            raise ValueError(f"{name} is {getattr(config, name)}; it must be > 0")


def require_fraction(config: Any, *names: str) -> None:
    """Refuse config fields outside [0, 1].

    Raises:
        ValueError: that says what came and what is needed.
    """
    for name in names:
        if not 0 <= getattr(config, name) <= 1:
            raise ValueError(f"{name} is {getattr(config, name)}; it must be in [0, 1]")
