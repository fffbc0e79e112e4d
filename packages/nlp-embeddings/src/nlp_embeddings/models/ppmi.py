"""Positive pointwise mutual information: the vector of a word holds its associations above chance.

Source: Church, Hanks, "Word association norms, mutual information, and lexicography", 1990; Levy, Goldberg, Dagan, "Improving
Distributional Similarity with Lessons Learned from Word Embeddings", 2015 (shift, context smoothing, SVD).
Departures: none. Learning is counting, in one step; a singular value decomposition follows.
Letters: V words, d dimensions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from scipy import sparse

from nlp_embeddings.models.cooccurrence import count_cooccurrences
from nlp_embeddings.scratch import Scratch
from nlp_embeddings.training.saved import saved_array
from nlp_embeddings.training.vocabulary import Vocabulary
from nlp_embeddings.training.word_agent import WordAgent
from nlp_embeddings.vectors.tfidf import truncated_svd
from rl_core.config import Count, Doc, Fraction, Meta, configclass
from rl_core.memory import require_memory


@configclass
class PpmiConfig:
    """Settings of ppmi."""

    vector_size: Annotated[int, Meta(ge=1, le=1 << 16), Doc("d, dimensions of the decomposition, below the number of words")] = 100
    window: Annotated[int, Meta(ge=1, le=10_000), Doc("most words on each side that are context; one at distance k counts 1/k")] = 5
    min_count: Annotated[Count, Doc("a rarer word has no vector")] = 5
    context_exponent: Annotated[Fraction, Doc("power of the contexts' counts, which makes rare ones less surprising")] = 0.75
    shift: Annotated[float, Meta(ge=1), Doc("k: log k is subtracted from each association, as k negative samples do")] = 1.0
    value_exponent: Annotated[Fraction, Doc("p: vectors are U S^p; 1 is the plain decomposition")] = 0.5
    text_vector: Annotated[
        Literal["mean", "tf-idf"], Doc("a text is the mean of its words' vectors | weighted by inverse document frequency")
    ] = "tf-idf"
    memory_mb: Annotated[int, Meta(ge=16, le=1 << 24), Doc("bound of the memory for counting, in MiB")] = 512


def positive_pmi(counts: sparse.csr_matrix, *, context_exponent: float = 1.0, shift: float = 1.0) -> sparse.csr_matrix:
    """Compute max(0, log P(w, c) / (P(w) P(c)) - log k), with P(c) of counts to a power, sparse [V, V].

    Args:
        counts: Weighted co-occurrences [V, V].
        context_exponent: The power.
        shift: k.

    Example:
        >>> positive_pmi(sparse.csr_matrix([[0.0, 2.0], [2.0, 0.0]])).toarray().round(4).tolist()  # log (1/2) / (1/4) = log 2
        [[0.0, 0.6931], [0.6931, 0.0]]
    """
    pairs = sparse.coo_matrix(counts)
    of_word = np.asarray(counts.sum(axis=1)).ravel()
    of_context = np.asarray(counts.sum(axis=0)).ravel() ** context_exponent
    share = of_context / of_context.sum()
    values = np.log(pairs.data) - np.log(of_word[pairs.row]) - np.log(share[pairs.col]) - np.log(shift)
    kept = values > 0
    return sparse.csr_matrix((values[kept], (pairs.row[kept], pairs.col[kept])), shape=counts.shape)


class Ppmi(WordAgent):
    """Agent that counts, weighs and decomposes in its only step."""

    Config: ClassVar[type] = PpmiConfig
    config: PpmiConfig

    def setup(self) -> None:
        """Check the corpus and the memory; the vocabulary is chosen by the first step."""
        super().setup()
        self._rng = self.seeds.numpy("decomposition")
        self.matrix = np.zeros((0, self.config.vector_size), dtype=np.float32)

    def require_room(self, num_words: int) -> None:
        """Check the memory of vectors and counting."""
        config = self.config
        require_memory(
            num_words * config.vector_size * 8 + (config.memory_mb << 20),
            f"vectors of {num_words:,} words and {config.vector_size:,} dimensions and memory_mb={config.memory_mb:,}",
            "lower vector_size or memory_mb, or raise min_count",
        )

    def step(self) -> dict[str, float]:
        """Compute the vectors of all words."""
        config = self.config
        self.vocabulary = Vocabulary.of_corpus(self.task, config.min_count)
        associations = positive_pmi(self._counts(), context_exponent=config.context_exponent, shift=config.shift)
        most = len(self.vocabulary.words) - 1
        components, values = truncated_svd(associations, min(config.vector_size, most), self._rng)
        vectors = associations @ components.T / np.maximum(values, 1e-12) * values**config.value_exponent
        self.matrix = np.zeros((len(vectors), config.vector_size), dtype=np.float32)
        self.matrix[:, : vectors.shape[1]] = vectors
        self.progress, self.finished = 1, True
        return {"words": float(len(vectors)), "associations": float(associations.nnz)}

    def word_vectors(self) -> np.ndarray:
        """Return U S^p [V, d]."""
        return self.matrix

    def state_dict(self) -> dict[str, Any]:
        """Return vocabulary and vectors."""
        return {"vocabulary": self.vocabulary.state_dict(), "matrix": self.matrix}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned.

        Raises:
            ValueError: if the vectors do not fit the vocabulary and the settings.
        """
        self.vocabulary = Vocabulary.from_state(state["vocabulary"])
        self.matrix = saved_array(state, "matrix", (len(self.vocabulary.words), self.config.vector_size), np.float32)
        self.forget()

    def _counts(self) -> sparse.csr_matrix:
        """Return the co-occurrences, both directions [V, V]."""
        num_words = len(self.vocabulary.words)
        with Scratch("nlp-embeddings-pairs-") as folder:
            entries = count_cooccurrences(self.task, num_words, self.config.window, folder, memory_mb=self.config.memory_mb)
            keys, weights = np.array(entries["key"]), np.array(entries["weight"])
        upper = sparse.coo_matrix((weights, (keys // num_words, keys % num_words)), shape=(num_words, num_words)).tocsr()
        return (upper + sparse.triu(upper, 1).T).tocsr()
