"""Non-negative matrix factorisation of word counts, by multiplicative updates of the Kullback-Leibler divergence.

Source: Lee, Seung, "Algorithms for Non-negative Matrix Factorization", 2001, equation 5. Departures: none. The divergence never rises.
Letters: D documents, V words, K topics; counts X [D, V] are near W H.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, ClassVar

import numpy as np
from scipy import sparse

from nlp_embeddings.topics.task import TopicPredict
from nlp_embeddings.topics.words import TopicAgent
from nlp_embeddings.training.saved import saved_array
from nlp_embeddings.vectors.tfidf import count_matrix
from rl_core.config import Count, Doc, Meta, configclass

_TINY = 1e-12


@configclass
class NMFConfig:
    """Settings of non-negative matrix factorisation."""

    topics: Annotated[int, Meta(ge=2, le=1000), Doc("K, number of topics")] = 10
    folding_rounds: Annotated[Count, Doc("rounds in which the topics of a new document are found")] = 50


class NMF(TopicAgent):
    """Agent that writes counts as sums of topics; one step is an update of both factors."""

    Config: ClassVar[type] = NMFConfig
    headline: ClassVar[str] = "loss"
    config: NMFConfig

    def setup(self) -> None:
        """Draw both factors."""
        super().setup()
        rng = self.seeds.numpy("factors")
        self.words = rng.uniform(0.5, 1.5, (self.config.topics, len(self.task.terms)))  # H
        self.documents = np.zeros((0, self.config.topics))  # W

    def step(self) -> dict[str, float]:
        """Multiply W by ((X / WH) H') / sum H and H by (W' (X / WH)) / sum W."""
        counts = self._counts
        if not len(self.documents):
            self.documents = self.seeds.numpy("documents").uniform(0.5, 1.5, (counts.shape[0], self.config.topics))
        self.documents *= (self._ratio(counts) @ self.words.T) / np.maximum(self.words.sum(axis=1), _TINY)
        self.words *= (self._ratio(counts).T @ self.documents).T / np.maximum(self.documents.sum(axis=0)[:, None], _TINY)
        self.progress += 1
        fitted = self._fitted(counts)
        mass = float((self.documents @ self.words.sum(axis=1)).sum())
        divergence = float((counts.data * np.log(counts.data / fitted) - counts.data).sum()) + mass
        return {"loss": divergence / max(float(counts.data.sum()), 1.0)}

    def topics(self) -> np.ndarray:
        """Return the rows of H, scaled to sum 1 [K, V]."""
        scaled: np.ndarray = (self.words + _TINY) / (self.words + _TINY).sum(axis=1, keepdims=True)
        return scaled

    def shares(self, counts: np.ndarray) -> np.ndarray:
        """Return the shares of the topics [B, K] of documents' counts [B, V], by the same update with H held fixed."""
        topics = self.topics()
        shares = np.full((len(counts), len(topics)), 1 / len(topics))
        for _ in range(self.config.folding_rounds):
            shares = shares * ((counts / np.maximum(shares @ topics, _TINY)) @ topics.T) + _TINY
            shares /= shares.sum(axis=1, keepdims=True)
        return shares

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return probabilities of words [B, V] for documents' counts [B, V]."""
        return (self.shares(np.asarray(inputs, dtype=np.float64)) @ self.topics()).astype(np.float32)

    def predictor(self) -> TopicPredict:
        """Return `predict` together with the topics."""
        return TopicPredict(self.predict, self.topics)

    def parameters(self) -> Mapping[str, np.ndarray]:
        """Return H."""
        return {"words": self.words}

    def state_dict(self) -> dict[str, Any]:
        """Return both factors."""
        return {"words": self.words, "documents": self.documents}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned.

        Raises:
            ValueError: if an array does not fit the words and the topics.
        """
        self.words = saved_array(state, "words", self.words.shape, np.float64)
        self.documents = saved_array(state, "documents", (len(state["documents"]), self.config.topics), np.float64)

    def _fitted(self, counts: sparse.csr_matrix) -> np.ndarray:
        """Return WH where X is not 0."""
        rows = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
        fitted: np.ndarray = np.maximum((self.documents[rows] * self.words.T[counts.indices]).sum(axis=1), _TINY)
        return fitted

    def _ratio(self, counts: sparse.csr_matrix) -> sparse.csr_matrix:
        return sparse.csr_matrix((counts.data / self._fitted(counts), counts.indices, counts.indptr), shape=counts.shape)

    @cached_property
    def _counts(self) -> sparse.csr_matrix:
        counts = count_matrix([numbers.astype(np.int32) for numbers in self.task.documents("train")], len(self.task.terms))
        return sparse.csr_matrix(counts, dtype=np.float64)
