"""Compiled loops: the decorators of `rl_core.compiling`, and an intrinsic that they need."""

from __future__ import annotations

from typing import Any

from numba.core import types
from numba.core.types.containers import BaseTuple
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from rl_core.compiling import PLAIN, announced, inlined, jit, kernel, shared, vectorised

__all__ = ["announced", "borrowed", "copy_into", "inlined", "jit", "kernel", "shared", "vectorised"]


@inlined
def copy_into(target: Any, source: Any) -> None:
    """Copy numbers [D] into the first of `target`, inside a kernel.

    An assignment to a slice would do the same, but for it numba compiles the text of an error about shapes, for some seconds.
    """
    for d in range(len(source)):
        target[d] = source[d]


@intrinsic
def _borrowed(typing_context: Any, value: Any) -> Any:
    """Return an array, or a (named) tuple with all its arrays, without reference counts, inside a kernel; the caller keeps them alive.

    numba counts references with atomic instructions whenever an array is passed to an inlined function. In a loop of table look-ups
    this took half of the time (`benchmarks/tabular_speed.py` measures the loops).
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _uncounted(context, builder, signature.args[0], arguments[0])

    return value(value), generate


def _unchanged(value: Any) -> Any:
    """Return the value: `borrowed` in plain Python."""
    return value


borrowed: Any = _unchanged if PLAIN else _borrowed


def _uncounted(context: Any, builder: Any, kind: Any, value: Any) -> Any:
    """Return the LLVM value of an array or tuple with the pointers to its reference counts set to null."""
    if isinstance(kind, types.Array):
        copied = make_array(kind)(context, builder, value)
        copied.meminfo = copied.meminfo.type(None)
        return copied._getvalue()
    if isinstance(kind, BaseTuple):
        items = [_uncounted(context, builder, item, builder.extract_value(value, index)) for index, item in enumerate(kind)]
        return context.make_tuple(builder, kind, items)
    context.nrt.incref(builder, kind, value)  # anything else, such as a random generator, stays counted
    return value
