"""Vector space models: weighted counts of terms. `bag-of-words`, `tf-idf`, `bm25` and `lsa` are settings of it.

Source: Salton, Wong, Yang, "A Vector Space Model for Automatic Indexing", 1975; sources of the weights are in `vectors.tfidf`.
Departures: none. Learning is counting the passages that contain each term; `lsa` ends with a singular value decomposition.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from scipy import sparse

from nlp_embeddings.corpus.corpus_task import CorpusTask
from nlp_embeddings.corpus.passages import passage_named
from nlp_embeddings.reading.line_agent import LineAgent
from nlp_embeddings.training.saved import saved_array
from nlp_embeddings.vectors.document_index import DocumentIndex, similarity_matrix
from nlp_embeddings.vectors.tfidf import bm25, count_matrix, inverse_document_frequency, tf_idf, truncated_svd
from rl_core.config import Count, Doc, Fraction, NonNegative, Whole, configclass


@configclass
class VectorSpaceConfig:
    """Settings of the vector space models."""

    weighting: Annotated[Literal["count", "tf-idf", "bm25"], Doc("raw counts | counts times idf | saturated and length-normalised")] = (
        "tf-idf"
    )
    idf: Annotated[Literal["plain", "smooth", "lucene"], Doc("log(N/(1+n)) | log((1+N)/(1+n))+1 | log(1+(N-n+.5)/(n+.5))")] = "plain"
    sublinear: Annotated[bool, Doc("tf-idf: 1 + log(tf) in place of tf")] = False
    saturation: Annotated[NonNegative, Doc("bm25: k1; the larger, the longer repeated terms add to the score")] = 1.5
    length_weight: Annotated[Fraction, Doc("bm25: b, discount of long passages")] = 0.75
    similarity: Annotated[
        Literal["cosine", "euclidean", "jaccard"],
        Doc("of texts: angle of their vectors | minus their distance | shared weight over joint weight; bm25 is its own"),
    ] = "cosine"
    components: Annotated[Whole, Doc("lsa: K, dimensions of the singular value decomposition; 0: none")] = 0
    min_count: Annotated[Count, Doc("a rarer word is left out")] = 1
    max_terms: Annotated[Count, Doc("V, most terms; the most frequent words")] = 50_000
    passages_per_step: Annotated[Count, Doc("passages counted in one step")] = 512

    def __post_init__(self) -> None:
        if self.components and self.weighting == "bm25":
            raise ValueError(f"components is {self.components} and weighting is 'bm25'; a decomposition needs count or tf-idf")
        if self.similarity != "cosine" and self.weighting == "bm25":
            raise ValueError(f"similarity is {self.similarity!r} and weighting is 'bm25', whose score is its own; expected 'cosine'")
        if self.similarity == "jaccard" and self.components:
            raise ValueError(f"similarity is 'jaccard' and components is {self.components}; jaccard needs weights >= 0: set components=0")
        if self.similarity == "jaccard" and self.weighting == "tf-idf" and self.idf == "plain":
            raise ValueError("similarity is 'jaccard' and idf is 'plain', which can be negative; expected 'smooth', 'lucene' or counts")


class VectorSpace(LineAgent):
    """Agent that counts the passages that contain each term, and weights the terms of any text by the counts."""

    Config: ClassVar[type] = VectorSpaceConfig
    config: VectorSpaceConfig
    task: CorpusTask

    def setup(self) -> None:
        """Check the number of terms and of passages.

        Raises:
            ValueError: if no term is left, or the corpus is too small for the decomposition.
        """
        self.terms: list[str] = []
        self.document_frequency = np.zeros(0, dtype=np.int64)
        self.num_words = 0
        self.components = np.zeros((0, 0))
        self._rng = self.seeds.numpy("decomposition")
        if not self.task.saved_fingerprint:
            terms, passages = self._num_terms(), len(self.task.passages) - 1
            most = min(terms, passages) - 1
            if self.config.components > most:
                allowed = f"1 to {most}" if most > 0 else "no decomposition: set components=0, or use a larger corpus"
                raise ValueError(f"components is {self.config.components}; {passages} passages of {terms} terms allow {allowed}")

    def step(self) -> dict[str, float]:
        """Count the terms of the next passages; after the last one, decompose if `components` is set."""
        if not self.terms:
            self._choose_terms()
        last = len(self.task.passages) - 1
        stop = min(self.progress + self.config.passages_per_step, last)
        counts = self._counts(range(self.progress, stop))
        self.document_frequency += np.asarray((counts > 0).sum(axis=0)).ravel()
        self.num_words += int(counts.sum())
        self.progress = stop
        metrics = {"terms": float(len(self.terms)), "mean_passage_length": self.num_words / self.progress}
        if self.progress == last or self.progress >= self.budget:
            if self.config.components:
                weights = self._weigh(self._counts(range(self.progress)))
                self.components, values = truncated_svd(weights, self.config.components, self._rng)
                metrics["variance_kept"] = float(np.square(values).sum() / weights.multiply(weights).sum())
            self.finished = self.progress == last
        return metrics

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return vectors of texts [B]: weights [B, V], or after the decomposition their projection [B, K]."""
        weights = self._weigh(self._text_counts(inputs))
        if len(self.components):
            return (weights @ self.components.T).astype(np.float32)
        return weights.toarray().astype(np.float32)

    def evaluate(self, *, episodes: int, seeds: Any) -> dict[str, float]:
        """Return the task's score; BM25, and similarities other than the cosine, give scores of pairs instead of vectors."""
        is_cosine = self.config.weighting != "bm25" and self.config.similarity == "cosine"
        if is_cosine or type(self.task) is not CorpusTask:
            return super().evaluate(episodes=episodes, seeds=seeds)
        passages, sentences = self.task.held_out
        starts, ids = self.task.corpus.starts, self.task.corpus.ids
        queries = count_matrix([ids[starts[s] : starts[s + 1]] for s in sentences], len(self.terms))
        weights = self._weigh(self._counts(passages))
        if self.config.weighting == "bm25":
            return self.task.ranking_score((queries @ weights.T).toarray())
        queries = self._weigh(queries)
        if len(self.components):
            queries, weights = queries @ self.components.T, weights @ self.components.T
        return self.task.ranking_score(similarity_matrix(queries, weights, self.config.similarity))

    def answer(self, text: str) -> Any:
        """Return the five passages most similar to a text, or with `similar: 12` to passage 12: their numbers, scores and words.

        A text without a known word is answered by its words.
        """
        command, colon, rest = text.partition(":")
        if colon and command.strip() == "similar":
            own = passage_named(rest, len(self.task.passages) - 1)
            alike = self._index.vectors[own : own + 1] if self.config.weighting != "bm25" else self._counts([own])
            return [found for found in self._nearest(alike, 6) if found["passage"] != own][:5]
        query = self._text_counts(np.array([text], dtype=object))
        if not query.nnz:
            return {"unknown": self.task.tokens(text, self._number)}
        if self.config.weighting != "bm25":
            query = self._weigh(query)
        if len(self.components):
            query = query @ self.components.T
        return self._nearest(query, 5)

    def _nearest(self, query: Any, count: int) -> list[dict[str, Any]]:
        found, scores = self._index.search(query, count)
        return [
            {"passage": int(index), "score": round(float(score), 4), "text": self.task.text(self.task.passage_ids(int(index), whole=True))}
            for index, score in zip(found[0], scores[0], strict=True)
        ]

    def state_dict(self) -> dict[str, Any]:
        """Return terms, counts and components."""
        return {
            "terms": "\n".join(self.terms),
            "document_frequency": self.document_frequency,
            "num_words": self.num_words,
            "components": self.components,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned.

        Raises:
            ValueError: if an array does not fit the terms and the settings.
        """
        self.terms = state["terms"].split("\n") if state["terms"] else []
        self.document_frequency = saved_array(state, "document_frequency", (len(self.terms),), np.int64)
        self.num_words = int(state["num_words"])
        decomposed = (self.config.components, len(self.terms)) if np.size(state["components"]) else (0, 0)
        self.components = saved_array(state, "components", decomposed, np.float64)
        for name in ("_index", "_number"):
            self.__dict__.pop(name, None)

    def _num_terms(self) -> int:
        corpus = self.task.corpus
        kept = min(int(np.searchsorted(-corpus.counts, -self.config.min_count, side="right")), self.config.max_terms)
        if kept == 0:
            raise ValueError(
                f"min_count is {self.config.min_count}, but the most frequent word, {corpus.words[0]!r}, occurs {corpus.counts[0]} times: "
                "no term is left; lower min_count or use a larger corpus"
            )
        return kept

    def _choose_terms(self) -> None:
        kept = self._num_terms()
        self.terms = self.task.corpus.words[:kept]
        self.document_frequency = np.zeros(kept, dtype=np.int64)

    def _counts(self, passages: Any) -> sparse.csr_matrix:
        return count_matrix([self.task.passage_ids(int(passage)) for passage in passages], len(self.terms))

    def _text_counts(self, texts: np.ndarray) -> sparse.csr_matrix:
        number = self._number
        documents = [[number.get(token, -1) for token in self.task.tokens(str(text), number)] for text in texts]
        return count_matrix([np.array(ids, dtype=np.int32) for ids in documents], len(self.terms))

    def _weigh(self, counts: sparse.csr_matrix) -> sparse.csr_matrix:
        config, num_documents = self.config, max(self.progress, 1)
        if config.weighting == "count":
            return counts
        idf = inverse_document_frequency(self.document_frequency, num_documents, config.idf)
        if config.weighting == "tf-idf":
            return tf_idf(counts, idf, sublinear=config.sublinear)
        mean_length = max(self.num_words / num_documents, 1.0)
        return bm25(counts, idf, mean_length, saturation=config.saturation, length_weight=config.length_weight)

    @cached_property
    def _number(self) -> dict[str, int]:
        return {term: number for number, term in enumerate(self.terms)}

    @cached_property
    def _index(self) -> DocumentIndex:
        weights = self._weigh(self._counts(range(len(self.task.passages) - 1)))
        if len(self.components):
            return DocumentIndex(weights @ self.components.T, self.config.similarity)
        return DocumentIndex(weights, "dot" if self.config.weighting == "bm25" else self.config.similarity)
