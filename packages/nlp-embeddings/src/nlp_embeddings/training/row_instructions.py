"""LLVM intrinsics that numba lacks: operations on matrix rows in vectors of sixteen lanes, and prefetching of rows.

The compiler cannot know that the rows of a loop are different: `update_targets` of `word2vec_kernels`, written as plain loops, compared
every two of seven rows before each pass over them and ended each pass one number at a time, which together took half of the time.

`plain_products` and `plain_step_rows` are the same in plain loops. The environment variable `NLP_EMBEDDINGS_ROWS=plain` makes kernels use
them, for a processor or a version of LLVM on which the intrinsics fail.

Letters: D width of a row, a multiple of sixteen; n rows c_i taken at once.
"""

from __future__ import annotations

import os
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from rl_core import compiling
from rl_core.compiling import jit

PLAIN = compiling.PLAIN or os.environ.get("NLP_EMBEDDINGS_ROWS") == "plain"
"""Whether kernels use plain loops."""

LANES = 16
_FLOAT = ir.FloatType()
_VECTOR = ir.VectorType(_FLOAT, LANES)
_FLAGS = ("reassoc", "nsz", "contract")


@jit(nogil=True)
def prefetch_row(matrix: Any, row: Any) -> Any:
    """Prefetch a row [D] of a float32 matrix; changes only the time that the next access takes."""
    if PLAIN:  # also tells the kept machine code of both versions apart
        return
    for column in range(0, matrix.shape[1], LANES):  # a cache line is sixteen float32
        _prefetch_line(matrix, row, column)


@jit(nogil=True)
def plain_products(hidden: Any, row: Any, output: Any, targets: Any, begin: Any, found: Any, num: Any) -> Any:
    """Compute `row_products` in plain loops."""
    for i in range(num):
        total = hidden[row, 0] * output[targets[begin + i], 0]
        for k in range(1, hidden.shape[1]):
            total += hidden[row, k] * output[targets[begin + i], k]
        found[i] = total


@jit(nogil=True)
def plain_step_rows(hidden: Any, row: Any, output: Any, targets: Any, begin: Any, steps: Any, num: Any) -> Any:
    """Compute `row_steps` in plain loops."""
    for k in range(hidden.shape[1]):
        before = hidden[row, k]
        moved = before
        for i in range(num):
            target = targets[begin + i]
            moved += steps[i] * output[target, k]
            output[target, k] += steps[i] * before
        hidden[row, k] = moved


@intrinsic
def _prefetch_line(typing_context: Any, array: Any, row: Any, column: Any) -> Any:
    """Emit the processor's prefetch instruction for the cache line of one element; LLVM drops it if there is none."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        element = _element(context, builder, signature.args[0], arguments[0], list(arguments[1:]))
        int32, byte = ir.IntType(32), ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [byte, int32, int32, int32])
        prefetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(prefetch, [builder.bitcast(element, byte), int32(0), int32(3), int32(1)])  # for reading, keep near, data
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp), generate


@intrinsic(prefer_literal=True)
def row_products(typing_context: Any, hidden: Any, row: Any, output: Any, targets: Any, begin: Any, found: Any, num: Any) -> Any:
    """Compute h . c_i of one row with several.

    Args:
        typing_context: Added by numba; not an argument of the call.
        hidden: Matrix that contains h [., D], float32.
        row: Row of h in it.
        output: Matrix that contains the c_i [., D], float32.
        targets: Rows of the c_i in it: n entries of this array, int64.
        begin: First of these entries.
        found: Filled with the n products, float32.
        num: n, a literal number in the call.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        h, rows, blocks = _rows(context, builder, signature, arguments)
        zero = ir.Constant(_VECTOR, [0.0] * LANES)
        sums = [cgutils.alloca_once_value(builder, zero) for _ in rows]
        with cgutils.for_range(builder, blocks) as loop:
            lanes = _load(builder, h, loop.index)
            for total, c in zip(sums, rows, strict=True):
                product = builder.fmul(lanes, _load(builder, c, loop.index), flags=_FLAGS)
                builder.store(builder.fadd(builder.load(total), product, flags=_FLAGS), total)
        kind = ir.FunctionType(_FLOAT, [_FLOAT, _VECTOR])
        add_up = cgutils.get_or_insert_function(builder.module, kind, f"llvm.vector.reduce.fadd.v{LANES}f32")
        for number, total in enumerate(sums):
            product = builder.call(add_up, [ir.Constant(_FLOAT, 0.0), builder.load(total)], fastmath=("reassoc",))
            builder.store(product, _element(context, builder, signature.args[5], arguments[5], [context.get_constant(types.intp, number)]))
        return context.get_dummy_value()

    return types.void(hidden, types.intp, output, targets, types.intp, found, num), generate


