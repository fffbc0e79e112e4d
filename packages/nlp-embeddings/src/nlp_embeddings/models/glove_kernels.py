"""Compiled loop of GloVe; `tests/reference/glove.py` has it in plain NumPy."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nlp_embeddings.training.kernels import FAST
from rl_core.compiling import jit

CLIP = 100.0
"""Bound of one coordinate's gradient, as in the reference program."""


class Pairs(NamedTuple):
    """Pairs of words.

    Attributes:
        rows: i of each pair [N].
        columns: j of each pair [N], i <= j.
        counts: X_ij [N].
    """

    rows: np.ndarray
    columns: np.ndarray
    counts: np.ndarray


class Weights(NamedTuple):
    """Vectors with their biases as last column, and AdaGrad's sums, 1 at the start; all [V, d + 1], float32.

    Attributes:
        words: W.
        contexts: W~.
        squares_words: Sums for W.
        squares_contexts: Sums for W~.
    """

    words: np.ndarray
    contexts: np.ndarray
    squares_words: np.ndarray
    squares_contexts: np.ndarray


class Rates(NamedTuple):
    """Weights of pairs, and learning rates.

    Attributes:
        x_max: Counts above it have weight 1.
        exponent: alpha of the weight (x / x_max)^alpha.
        rate: eta of the vectors, float32.
        bias_rate: eta of the biases, float32.
    """

    x_max: float
    exponent: float
    rate: Any
    bias_rate: Any


@jit(nogil=True, fastmath=FAST)
def _step(weights, row, column, log_count, weight, rates):
    """Learn from one direction of a pair: `words[row]` and `contexts[column]` move; return the loss before."""
    word, context, squares_word, squares_context = weights
    rate, bias_rate = rates.rate, rates.bias_rate
    width = word.shape[1]
    size = width - 1
    difference = np.float32(0)
    for k in range(size):
        difference += word[row, k] * context[column, k]
    difference += word[row, size] + context[column, size] - log_count
    slope = weight * difference
    clip = np.float32(CLIP)
    for k in range(size):
        w, c = word[row, k], context[column, k]
        by_word = min(max(slope * c, -clip), clip) * rate
        by_context = min(max(slope * w, -clip), clip) * rate
        word[row, k] = w - by_word / np.sqrt(squares_word[row, k])
        context[column, k] = c - by_context / np.sqrt(squares_context[column, k])
        squares_word[row, k] += by_word * by_word
        squares_context[column, k] += by_context * by_context
    step = min(max(slope, -clip), clip) * bias_rate
    word[row, size] -= step / np.sqrt(squares_word[row, size])
    context[column, size] -= step / np.sqrt(squares_context[column, size])
    squares_word[row, size] += step * step
    squares_context[column, size] += step * step
    return 0.5 * weight * difference * difference


@jit(nogil=True, fastmath=FAST)
def train_glove(pairs: Pairs, weights: Weights, rates: Rates) -> float:
    """Train on pairs, each in both directions, with AdaGrad.

    Returns:
        Sum of the weighted squared errors, halved, before each step.
    """
    total = 0.0
    for n in range(len(pairs.rows)):
        i, j = np.int64(pairs.rows[n]), np.int64(pairs.columns[n])
        count = pairs.counts[n]
        log_count = np.float32(np.log(count))
        weight = np.float32(1) if count >= rates.x_max else np.float32((count / rates.x_max) ** rates.exponent)
        total += _step(weights, i, j, log_count, weight, rates)
        if i != j:
            total += _step(weights, j, i, log_count, weight, rates)
    return total
