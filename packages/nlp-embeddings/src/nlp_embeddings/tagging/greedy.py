"""A tagger that goes from left to right, and the averaged perceptron that learns its weights.

Source: Collins, "Discriminative Training Methods for Hidden Markov Models", 2002, section 2.4, with greedy search in place of Viterbi's.
Departures: pairs of a tag and a word are hashed; words that nearly always have one tag are looked up, and learned from all the same.
Letters: R rows of weights, K tags (padding among them), F templates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from nlp_embeddings.tagging.features import AttributeTable, Encoded, Template, Templates, names_of
from nlp_embeddings.training.saved import saved_array
from rl_core.compiling import announced, kernel

TEMPLATES: tuple[Template, ...] = (
    *((offset, "lower") for offset in (-2, -1, 0, 1, 2)),
    *((offset, "suffix3") for offset in (-1, 0, 1)),
    *((0, name) for name in ("word", "suffix1", "suffix2", "suffix4", "prefix1", "prefix3", "shape", "outline")),
    *((offset, "outline") for offset in (-1, 1)),
)
BUCKETS = 1 << 16  # rows for pairs of the last tag and a word


@kernel
def tag_greedily(
    encoded: tuple[np.ndarray, np.ndarray, np.ndarray],
    templates: tuple[np.ndarray, np.ndarray, np.ndarray],
    order: np.ndarray,
    lookup: np.ndarray,
    weights: np.ndarray,
    totals: np.ndarray,
    tags: np.ndarray,
    clock: int,
) -> tuple[int, int]:
    """Tag sentences from left to right; while learning, correct the weights after each wrong tag. Return mistakes and the new clock.

    Args:
        encoded: Types [N], splits [S + 1] and attribute rows [U + 1, A] of the sentences.
        templates: Offsets, columns and bases [F].
        order: Numbers of the sentences, in this order.
        lookup: Tag that a type always has [U], or -1.
        weights: [R, K]. The rows of the templates are followed by those of the last tag, the last two, and the last with the word.
        totals: While learning: for each weight the sum of its changes times the clock [R, K]; else [0, 0].
        tags: The true tags while learning, else filled with answers [N].
        clock: Number of words learned from so far, plus one.
    """
    types, splits, rows = encoded
    offsets, columns, bases = templates
    learn = len(totals) > 0
    size, count = weights.shape[1], len(offsets)
    first = len(weights) - BUCKETS - (size + 1) * (size + 2)
    active, scores = np.zeros(count + 3, np.int64), np.zeros(size)
    mistakes = 0
    for sentence in order:
        begin, end = splits[sentence], splits[sentence + 1]
        before, last = size, size  # beyond the sentence
        for i in range(begin, end):
            kind = types[i]
            answer = lookup[kind]
            if answer < 0 or learn:
                for f in range(count):
                    place = i + offsets[f]
                    row = types[place] if begin <= place < end else len(rows) - 1
                    active[f] = bases[f] + rows[row, columns[f]]
                active[count] = first + last
                active[count + 1] = first + (size + 1) + before * (size + 1) + last
                active[count + 2] = len(weights) - BUCKETS + (rows[kind, 0] * 31 + last) % BUCKETS
                scores[:] = 0
                for row in active:
                    for k in range(size):
                        scores[k] += weights[row, k]
                best = 1
                for k in range(2, size):
                    if scores[k] > scores[best]:
                        best = k
                if learn and best != tags[i]:
                    mistakes += 1
                    for row in active:
                        weights[row, tags[i]] += 1
                        weights[row, best] -= 1
                        totals[row, tags[i]] += clock
                        totals[row, best] -= clock
                if answer < 0:
                    answer = best
            clock += 1
            if not learn:
                tags[i] = answer
            before, last = last, answer
    return mistakes, clock


class GreedyModel:
    """Weights of a tagger, learned by correcting its mistakes; answers use their mean over all words learned from.

    Args:
        num_tags: K, numbers of tags; 0 is not a tag.

    Attributes:
        words: Different words of the training text; empty before `begin`.
        weights: [R, K].
        totals: For each weight the sum of its changes times the clock [R, K].
        lookup: Tag that a training word always has, or -1.
        clock: Number of words learned from so far, plus one.
    """

    def __init__(self, num_tags: int) -> None:
        self._num_tags = num_tags
        self.words: list[str] = []
        self.weights = np.zeros((0, 0), dtype=np.int32)
        self.totals = np.zeros((0, 0), dtype=np.int64)
        self.lookup = np.zeros(0, dtype=np.int64)
        self.clock = 1

    def begin(self, sentences: Sequence[Sequence[str]], tags: np.ndarray, *, lookup_count: int = 20, lookup_share: float = 0.98) -> None:
        """Number the training words, choose those to look up, and make room for the weights.

        Args:
            sentences: The training sentences.
            tags: Tags of all their words [N].
            lookup_count: A word seen this often, nearly always with one tag, always gets that tag.
            lookup_share: Share of one tag that counts as nearly always.
        """
        number: dict[str, int] = {}
        types = np.array([number.setdefault(word, len(number)) for words in sentences for word in words], dtype=np.int64)
        self.words = list(number)
        counts = np.zeros((len(number), self._num_tags), dtype=np.int64)
        np.add.at(counts, (types, tags), 1)
        totals = counts.sum(axis=1)
        sure = (totals >= lookup_count) & (counts.max(axis=1) >= lookup_share * totals)
        self.lookup = np.where(sure, counts.argmax(axis=1), -1)
        shape = (self._num_rows, self._num_tags)
        self.weights, self.totals = np.zeros(shape, dtype=np.int32), np.zeros(shape, dtype=np.int64)

    def encode(self, sentences: Sequence[Sequence[str]]) -> Encoded:
        """Return sentences as numbers."""
        return self._table.encode(sentences)

    def learn(self, encoded: Encoded, tags: np.ndarray, order: np.ndarray) -> int:
        """Learn from sentences in some order, and return the number of mistakes on the way."""
        mistakes, self.clock = self._run(encoded, order, self.weights, self.totals, tags, self.clock)
        self.__dict__.pop("averaged", None)
        return mistakes

    def tag(self, sentences: Sequence[Sequence[str]]) -> list[np.ndarray]:
        """Return the tags of the words of sentences by the averaged weights."""
        encoded = self.encode(sentences)
        tags = np.zeros(len(encoded.types), dtype=np.int64)
        self._run(encoded, np.arange(len(sentences)), self.averaged, np.zeros((0, 0), dtype=np.int64), tags, 0)
        return np.split(tags, encoded.splits[1:-1])

    @cached_property
    def averaged(self) -> np.ndarray:
        """Mean of the weights over all words learned from [R, K]: w - u / t."""
        mean: np.ndarray = (self.weights - self.totals / self.clock).astype(np.float32)
        return mean

    def state_dict(self) -> dict[str, Any]:
        """Return words, weights and their sums."""
        fields = {"weights": self.weights, "totals": self.totals, "lookup": self.lookup, "clock": self.clock}
        return {"words": "\n".join(self.words), **fields}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned.

        Raises:
            ValueError: if an array does not fit the words and the tags.
        """
        self.words = state["words"].split("\n") if state["words"] else []
        for name in ("_table", "_templates", "averaged"):
            self.__dict__.pop(name, None)
        shape = (self._num_rows, self._num_tags) if self.words else (0, 0)
        self.weights = saved_array(state, "weights", shape, np.int32)
        self.totals = saved_array(state, "totals", shape, np.int64)
        self.lookup = saved_array(state, "lookup", (len(self.words),), np.int64)
        self.clock = int(state["clock"])

    def _run(self, encoded: Encoded, order: np.ndarray, weights: Any, totals: np.ndarray, tags: np.ndarray, clock: int) -> Any:
        known = np.concatenate([self.lookup, [-1]])[encoded.known]
        templates = self._templates
        parts = (encoded.types, encoded.splits, encoded.rows), (templates.offsets, templates.columns, templates.bases)
        with announced("the greedy tagger"):
            return tag_greedily(*parts, order, known, weights, totals, tags, clock)

    @property
    def _num_rows(self) -> int:
        return self._templates.num_rows + (self._num_tags + 1) * (self._num_tags + 2) + BUCKETS

    @cached_property
    def _table(self) -> AttributeTable:
        return AttributeTable(self.words, names_of(TEMPLATES))

    @cached_property
    def _templates(self) -> Templates:
        return Templates(TEMPLATES, self._table)
