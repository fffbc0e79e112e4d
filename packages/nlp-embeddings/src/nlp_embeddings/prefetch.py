"""A hint to the processor: this row of a matrix is needed soon."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

_FLOATS_A_LINE = 16


@intrinsic
def _prefetch_line(typing_context: Any, array: Any, row: Any, column: Any) -> Any:
    """The processor's prefetch instruction for the cache line of one element; LLVM drops it where there is none."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = signature.args[0]
        view = context.make_array(kind)(context, builder, arguments[0])
        shape = cgutils.unpack_tuple(builder, view.shape, 2)
        strides = cgutils.unpack_tuple(builder, view.strides, 2)
        element = cgutils.get_item_pointer2(context, builder, view.data, shape, strides, kind.layout, list(arguments[1:]))
        int32, byte = ir.IntType(32), ir.IntType(8).as_pointer()
        kind_of_function = ir.FunctionType(ir.VoidType(), [byte, int32, int32, int32])
        function = cgutils.get_or_insert_function(builder.module, kind_of_function, "llvm.prefetch.p0")
        builder.call(function, [builder.bitcast(element, byte), int32(0), int32(3), int32(1)])  # for reading, keep near, data
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp), generate


@njit(cache=True, nogil=True)
def prefetch_row(matrix, row):
    """Ask for a row [D] of a float32 matrix; changes nothing but the time that the next access takes."""
    for column in range(0, matrix.shape[1], _FLOATS_A_LINE):
        _prefetch_line(matrix, row, column)
