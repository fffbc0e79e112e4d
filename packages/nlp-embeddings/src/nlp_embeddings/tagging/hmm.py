"""A hidden Markov model as a tagger: counts of tag pairs and of words with tags, and Viterbi's search for the best tags.

Source: Brants, "TnT: A Statistical Part-of-Speech Tagger", 2000, here with pairs of tags; Viterbi, 1967.
Departures: transitions are smoothed by interpolation with a fixed weight; endings are those of words seen up to ten times, as in TnT.
Letters: K tags (padding among them), V training words, n words of a sentence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, ClassVar

import numpy as np

from nlp_embeddings.tagging.agent import TaggerAgent
from nlp_embeddings.training.saved import saved_array
from rl_core.compiling import announced, kernel
from rl_core.config import Count, Doc, Fraction, Meta, configclass


@configclass
class HMMConfig:
    """Settings of the hidden Markov model."""

    pair_weight: Annotated[Fraction, Doc("lambda, weight of P(tag | tag before); the rest is that of P(tag)")] = 0.98
    suffix_length: Annotated[int, Meta(ge=0, le=20), Doc("letters of the longest ending of an unknown word that is looked up")] = 5
    rare_count: Annotated[Count, Doc("endings are counted on words that occur up to this often")] = 10
    sentences_per_step: Annotated[Count, Doc("sentences counted in one step")] = 4000


@kernel
def viterbi(scores: np.ndarray, transitions: np.ndarray, splits: np.ndarray) -> np.ndarray:
    """Return the best tags [N] of sentences: d_i(k) = e_i(k) + max_j (d_{i-1}(j) + T_jk), read backwards from the best end.

    Args:
        scores: e, log-scores of each word's tags [N, K], all sentences joined.
        transitions: T [K + 1, K + 1]: row 0 is the start, column 0 the end, then tags; -1e30 forbids.
        splits: First word of each sentence, and N at the end [S + 1].
    """
    size = scores.shape[1]
    best = np.zeros(len(scores), np.int64)
    back = np.zeros(scores.shape, np.int64)
    reached, new = np.zeros(size), np.zeros(size)
    for s in range(len(splits) - 1):
        begin, end = splits[s], splits[s + 1]
        if begin == end:
            continue
        for k in range(size):
            reached[k] = transitions[0, k + 1] + scores[begin, k]
        for i in range(begin + 1, end):
            for k in range(size):
                top, place = -np.inf, 0
                for j in range(size):
                    value = reached[j] + transitions[j + 1, k + 1]
                    if value > top:
                        top, place = value, j
                new[k] = top + scores[i, k]
                back[i, k] = place
            reached[:] = new
        tag = 0
        for k in range(1, size):
            if reached[k] + transitions[k + 1, 0] > reached[tag] + transitions[tag + 1, 0]:
                tag = k
        for i in range(end - 1, begin - 1, -1):
            best[i] = tag
            tag = back[i, tag]
    return best


def smoothed_transitions(counts: np.ndarray, pair_weight: float) -> np.ndarray:
    """Return log P(tag | tag before) [K + 1, K + 1] from counts of the same shape: row 0 is the start, column 0 the end.

    P(k | j) = lambda c(j, k) / c(j) + (1 - lambda) c(k) / N

    Example:
        >>> np.exp(smoothed_transitions(np.array([[0, 2], [2, 2]]), 0.5)).round(4).tolist()
        [[0.1667, 0.8333], [0.4167, 0.5833]]
    """
    after = counts.sum(axis=1, keepdims=True)
    single = counts.sum(axis=0) / max(counts.sum(), 1)
    mixed = pair_weight * counts / np.maximum(after, 1) + (1 - pair_weight * (after > 0)) * single
    with np.errstate(divide="ignore"):
        return np.maximum(np.log(mixed), -1e30)


class HMMTagger(TaggerAgent):
    """Agent that counts tag pairs and words with tags; one step is some sentences."""

    Config: ClassVar[type] = HMMConfig
    headline: ClassVar[str] = "words"
    config: HMMConfig

    def setup(self) -> None:
        """Start with empty counts."""
        super().setup()
        self.pairs = np.zeros((0, 0), dtype=np.int64)
        self.word_tags = np.zeros((0, 0), dtype=np.int64)

    def step(self) -> dict[str, float]:
        """Count the next sentences."""
        self.begin()
        sentences, tags = self._training
        start, stop = self.progress, min(self.progress + self.config.sentences_per_step, len(sentences), max(self.budget, 1))
        number = self._number
        for words, row in zip(sentences[start:stop], tags[start:stop], strict=True):
            path = np.concatenate([[0], row + 1, [0]])
            np.add.at(self.pairs, (path[:-1], path[1:]), 1)
            np.add.at(self.word_tags, (np.array([number[word] for word in words], dtype=np.int64), row), 1)
        self.progress = stop
        self.finished = stop == len(sentences)
        self._forget()
        return {"words": float(self.word_tags.sum()), "different_words": float((self.word_tags.sum(axis=1) > 0).sum())}

    def begin(self) -> None:
        """Make room for the counts of all training words."""
        if not self.words:
            self.words = sorted({word for words in self._training[0] for word in words})
            size = len(self.task.tags)
            self.pairs = np.zeros((size + 1, size + 1), dtype=np.int64)
            self.word_tags = np.zeros((len(self.words), size), dtype=np.int64)
            self._forget()

    def tag_sentences(self, sentences: Sequence[Sequence[str]]) -> list[np.ndarray]:
        """Return the most probable tags of sentences as wholes."""
        number: dict[str, int] = {}
        types = [number.setdefault(word, len(number)) for words in sentences for word in words]
        if not types:
            return [np.zeros(0, dtype=np.int64) for _ in sentences]
        scores = np.array([self._emission(word) for word in number])[types]
        splits = np.concatenate([[0], np.cumsum([len(words) for words in sentences])]).astype(np.int64)
        with announced("hmm-tagger"):
            best = viterbi(scores, smoothed_transitions(self.pairs, self.config.pair_weight), splits)
        return np.split(best, splits[1:-1])

    def parameters(self) -> Mapping[str, np.ndarray]:
        """Return the counts."""
        self.begin()
        return {"pairs": self.pairs, "word_tags": self.word_tags}

    def state_dict(self) -> dict[str, Any]:
        """Return words and counts."""
        return {"words": "\n".join(self.words), "pairs": self.pairs, "word_tags": self.word_tags}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned.

        Raises:
            ValueError: if an array does not fit the words and the tags.
        """
        self.words = state["words"].split("\n") if state["words"] else []
        size = len(self.task.tags) if self.words else 0
        self.pairs = saved_array(state, "pairs", (size + bool(size), size + bool(size)), np.int64)
        self.word_tags = saved_array(state, "word_tags", (len(self.words), size), np.int64)
        self.__dict__.pop("_number", None)
        self._forget()

    @cached_property
    def _training(self) -> tuple[list[list[str]], list[np.ndarray]]:
        return self.task.sentences("train"), self.task.tag_numbers("train")

    @cached_property
    def _number(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words)}

    def _forget(self) -> None:
        for name in ("_tag_shares", "_endings", "_emissions"):
            self.__dict__.pop(name, None)

    @cached_property
    def _tag_shares(self) -> np.ndarray:
        """P(tag) [K]."""
        counts: np.ndarray = self.word_tags.sum(axis=0)
        return counts / max(counts.sum(), 1)

    @cached_property
    def _emissions(self) -> dict[str, np.ndarray]:
        return {}

    def _emission(self, word: str) -> np.ndarray:
        """Return log P(word | tag) [K], up to a constant of the word; of unknown words by Bayes's rule from the ending."""
        if word in self._emissions:
            return self._emissions[word]
        number = self._number.get(word, -1)
        counts = self.word_tags[number] if number >= 0 else np.zeros(0)
        shares = self._tag_shares
        given = counts / counts.sum() if counts.sum() else self._by_ending(word)
        with np.errstate(divide="ignore", invalid="ignore"):
            scores = np.where(shares > 0, np.maximum(np.log(given / shares), -60.0), -1e30)
        self._emissions[word] = scores
        return scores

    @cached_property
    def _endings(self) -> dict[tuple[bool, str], np.ndarray]:
        """Counts of tags [K] of the endings of rare words, apart for capitals and small letters."""
        found: dict[tuple[bool, str], np.ndarray] = {}
        totals = self.word_tags.sum(axis=1)
        for number in np.flatnonzero((totals > 0) & (totals <= self.config.rare_count)):
            word, row = self.words[number], self.word_tags[number]
            for length in range(min(self.config.suffix_length, len(word)) + 1):
                key = (word[:1].isupper(), word[len(word) - length :].lower())
                found[key] = found[key] + row if key in found else row.copy()
        return found

    def _by_ending(self, word: str) -> np.ndarray:
        """Return P(tag | ending) [K] by successive abstraction: P_l = (P^ML_l + theta P_{l-1}) / (1 + theta), TnT (7) to (10)."""
        shares = self._tag_shares
        seen = shares[shares > 0]
        theta = float(seen.std()) if len(seen) > 1 else 1.0
        probability = shares
        for length in range(min(self.config.suffix_length, len(word)) + 1):
            counts = self._endings.get((word[:1].isupper(), word[len(word) - length :].lower()))
            if counts is None:
                break
            probability = (counts / counts.sum() + theta * probability) / (1 + theta)
        return probability