@intrinsic(prefer_literal=True)
def row_steps(typing_context: Any, hidden: Any, row: Any, output: Any, targets: Any, begin: Any, steps: Any, num: Any) -> Any:
    """Add sum_i g_i c_i to h and g_i h to each c_i, in place, both computed from the rows before the call.

    Args:
        typing_context: Added by numba; not an argument of the call.
        hidden: Matrix that contains h [., D], float32.
        row: Row of h in it.
        output: Matrix that contains the c_i [., D], float32.
        targets: Rows of the c_i in it, all different: n entries of this array, int64.
        begin: First of these entries.
        steps: g_i [n], float32.
        num: n, a literal number in the call.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        h, rows, blocks = _rows(context, builder, signature, arguments)
        places = [context.get_constant(types.intp, number) for number in range(len(rows))]
        sizes = [_element(context, builder, signature.args[5], arguments[5], [place]) for place in places]
        spread = [_spread(builder, builder.load(size)) for size in sizes]
        with cgutils.for_range(builder, blocks) as loop:
            lanes = _load(builder, h, loop.index)
            others = [_load(builder, c, loop.index) for c in rows]
            moved = lanes
            for g, other in zip(spread, others, strict=True):
                moved = builder.fadd(moved, builder.fmul(g, other, flags=_FLAGS), flags=_FLAGS)
            _store(builder, moved, h, loop.index)
            for c, g, other in zip(rows, spread, others, strict=True):
                _store(builder, builder.fadd(other, builder.fmul(g, lanes, flags=_FLAGS), flags=_FLAGS), c, loop.index)
        return context.get_dummy_value()

    return types.void(hidden, types.intp, output, targets, types.intp, steps, num), generate


def _rows(context: Any, builder: Any, signature: Any, arguments: Any) -> tuple[Any, list[Any], Any]:
    """Return pointers to h and to each c_i, and the number of blocks of sixteen numbers in a row."""
    hidden, row, output, targets, begin = arguments[:5]
    zero = context.get_constant(types.intp, 0)
    h = _element(context, builder, signature.args[0], hidden, [row, zero])
    rows = []
    for number in range(signature.args[6].literal_value):
        place = builder.add(begin, context.get_constant(types.intp, number))
        target = builder.load(_element(context, builder, signature.args[3], targets, [place]))
        rows.append(_element(context, builder, signature.args[2], output, [target, zero]))
    width = cgutils.unpack_tuple(builder, context.make_array(signature.args[0])(context, builder, hidden).shape, 2)[1]
    return h, rows, builder.udiv(width, context.get_constant(types.intp, LANES))


def _element(context: Any, builder: Any, kind: Any, array: Any, place: list[Any]) -> Any:
    """Return a pointer to an element of an array."""
    view = context.make_array(kind)(context, builder, array)
    shape, strides = (cgutils.unpack_tuple(builder, part, kind.ndim) for part in (view.shape, view.strides))
    return cgutils.get_item_pointer2(context, builder, view.data, shape, strides, kind.layout, place)


def _sixteen(builder: Any, row: Any, block: Any) -> Any:
    """Return a pointer to sixteen numbers of a row."""
    place = builder.gep(row, [builder.mul(block, ir.Constant(block.type, LANES))])
    return builder.bitcast(place, _VECTOR.as_pointer())


def _load(builder: Any, row: Any, block: Any) -> Any:
    return builder.load(_sixteen(builder, row, block), align=4)


def _store(builder: Any, lanes: Any, row: Any, block: Any) -> None:
    builder.store(lanes, _sixteen(builder, row, block), align=4)


def _spread(builder: Any, number: Any) -> Any:
    """Return a vector with a number in all sixteen lanes."""
    nothing, first = ir.Constant(_VECTOR, ir.Undefined), ir.Constant(ir.IntType(32), 0)
    lanes = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(builder.insert_element(nothing, number, first), nothing, lanes)


products: Any = plain_products if PLAIN else row_products
"""Products of one row with several: `row_products`, or its plain version."""

step_rows: Any = plain_step_rows if PLAIN else row_steps
"""Steps of one row and several: `row_steps`, or its plain version."""
