"""Arguments of the compiled loops over sentences, as named tuples that numba takes apart."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

SIX = 6
"""Targets of one pass over a row, and blank rows at the end of an output matrix."""


class Noise(NamedTuple):
    """The distribution of negatives: an alias table, see `sampling.alias_table`.

    Attributes:
        threshold: Share of each column that keeps its own word, of 2^32 [V].
        alias: The other word of each column [V].
        num: K, negatives for each predicted word.
    """

    threshold: np.ndarray
    alias: np.ndarray
    num: int


class Tree(NamedTuple):
    """A Huffman tree over the words, see `sampling.huffman_tree`; `starts` has one entry if there is none.

    Attributes:
        codes: 0 or 1 for each node on each word's path, root first.
        points: Inner nodes on the paths.
        starts: First node of each word's path [V + 1].
    """

    codes: np.ndarray
    points: np.ndarray
    starts: np.ndarray


class Schedule(NamedTuple):
    """A learning rate that falls linearly with the words done.

    Attributes:
        rate: Rate at the start.
        least: Lower bound of the rate.
        done: Words done before this call.
        total: Words of the whole run.
    """

    rate: float
    least: float
    done: int
    total: int


class Stream(NamedTuple):
    """Sentences, and all that decides how a kernel reads them.

    Attributes:
        ids: Word ids [N]; those below 0 or from V on are skipped.
        starts: First word of each sentence in `ids` [S + 1].
        keep: Number of 2^32 draws that keep an occurrence of each word [V], uint32.
        noise: Distribution of the negatives.
        tree: Huffman tree.
        window: Most words on each side that are context; the actual width is drawn uniformly from 1..window for each word.
        schedule: Learning rate.
        seed: Seed of the random numbers, and the position that makes those of each call different.
    """

    ids: np.ndarray
    starts: np.ndarray
    keep: np.ndarray
    noise: Noise
    tree: Tree
    window: int
    schedule: Schedule
    seed: tuple[int, int]


class Progress(NamedTuple):
    """The result of a call of a kernel.

    Attributes:
        words: Words read that are in the vocabulary.
        pairs: Pairs, or windows of cbow, trained.
        loss: Sum of the losses that were measured.
        measured: Number of them.
    """

    words: int
    pairs: int
    loss: float
    measured: int


NO_TREE = Tree(np.zeros(1, dtype=np.int8), np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64))
"""The tree of a loss without one."""
