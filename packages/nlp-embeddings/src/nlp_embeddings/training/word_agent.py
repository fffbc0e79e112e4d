"""What all agents that learn word vectors have in common: answers, texts as vectors, files, a map."""

from __future__ import annotations

import re
from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from nlp_embeddings.corpus.corpus_task import CorpusTask
from nlp_embeddings.corpus.tokenizers import STOP_WORDS
from nlp_embeddings.corpus.vocabulary import Vocabulary
from nlp_embeddings.vectors import formats
from nlp_embeddings.vectors.document_index import DocumentIndex
from nlp_embeddings.vectors.errors import UnknownWord
from nlp_embeddings.vectors.word_vectors import Subwords, WordVectors
from rl_core.agent import Agent


class WordPredict:
    """What a task is given of a `WordAgent`: its answers, and the vectors behind them."""

    def __init__(self, agent: WordAgent) -> None:
        self._agent = agent

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """Vectors of texts [B, d]."""
        return self._agent.predict(inputs)

    @property
    def vectors(self) -> WordVectors:
        """Vectors of the vocabulary, most frequent word first."""
        return self._agent.vectors


class WordAgent(Agent):
    """Learns vectors of words; a text is the mean of its words' vectors.

    Attributes:
        vocabulary: The words; empty before the first step.
    """

    export_formats: ClassVar[tuple[str, ...]] = tuple(formats.WRITERS)
    task: CorpusTask

    def __init__(self, config: Any, task: CorpusTask, network: None, **run: Any) -> None:
        super().__init__(config, task, network, **run)
        self.vocabulary = Vocabulary.empty()
        self._vectors: WordVectors | None = None
        self._vectors_at = -1

    @abstractmethod
    def word_vectors(self) -> np.ndarray:
        """Vectors of the vocabulary [V, d], as they are now."""

    def subwords(self) -> Subwords | None:
        """What makes vectors for unknown words; `None` if nothing does."""
        return None

    @property
    def vectors(self) -> WordVectors:
        """What was learned so far, ready for questions; a copy that does not move with further steps."""
        if self._vectors is None or self._vectors_at != self.progress:
            self._vectors = WordVectors(self.vocabulary.words, self.word_vectors().copy(), self.vocabulary.counts, self.subwords())
            self._vectors_at = self.progress
        return self._vectors

    def forget(self) -> None:
        """Drop what `vectors` holds ready; called when a state is loaded."""
        self._vectors = None

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Vectors of texts [B, d]; zeros for a text without a known word."""
        weights = None
        if self.config.text_vector == "tf-idf":
            weights = dict(zip(self.vocabulary.words, self.vocabulary.weights.tolist(), strict=True))
        known = self.vocabulary.number
        return np.stack([self.vectors.mean_vector(self.task.tokens(str(text), known), weights) for text in inputs])

    def predictor(self) -> WordPredict:
        """`predict`, which also shows the vectors of the whole vocabulary: analogies are answered from those."""
        return WordPredict(self)

    def answer(self, text: str) -> Any:
        """An answer to a question about words or passages.

        - `king - man + woman`, `ship`: nearest words of a sum.
        - `ship ~ boat`: how alike two words are.
        - `odd: breakfast dinner ship`: the one that does not match.
        - `search: a buried treasure`: passages most like a text.
        - `clusters: 5`: passages in groups, each with its most telling words.

        Words without a vector are named in the answer, with the nearest words that have one.
        """
        try:
            return self._answer(text)
        except UnknownWord as error:
            return {"unknown": error.word, "nearest": error.near}

    def _answer(self, text: str) -> Any:
        command, colon, rest = text.partition(":")
        if colon and command.strip() == "odd":
            return self.vectors.doesnt_match(self._words(rest))
        if colon and command.strip() == "search":
            return self._search(rest)
        if colon and command.strip() == "clusters":
            return self._clusters(rest)
        if "~" in text:
            first, second = (self._words(side) for side in text.split("~", 1))
            return round(self.vectors.n_similarity(first, second), 4)
        positive: list[str] = []
        negative: list[str] = []
        for sign, word in re.findall(r"(?:^|\s)([+-]?)\s*([^\s+-]\S*)", text):
            (negative if sign == "-" else positive).extend(self._words(word))
        found = self.vectors.most_similar(positive, negative, topn=10)
        return [[word, round(float(score), 4)] for word, score in found]

    def export(self, form: str, out: Path) -> None:
        """Write the vectors in one of `export_formats`."""
        about = {"agent": type(self).__name__, "progress": self.progress, "seed": self.seeds.seed}
        formats.save(self.vectors, out, form, about)

    def draw(self, folder: Path) -> None:
        """A map of the most frequent words that tell something."""
        from nlp_embeddings.evaluate.word_map import draw_map

        telling = [word for word in self.vocabulary.words if word not in STOP_WORDS and len(word) > 2][:80]
        if len(telling) >= 3:
            draw_map(self.vectors, telling, folder / "words.png")

    def _words(self, text: str) -> list[str]:
        """Words of a question; unknown ones stay in, to be named in the answer."""
        words = self.task.tokens(text, self.vocabulary.number)
        if not words:
            raise ValueError(f"there is no word in {text!r}")
        return words

    def _search(self, text: str) -> list[dict[str, Any]]:
        count = len(self.task.passages) - 1
        texts = np.array([self.task.text(self.task.passage_ids(number, whole=True)) for number in range(count)], dtype=object)
        found, scores = DocumentIndex(self.predict(texts)).search(self.predict(np.array([text], dtype=object)), 5)
        return [
            {"passage": int(n), "score": round(float(score), 4), "text": texts[n]} for n, score in zip(found[0], scores[0], strict=True)
        ]

    def _clusters(self, count: str) -> list[dict[str, Any]]:
        from nlp_embeddings.evaluate.applications import cluster_passages

        if not count.strip().isdigit() or int(count) < 2:
            raise ValueError(f"clusters came with {count.strip()!r}; a number of at least 2 is needed, as in `clusters: 5`")
        return cluster_passages(self, int(count))
