"""Base class of agents that learn word vectors: answers, vectors of texts, files, a map."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from nlp_embeddings.corpus.corpus_task import CorpusTask
from nlp_embeddings.corpus.passages import passage_named
from nlp_embeddings.corpus.tokenizers import STOP_WORDS
from nlp_embeddings.evaluate.applications import MAX_PASSAGES, cluster_passages
from nlp_embeddings.evaluate.predictors import WordPredict
from nlp_embeddings.evaluate.senses import Occurrence, Sense, find_senses, occurrences
from nlp_embeddings.reading.line_agent import LineAgent
from nlp_embeddings.training.vocabulary import Vocabulary, num_frequent_words
from nlp_embeddings.vectors import formats
from nlp_embeddings.vectors.document_index import DocumentIndex
from nlp_embeddings.vectors.errors import UnknownWord
from nlp_embeddings.vectors.word_vectors import Subwords, WordVectors

_MAP_WORDS = 80


class WordAgent(LineAgent):
    """An agent with word vectors; the vector of a text is the mean of its words' vectors.

    A subclass gives `step`, `word_vectors`, `state_dict` and `load_state_dict`, and calls `super().setup()`.

    Attributes:
        vocabulary: The words; empty before the first step.
    """

    export_formats: ClassVar[tuple[str, ...]] = tuple(formats.WRITERS)
    task: CorpusTask

    def setup(self) -> None:
        """Begin without words.

        Raises:
            ValueError: if the corpus has too few words.
        """
        self.vocabulary = Vocabulary.empty()
        self._vectors: WordVectors | None = None
        self._vectors_at = -1
        if not self.task.saved_fingerprint:
            self.require_room(num_frequent_words(self.task, self.config.min_count))

    def require_room(self, num_words: int) -> None:
        """Check that a model of `num_words` words fits the memory and the settings; nothing by default.

        Raises:
            ValueError: if it does not.
        """

    @abstractmethod
    def word_vectors(self) -> np.ndarray:
        """Return the present vectors of the vocabulary [V, d]."""

    def subwords(self) -> Subwords | None:
        """Return a source of vectors for unknown words; `None` if there is none."""
        return None

    @property
    def vectors(self) -> WordVectors:
        """The vectors learned so far, for queries; a copy that further steps do not change."""
        if self._vectors is None or self._vectors_at != self.progress:
            self._vectors = WordVectors(self.vocabulary.words, self.word_vectors().copy(), self.vocabulary.counts, self.subwords())
            self._vectors_at = self.progress
        return self._vectors

    def forget(self) -> None:
        """Drop the copy that `vectors` keeps; called when a state is loaded."""
        self._vectors = None

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return vectors of texts [B, d]; zeros for a text without a known word."""
        weights = None
        if self.config.text_vector == "tf-idf":
            weights = dict(zip(self.vocabulary.words, self.vocabulary.weights.tolist(), strict=True))
        known = self.vocabulary.number
        return np.stack([self.vectors.mean_vector(self.task.tokens(str(text), known), weights) for text in inputs])

    def predictor(self) -> WordPredict:
        """Return `predict` together with the vectors of the vocabulary, among which analogies are answered, and of words in contexts."""
        return WordPredict(self.predict, lambda: self.vectors, self.in_context)

    def answer(self, text: str) -> Any:
        """Answer a question about words or passages.

        - `king - man + woman`, `ship`: nearest words of a sum.
        - `ship ~ boat`: similarity of two words.
        - `odd: breakfast dinner ship`: the word that does not fit.
        - `search: a buried treasure`: passages most similar to a text.
        - `similar: 12`: passages most similar to passage 12.
        - `clusters: 5`: passages in groups, each with its most characteristic words.
        - `senses: bank`: occurrences of a word in groups, each with its most characteristic words and a context.

        Words without a vector are named in the answer, for most questions with the nearest words that have one.
        """
        try:
            return self._answer(text)
        except UnknownWord as error:
            return {"unknown": error.word, "nearest": error.near}

    def _answer(self, text: str) -> Any:
        command, colon, rest = text.partition(":")
        if colon and command.strip() == "odd":
            return self._odd(rest)
        if colon and command.strip() == "search":
            return self._search(rest)
        if colon and command.strip() == "similar":
            own = passage_named(rest, len(self.task.passages) - 1)
            text = self.task.text(self.task.passage_ids(own, whole=True))
            return [found for found in self._nearest(text, 6) if found["passage"] != own][:5]
        if colon and command.strip() == "clusters":
            return self._clusters(rest)
        if colon and command.strip() == "senses":
            return self._senses(rest)
        if re.search(r"(?:^|\s)[+-]\s*(?=[+-]\s|$)|~.*~", text):
            raise ValueError(f"{text!r} lacks a word beside a sign; write for example: ship, ship ~ boat, king - man + woman")
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
        """Draw a map of the most frequent content words."""
        from nlp_embeddings.evaluate.word_map import draw_map

        content = [word for word in self.vocabulary.words if word not in STOP_WORDS and len(word) > 2][:_MAP_WORDS]
        if len(content) >= 3:
            draw_map(self.vectors, content, folder / "words.png")

    def in_context(self, found: Sequence[Occurrence]) -> np.ndarray:
        """Return vectors of occurrences of words [N, d]: the mean vector of the other content words of each context."""
        contexts = [[w for i, w in enumerate(o.words) if i != o.place and w not in STOP_WORDS] for o in found]
        return np.stack([self.vectors.mean_vector(context) for context in contexts])

    def senses(self, word: str) -> tuple[list[Sense], np.ndarray, np.ndarray, np.ndarray]:
        """Return the senses of a word of the text, as `find_senses` does.

        Raises:
            ValueError: if the text has fewer than three occurrences of the word.
        """
        found = occurrences(self.task, word)
        if len(found) < 3:
            raise ValueError(f"the text has {len(found)} occurrences of {word!r}; its senses need at least three")
        return find_senses(found, self.in_context(found), np.random.default_rng(self.seeds.integer("senses", len(found))))

    def _senses(self, text: str) -> list[dict[str, Any]]:
        """Return the senses of the word of a question."""
        words = self._words(text)
        if len(words) > 1:
            raise ValueError(f"expected one word after `senses:`, got {text.strip()!r}")
        self.vectors.get_vector(words[0])
        return [sense._asdict() for sense in self.senses(words[0])[0]]

    def _words(self, text: str) -> list[str]:
        """Return the words of a question, unknown ones included."""
        words = self.task.tokens(text, self.vocabulary.number)
        if not words:
            raise ValueError(f"{text!r} has no word; write for example: ship, ship ~ boat, king - man + woman")
        return words

    def _odd(self, text: str) -> Any:
        """Return the odd word; with the unknown words, if there are any."""
        words = self._words(text)
        unknown = [word for word in words if not self.vectors.has_vector(word)]
        if not unknown:
            return self.vectors.doesnt_match(words)
        return {"odd": self.vectors.doesnt_match(words) if len(words) - len(unknown) >= 2 else None, "unknown": unknown}

    def _search(self, text: str) -> Any:
        """Return the five passages most similar to a text."""
        words = self._words(text)
        if not any(self.vectors.has_vector(word) for word in words):
            return {"unknown": words}
        return self._nearest(text, 5)

    def _nearest(self, text: str, most: int) -> list[dict[str, Any]]:
        count = len(self.task.passages) - 1
        texts = np.array([self.task.text(self.task.passage_ids(number, whole=True)) for number in range(count)], dtype=object)
        found, scores = DocumentIndex(self.predict(texts)).search(self.predict(np.array([text], dtype=object)), most)
        return [
            {"passage": int(n), "score": round(float(score), 4), "text": texts[n]} for n, score in zip(found[0], scores[0], strict=True)
        ]

    def _clusters(self, count: str) -> list[dict[str, Any]]:
        """Return groups of passages."""
        if not (count.strip().isascii() and count.strip().isdigit()) or int(count) < 2:
            raise ValueError(f"expected a number of at least 2 after `clusters:`, got {count.strip()!r}")
        contents = [self.task.passage_ids(number, whole=True) for number in range(min(len(self.task.passages) - 1, MAX_PASSAGES))]
        vectors = self.predict(np.array([self.task.text(ids) for ids in contents], dtype=object))
        rng = np.random.default_rng(self.seeds.integer("clusters", int(count)))
        clusters = cluster_passages(vectors, contents, self.vocabulary.words, self.vocabulary.counts, int(count), rng)
        return [cluster._asdict() for cluster in clusters]
