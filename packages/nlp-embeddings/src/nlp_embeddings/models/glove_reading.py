"""GloVe as one would write it on a board: the reading twin of `glove_kernels`."""

from __future__ import annotations

import numpy as np


def glove_weight(count: np.ndarray, x_max: float, exponent: float = 0.75) -> np.ndarray:
    """f(x) = min(1, (x / x_max)^alpha).  (9).

    Example:
        >>> glove_weight(np.array([1.0, 16.0, 99.0]), 16.0).tolist()
        [0.125, 1.0, 1.0]
    """
    return np.minimum(1.0, (np.asarray(count) / x_max) ** exponent)


def glove_loss(word: np.ndarray, context: np.ndarray, word_bias: float, context_bias: float, count: float, weight: float) -> float:
    """Half of f(X) (w . w~ + b + b~ - log X)^2, equation 8.

    Example:
        >>> glove_loss(np.array([2.0]), np.array([1.0]), 0.5, 0.5, 1.0, 0.5)  # 1/2 * 1/2 * 3^2
        2.25
    """
    return 0.5 * weight * float(word @ context + word_bias + context_bias - np.log(count)) ** 2


def glove_gradient(
    word: np.ndarray, context: np.ndarray, word_bias: float, context_bias: float, count: float, weight: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """Gradient of `glove_loss` by w [d], by w~ [d], and by either bias."""
    slope = weight * float(word @ context + word_bias + context_bias - np.log(count))
    return slope * context, slope * word, slope


def train_glove_reading(
    rows: np.ndarray,
    columns: np.ndarray,
    counts: np.ndarray,
    words: np.ndarray,
    contexts: np.ndarray,
    squares_words: np.ndarray,
    squares_contexts: np.ndarray,
    x_max: float,
    exponent: float,
    rate: float,
    bias_rate: float,
) -> float:
    """Train on pairs, as `train_glove` does; arguments and result as there."""
    rates = np.append(np.full(words.shape[1] - 1, rate), bias_rate)
    total = 0.0
    for i, j, count in zip(rows.tolist(), columns.tolist(), counts.tolist(), strict=True):
        weight = float(glove_weight(np.array(count), x_max, exponent))
        for a, b in [(i, j), (j, i)][: 1 if i == j else 2]:
            word, context = words[a], contexts[b]
            total += glove_loss(word[:-1], context[:-1], word[-1], context[-1], count, weight)
            by_word, by_context, by_bias = glove_gradient(word[:-1], context[:-1], word[-1], context[-1], count, weight)
            _adagrad(word, squares_words[a], np.append(by_word, by_bias), rates)
            _adagrad(context, squares_contexts[b], np.append(by_context, by_bias), rates)
    return total


def _adagrad(values: np.ndarray, squares: np.ndarray, gradient: np.ndarray, rates: np.ndarray) -> None:
    """AdaGrad as in the reference program: the sum is of squared steps, rates included, and starts at 1."""
    step = np.clip(gradient, -100, 100) * rates
    values -= step / np.sqrt(squares)
    squares += step**2
