"""The words that a model has vectors for, with their counts in the corpus and in its passages."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np

from nlp_embeddings.corpus.corpus_task import CorpusTask
from nlp_embeddings.training.saved import saved_array
from nlp_embeddings.vectors.tfidf import inverse_document_frequency

_BLOCK_PASSAGES = 512


class Vocabulary:
    """Words by id, most frequent first.

    Args:
        words: V different words.
        counts: Occurrences of each [V].
        document_frequency: Passages that contain each [V].
        num_passages: Passages of the corpus.
    """

    def __init__(self, words: list[str], counts: np.ndarray, document_frequency: np.ndarray, num_passages: int) -> None:
        self.words, self.counts, self.document_frequency, self.num_passages = words, counts, document_frequency, num_passages

    @classmethod
    def empty(cls) -> Vocabulary:
        """Make a vocabulary of no words, the state of a model before its first step."""
        return cls([], np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), 0)

    @classmethod
    def of_corpus(cls, task: CorpusTask, min_count: int) -> Vocabulary:
        """Make a vocabulary of the words of a corpus that occur at least `min_count` times.

        Raises:
            ValueError: if fewer than two words are left, so that there is nothing to predict.
        """
        kept = num_frequent_words(task, min_count)
        return cls(task.corpus.words[:kept], task.counts[:kept], _document_frequency(task, kept), len(task.passages) - 1)

    @cached_property
    def number(self) -> dict[str, int]:
        """Id of each word."""
        return {word: number for number, word in enumerate(self.words)}

    @cached_property
    def weights(self) -> np.ndarray:
        """Weight of each word [V]: its smooth inverse document frequency."""
        return inverse_document_frequency(self.document_frequency, max(self.num_passages, 1), "smooth")

    def state_dict(self) -> dict[str, Any]:
        """Return the words as one text, and the counts."""
        return {
            "words": "\n".join(self.words),
            "counts": self.counts,
            "document_frequency": self.document_frequency,
            "num_passages": self.num_passages,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Vocabulary:
        """Make the vocabulary whose `state_dict` returned `state`.

        Raises:
            ValueError: if the counts do not fit the words.
        """
        words = state["words"].split("\n") if state["words"] else []
        counts, frequency = (saved_array(state, name, (len(words),), np.int64) for name in ("counts", "document_frequency"))
        return cls(words, counts, frequency, int(state["num_passages"]))


def num_frequent_words(task: CorpusTask, min_count: int) -> int:
    """Return how many words of a corpus occur at least `min_count` times.

    Raises:
        ValueError: if there are fewer than two.
    """
    corpus = task.corpus
    kept = int(np.searchsorted(-corpus.counts, -min_count, side="right"))
    if kept < 2:
        raise ValueError(
            f"the corpus of {len(corpus)} words and {len(corpus.words)} different ones leaves {kept} with min_count {min_count}; "
            f"at least two are needed: lower min_count (the most frequent word occurs {corpus.counts[0]} times) or use a larger corpus"
        )
    if not task.counts[:kept].any():
        raise ValueError(f"every word that occurs {min_count} times is in a sentence held out for the score; use a larger corpus")
    return kept


def _document_frequency(task: CorpusTask, num_words: int) -> np.ndarray:
    """Return the number of passages that contain each word [V]."""
    frequency = np.zeros(num_words, dtype=np.int64)
    bounds, starts = task.passages, task.corpus.starts
    for first in range(0, len(bounds) - 1, _BLOCK_PASSAGES):
        block = starts[bounds[first : first + _BLOCK_PASSAGES + 1]]
        ids = task.read(int(block[0]), int(block[-1]))
        passage = np.repeat(np.arange(len(block) - 1, dtype=np.int64), np.diff(block))
        known = (ids >= 0) & (ids < num_words)
        pairs = np.sort(passage[known] * num_words + ids[known])  # np.unique is several times slower
        pairs = pairs[np.diff(pairs, prepend=-1) > 0]
        frequency += np.bincount(pairs % num_words, minlength=num_words)
    return frequency
