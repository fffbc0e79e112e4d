"""Checks of saved arrays before compiled kernels see them, and of the memory that a model needs before it is allocated."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def saved_array(state: Mapping[str, Any], name: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Return a copy of an array of a saved state.

    Args:
        state: The saved state.
        name: Key of the array.
        shape: Shape that it must have.
        dtype: Type that it must have.

    Raises:
        ValueError: if it has another shape or type, or a number in it is not finite.

    Example:
        >>> saved_array({"rows": np.zeros((0, 16))}, "rows", (3, 16), np.float64)
        Traceback (most recent call last):
        ValueError: rows is saved as float64 [0, 16]; expected float64 [3, 16]
    """
    array = np.asarray(state[name])
    if array.shape != shape or array.dtype != np.dtype(dtype):
        raise ValueError(f"{name} is saved as {array.dtype} {list(array.shape)}; expected {np.dtype(dtype)} {list(shape)}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"{name} is saved with NaN or infinity in it")
    return array.copy()


def total_memory() -> int:
    """Return the bytes of memory that this process may use: the machine's, or the limit of its container; 0 if unknown."""
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 0
    for path in _CGROUP_LIMITS:
        try:
            text = Path(path).read_text(encoding="ascii").strip()
        except OSError:
            continue
        if text.isdigit():
            total = min(total, int(text))
    return total


def require_memory(needed: int, purpose: str, remedy: str) -> None:
    """Check that a model fits into the memory.

    Args:
        needed: Bytes that it takes.
        purpose: Description of them: "vectors of 5,000 words and 1,000,000 dimensions".
        remedy: Advice: "lower vector_size".

    Raises:
        ValueError: if there is less memory.
    """
    total = total_memory()
    if total and needed > total:
        raise ValueError(f"{purpose} need {needed / 2**30:,.1f} GiB; this machine has {total / 2**30:,.1f} GiB: {remedy}")
