"""FastText's inner loops, compiled; `fasttext_reading` has the same in plain NumPy.

A word's vector is the mean of its rows. When h moves by e, fastText adds e to every row, and a mean of rows that all move by e
moves by e: so the rows are gathered once per word and written once, with the sum of all its pairs' steps. (A word with two
n-grams in one bucket moves that row twice.)
"""

from __future__ import annotations

import numpy as np

from nlp_embeddings.models.word2vec_kernels import (
    LOSS_EVERY,
    SIX,
    below,
    choose_negatives,
    keep_words,
    local_row,
    localise,
    longest_of,
    loss_of,
    next_state,
    start_state,
    update_targets,
)
from nlp_embeddings.training.kernels import FAST
from nlp_embeddings.training.row_instructions import prefetch_row
from rl_core.compiling import jit


@jit(nogil=True, fastmath=FAST)
def gather(matrix, rows, count, hidden):
    """hidden[0] and hidden[1] become the mean of the rows."""
    for k in range(matrix.shape[1]):
        hidden[0, k] = 0
    for i in range(count):
        row = rows[i]
        for k in range(matrix.shape[1]):
            hidden[0, k] += matrix[row, k]
    share = np.float32(1) / np.float32(count)
    for k in range(matrix.shape[1]):
        hidden[0, k] *= share
        hidden[1, k] = hidden[0, k]


@jit(nogil=True, fastmath=FAST)
def scatter(matrix, rows, count, hidden):
    """Every row moves as the mean has moved since `gather`."""
    for k in range(matrix.shape[1]):
        hidden[1, k] = hidden[0, k] - hidden[1, k]
    for i in range(count):
        row = rows[i]
        for k in range(matrix.shape[1]):
            matrix[row, k] += hidden[1, k]


@jit(nogil=True)
def collect(word, begins, table, rows, count, copy):
    """Append a word's rows; how many there are now."""
    for i in range(begins[word], begins[word + 1]):
        rows[count] = table[i] if copy is None else local_row(table[i], *copy)
        count += 1
    return count


@jit(nogil=True, fastmath=FAST)
def train_fasttext(
    ids, starts, inputs, outputs, num_words, keep, noise, table, begins, window, cbow, schedule, seed, position, copies
):  # fmt: skip
    """Train on sentences with negative sampling: a word predicts each of its neighbours, or (cbow) all neighbours' rows predict it.

    Args:
        ids: Word ids; below 0 or from V on, a word is passed over.
        starts: Where each sentence starts in `ids` [S + 1].
        inputs: Rows of words and n-grams [V + U, D], float32.
        outputs: Output vectors C [V + 6, D]; the last six rows are blanks.
        num_words: V.
        keep: For each word, how many of 2^32 draws keep it [V].
        noise: (threshold, alias, K) of the negatives.
        table: Rows of all words.
        begins: Where each word's begin in it [V + 1].
        window: Most words on each side that are context.
        cbow: Predict the word from its neighbours.
        schedule: (rate at the start, least rate, words done before this call, words of the whole run).
        seed: Of this call's random numbers.
        position: Makes the random numbers of each call its own.
        copies: `None`, or of a shard that works on copies: (slots, touched, count, shared, local) of both sides.

    Returns:
        Words read that are in the vocabulary, pairs trained, sum of measured losses, number of them.
    """
    rate, least_rate, done, total = schedule
    threshold, alias, num_negatives = noise
    state = start_state(seed, position)
    kept = np.empty(longest_of(starts), np.int64)
    width = (num_negatives + SIX) // SIX * SIX
    targets = np.zeros(2 * window * width, np.int64)
    labels = np.zeros(width, np.float32)
    labels[0] = 1
    steps = np.empty(SIX, np.float32)
    rows = np.empty(2 * window * longest_of(begins), np.int64)
    hidden = np.zeros((2, inputs.shape[1]), np.float32)
    known_total, pairs, loss, measured = 0, 0, 0.0, 0
    num_real = len(outputs) - SIX
    for sentence in range(len(starts) - 1):
        alpha = np.float32(max(rate * (1 - (done + known_total) / (total + 1)), least_rate))
        num_kept, known, state = keep_words(ids, starts[sentence], starts[sentence + 1], num_words, keep, state, kept)
        known_total += known
        for centre in range(num_kept):
            state = next_state(state)
            reach = below(state, window) + 1
            first, last = max(0, centre - reach), min(num_kept, centre + reach + 1)
            if last - first < 2:
                continue
            count, times = 0, 0
            for other in range(first, last):
                if cbow and other != centre:
                    count = collect(kept[other], begins, table, rows, count, None if copies is None else copies[0])
                if (other == centre) == cbow:
                    state = choose_negatives(kept[other], targets, times * width, num_negatives, state, threshold, alias, num_words)
                    times += 1
            if not cbow:
                count = collect(kept[centre], begins, table, rows, count, None if copies is None else copies[0])
            if copies is not None:
                localise(targets, times * width, num_words, *copies[1])
            gather(inputs, rows, count, hidden)
            for time in range(times):
                begin = time * width
                if time + 1 < times:
                    for i in range(num_negatives + 1):
                        prefetch_row(outputs, targets[begin + width + i])
                if pairs % LOSS_EVERY == 0:
                    loss += loss_of(hidden, 0, outputs, targets, begin, labels, num_negatives + 1, num_real)
                    measured += 1
                update_targets(hidden, 0, outputs, targets, begin, labels, num_negatives + 1, num_real, alpha, steps)
                pairs += 1
            scatter(inputs, rows, count, hidden)
    return known_total, pairs, loss, measured
