"""Refusing saved arrays that are out of range, in words."""

from __future__ import annotations

from typing import Any

import numpy as np


def require_array(name: str, saved: Any, own: np.ndarray, low: Any = None, high: Any = None) -> np.ndarray:
    """Return a saved array, which must have the shape and type of the object's own, and whose numbers must be in [low, high).

    Compiled loops index with such arrays without checking, so that a wrong one would read and write beside the tables.

    Args:
        name: Name in the error.
        saved: Array from a saved state.
        own: Array that it replaces.
        low: Least number allowed; `None` for any.
        high: Number above the largest allowed, or an array of such numbers that broadcasts; `None` for any.

    Raises:
        ValueError: naming the array, what is saved and what is expected.
    """
    saved = np.asarray(saved)
    if saved.shape != own.shape or saved.dtype != own.dtype:
        raise ValueError(f"{name} is saved as {saved.dtype}{list(saved.shape)}; it must be {own.dtype}{list(own.shape)}")
    if low is not None and (saved < low).any():
        raise ValueError(f"{name} is saved with {saved.min()} in it; its least is {low}")
    if high is not None and (saved >= high).any():
        raise ValueError(f"{name} is saved with {saved.max()} in it; it must be below {high}")
    return saved
