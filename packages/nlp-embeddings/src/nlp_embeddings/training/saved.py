"""Checks of saved arrays before compiled kernels see them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


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
