"""Latent Dirichlet allocation by collapsed Gibbs sampling.

Source: Griffiths, Steyvers, "Finding scientific topics", 2004, equation 5; Blei, Ng, Jordan, 2003, for the model. Departures: topics are
the mean over the sweeps of the second half of the budget; several samplers begin, since one may stay for long where two topics are one,
and after a quarter of the budget the likeliest goes on. Letters: K topics, V words, D documents, N words of all documents.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, ClassVar

import numpy as np

from nlp_embeddings.topics.task import TopicPredict, TopicsTask
from nlp_embeddings.topics.words import TopicAgent
from nlp_embeddings.training.saved import saved_array
from rl_core.compiling import announced, kernel
from rl_core.config import Count, Doc, Meta, Positive, configclass


@configclass
class LDAConfig:
    """Settings of latent Dirichlet allocation."""

    topics: Annotated[int, Meta(ge=2, le=1000), Doc("K, number of topics")] = 10
    alpha: Annotated[Positive, Doc("concentration of the topics of a document; small: few topics each")] = 0.3
    beta: Annotated[Positive, Doc("concentration of the words of a topic; small: few words each")] = 0.02
    chains: Annotated[Count, Doc("samplers that begin; after a quarter of the budget the likeliest one goes on")] = 5
    folding_rounds: Annotated[Count, Doc("rounds in which the topics of a new document are found")] = 30


@kernel
def sweep(
    words: np.ndarray,
    documents: np.ndarray,
    drawn: np.ndarray,
    chosen: np.ndarray,
    by_document: np.ndarray,
    by_word: np.ndarray,
    totals: np.ndarray,
    priors: tuple[float, float],
) -> None:
    """Draw the topic of each word anew: p(z = k) ~ (n_dk + alpha) (n_kw + beta) / (n_k + V beta), the word itself left out, (5).

    Args:
        words: Word numbers [N].
        documents: Document numbers [N].
        drawn: Uniform numbers [N].
        chosen: Topics, drawn anew [N].
        by_document: n_dk [D, K].
        by_word: n_kw [V, K].
        totals: n_k [K].
        priors: alpha and beta.
    """
    alpha, beta = priors
    size = len(totals)
    shares, inverse = np.zeros(size), np.zeros(size)
    for k in range(size):
        inverse[k] = 1 / (totals[k] + beta * len(by_word))
    for i in range(len(words)):
        w, d, old = words[i], documents[i], chosen[i]
        by_document[d, old] -= 1
        by_word[w, old] -= 1
        totals[old] -= 1
        inverse[old] = 1 / (totals[old] + beta * len(by_word))
        mass = 0.0
        for k in range(size):
            mass += (by_document[d, k] + alpha) * (by_word[w, k] + beta) * inverse[k]
            shares[k] = mass
        wanted, new = drawn[i] * mass, 0
        while new < size - 1 and shares[new] < wanted:
            new += 1
        chosen[i] = new
        by_document[d, new] += 1
        by_word[w, new] += 1
        totals[new] += 1
        inverse[new] = 1 / (totals[new] + beta * len(by_word))


@kernel
def count(words: np.ndarray, documents: np.ndarray, chosen: np.ndarray, by_document: np.ndarray, by_word: np.ndarray) -> None:
    """Add the topics of words [N] to the counts n_dk [D, K] and n_kw [V, K], in place."""
    for i in range(len(words)):
        by_document[documents[i], chosen[i]] += 1
        by_word[words[i], chosen[i]] += 1


@kernel
def nats(words: np.ndarray, documents: np.ndarray, mixed: np.ndarray, by_word: np.ndarray) -> float:
    """Return the mean of -ln sum_k p(k | d) p(w | k) over words [N].

    Args:
        words: Word numbers [N].
        documents: Document numbers [N].
        mixed: p(k | d) [D, K].
        by_word: p(w | k) [V, K].
    """
    total = 0.0
    for i in range(len(words)):
        share = 0.0
        for k in range(mixed.shape[1]):
            share += mixed[documents[i], k] * by_word[words[i], k]
        total -= np.log(share)
    return total / max(len(words), 1)


def folded(counts: np.ndarray, topics: np.ndarray, alpha: float, rounds: int) -> np.ndarray:
    """Return the shares of the topics [B, K] of new documents, by expectation maximisation with the topics held fixed.

    Args:
        counts: [B, V].
        topics: [K, V].
        alpha: Added to the counts of each topic.
        rounds: Number of rounds.
    """
    shares = np.full((len(counts), len(topics)), 1 / len(topics))
    for _ in range(rounds):
        shares = shares * ((counts / np.maximum(shares @ topics, 1e-300)) @ topics.T) + alpha
        shares /= shares.sum(axis=1, keepdims=True)
    return shares


class LDA(TopicAgent):
    """Agent that draws the topic of every word again and again; one step is a sweep over all words."""

    Config: ClassVar[type] = LDAConfig
    headline: ClassVar[str] = "nats_a_word"
    config: LDAConfig
    task: TopicsTask

    def setup(self) -> None:
        """Start without topics."""
        super().setup()
        self._rng = self.seeds.numpy("topics")
        self.chosen = np.zeros((0, 0), dtype=np.int64)  # of each sampler [chains or 1, N]
        self.mean_topics = np.zeros((self.config.topics, len(self.task.terms)))
        self.averaged = 0

    def step(self) -> dict[str, float]:
        """Sweep once over all words, with each sampler."""
        words, documents = self._words
        if not len(self.chosen):
            self.chosen = self._rng.integers(0, self.config.topics, (self.config.chains, len(words)))
        found = [self._swept(row, words, documents) for row in self.chosen]
        self.progress += 1
        best = int(np.argmin([nats for nats, _ in found]))
        nats, topics = found[best]
        if self.progress >= self.budget // 4:
            self.chosen = self.chosen[best : best + 1]
        if self.progress > self.budget // 2 or not self.averaged:
            fresh = self.progress <= self.budget // 2 + 1
            self.averaged = 1 if fresh else self.averaged + 1
            self.mean_topics = topics if fresh else self.mean_topics + (topics - self.mean_topics) / self.averaged
        return {"nats_a_word": nats}

    def _swept(self, chosen: np.ndarray, words: np.ndarray, documents: np.ndarray) -> tuple[float, np.ndarray]:
        """Draw the topics of one sampler anew, in place [N]; return the nats a word of its topics, and these [K, V]."""
        priors = (self.config.alpha, self.config.beta)
        with announced("lda"):
            by_document, by_word = self._counts(chosen)
            totals = by_word.sum(axis=0)
            sweep(words, documents, self._rng.random(len(words)), chosen, by_document, by_word, totals, priors)
        topics = (by_word + self.config.beta) / (totals + self.config.beta * len(by_word))
        mixed = (by_document + self.config.alpha) / (by_document.sum(axis=1, keepdims=True) + self.config.alpha * self.config.topics)
        return nats(words, documents, mixed, topics), np.ascontiguousarray(topics.T)

    def topics(self) -> np.ndarray:
        """Return the topics [K, V]."""
        size = len(self.task.terms)
        return self.mean_topics if self.averaged else np.full((self.config.topics, size), 1 / size)

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return probabilities of words [B, V] for documents' counts [B, V]."""
        topics = self.topics()
        shares = folded(np.asarray(inputs, dtype=np.float64), topics, self.config.alpha, self.config.folding_rounds)
        return (shares @ topics).astype(np.float32)

    def shares(self, counts: np.ndarray) -> np.ndarray:
        """Return the shares of the topics [B, K] of documents' counts [B, V]."""
        return folded(counts, self.topics(), self.config.alpha, self.config.folding_rounds)

    def predictor(self) -> TopicPredict:
        """Return `predict` together with the topics."""
        return TopicPredict(self.predict, self.topics)

    def state_dict(self) -> dict[str, Any]:
        """Return the topic of each word of each sampler, and the mean topics."""
        return {"chosen": self.chosen, "mean_topics": self.mean_topics, "averaged": self.averaged}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned.

        Raises:
            ValueError: if an array does not fit the words.
        """
        self.chosen = saved_array(state, "chosen", np.shape(state["chosen"]), np.int64)
        if self.chosen.ndim != 2:
            raise ValueError(f"chosen is saved with shape {list(self.chosen.shape)}; expected [samplers, words]")
        if self.chosen.size and not 0 <= self.chosen.min() <= self.chosen.max() < self.config.topics:
            raise ValueError(f"chosen is saved with topics outside of 0 to {self.config.topics - 1}")
        self.mean_topics = saved_array(state, "mean_topics", self.mean_topics.shape, np.float64)
        self.averaged = int(state["averaged"])

    def _counts(self, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        words, documents = self._words
        by_document = np.zeros((len(self.task.examples["train"]), self.config.topics), dtype=np.int64)
        by_word = np.zeros((len(self.task.terms), self.config.topics), dtype=np.int64)
        count(words, documents, chosen, by_document, by_word)
        return by_document, by_word

    @cached_property
    def _words(self) -> tuple[np.ndarray, np.ndarray]:
        rows = self.task.documents("train")
        return np.concatenate(rows), np.repeat(np.arange(len(rows)), [len(row) for row in rows])
