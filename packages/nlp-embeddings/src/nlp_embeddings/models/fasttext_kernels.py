"""Compiled loop of fastText; `tests/reference/fasttext.py` has it in plain NumPy.

The vector h of a word is the mean of its rows. When h moves by e, fastText adds e to every row, and a mean of rows that all move by e
moves by e: so the rows are gathered once per word and written once, with the sum of the steps of all its pairs. (A word with two
n-grams in one bucket moves that row twice.)
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nlp_embeddings.models.word2vec_kernels import (
    LOSS_EVERY,
    below,
    choose_negatives,
    keep_words,
    localise,
    longest_of,
    loss_of,
    make_buffers,
    next_state,
    rate_after,
    start_state,
    update_targets,
)
from nlp_embeddings.training.kernels import FAST
from nlp_embeddings.training.row_instructions import prefetch_row
from nlp_embeddings.training.shards import Copies, local_row
from nlp_embeddings.training.stream import Progress, Stream
from rl_core.compiling import jit


class WordRows(NamedTuple):
    """The rows of each word and its n-grams.

    Attributes:
        rows: Rows of all words, one word after the other.
        begins: First of each word's rows [V + 1].
    """

    rows: np.ndarray
    begins: np.ndarray


@jit(nogil=True, fastmath=FAST)
def gather(matrix: np.ndarray, rows: np.ndarray, count: int, hidden: np.ndarray) -> None:
    """Write the mean of the rows to hidden[0] and hidden[1]."""
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
def scatter(matrix: np.ndarray, rows: np.ndarray, count: int, hidden: np.ndarray) -> None:
    """Move every row by the change of the mean since `gather`."""
    for k in range(matrix.shape[1]):
        hidden[1, k] = hidden[0, k] - hidden[1, k]
    for i in range(count):
        row = rows[i]
        for k in range(matrix.shape[1]):
            matrix[row, k] += hidden[1, k]


@jit(nogil=True)
def collect(word: int, words: WordRows, rows: np.ndarray, count: int, copies: Copies | None) -> int:
    """Append a word's rows to `rows`, and return their number."""
    for i in range(words.begins[word], words.begins[word + 1]):
        rows[count] = words.rows[i] if copies is None else local_row(words.rows[i], copies.inputs)
        count += 1
    return count


@jit(nogil=True, fastmath=FAST)
def train_fasttext(stream: Stream, inputs: np.ndarray, outputs: np.ndarray, words: WordRows, cbow: bool, copies: Copies | None) -> Progress:
    """Train on sentences with negative sampling: a word predicts each of its neighbours, or (cbow) all neighbours' rows predict it.

    Args:
        stream: The sentences.
        inputs: Rows of words and n-grams [V + U, D], float32.
        outputs: Output vectors C [V + 6, D]; the last six rows are blanks.
        words: Rows of each word.
        cbow: Predict the word from its neighbours.
        copies: `None`, or the copies of both matrices that a shard works on.
    """
    num_words = len(stream.keep)
    num_negatives = stream.noise.num
    buffers = make_buffers(stream)
    kept, targets, width = buffers.kept, buffers.targets, len(buffers.labels)
    rows = np.empty(2 * stream.window * longest_of(words.begins), np.int64)
    hidden = np.zeros((2, inputs.shape[1]), np.float32)
    state: Any = start_state(stream.seed)
    known_total, pairs, loss, measured = 0, 0, 0.0, 0
    for sentence in range(len(stream.starts) - 1):
        alpha = rate_after(stream, known_total)
        num_kept, known, state = keep_words(stream, sentence, state, kept)
        known_total += known
        for centre in range(num_kept):
            state = next_state(state)
            reach = below(state, stream.window) + 1
            first, last = max(0, centre - reach), min(num_kept, centre + reach + 1)
            if last - first < 2:
                continue
            count, times = 0, 0
            for other in range(first, last):
                if cbow and other != centre:
                    count = collect(kept[other], words, rows, count, copies)
                if (other == centre) == cbow:
                    state = choose_negatives(kept[other], targets, times * width, stream.noise, state, num_words)
                    times += 1
            if not cbow:
                count = collect(kept[centre], words, rows, count, copies)
            if copies is not None:
                localise(targets, times * width, num_words, copies.outputs)
            gather(inputs, rows, count, hidden)
            for time in range(times):
                begin = time * width
                if time + 1 < times:
                    for i in range(num_negatives + 1):
                        prefetch_row(outputs, targets[begin + width + i])
                if pairs % LOSS_EVERY == 0:
                    loss += loss_of(hidden, 0, outputs, buffers, begin, num_negatives + 1)
                    measured += 1
                update_targets(hidden, 0, outputs, buffers, begin, num_negatives + 1, alpha)
                pairs += 1
            scatter(inputs, rows, count, hidden)
    return Progress(known_total, pairs, loss, measured)
