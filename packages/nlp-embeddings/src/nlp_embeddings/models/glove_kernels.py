"""GloVe's inner loop, compiled; `glove_reading` is the same in plain NumPy."""

from __future__ import annotations

import numpy as np

from nlp_embeddings.training.kernels import FAST
from rl_core.compiling import jit

CLIP = 100.0  # of one coordinate's gradient, as in the reference program


@jit(nogil=True, fastmath=FAST)
def _step(word, context, squares_word, squares_context, row, column, log_count, weight, rate, bias_rate):
    """One direction of a pair: `word[row]` and `context[column]` move; the last column is the bias."""
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
def train_glove(rows, columns, counts, words, contexts, squares_words, squares_contexts, x_max, exponent, rate, bias_rate):
    """Train on pairs, each in both directions, with AdaGrad.

    Args:
        rows: i of each pair [N].
        columns: j of each pair [N], i <= j.
        counts: X_ij [N].
        words: W with its bias as last column [V, d + 1], float32.
        contexts: W~ likewise.
        squares_words: AdaGrad's sums, like `words`; 1 at the start.
        squares_contexts: Like `contexts`.
        x_max: Counts above it weigh 1.
        exponent: Of the weight.
        rate: eta of the vectors, float32.
        bias_rate: eta of the biases, float32.

    Returns:
        Sum of the weighted squared errors, halved, before each step.
    """
    total = 0.0
    for n in range(len(rows)):
        i, j = np.int64(rows[n]), np.int64(columns[n])
        log_count = np.float32(np.log(counts[n]))
        weight = np.float32(1) if counts[n] >= x_max else np.float32((counts[n] / x_max) ** exponent)
        total += _step(words, contexts, squares_words, squares_contexts, i, j, log_count, weight, rate, bias_rate)
        if i != j:
            total += _step(words, contexts, squares_words, squares_contexts, j, i, log_count, weight, rate, bias_rate)
    return total
