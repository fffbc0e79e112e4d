"""Reference implementation of `models.glove_kernels` in plain NumPy."""

from __future__ import annotations

import numpy as np

from nlp_embeddings.models.glove_kernels import Pairs, Rates, Weights


def glove_weight(count: np.ndarray, x_max: float, exponent: float = 0.75) -> np.ndarray:
    """Compute f(x) = min(1, (x / x_max)^alpha).  (9).

    Example:
        >>> glove_weight(np.array([1.0, 16.0, 99.0]), 16.0).tolist()
        [0.125, 1.0, 1.0]
    """
    return np.minimum(1.0, (np.asarray(count) / x_max) ** exponent)


def glove_loss(word: np.ndarray, context: np.ndarray, word_bias: float, context_bias: float, count: float, weight: float) -> float:
    """Compute half of f(X) (w . w~ + b + b~ - log X)^2, equation 8.

    Example:
        >>> glove_loss(np.array([2.0]), np.array([1.0]), 0.5, 0.5, 1.0, 0.5)  # 1/2 * 1/2 * 3^2
        2.25
    """
    return 0.5 * weight * float(word @ context + word_bias + context_bias - np.log(count)) ** 2


def glove_gradient(
    word: np.ndarray, context: np.ndarray, word_bias: float, context_bias: float, count: float, weight: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return the gradient of `glove_loss` by w [d], by w~ [d], and by either bias."""
    slope = weight * float(word @ context + word_bias + context_bias - np.log(count))
    return slope * context, slope * word, slope


def train(pairs: Pairs, weights: Weights, rates: Rates) -> float:
    """Train on pairs, as `train_glove` does; return the sum of losses."""
    steps = np.append(np.full(weights.words.shape[1] - 1, float(rates.rate)), float(rates.bias_rate))
    total = 0.0
    for i, j, count in zip(pairs.rows.tolist(), pairs.columns.tolist(), pairs.counts.tolist(), strict=True):
        weight = float(glove_weight(np.array(count), rates.x_max, rates.exponent))
        for a, b in [(i, j), (j, i)][: 1 if i == j else 2]:
            word, context = weights.words[a], weights.contexts[b]
            total += glove_loss(word[:-1], context[:-1], word[-1], context[-1], count, weight)
            by_word, by_context, by_bias = glove_gradient(word[:-1], context[:-1], word[-1], context[-1], count, weight)
            _adagrad(word, weights.squares_words[a], np.append(by_word, by_bias), steps)
            _adagrad(context, weights.squares_contexts[b], np.append(by_context, by_bias), steps)
    return total


def _adagrad(values: np.ndarray, squares: np.ndarray, gradient: np.ndarray, rates: np.ndarray) -> None:
    """Take a step of AdaGrad as in the reference program: the sum is of squared steps, rates included, and starts at 1."""
    step = np.clip(gradient, -100, 100) * rates
    values -= step / np.sqrt(squares)
    squares += step**2
