"""Predictors that show an evaluation more than vectors of texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from nlp_embeddings.evaluate.senses import Occurrence
from nlp_embeddings.vectors.word_vectors import WordVectors


class WordPredict:
    """The predictor of an agent with word vectors: it also gives the vectors of the whole vocabulary, and of words in their contexts.

    Args:
        predict: Function from texts [B] to vectors [B, d].
        vectors: Returns the vectors of the vocabulary, most frequent word first.
        in_context: Function from occurrences of words [N] to vectors [N, d].
    """

    def __init__(
        self,
        predict: Callable[[np.ndarray], np.ndarray],
        vectors: Callable[[], WordVectors],
        in_context: Callable[[Sequence[Occurrence]], np.ndarray],
    ) -> None:
        self._predict, self._vectors, self.in_context = predict, vectors, in_context

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """Return vectors of texts [B, d]."""
        return self._predict(inputs)

    @property
    def vectors(self) -> WordVectors:
        """Vectors of the vocabulary, most frequent word first."""
        return self._vectors()


class LabelPredict:
    """The predictor of a classifier: it also names its labels.

    Args:
        predict: Function from texts [B] to probabilities of labels [B, C].
        names: Names of the labels.
    """

    def __init__(self, predict: Callable[[np.ndarray], np.ndarray], names: Sequence[str]) -> None:
        self._predict, self.names = predict, tuple(names)

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """Return probabilities of the labels [B, C]."""
        return self._predict(inputs)
