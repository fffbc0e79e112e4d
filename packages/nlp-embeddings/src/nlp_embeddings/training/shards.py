"""Parallel learning from sentences: threads on shared matrices (fast), or shards whose sum does not depend on the number of threads."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

import numpy as np

from nlp_embeddings.training.sampling import aligned_matrix
from nlp_embeddings.training.stream import SIX, Progress, Stream
from rl_core.compiling import jit

SHARDS = 4
"""Shards of a deterministic block; constant, so that the number of threads changes nothing."""

BLOCK_WORDS = 250
"""Words of a shard between two exchanges: more is faster, and learns from older vectors."""

T = TypeVar("T")


class RowCopies(NamedTuple):
    """A shard's copies of the rows that it uses of a shared matrix.

    Attributes:
        slots: Slot of each row, -1 if it is not copied [R].
        touched: Row of each slot.
        num: Number of slots in use [1].
        shared: The matrix [R, D].
        local: The copies, and blank rows at the end.
    """

    slots: np.ndarray
    touched: np.ndarray
    num: np.ndarray
    shared: np.ndarray
    local: np.ndarray


class Copies(NamedTuple):
    """A shard's copies of both matrices.

    Attributes:
        inputs: Copies of rows of the input matrix.
        outputs: Copies of rows of the output matrix.
    """

    inputs: RowCopies
    outputs: RowCopies


Kernel = Callable[[Stream, np.ndarray, np.ndarray, Copies | None], Progress]
"""Function that trains on sentences: (stream, inputs, outputs, copies)."""


def parallel(calls: Sequence[Callable[[], T]], threads: int) -> list[T]:
    """Run calls, at most `threads` at a time, and return their results in order."""
    if threads == 1 or len(calls) == 1:
        return [call() for call in calls]
    with ThreadPoolExecutor(min(threads, len(calls))) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


def split_sentences_evenly(starts: np.ndarray, parts: int) -> list[tuple[int, int]]:
    """Return ranges of sentences with about equally many words; fewer than `parts` if there are fewer sentences.

    Example:
        >>> split_sentences_evenly(np.array([0, 4, 6, 8]), 2)
        [(0, 1), (1, 3)]
    """
    goals = starts[0] + (starts[-1] - starts[0]) * np.arange(1, parts) // parts
    cuts = [0, *np.searchsorted(starts, goals).tolist(), len(starts) - 1]
    return [(a, b) for a, b in itertools.pairwise(cuts) if b > a]


def learn_on_shared(kernel: Kernel, stream: Stream, inputs: np.ndarray, outputs: np.ndarray, threads: int) -> Progress:
    """Train on sentences in parallel, every thread on its part of them and all on the same matrices."""
    known = _known_before(stream)
    parts = split_sentences_evenly(stream.starts, threads)
    calls = [lambda a=a, b=b: kernel(_part(stream, a, b, int(known[stream.starts[a]])), inputs, outputs, None) for a, b in parts]
    return _total(parallel(calls, threads))


def learn_in_shards(
    kernel: Kernel, stream: Stream, inputs: np.ndarray, outputs: np.ndarray, threads: int, rows_per_word: tuple[int, int]
) -> Progress:
    """Train on sentences block after block, each in shards that work on copies; changes are added in the order of the shards.

    Args:
        kernel: Function that trains on sentences.
        stream: The sentences.
        inputs: Input matrix [R, D].
        outputs: Output matrix; its last six rows are blanks.
        threads: Shards that run at once.
        rows_per_word: Most rows of each matrix that one word of the text can change.
    """
    known, starts = _known_before(stream), stream.starts
    blocks = split_sentences_evenly(starts, max(1, round((starts[-1] - starts[0]) / (SHARDS * BLOCK_WORDS))))
    words = max(int(starts[b] - starts[a]) for a, b in blocks)
    shards = [
        Copies(_no_copies(words * rows_per_word[0], inputs, 0), _no_copies(words * rows_per_word[1], outputs[:-SIX], SIX))
        for _ in range(SHARDS)
    ]

    def shard(first: int, last: int, copies: Copies) -> Progress:
        progress = kernel(_part(stream, first, last, int(known[starts[first]])), copies.inputs.local, copies.outputs.local, copies)
        for copy in copies:
            _difference(copy)
        return progress

    results: list[Progress] = []
    for first, last in blocks:
        parts = split_sentences_evenly(starts[first : last + 1], SHARDS)
        calls = [lambda a=first + a, b=first + b, copies=copies: shard(a, b, copies) for (a, b), copies in zip(parts, shards, strict=False)]
        results.extend(parallel(calls, threads))
        for copies in shards[: len(parts)]:
            for copy in copies:
                _add(copy)
    return _total(results)


def _part(stream: Stream, first: int, last: int, done: int) -> Stream:
    """Return some of the sentences, with `done` more words done and random numbers of their own."""
    schedule = stream.schedule._replace(done=stream.schedule.done + done)
    return stream._replace(starts=stream.starts[first : last + 1], schedule=schedule, seed=(stream.seed[0], stream.seed[1] + first))


def _known_before(stream: Stream) -> np.ndarray:
    """Return the number of words in the vocabulary before each position [N + 1]."""
    return np.concatenate([[0], np.cumsum((stream.ids >= 0) & (stream.ids < len(stream.keep)))])


def _total(results: Sequence[Progress]) -> Progress:
    words, pairs, loss, measured = zip(*results, strict=True)
    return Progress(sum(words), sum(pairs), sum(loss), sum(measured))


def _no_copies(num_rows: int, shared: np.ndarray, blanks: int) -> RowCopies:
    """Return room for copies of at most `num_rows` rows of a matrix, and blank rows after them."""
    num_rows = min(num_rows, len(shared))
    slots, touched = np.full(len(shared), -1, dtype=np.int64), np.zeros(num_rows, dtype=np.int64)
    return RowCopies(slots, touched, np.zeros(1, dtype=np.int64), shared, aligned_matrix(num_rows + blanks, shared.shape[1]))


@jit(nogil=True)
def local_row(word: Any, copy: RowCopies) -> Any:
    """Return the row of a word in a shard's copy; it is copied from the shared matrix when first used."""
    slot = copy.slots[word]
    if slot < 0:
        slot = copy.num[0]
        copy.slots[word] = slot
        copy.touched[slot] = word
        copy.num[0] += 1
        copy.local[slot] = copy.shared[word]
    return slot


@jit(nogil=True)
def _difference(copy: RowCopies) -> None:
    """Turn the copied rows into their changes."""
    for slot in range(copy.num[0]):
        row = copy.touched[slot]
        for k in range(copy.local.shape[1]):
            copy.local[slot, k] -= copy.shared[row, k]


@jit(nogil=True)
def _add(copy: RowCopies) -> None:
    """Add the changes to the shared matrix, and forget the copies."""
    for slot in range(copy.num[0]):
        row = copy.touched[slot]
        copy.slots[row] = -1
        for k in range(copy.local.shape[1]):
            copy.shared[row, k] += copy.local[slot, k]
    copy.num[0] = 0
