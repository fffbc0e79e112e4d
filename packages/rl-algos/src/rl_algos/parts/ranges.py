"""Refusing numbers, arrays and sizes that are out of range, in words."""

from __future__ import annotations

import math
from pathlib import Path
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


def require_memory(what: str, num_bytes: int) -> None:
    """Refuse what would not fit into the memory that this machine has free, before it is made.

    >>> require_memory("a table of 10**9 states and 10**9 actions", 8 * 10**18)
    Traceback (most recent call last):
    ValueError: a table of 10**9 states and 10**9 actions takes 7450580597 GiB, more memory than this machine has free; make it smaller

    Raises:
        ValueError: naming it and its size.
    """
    if num_bytes > free_memory():
        raise ValueError(f"{what} takes {num_bytes / 2**30:.0f} GiB, more memory than this machine has free; make it smaller")


def free_memory() -> float:
    """Return the bytes of memory that can be used without swapping, or infinity where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return 1024.0 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        return math.inf
