"""Summaries of a text's own sentences: the first ones, or the central ones of a graph of sentences.

Source: Mihalcea, Tarau, "TextRank: Bringing Order into Text", 2004; Erkan, Radev, "LexRank: Graph-based Lexical Centrality as Salience in
Text Summarization", 2004; Brin, Page, 1998, for the ranks. Departures: what a sentence without neighbours would pass on goes to all
alike. Letters: n sentences, d damping.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from nlp_embeddings.corpus.tokenizers import STOP_WORDS, split_sentences, stemmer, tokenize
from nlp_embeddings.reading.line_agent import typed_lines
from nlp_embeddings.summaries.task import SummariesTask
from rl_core.agent import Agent
from rl_core.config import Count, Doc, Fraction, Meta, configclass


@configclass
class ExtractiveConfig:
    """Settings of summaries of sentences."""

    method: Annotated[Literal["textrank", "lexrank", "lead"], Doc("shared words | cosine of tf-idf | the first sentences")] = "textrank"
    damping: Annotated[Fraction, Doc("d, share of a rank that comes from neighbours")] = 0.85
    threshold: Annotated[float, Meta(ge=0, lt=1), Doc("lexrank: cosines up to this are 0")] = 0.0
    least_words: Annotated[Count, Doc("shorter sentences are left out")] = 5
    language: Annotated[str, Doc("language of the Snowball stemmer that joins forms of a word; empty: none")] = "english"
    documents_per_step: Annotated[Count, Doc("documents counted in one step, for lexrank's idf")] = 1000

    def __post_init__(self) -> None:
        if self.language:
            stemmer(self.language)


def ranks(weights: np.ndarray, damping: float = 0.85, *, tolerance: float = 1e-12, rounds: int = 1000) -> np.ndarray:
    """Return the stationary ranks [n] with sum 1 of a walk on a graph: v = (1 - d) / n + d v P, P the weights [n, n] with rows of sum 1.

    Example:
        >>> ranks(np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])).round(4).tolist()
        [0.2568, 0.4865, 0.2568]
    """
    size = len(weights)
    sums = weights.sum(axis=1, keepdims=True)
    moves = np.where(sums > 0, weights / np.maximum(sums, 1e-300), 1 / size)
    current = np.full(size, 1 / size)
    for _ in range(rounds):
        new: np.ndarray = (1 - damping) / size + damping * current @ moves
        if np.abs(new - current).sum() < tolerance:
            return new
        current = new
    return current


def overlap(sentences: Sequence[Sequence[str]]) -> np.ndarray:
    """Return TextRank's weights [n, n]: the number of shared words divided by ln|S_i| + ln|S_j|.

    Example:
        >>> overlap([["a", "b", "c"], ["a", "b", "d"]]).round(3).tolist()
        [[0.0, 0.91], [0.91, 0.0]]
    """
    sets = [set(words) for words in sentences]
    result = np.zeros((len(sets), len(sets)))
    for i, one in enumerate(sets):
        for j in range(i):
            lengths = np.log(max(len(sentences[i]), 1)) + np.log(max(len(sentences[j]), 1))
            if lengths > 0:
                result[i, j] = result[j, i] = len(one & sets[j]) / lengths
    return result


class Extractive(Agent):
    """Agent that picks sentences; it learns only how many documents each word is in. Deterministic; one step is some documents."""

    Config: ClassVar[type] = ExtractiveConfig
    headline: ClassVar[str] = "documents"
    config: ExtractiveConfig
    task: SummariesTask

    def setup(self) -> None:
        """Start with empty counts.

        Raises:
            ValueError: if the task has no documents with summaries.
        """
        if not isinstance(self.task, SummariesTask):
            raise ValueError(f"the task is a {type(self.task).__name__}; a summariser needs summaries:<file>")
        self.frequency: dict[str, int] = {}

    def step(self) -> dict[str, float]:
        """Count the words of the next documents."""
        documents = self.task.examples["train"]
        stop = min(self.progress + self.config.documents_per_step, len(documents), max(self.budget, 1))
        for pair in documents[self.progress : stop]:
            for word in dict.fromkeys(self._content(pair.source)):
                self.frequency[word] = self.frequency.get(word, 0) + 1
        self.progress = stop
        self.finished = stop == len(documents)
        return {"documents": float(stop), "different_words": float(len(self.frequency))}

    def summary(self, text: str) -> str:
        """Return the best sentences of a text in its order, up to the task's number of words; of a text without any, its first words."""
        kept, words = [], self.task.config.words
        for sentence in split_sentences(text):
            if len(sentence.split()) >= self.config.least_words:
                kept.append(sentence)
        if not kept:
            return " ".join(text.split()[:words])
        chosen, used = [], 0
        for place in np.argsort(-self._scores(kept), kind="stable"):
            length = len(kept[place].split())
            if used + length <= words:
                chosen.append(int(place))
                used += length
            elif self.config.method == "lead":
                break
        if not chosen:
            return " ".join(kept[int(self._scores(kept).argmax())].split()[:words])
        return " ".join(kept[place] for place in sorted(chosen))

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return summaries of texts [B]."""
        return np.array([self.summary(str(text)) for text in inputs], dtype=str)

    def answer(self, text: str) -> str:
        """Return the summary of a text."""
        return str(self.predict(self.task.parse(text))[0])

    def answers(self, path: Path, folder: Path) -> list[Any]:
        """Return the summary of a file as one text, or of each line of a .jsonl file."""
        if path.suffix.lower() == ".jsonl":
            return [self.answer(line) for _, line in typed_lines(path)]
        return [self.answer(path.read_text(encoding="utf-8"))]

    def state_dict(self) -> dict[str, Any]:
        """Return the counts of documents by word."""
        return {"words": "\n".join(self.frequency), "counts": np.array(list(self.frequency.values()), dtype=np.int64)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned.

        Raises:
            ValueError: if there are not as many counts as words.
        """
        words = state["words"].split("\n") if state["words"] else []
        if len(words) != len(state["counts"]):
            raise ValueError(f"{len(words)} words are saved with {len(state['counts'])} counts")
        self.frequency = dict(zip(words, np.asarray(state["counts"]).tolist(), strict=True))

    def _scores(self, sentences: Sequence[str]) -> np.ndarray:
        """Return the score of each sentence [n]."""
        if self.config.method == "lead":
            return -np.arange(len(sentences), dtype=np.float64)
        words = [self._content(sentence) for sentence in sentences]
        return ranks(overlap(words) if self.config.method == "textrank" else self._cosines(words), self.config.damping)

    def _cosines(self, sentences: Sequence[Sequence[str]]) -> np.ndarray:
        number: dict[str, int] = {}
        for words in sentences:
            for word in words:
                number.setdefault(word, len(number))
        counts = np.zeros((len(sentences), len(number)))
        for row, words in enumerate(sentences):
            np.add.at(counts[row], [number[word] for word in words], 1.0)
        documents = max(self.progress, 1)
        idf = np.log((documents + 1) / (np.array([self.frequency.get(word, 0) for word in number]) + 1)) + 1
        weights = counts * idf
        norms = np.linalg.norm(weights, axis=1, keepdims=True)
        cosines = (weights / np.maximum(norms, 1e-12)) @ (weights / np.maximum(norms, 1e-12)).T
        np.fill_diagonal(cosines, 0.0)
        result: np.ndarray = np.where(cosines > self.config.threshold, cosines, 0.0)
        return result

    def _content(self, text: str) -> list[str]:
        stem = self._stem
        return [stem(word) for word in tokenize(text) if word not in STOP_WORDS]

    @cached_property
    def _stem(self) -> Any:
        return stemmer(self.config.language) if self.config.language else str
