"""Vector space models: every passage a row of weighted term counts. `bag-of-words`, `tf-idf`, `bm25` and `lsa` are settings of it.

Source: Salton, Wong, Yang, "A Vector Space Model for Automatic Indexing", 1975; the weights' sources stand in `tfidf`.
Departures: none. Learning is counting: in how many passages each term stands; `lsa` ends with a singular value decomposition.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from scipy import sparse

from nlp_embeddings.corpus.corpus_task import CorpusTask
from nlp_embeddings.models.tfidf import bm25, count_matrix, inverse_document_frequency, tf_idf, truncated_svd
from nlp_embeddings.vectors.document_index import DocumentIndex
from rl_core.agent import Agent
from rl_core.config import Count, Doc, NonNegative, configclass


@configclass
class VectorSpaceConfig:
    """How terms are weighted."""

    weighting: Annotated[Literal["count", "tf-idf", "bm25"], Doc("raw counts | counts times idf | saturated and length-normalised")] = (
        "tf-idf"
    )
    idf: Annotated[Literal["plain", "smooth", "lucene"], Doc("log(N/(1+n)) | log((1+N)/(1+n))+1 | log(1+(N-n+.5)/(n+.5))")] = "plain"
    sublinear: Annotated[bool, Doc("tf-idf: 1 + log(tf) in place of tf")] = False
    saturation: Annotated[NonNegative, Doc("bm25: k1, how long a repeated term goes on to count")] = 1.5
    length_weight: Annotated[float, Doc("bm25: b, how much longer passages are discounted, 0 to 1")] = 0.75
    components: Annotated[int, Doc("lsa: K, dimensions of the singular value decomposition; 0: none")] = 0
    min_count: Annotated[Count, Doc("a rarer word is no term")] = 1
    max_terms: Annotated[Count, Doc("V, at most so many terms, the most frequent ones")] = 50_000
    passages_per_step: Annotated[Count, Doc("passages counted in one step")] = 512

    def __post_init__(self) -> None:
        for name, least in (("min_count", 1), ("max_terms", 1), ("passages_per_step", 1), ("components", 0), ("saturation", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be >= {least}")
        if not 0 <= self.length_weight <= 1:
            raise ValueError(f"length_weight is {self.length_weight}; it must be between 0 and 1")
        if self.components and self.weighting == "bm25":
            raise ValueError(f"components is {self.components} and weighting is 'bm25'; a decomposition takes count or tf-idf")


class VectorSpace(Agent):
    """Counts in how many passages each term stands, then weighs any text's terms by it."""

    Config: ClassVar[type] = VectorSpaceConfig
    task: CorpusTask

    def __init__(self, config: VectorSpaceConfig, task: CorpusTask, network: None, **run: Any) -> None:
        super().__init__(config, task, network, **run)
        self.terms: list[str] = []
        self.document_frequency = np.zeros(0, dtype=np.int64)
        self.num_words = 0
        self.components = np.zeros((0, 0))
        self._rng = self.seeds.numpy("decomposition")

    def step(self) -> dict[str, float]:
        """Count the terms of the next passages; after the last one, decompose if asked to."""
        if not self.terms:
            self._choose_terms()
        last = len(self.task.passages) - 1
        stop = min(self.progress + self.config.passages_per_step, last)
        counts = self._counts(range(self.progress, stop))
        self.document_frequency += np.asarray((counts > 0).sum(axis=0)).ravel()
        self.num_words += int(counts.sum())
        self.progress = stop
        metrics = {"terms": float(len(self.terms)), "mean passage length": self.num_words / self.progress}
        if self.progress == last or self.progress >= self.budget:
            if self.config.components:
                weights = self._weigh(self._counts(range(self.progress)))
                self.components, values = truncated_svd(weights, self.config.components, self._rng)
                metrics["variance kept"] = float(np.square(values).sum() / weights.multiply(weights).sum())
            self.finished = self.progress == last
        return metrics

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Vectors of texts [B]: weights [B, V], or once decomposed their projection [B, K]."""
        weights = self._weigh(self._text_counts(inputs))
        if len(self.components):
            return (weights @ self.components.T).astype(np.float32)
        return weights.toarray().astype(np.float32)

    def evaluate(self, *, episodes: int, seeds: Any) -> dict[str, float]:
        """The task's score; BM25 weighs query and passage differently, so its scores are handed over rather than vectors."""
        if self.config.weighting != "bm25" or type(self.task) is not CorpusTask:
            return super().evaluate(episodes=episodes, seeds=seeds)
        passages, sentences = self.task.held_out
        starts, ids = self.task.corpus.starts, self.task.corpus.ids
        queries = count_matrix([ids[starts[s] : starts[s + 1]] for s in sentences], len(self.terms))
        weights = self._weigh(self._counts(passages))
        return self.task.ranking_score((queries @ weights.T).toarray())

    def answer(self, text: str) -> list[dict[str, Any]]:
        """The five passages most alike to a text: their numbers, scores and words."""
        query = self._text_counts(np.array([text], dtype=object))
        if self.config.weighting != "bm25":
            query = self._weigh(query)
        if len(self.components):
            query = query @ self.components.T
        found, scores = self._index.search(query, 5)
        return [
            {"passage": int(index), "score": round(float(score), 4), "text": self.task.text(self.task.passage_ids(int(index), whole=True))}
            for index, score in zip(found[0], scores[0], strict=True)
        ]

    def state_dict(self) -> dict[str, Any]:
        """Terms, counts and components."""
        return {
            "terms": "\n".join(self.terms),
            "document_frequency": self.document_frequency,
            "num_words": self.num_words,
            "components": self.components,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        self.terms = state["terms"].split("\n") if state["terms"] else []
        self.document_frequency = np.array(state["document_frequency"])
        self.num_words = int(state["num_words"])
        self.components = np.array(state["components"])
        self.__dict__.pop("_index", None)
        self.__dict__.pop("_number", None)

    def _choose_terms(self) -> None:
        corpus = self.task.corpus
        kept = min(int(np.searchsorted(-corpus.counts, -self.config.min_count, side="right")), self.config.max_terms)
        if kept == 0:
            raise ValueError(
                f"min_count is {self.config.min_count}, and the most frequent word, {corpus.words[0]!r}, occurs {corpus.counts[0]} times: "
                "no term is left; lower min_count or take a larger corpus"
            )
        self.terms = corpus.words[:kept]
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
            return DocumentIndex(weights @ self.components.T, "cosine")
        return DocumentIndex(weights, "dot" if self.config.weighting == "bm25" else "cosine")
