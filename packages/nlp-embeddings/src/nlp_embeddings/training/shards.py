"""Sentences divided among threads: all at once on shared matrices (fast), or in shards whose sum does not depend on threads."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np

from nlp_embeddings.training.sampling import aligned_matrix
from rl_core.compiling import jit

SHARDS = 4  # of a deterministic block; a number of its own, so that the number of threads changes nothing
BLOCK_WORDS = 250  # words of a shard between two exchanges: more is faster, and learns from older vectors
T = TypeVar("T")


def parallel(calls: Sequence[Callable[[], T]], threads: int) -> list[T]:
    """Results of calls, at most `threads` at a time, in the order of the calls."""
    if threads == 1 or len(calls) == 1:
        return [call() for call in calls]
    with ThreadPoolExecutor(threads) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


def split_sentences_evenly(starts: np.ndarray, parts: int) -> list[tuple[int, int]]:
    """Ranges of sentences with about as many words each; fewer than `parts` where there are fewer sentences.

    Example:
        >>> split_sentences_evenly(np.array([0, 4, 6, 8]), 2)
        [(0, 1), (1, 3)]
    """
    goals = starts[0] + (starts[-1] - starts[0]) * np.arange(1, parts) // parts
    cuts = [0, *np.searchsorted(starts, goals).tolist(), len(starts) - 1]
    return [(a, b) for a, b in itertools.pairwise(cuts) if b > a]


class Copy:
    """A shard's own copy of the rows that it touches of a shared matrix.

    Args:
        num_rows: Most rows that a block can touch.
        shared: The matrix [R, D].
        blanks: Rows kept free at the end of the copy.
    """

    def __init__(self, num_rows: int, shared: np.ndarray, blanks: int) -> None:
        self.slots = np.full(len(shared), -1, dtype=np.int64)
        self.touched = np.zeros(num_rows, dtype=np.int64)
        self.count = np.zeros(1, dtype=np.int64)
        self.shared = shared
        self.local = aligned_matrix(num_rows + blanks, shared.shape[1])

    def arrays(self) -> tuple[np.ndarray, ...]:
        """What `local_row` takes: slots, touched, count, shared, local."""
        return self.slots, self.touched, self.count, self.shared, self.local

    def difference(self) -> None:
        """Turn the copied rows into what changed in them."""
        _difference(self.local, self.touched, self.count[0], self.shared)

    def add(self) -> None:
        """Add what changed to the shared matrix, and forget the copies."""
        _add(self.local, self.touched, self.count[0], self.shared, self.slots)
        self.count[0] = 0


@jit(nogil=True)
def _difference(local: Any, touched: Any, count: Any, shared: Any) -> None:
    for slot in range(count):
        row = touched[slot]
        for k in range(local.shape[1]):
            local[slot, k] -= shared[row, k]


@jit(nogil=True)
def _add(local: Any, touched: Any, count: Any, shared: Any, slots: Any) -> None:
    for slot in range(count):
        row = touched[slot]
        slots[row] = -1
        for k in range(local.shape[1]):
            shared[row, k] += local[slot, k]
