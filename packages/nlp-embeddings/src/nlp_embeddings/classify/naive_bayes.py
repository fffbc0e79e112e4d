"""Naive Bayes: each word of a text speaks for a label on its own.

Source: McCallum, Nigam, "A Comparison of Event Models for Naive Bayes Text Classification", 1998; Wang, Manning, "Baselines and Bigrams",
2012, for binary counts. Departures: where a text may have several labels, each is asked against all other texts.
Letters: K labels, F n-grams.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, ClassVar

import numpy as np

from nlp_embeddings.classify.agent import TextAgent
from nlp_embeddings.classify.features import GramTable
from nlp_embeddings.training.saved import saved_array
from rl_core.config import Count, Doc, Meta, Positive, configclass


@configclass
class NaiveBayesConfig:
    """Settings of naive Bayes."""

    order: Annotated[int, Meta(ge=1, le=5), Doc("n, words of the longest n-gram")] = 2
    min_count: Annotated[Count, Doc("an n-gram in fewer texts is left out")] = 1
    smoothing: Annotated[Positive, Doc("added to every count")] = 1.0
    texts_per_step: Annotated[Count, Doc("texts counted in one step")] = 5000


def log_likelihoods(counts: np.ndarray, smoothing: float) -> np.ndarray:
    """Return log P(n-gram | label) = log((n_wc + s) / (n_c + s F)) [K, F] from counts [K, F].

    Example:
        >>> np.exp(log_likelihoods(np.array([[3.0, 0.0], [1.0, 1.0]]), 1.0)).tolist()
        [[0.8, 0.2], [0.5, 0.5]]
    """
    smoothed = counts + smoothing
    likelihoods: np.ndarray = np.log(smoothed / smoothed.sum(axis=1, keepdims=True))
    return likelihoods


class NaiveBayes(TextAgent):
    """Agent that counts the n-grams of each label's texts; one step is some texts."""

    Config: ClassVar[type] = NaiveBayesConfig
    headline: ClassVar[str] = "texts"
    config: NaiveBayesConfig

    def setup(self) -> None:
        """Start with empty counts."""
        super().setup()
        self.grams: list[str] = []
        self._allocate()

    def step(self) -> dict[str, float]:
        """Count the next texts."""
        self.begin()
        examples = self.task.examples["train"]
        stop = min(self.progress + self.config.texts_per_step, len(examples), max(self.budget, 1))
        part = examples[self.progress : stop]
        labels = self.task.targets(part)
        chosen = labels.astype(np.float64) if self.task.several else np.eye(len(self.task.labels))[labels]
        rows = self._table.rows([example.text for example in part])
        self.counts += chosen.T @ rows
        self.totals += np.asarray(rows.sum(axis=0)).ravel()
        self.texts += np.append(chosen.sum(axis=0), len(part))
        self.progress = stop
        self.finished = stop == len(examples)
        return {"texts": float(self.texts[-1]), "ngrams": float(len(self.grams))}

    def begin(self) -> None:
        """Number the n-grams of the training texts."""
        if not self.grams:
            texts = self.task.texts("train")
            self.grams = GramTable.of_texts(texts, self.task.words_of, self.config.order, self.config.min_count).grams
            self._allocate()

    def shares(self, texts: Sequence[str]) -> np.ndarray:
        """Return P(label | text) [B, K]."""
        size, (*of_labels, total) = len(self.task.labels), np.maximum(self.texts, 0.0)
        if not total:
            return np.full((len(texts), size), 1 / size)
        rows = self._table.rows(texts)
        if self.task.several:
            own, rest = np.array(of_labels), total - np.array(of_labels)
            ratios = log_likelihoods(self.counts, self.config.smoothing) - log_likelihoods(self.totals - self.counts, self.config.smoothing)
            odds = rows @ ratios.T + np.log((own + 1) / (rest + 1))
            result: np.ndarray = 1 / (1 + np.exp(-np.clip(odds, -500, 500)))
            return result
        scores = rows @ log_likelihoods(self.counts, self.config.smoothing).T + np.log((np.array(of_labels) + 1) / (total + size))
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        shares: np.ndarray = scores / scores.sum(axis=1, keepdims=True)
        return shares

    def parameters(self) -> Mapping[str, np.ndarray]:
        """Return the counts."""
        self.begin()
        return {"counts": self.counts, "texts": self.texts}

    def state_dict(self) -> dict[str, Any]:
        """Return n-grams and counts."""
        return {"grams": "\n".join(self.grams), "counts": self.counts, "totals": self.totals, "texts": self.texts}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned.

        Raises:
            ValueError: if an array does not fit the n-grams and the labels.
        """
        self.grams = state["grams"].split("\n") if state["grams"] else []
        self._allocate()
        for name in ("counts", "totals", "texts"):
            setattr(self, name, saved_array(state, name, getattr(self, name).shape, np.float64))

    def _allocate(self) -> None:
        self.__dict__.pop("_table", None)
        self.counts = np.zeros((len(self.task.labels), len(self.grams)))
        self.totals = np.zeros(len(self.grams))
        self.texts = np.zeros(len(self.task.labels) + 1)  # of each label, and of all

    @cached_property
    def _table(self) -> GramTable:
        return GramTable(self.grams, self.task.words_of, self.config.order)
