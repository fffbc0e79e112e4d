"""Co-occurrences of words, counted in bounded memory: a table that is spilled to disk when it is full, and merged.

Half of the memory is a hash table of 16 bytes a slot; a sixth is a dense array for the pairs of frequent words (all i, j with
(i + 1)(j + 1) below a bound, where most of the counting happens); the rest is for sorting before a spill. Once both have been spilled to
disk and freed, half of it is for the merge.
A pair {i, j} is stored once, i <= j; the matrix is symmetric.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nlp_embeddings.corpus.corpus_task import CorpusTask
from nlp_embeddings.corpus.encoded import file_checksum
from nlp_embeddings.scratch import Scratch, exclusive
from rl_core.compiling import jit

_CHUNK_WORDS = 1 << 17
_PIECE = 1 << 14  # entries written at once
ENTRY = np.dtype([("key", "<i8"), ("weight", "<f8")])
"""A pair as it is stored: its key i * V + j, and its weight."""


class Table(NamedTuple):
    """Hash table of rare pairs.

    Attributes:
        keys: Key of each slot, -1 if it is empty.
        weights: Weight of each slot.
        used: Number of slots in use [1].
    """

    keys: np.ndarray
    weights: np.ndarray
    used: np.ndarray


class Dense(NamedTuple):
    """Array of the pairs of frequent words, see `dense_rows`.

    Attributes:
        cells: Weights, row after row.
        begins: First cell of each word's row [V + 1].
        limits: Column at which each word's row ends [V].
    """

    cells: np.ndarray
    begins: np.ndarray
    limits: np.ndarray


def count_cooccurrences(
    task: CorpusTask, num_words: int, window: int, folder: Path, *, memory_mb: int = 512, distance_weighting: bool = True
) -> np.ndarray:
    """Count pairs of words, and return keys i * V + j, i <= j, with weights, sorted and memory-mapped.

    The file appears whole or not at all.

    A pair at distance k adds 1/k. A word beside itself counts in both directions, as every pair does in the symmetric matrix.

    Args:
        task: Task with the corpus; held-out sentences are left out.
        num_words: V; rarer words are skipped, and the window closes over them.
        window: Most words on each side.
        folder: Folder of `cooccurrence.bin`.
        memory_mb: Bound of the table and the merge, in MiB, at least 16.
        distance_weighting: 1/k; otherwise every pair adds 1.
    """
    target = folder / "cooccurrence.bin"
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive(folder / ".lock"):
        if not _is_whole(target):
            if target.exists():
                print(f"{target} is damaged; counting again", file=sys.stderr)
            _write_counts(task, num_words, window, target, memory_mb, distance_weighting)
    return np.memmap(target, dtype=ENTRY, mode="r") if target.stat().st_size else np.zeros(0, dtype=ENTRY)


def _is_whole(target: Path) -> bool:
    """Return whether a file of counts has the length and checksum that it was written with."""
    try:
        return target.with_suffix(".sum").read_text(encoding="ascii") == file_checksum(target)
    except (OSError, ValueError):
        return False


def _write_counts(task: CorpusTask, num_words: int, window: int, target: Path, memory_mb: int, distance_weighting: bool) -> None:
    """Count pairs into the file `target`."""
    with Scratch(".counting-", target.parent) as work:
        runs = _count_runs(task, num_words, window, work, memory_mb << 20, distance_weighting)
        merged = work / "merged.bin"
        with merged.open("wb") as file:
            for piece in merge_runs(runs, max((memory_mb << 20) // (8 * ENTRY.itemsize * max(len(runs), 1)), 1024)):
                piece.tofile(file)
        target.with_suffix(".sum").write_text(file_checksum(merged), encoding="ascii")
        merged.replace(target)


def merge_runs(runs: list[np.ndarray], window: int) -> Iterator[np.ndarray]:
    """Merge sorted runs and add up equal keys, in pieces; at most `window` entries of each run are in memory at a time."""
    at = [0] * len(runs)
    while any(place < len(run) for place, run in zip(at, runs, strict=True)):
        bound = min(int(run[min(place + window, len(run)) - 1]["key"]) for place, run in zip(at, runs, strict=True) if place < len(run))
        parts = []
        for number, run in enumerate(runs):
            part = np.array(run[at[number] : at[number] + window])
            part = part[: np.searchsorted(part["key"], bound, side="right")]
            at[number] += len(part)
            parts.append(part)
        both = np.concatenate(parts)
        both = both[np.argsort(both["key"], kind="stable")]
        first = np.flatnonzero(np.concatenate([[True], both["key"][1:] != both["key"][:-1]]))
        summed = both[first]
        summed["weight"] = np.add.reduceat(both["weight"], first)
        yield summed


def dense_rows(num_words: int, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the first cell of each word's dense row [V + 1] and the column at which it ends [V], for at most `cells` cells.

    Row i has the columns i, i + 1, ... while (i + 1)(j + 1) <= P, for the largest P that fits.

    Example:
        >>> begins, limits = dense_rows(5, 6)  # P = 5: (0, 0..4), (1, 1)
        >>> begins.tolist(), limits.tolist()
        ([0, 5, 6, 6, 6, 6], [5, 2, 1, 1, 1])
    """
    number = np.arange(1, num_words + 1, dtype=np.int64)

    def sizes(bound: int) -> np.ndarray:
        return np.maximum(np.minimum(bound // number, num_words) - number + 1, 0)

    low, high = 0, num_words * num_words
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if sizes(middle).sum() <= cells else (low, middle - 1)
    return np.concatenate([[0], np.cumsum(sizes(low))]), np.minimum(low // number, num_words)


def _count_runs(task: CorpusTask, num_words: int, window: int, work: Path, memory: int, distance_weighting: bool) -> list[np.ndarray]:
    """Count all sentences, and return the sorted runs on disk."""
    slots = 1 << max(10, int(np.log2(max(memory // 2, 1 << 14) // ENTRY.itemsize)))
    table = Table(np.full(slots, -1, dtype=np.int64), np.zeros(slots), np.zeros(1, dtype=np.int64))
    begins, limits = dense_rows(num_words, memory // 48)
    dense = Dense(np.zeros(begins[-1]), begins, limits)
    near = 1 / np.arange(1, window + 1) if distance_weighting else np.ones(window)
    runs: list[np.ndarray] = []
    starts = task.corpus.starts
    sentence = 0
    while sentence < len(starts) - 1:
        until = min(max(int(np.searchsorted(starts, starts[sentence] + _CHUNK_WORDS)), sentence + 1), len(starts) - 1)
        ids, bounds = task.read(int(starts[sentence]), int(starts[until])), np.asarray(starts[sentence : until + 1]) - starts[sentence]
        done = 0
        while done < len(bounds) - 1:
            reached = _count(ids, bounds, done, num_words, near, table, dense)
            if reached < len(bounds) - 1 or table.used[0] > 0.6 * slots:
                if reached == done and table.used[0] == 0:
                    raise ValueError(f"memory_mb is {memory >> 20}, which is too little for the pairs of one sentence; raise it")
                runs.append(_spill(table, work / f"run-{len(runs)}.bin"))
            done = reached
        sentence = until
    runs.append(_spill(table, work / f"run-{len(runs)}.bin"))
    del table
    runs.append(_write_run(work / "frequent.bin", _dense_entries(dense.cells, begins, num_words)))
    return [run for run in runs if len(run)]


def _spill(table: Table, path: Path) -> np.ndarray:
    """Write the table's entries, sorted, as a run to disk, and empty the table."""
    keys, weights, used = table
    count = _gather(keys, weights)
    order = np.argsort(keys[:count])
    pieces = (order[start : start + _PIECE] for start in range(0, count, _PIECE))
    run = _write_run(path, ((keys[piece], weights[piece]) for piece in pieces))
    keys[:] = -1
    used[0] = 0
    return run


def _dense_entries(dense: np.ndarray, begins: np.ndarray, num_words: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield keys and weights of the pairs of frequent words, piece after piece, sorted by key."""
    for start in range(0, len(dense), _PIECE):
        cells = start + np.flatnonzero(dense[start : start + _PIECE])
        rows = np.searchsorted(begins, cells, side="right") - 1
        yield rows * num_words + rows + cells - begins[rows], dense[cells]


def _write_run(path: Path, pieces: Iterable[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Write pieces of keys and weights as entries to disk, and map them."""
    count = 0
    with path.open("wb") as file:
        for keys, weights in pieces:
            entries = np.empty(len(keys), dtype=ENTRY)
            entries["key"], entries["weight"] = keys, weights
            entries.tofile(file)
            count += len(entries)
    return np.memmap(path, dtype=ENTRY, mode="r") if count else np.zeros(0, dtype=ENTRY)


@jit(nogil=True)
def _gather(keys: np.ndarray, weights: np.ndarray) -> int:
    """Move the table's entries to its beginning, and return their number."""
    count = 0
    for slot in range(len(keys)):
        if keys[slot] >= 0:
            keys[count], weights[count] = keys[slot], weights[slot]
            count += 1
    return count


@jit(nogil=True)
def _count(ids: np.ndarray, starts: np.ndarray, sentence: int, num_words: int, near: np.ndarray, table: Table, dense: Dense) -> int:
    """Count sentences from `sentence` on until the table might overflow, and return the next sentence."""
    keys, weights, used = table
    cells, begins, limits = dense
    window = len(near)
    mask = np.uint64(len(keys) - 1)
    recent = np.empty(window, np.int64)
    while sentence < len(starts) - 1:
        length = starts[sentence + 1] - starts[sentence]
        if used[0] + length * window > 0.7 * len(keys) and used[0] > 0:
            return sentence
        seen = 0
        for position in range(starts[sentence], starts[sentence + 1]):
            word = np.int64(ids[position])
            if word < 0 or word >= num_words:
                continue
            for distance in range(1, min(window, seen) + 1):
                other = recent[(seen - distance) % window]
                first, second = min(word, other), max(word, other)
                weight = near[distance - 1] * (2 if word == other else 1)
                if second < limits[first]:
                    cells[begins[first] + second - first] += weight
                    continue
                key = first * num_words + second
                hash_ = np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)
                slot = (hash_ ^ (hash_ >> np.uint64(32))) & mask
                while keys[slot] != key:
                    if keys[slot] < 0:
                        keys[slot] = key
                        weights[slot] = 0
                        used[0] += 1
                        break
                    slot = (slot + np.uint64(1)) & mask
                weights[slot] += weight
            recent[seen % window] = word
            seen += 1
        sentence += 1
    return sentence
