"""The averaged perceptron as a tagger: greedy from left to right, with the last two tags among its features.

Source: Collins, "Discriminative Training Methods for Hidden Markov Models", 2002, section 2.4, with greedy search in place of Viterbi's.
Departures: pairs of a tag and a word are hashed; words that nearly always have one tag are looked up, and learned from all the same.
Letters: R rows of weights, K tags (padding among them), F templates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, ClassVar

import numpy as np

from nlp_embeddings.tagging.agent import TaggerAgent
from nlp_embeddings.tagging.features import AttributeTable, Encoded, Template, Templates, names_of
from nlp_embeddings.training.saved import saved_array
from rl_core.compiling import announced, kernel
from rl_core.config import Count, Doc, Fraction, configclass

TEMPLATES: tuple[Template, ...] = (
    *((offset, "lower") for offset in (-2, -1, 0, 1, 2)),
    *((offset, "suffix3") for offset in (-1, 0, 1)),
    *((0, name) for name in ("word", "suffix1", "suffix2", "suffix4", "prefix1", "prefix3", "shape", "outline")),
    *((offset, "outline") for offset in (-1, 1)),
)
BUCKETS = 1 << 16  # rows for pairs of the last tag and a word


@configclass
class PerceptronConfig:
    """Settings of the averaged perceptron."""

    lookup_count: Annotated[Count, Doc("a word seen this often, nearly always with one tag, always gets that tag")] = 20
    lookup_share: Annotated[Fraction, Doc("share of one tag from which on a frequent word is looked up")] = 0.98
    sentences_per_step: Annotated[Count, Doc("sentences of one step")] = 1000


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


class PerceptronTagger(TaggerAgent):
    """Agent that learns tags by correcting its mistakes; one step is some sentences of an epoch, in the epoch's order."""

    Config: ClassVar[type] = PerceptronConfig
    config: PerceptronConfig

    @classmethod
    def default_budget(cls, config: Any, task: Any) -> int | None:
        """Return five rounds over the training sentences."""
        return 5 * len(task.examples["train"]) if hasattr(task, "examples") else None

    def setup(self) -> None:
        """Start without weights."""
        super().setup()
        self.weights = np.zeros((0, 0), dtype=np.int32)
        self.totals = np.zeros((0, 0), dtype=np.int64)
        self.lookup = np.zeros(0, dtype=np.int64)
        self.clock = 1

    def step(self) -> dict[str, float]:
        """Learn from the next sentences of the epoch."""
        self.begin()
        encoded, tags = self._training
        count = len(encoded.splits) - 1
        epoch, place = divmod(self.progress, count)
        stop = min(place + self.config.sentences_per_step, count, place + max(self.budget - self.progress, 1))
        order = np.random.default_rng(self.seeds.integer("order", epoch)).permutation(count)[place:stop]
        words = int((encoded.splits[1:] - encoded.splits[:-1])[order].sum())
        with announced("perceptron-tagger"):
            mistakes, self.clock = self._run(encoded, order, self.weights, self.totals, tags, self.clock)
        self.progress += stop - place
        self.__dict__.pop("_averaged", None)
        return {"accuracy": 1 - mistakes / max(words, 1), "epoch": self.progress / count}

    def begin(self) -> None:
        """Number the training words, choose those to look up, and make room for the weights."""
        if self.words:
            return
        sentences, tags = self.task.sentences("train"), np.concatenate(self.task.tag_numbers("train"))
        number: dict[str, int] = {}
        types = np.array([number.setdefault(word, len(number)) for words in sentences for word in words], dtype=np.int64)
        self.words = list(number)
        counts = np.zeros((len(number), len(self.task.tags)), dtype=np.int64)
        np.add.at(counts, (types, tags), 1)
        totals = counts.sum(axis=1)
        sure = (totals >= self.config.lookup_count) & (counts.max(axis=1) >= self.config.lookup_share * totals)
        self.lookup = np.where(sure, counts.argmax(axis=1), -1)
        shape = (self._num_rows, len(self.task.tags))
        self.weights, self.totals = np.zeros(shape, dtype=np.int32), np.zeros(shape, dtype=np.int64)

    def tag_sentences(self, sentences: Sequence[Sequence[str]]) -> list[np.ndarray]:
        """Return the tags of sentences by the averaged weights."""
        encoded = self._table.encode(sentences)
        tags = np.zeros(len(encoded.types), dtype=np.int64)
        with announced("perceptron-tagger"):
            self._run(encoded, np.arange(len(sentences)), self._averaged, np.zeros((0, 0), dtype=np.int64), tags, 0)
        return np.split(tags, encoded.splits[1:-1])

    def parameters(self) -> Mapping[str, np.ndarray]:
        """Return the weights."""
        self.begin()
        return {"weights": self.weights}

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
        for name in ("_table", "_templates", "_averaged", "_training"):
            self.__dict__.pop(name, None)
        shape = (self._num_rows, len(self.task.tags)) if self.words else (0, 0)
        self.weights = saved_array(state, "weights", shape, np.int32)
        self.totals = saved_array(state, "totals", shape, np.int64)
        self.lookup = saved_array(state, "lookup", (len(self.words),), np.int64)
        self.clock = int(state["clock"])

    def _run(self, encoded: Encoded, order: np.ndarray, weights: Any, totals: np.ndarray, tags: np.ndarray, clock: int) -> Any:
        known = np.concatenate([self.lookup, [-1]])[encoded.known]
        templates = self._templates
        parts = (encoded.types, encoded.splits, encoded.rows), (templates.offsets, templates.columns, templates.bases)
        return tag_greedily(*parts, order, known, weights, totals, tags, clock)

    @property
    def _num_rows(self) -> int:
        size = len(self.task.tags)
        return self._templates.num_rows + (size + 1) * (size + 2) + BUCKETS

    @cached_property
    def _averaged(self) -> np.ndarray:
        """Mean of the weights over all words learned from [R, K]: w - u / t."""
        mean: np.ndarray = (self.weights - self.totals / self.clock).astype(np.float32)
        return mean

    @cached_property
    def _table(self) -> AttributeTable:
        return AttributeTable(self.words, names_of(TEMPLATES))

    @cached_property
    def _templates(self) -> Templates:
        return Templates(TEMPLATES, self._table)

    @cached_property
    def _training(self) -> tuple[Encoded, np.ndarray]:
        return self._table.encode(self.task.sentences("train")), np.concatenate(self.task.tag_numbers("train"))
