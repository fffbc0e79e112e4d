"""Products of matrices that are mostly 0, such as differences of pictures.

A picture of 80 x 80 in which a ball and two paddles moved has some twenty numbers that are not 0. Its product with the weights of 200
units then costs a quarter of what BLAS takes, which multiplies all zeros. The reference is NumPy's product.

Departures: none. Letters: B rows, I columns, O outputs, Z numbers that are not 0.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rl_core.compiling import kernel


class SparseRows(NamedTuple):
    """The numbers of a matrix [B, I] that are not 0, row after row.

    >>> rows = SparseRows.of(np.array([[0, 0, 0, 3], [0, 0, 0, 0]], dtype=np.float32), 0.5)
    >>> rows.column.tolist(), rows.value.tolist(), rows.start.tolist()
    ([3], [3.0], [0, 1, 1])
    >>> SparseRows.of(np.ones((2, 4), dtype=np.float32), 0.5) is None
    True
    """

    column: np.ndarray  # place of each in its row [Z], int32, ascending within a row
    value: np.ndarray  # [Z], float32
    start: np.ndarray  # the first of each row, and Z [B + 1], int64

    @classmethod
    def of(cls, matrix: np.ndarray, most: float) -> SparseRows | None:
        """Return the numbers of a matrix [B, I] that are not 0; `None` if they are more than the fraction `most` of all."""
        column, value, start = _nonzero(matrix, int(most * matrix.size))
        return cls(column[: start[-1]], value[: start[-1]], start) if start[-1] <= len(column) else None

    def times(self, weight: np.ndarray, out: np.ndarray) -> None:
        """Write the product X W^T [B, O] of these rows X and weights W [O, I] into `out`.

        >>> out = np.empty((1, 2), dtype=np.float32)
        >>> SparseRows.of(np.array([[0, 0, 0, 3]], dtype=np.float32), 0.5).times(np.arange(8, dtype=np.float32).reshape(2, 4), out)
        >>> out.tolist()  # 3 times the last column
        [[9.0, 21.0]]
        """
        _times(self.column, self.value, self.start, weight, out)

    def outer(self, error: np.ndarray, out: np.ndarray) -> None:
        """Write the product E^T X [O, I] of errors E [B, O] and these rows X into `out`.

        >>> out = np.empty((2, 4), dtype=np.float32)
        >>> SparseRows.of(np.array([[0, 0, 0, 3]], dtype=np.float32), 0.5).outer(np.array([[1, 2]], dtype=np.float32), out)
        >>> out.tolist()
        [[0.0, 0.0, 0.0, 3.0], [0.0, 0.0, 0.0, 6.0]]
        """
        transposed = np.zeros(out.shape[::-1], dtype=np.float32)  # writes are then side by side
        _add_outer(self.column, self.value, self.start, error, transposed)
        out[:] = transposed.T


@kernel  # not `vectorised`: every sum runs in the order of the columns, however many rows there are
def _nonzero(matrix: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return columns and values [most] of numbers other than 0, and row starts [B + 1], whose last exceeds `most` if there are more."""
    column, value = np.empty(most, dtype=np.int32), np.empty(most, dtype=np.float32)
    start, count = np.zeros(matrix.shape[0] + 1, dtype=np.int64), 0
    for b in range(matrix.shape[0]):
        for i in range(matrix.shape[1]):
            if matrix[b, i] != 0:
                if count == most:
                    start[-1] = most + 1
                    return column, value, start
                column[count], value[count] = i, matrix[b, i]
                count += 1
        start[b + 1] = count
    return column, value, start


@kernel
def _times(column: np.ndarray, value: np.ndarray, start: np.ndarray, weight: np.ndarray, out: np.ndarray) -> None:
    """Write X W^T [B, O] into `out`, from weights [O, I]."""
    for b in range(out.shape[0]):
        for o in range(out.shape[1]):
            total = np.float32(0.0)
            for z in range(start[b], start[b + 1]):
                total += value[z] * weight[o, column[z]]
            out[b, o] = total


@kernel
def _add_outer(column: np.ndarray, value: np.ndarray, start: np.ndarray, error: np.ndarray, out: np.ndarray) -> None:
    """Add X^T E [I, O] to `out`."""
    for b in range(error.shape[0]):
        for z in range(start[b], start[b + 1]):
            for o in range(error.shape[1]):
                out[column[z], o] += value[z] * error[b, o]
