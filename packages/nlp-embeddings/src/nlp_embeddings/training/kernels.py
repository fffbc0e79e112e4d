"""How kernels are compiled, and a word, once, when that comes before the work."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

FAST = {"reassoc", "nsz", "contract", "arcp", "afn"}
"""What the compiler may do with floating point (numba's `fastmath`). Not nnan and ninf: a run that diverges must be seen to."""


def announce_compiling(what: str, *kernels: Any) -> bool:
    """Tell on standard error that compiling comes first, unless all kernels stand in numba's cache; whether it was told.

    Args:
        what: What the kernels are for: "skip-gram".
        kernels: Functions made by `numba.njit(cache=True)`.
    """
    missing = [kernel for kernel in kernels if not kernel.signatures and not _cached(kernel)]
    if missing:
        print(f"compiling the kernels of {what}: a few seconds, once on this machine", file=sys.stderr)
    return bool(missing)


def _cached(kernel: Any) -> bool:
    folder = Path(kernel.stats.cache_path) if kernel.stats.cache_path else None
    if folder is None or not folder.is_dir():
        return False
    function = kernel.py_func
    module = function.__module__.rsplit(".", 1)[-1]
    return any(folder.glob(f"{module}.{function.__qualname__}-*.nbi"))
