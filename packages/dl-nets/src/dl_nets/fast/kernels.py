"""Compiled loops: how they are declared, and a word to the user while they are built, which happens once on a machine."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numba
from numba.core import types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

kernel = numba.njit(cache=True, error_model="numpy")
"""A compiled function whose machine code is kept beside its source."""

vectorised = numba.njit(cache=True, error_model="numpy", fastmath=True)
"""A compiled function whose sums may run in another order than written, always in the same one; twice to six times as fast.

A loop that adds up must write to no array: the processor then takes another loop, with another order of the sum, where the written
array happens to lie close behind a read one: the tests of rl-algos move arrays about."""

inlined = numba.njit(cache=True, error_model="numpy", inline="always")
"""A short function that is written into the loops that call it: a call with arrays costs as much as a table look-up."""

PATIENCE = 2.0  # seconds
_seen: set[str] = set()


@contextmanager
def announced(what: str, patience: float = PATIENCE) -> Iterator[None]:
    """Says on standard error what is being compiled, once per process, if the first call takes longer than `patience` seconds."""
    if what in _seen:
        yield
        return
    _seen.add(what)
    text = f"compiling {what} for this machine; the result is kept, and later runs start at once"
    timer = threading.Timer(patience, print, (text,), {"file": sys.stderr, "flush": True})
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@intrinsic
def borrowed(typing_context: Any, value: Any) -> Any:
    """Return an array, or a (named) tuple with all its arrays, without reference counts, inside a kernel; the caller keeps them alive.

    numba counts references with atomic instructions whenever an array is handed on to an inlined function. In a loop of table look-ups
    that took half of the time (`benchmarks/tabular_speed.py` measures the loops).
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _uncounted(context, builder, signature.args[0], arguments[0])

    return value(value), generate


def _uncounted(context: Any, builder: Any, kind: Any, value: Any) -> Any:
    """Return the LLVM value of an array or tuple with the pointers to its reference counts set to null."""
    if isinstance(kind, types.Array):
        copied = make_array(kind)(context, builder, value)
        copied.meminfo = copied.meminfo.type(None)
        return copied._getvalue()
    if isinstance(kind, types.BaseTuple):
        items = [_uncounted(context, builder, item, builder.extract_value(value, index)) for index, item in enumerate(kind)]
        return context.make_tuple(builder, kind, items)
    return value
