"""Texts as sparse rows of n-grams."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from scipy import sparse


def grams_of(words: Sequence[str], order: int) -> list[str]:
    """Return the n-grams of words, n = 1 to `order`, their words joined by spaces.

    >>> grams_of(["not", "good"], 2)
    ['not', 'good', 'not good']
    """
    found = list(words)
    for length in range(2, order + 1):
        found += map(" ".join, zip(*(words[start:] for start in range(length)), strict=False))
    return found


class GramTable:
    """The n-grams that occur often enough in the training texts, numbered.

    Args:
        grams: The n-grams.
        words_of: Function from a text to its words.
        order: Longest n-gram.
    """

    def __init__(self, grams: Sequence[str], words_of: Callable[[str], list[str]], order: int) -> None:
        self.grams = list(grams)
        self._number = {gram: number for number, gram in enumerate(self.grams)}
        self._words_of, self._order = words_of, order

    @classmethod
    def of_texts(cls, texts: Iterable[str], words_of: Callable[[str], list[str]], order: int, min_count: int) -> GramTable:
        """Build the table from training texts; `min_count` counts texts."""
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(dict.fromkeys(grams_of(words_of(text), order), 1))  # a set has another order in each process
        return cls([gram for gram, count in counts.items() if count >= min_count], words_of, order)

    def rows(self, texts: Sequence[str], *, counted: bool = False) -> sparse.csr_matrix:
        """Return a row for each text [B, F]: 1 for each n-gram in it, or how often it occurs."""
        number, places, splits = self._number, [], [0]
        for text in texts:
            known = [number[gram] for gram in grams_of(self._words_of(text), self._order) if gram in number]
            places += known if counted else sorted(set(known))
            splits.append(len(places))
        shape = (len(texts), len(self.grams))
        matrix = sparse.csr_matrix((np.ones(len(places)), np.array(places, dtype=np.int64), np.array(splits)), shape=shape)
        matrix.sum_duplicates()
        return matrix


def unit_rows(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    """Return a sparse matrix with rows of length one; empty rows stay empty.

    >>> unit_rows(sparse.csr_matrix([[3.0, 4.0], [0.0, 0.0]])).toarray().round(6).tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    """
    norms = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    return sparse.csr_matrix(sparse.diags(1 / np.maximum(norms, 1e-12)) @ matrix)
