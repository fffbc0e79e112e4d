"""Word vectors with queries: similarity, nearest words, analogies. Methods are named as in gensim's KeyedVectors, for its users."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Protocol

import numpy as np

from nlp_embeddings.linear import unit_rows
from nlp_embeddings.vectors.errors import UnknownWord

OneOrMore = str | Sequence[str]
"""A word, or several."""

Weighted = str | np.ndarray | tuple[str | np.ndarray, float]
"""A word or a vector, perhaps with a weight."""


class Subwords(Protocol):
    """Source of vectors for words that have none, from their letters."""

    def vector_of(self, word: str) -> np.ndarray | None:
        """Return a vector [d], or `None` if no n-gram of the word is known."""


class WordVectors:
    """Vectors by word.

    Args:
        words: V different words; `most_similar` searches among them.
        vectors: [V, d], float32; may be memory-mapped.
        counts: Occurrences [V], if known.
        subwords: Source of vectors for other words (fastText).

    Raises:
        ValueError: if the numbers of words and vectors differ, or a word appears twice.

    Example:
        >>> vectors = WordVectors(["king", "queen", "man", "woman"], np.array([[1, 1], [1, -1], [0, 1], [0, -1]], dtype=np.float32))
        >>> vectors.most_similar(positive=["king", "woman"], negative=["man"], topn=1)[0][0]
        'queen'
    """

    def __init__(
        self, words: Sequence[str], vectors: np.ndarray, counts: np.ndarray | None = None, subwords: Subwords | None = None
    ) -> None:
        if vectors.ndim != 2 or len(words) != len(vectors):
            raise ValueError(f"there are {len(words)} words for vectors of shape {list(vectors.shape)}; expected one row for each word")
        self.index_to_key = list(words)
        self.key_to_index = {word: index for index, word in enumerate(self.index_to_key)}
        if len(self.key_to_index) < len(self.index_to_key):
            seen: set[str] = set()
            twice = next(word for word in self.index_to_key if word in seen or seen.add(word))  # type: ignore[func-returns-value]
            raise ValueError(f"the word {twice!r} appears twice; expected one vector for each word")
        self.vectors, self.counts, self.subwords = vectors, counts, subwords

    def __len__(self) -> int:
        return len(self.index_to_key)

    def __contains__(self, word: object) -> bool:
        return word in self.key_to_index

    def __getitem__(self, words: OneOrMore) -> np.ndarray:
        return self.get_vector(words) if isinstance(words, str) else np.stack([self.get_vector(word) for word in words])

    @property
    def vector_size(self) -> int:
        """d, numbers of a vector."""
        return int(self.vectors.shape[1])

    def get_vector(self, word: str, norm: bool = False) -> np.ndarray:
        """Return the vector of a word [d], of length one if `norm`; for an unknown word one from its letters, if the model has n-grams.

        Raises:
            UnknownWord: if the word has no vector; a KeyError that names the nearest words.
        """
        index = self.key_to_index.get(word)
        if index is not None:
            return self.unit_vectors[index] if norm else np.asarray(self.vectors[index])
        made = self.subwords.vector_of(word) if self.subwords is not None else None
        if made is None:
            raise UnknownWord(word, self.index_to_key)
        return made / max(float(np.linalg.norm(made)), 1e-12) if norm else made

    def has_vector(self, word: str) -> bool:
        """Return whether a word has a vector, its own or one from its letters."""
        return word in self or (self.subwords is not None and self.subwords.vector_of(word) is not None)

    @cached_property
    def unit_vectors(self) -> np.ndarray:
        """Vectors of length one [V, d]; zero vectors stay zero."""
        return unit_rows(np.asarray(self.vectors, dtype=np.float32))

    def similarity(self, first: str, second: str) -> float:
        """Return the cosine of two words, -1 to 1."""
        return float(self.get_vector(first, norm=True) @ self.get_vector(second, norm=True))

    def distance(self, first: str, second: str) -> float:
        """Return 1 - `similarity`."""
        return 1 - self.similarity(first, second)

    def n_similarity(self, first: Iterable[str], second: Iterable[str]) -> float:
        """Return the cosine of the mean vectors of two sets of words."""
        one, other = self[list(first)].mean(axis=0), self[list(second)].mean(axis=0)
        return float(one @ other / max(float(np.linalg.norm(one) * np.linalg.norm(other)), 1e-12))

    def most_similar(
        self,
        positive: Weighted | Sequence[Weighted] = (),
        negative: Weighted | Sequence[Weighted] = (),
        topn: int | None = 10,
        restrict_vocab: int | None = None,
    ) -> list[tuple[str, float]] | np.ndarray:
        """Return the words nearest to the sum of unit vectors of `positive` less those of `negative` (3CosAdd), without these words.

        Args:
            positive: A word, a vector, or several; each may have a weight.
            negative: Words or vectors to subtract, in the same forms.
            topn: Number of words; `None` returns the cosines of all words [V].
            restrict_vocab: Search among this many most frequent words only.
        """
        positive, negative = _listed(positive), _listed(negative)
        scores = self.unit_vectors[:restrict_vocab] @ self._direction(positive, negative)
        if topn is None:
            return scores
        return self._best(scores, self._asked([*positive, *negative]), topn)

    def most_similar_cosmul(
        self, positive: OneOrMore = (), negative: OneOrMore = (), topn: int = 10, restrict_vocab: int | None = None
    ) -> list[tuple[str, float]]:
        """Return the words of `most_similar` by products instead of sums (3CosMul): prod (1 + cos)/2 over prod (1 + cos)/2 + 1e-6.

        Source: Levy, Goldberg, "Linguistic Regularities in Sparse and Explicit Word Representations", 2014.
        """
        positive, negative = _listed(positive), _listed(negative)
        units = self.unit_vectors[:restrict_vocab]
        scores = np.ones(len(units), dtype=np.float64)
        for word in positive:
            scores *= (1 + units @ self.get_vector(word, norm=True)) / 2
        for word in negative:
            scores /= (1 + units @ self.get_vector(word, norm=True)) / 2 + 1e-6
        return self._best(scores, self._asked([*positive, *negative]), topn)

    def analogy(self, first: str, second: str, third: str, topn: int = 1) -> list[tuple[str, float]]:
        """Return words that are to `third` as `second` is to `first`: `analogy("man", "king", "woman")` asks for queen."""
        return self.most_similar([second, third], [first], topn=topn)  # type: ignore[return-value]

    def similar_by_word(self, word: str, topn: int = 10) -> list[tuple[str, float]]:
        """Return the words nearest to a word."""
        return self.most_similar(word, topn=topn)  # type: ignore[return-value]

    def similar_by_vector(self, vector: np.ndarray, topn: int = 10) -> list[tuple[str, float]]:
        """Return the words nearest to a vector [d]."""
        return self.most_similar([vector], topn=topn)  # type: ignore[return-value]

    def doesnt_match(self, words: Sequence[str]) -> str:
        """Return the word least similar to the others: farthest from the mean of their unit vectors; unknown words are left out.

        Raises:
            ValueError: if fewer than two of the words are known.
        """
        known = [word for word in words if self.has_vector(word)]
        if len(known) < 2:
            raise ValueError(f"of the words {list(words)} {len(known)} are known; at least two are needed to find the odd one")
        units = np.stack([self.get_vector(word, norm=True) for word in known])
        return known[int(np.argmin(units @ units.mean(axis=0)))]

    def rank(self, first: str, second: str) -> int:
        """Return the rank of `second` among the nearest words of `first`; 1 is the nearest."""
        return len(self.closer_than(first, second)) + 1

    def closer_than(self, first: str, second: str) -> list[str]:
        """Return the words nearer to `first` than `second` is."""
        scores = self.unit_vectors @ self.get_vector(first, norm=True)
        bound = scores[self.key_to_index[second]] if second in self else self.similarity(first, second)
        return [self.index_to_key[index] for index in np.flatnonzero(scores > bound) if self.index_to_key[index] != first]

    def mean_vector(self, words: Iterable[str], weights: Mapping[str, float] | None = None) -> np.ndarray:
        """Return the weighted mean of the vectors of those words that have one [d]; zeros if none has."""
        total, mass = np.zeros(self.vector_size), 0.0
        for word in words:
            vector = self.vectors[self.key_to_index[word]] if word in self else (self.subwords.vector_of(word) if self.subwords else None)
            if vector is not None:
                weight = 1.0 if weights is None else weights.get(word, 1.0)
                total += weight * np.asarray(vector, dtype=np.float64)
                mass += abs(weight)
        return (total / mass if mass else total).astype(np.float32)

    def _direction(self, positive: Sequence[Weighted], negative: Sequence[Weighted]) -> np.ndarray:
        if not positive and not negative:
            raise ValueError("the question has no words; expected at least one")
        total = np.zeros(self.vector_size, dtype=np.float32)
        for sign, items in ((1.0, positive), (-1.0, negative)):
            for item in items:
                key, weight = item if isinstance(item, tuple) else (item, 1.0)
                vector = self.get_vector(key, norm=True) if isinstance(key, str) else key / max(float(np.linalg.norm(key)), 1e-12)
                total += np.float32(sign * weight) * vector
        return total / max(float(np.linalg.norm(total)), 1e-12)

    def _asked(self, items: Sequence[Weighted]) -> list[int]:
        names = [item[0] if isinstance(item, tuple) else item for item in items]
        return [self.key_to_index[name] for name in names if isinstance(name, str) and name in self]

    def _best(self, scores: np.ndarray, asked: Sequence[int], topn: int) -> list[tuple[str, float]]:
        scores = scores.copy()
        scores[[index for index in asked if index < len(scores)]] = -np.inf
        topn = min(topn, int(np.isfinite(scores).sum()))
        if topn <= 0:
            return []
        best = np.argpartition(-scores, topn - 1)[:topn]
        best = best[np.lexsort((best, -scores[best]))]
        return [(self.index_to_key[index], float(scores[index])) for index in best]


def _listed(items: object) -> list:
    return [items] if isinstance(items, str | np.ndarray) else list(items)  # type: ignore[call-overload]
