"""Compiled loops of skip-gram and cbow. `tests/reference/word2vec.py` has them in plain NumPy, and a test compares the numbers.

They are fast for these reasons: one pass over a row computes the scores of six targets at once, a second pass changes the row and all
six (`row_instructions`); rows are padded to whole cache lines; negatives are drawn from an alias table (two numbers a word), for a whole
window at once, and prefetched one pair ahead, Huffman paths one word ahead; nothing is allocated in a loop.
Departures from word2vec.c that follow: targets are taken six at a time, so beyond six (more than 5 negatives, or a long Huffman
path) the row is already changed by the first six; and a negative drawn twice for one pair counts once.

Letters: V words, D padded width of a row.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nlp_embeddings.training.kernels import FAST
from nlp_embeddings.training.row_instructions import prefetch_row, products, step_rows
from nlp_embeddings.training.shards import Copies, local_row
from nlp_embeddings.training.stream import SIX, Noise, Progress, Stream
from rl_core.compiling import jit

LOSS_EVERY = 32
"""The loss is measured on one pair in so many."""

_MULTIPLIER = np.uint64(2685821657736338717)
_HALF = np.uint64(32)


class Buffers(NamedTuple):
    """Memory of one call of a kernel.

    Attributes:
        kept: Words kept of the current sentence.
        targets: Targets of all pairs of a window, each pair's filled up with blanks to the length of `labels`.
        labels: 1 or 0 for each target of a pair, a multiple of six, float32.
        steps: Products, then step sizes, of six targets, float32.
    """

    kept: np.ndarray
    targets: np.ndarray
    labels: np.ndarray
    steps: np.ndarray


@jit(nogil=True, inline="always")
def next_state(state: Any) -> Any:
    """Return the next state of a generator, xorshift64; `upper` and `below` make numbers of it."""
    state ^= state >> np.uint64(12)
    state ^= state << np.uint64(25)
    state ^= state >> np.uint64(27)
    return state


@jit(nogil=True, inline="always")
def upper(state: Any) -> Any:
    """Return 32 random bits of a state."""
    return np.uint32((state * _MULTIPLIER) >> _HALF)


@jit(nogil=True, inline="always")
def below(state: Any, bound: int) -> Any:
    """Return a random integer in [0, bound)."""
    return np.int64((((state * _MULTIPLIER) >> _HALF) * np.uint64(bound)) >> _HALF)


@jit(nogil=True, inline="always")
def draw(state: Any, threshold: np.ndarray, alias: np.ndarray) -> Any:
    """Draw a word from the noise: the upper half of the state chooses a column of the alias table, the lower half decides within it."""
    bits = state * _MULTIPLIER
    column = np.int64(((bits >> _HALF) * np.uint64(len(alias))) >> _HALF)
    if np.uint32(bits) < threshold[column]:
        return column
    return np.int64(alias[column])


@jit(nogil=True, inline="always")
def start_state(seed: Any) -> Any:
    """Return a generator's first state from a seed and a position: SplitMix64, never zero."""
    z = np.uint64(seed[0]) + np.uint64(seed[1] + 1) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return z if z != np.uint64(0) else np.uint64(1)


@jit(nogil=True, fastmath=FAST, inline="always")
def sigmoid(x: Any) -> Any:
    """Compute 1 / (1 + exp(-x))."""
    return np.float32(1) / (np.float32(1) + np.exp(-x))


@jit(nogil=True)
def longest_of(starts: np.ndarray) -> int:
    """Return the largest difference of neighbours, at least 1."""
    longest = 1
    for i in range(len(starts) - 1):
        longest = max(longest, starts[i + 1] - starts[i])
    return longest


@jit(nogil=True)
def make_buffers(stream: Stream) -> Buffers:
    """Allocate the memory of a call."""
    most = max(stream.noise.num + 1, longest_of(stream.tree.starts))
    labels = np.zeros((most + SIX - 1) // SIX * SIX, np.float32)
    labels[0] = 1
    targets = np.zeros(2 * stream.window * len(labels), np.int64)
    return Buffers(np.empty(longest_of(stream.starts), np.int64), targets, labels, np.empty(SIX, np.float32))


@jit(nogil=True, inline="always")
def rate_after(stream: Stream, words: int) -> Any:
    """Return the learning rate after so many words of this call."""
    schedule = stream.schedule
    return np.float32(max(schedule.rate * (1 - (schedule.done + words) / (schedule.total + 1)), schedule.least))


@jit(nogil=True, fastmath=FAST, error_model="numpy")
def update_targets(hidden: np.ndarray, row: int, output: np.ndarray, buffers: Buffers, begin: int, count: int, rate: Any) -> None:
    """Take one step of logistic regression of `hidden[row]` against targets, in place on both sides.

    Args:
        hidden: [., D].
        row: Row of h in it.
        output: [., D]; its last six rows are blanks, which no step changes.
        buffers: Its targets are rows of `output`, filled up with blanks to a multiple of six, the six of one pass all different.
        begin: First of the targets.
        count: Number of targets, without blanks at the end.
        rate: alpha.
    """
    targets, labels, steps = buffers.targets, buffers.labels, buffers.steps
    num_real = len(output) - SIX
    for six in range(0, count, SIX):
        first, left = begin + six, count - six
        if left > 4:
            products(hidden, row, output, targets, first, steps, 6)
        elif left > 2:  # the end of a Huffman path
            products(hidden, row, output, targets, first, steps, 4)
        else:
            products(hidden, row, output, targets, first, steps, 2)
        for i in range(SIX):
            real = i < left and targets[first + i] < num_real
            steps[i] = rate * (labels[six + i] - sigmoid(steps[i])) if real else np.float32(0)
        if left > 4:
            step_rows(hidden, row, output, targets, first, steps, 6)
        elif left > 2:
            step_rows(hidden, row, output, targets, first, steps, 4)
        else:
            step_rows(hidden, row, output, targets, first, steps, 2)


@jit(nogil=True)
def loss_of(hidden: np.ndarray, row: int, output: np.ndarray, buffers: Buffers, begin: int, count: int) -> float:
    """Compute -sum log s(+-h . c) over the targets of a pair, before its step."""
    targets, labels = buffers.targets, buffers.labels
    num_real = len(output) - SIX
    loss = 0.0
    for i in range(count):
        target = targets[begin + i]
        if target < num_real:
            f = 0.0
            for k in range(hidden.shape[1]):
                f += hidden[row, k] * output[target, k]
            f = f if labels[i] > 0 else -f
            loss += np.log1p(np.exp(-f)) if f > 0 else np.log1p(np.exp(f)) - f
    return loss


@jit(nogil=True)
def choose_negatives(centre: int, targets: np.ndarray, begin: int, noise: Noise, state: Any, first_blank: int) -> Any:
    """Write the centre word and its negatives as targets, filled up to a multiple of six; return the generator's new state.

    A negative that is the centre, or was drawn before for this pair, becomes a blank.
    """
    threshold, alias, num = noise
    targets[begin] = centre
    for k in range(1, num + 1):
        state = next_state(state)
        word = draw(state, threshold, alias)
        for earlier in range(begin, begin + k):
            if targets[earlier] == word:
                word = first_blank + k % SIX
                break
        targets[begin + k] = word
    fill(targets, begin, num + 1, first_blank)
    return state


@jit(nogil=True)
def fill(targets: np.ndarray, begin: int, count: int, first_blank: int) -> None:
    """Fill targets up to a multiple of six; the blanks of one six are all different."""
    while count % SIX != 0:
        targets[begin + count] = first_blank + count % SIX
        count += 1


@jit(nogil=True)
def keep_words(stream: Stream, sentence: int, state: Any, kept: np.ndarray) -> Any:
    """Write the words of a sentence that are in the vocabulary and pass the subsampling to `kept`.

    Returns:
        Their number, the number of all in the vocabulary, the generator's new state.
    """
    num_kept, known = 0, 0
    ids, keep = stream.ids, stream.keep
    num_words = len(keep)
    for position in range(stream.starts[sentence], stream.starts[sentence + 1]):
        word = ids[position]
        if word < 0 or word >= num_words:
            continue
        known += 1
        state = next_state(state)
        if upper(state) <= keep[word]:
            kept[num_kept] = word
            num_kept += 1
    return num_kept, known, state


@jit(nogil=True)
def path_targets(word: int, buffers: Buffers, stream: Stream) -> Any:
    """Write the inner nodes on a word's path as targets, and their labels; return their number."""
    tree = stream.tree
    begin, count = tree.starts[word], tree.starts[word + 1] - tree.starts[word]
    for i in range(count):
        buffers.targets[i] = tree.points[begin + i]
        buffers.labels[i] = 1 - tree.codes[begin + i]
    fill(buffers.targets, 0, count, len(stream.keep))
    return count


@jit(nogil=True)
def prefetch_path(word: int, outputs: np.ndarray, stream: Stream) -> None:
    """Prefetch the inner nodes of a word's path; the first few are on most paths and cached already."""
    tree = stream.tree
    for i in range(tree.starts[word] + SIX, tree.starts[word + 1]):
        prefetch_row(outputs, tree.points[i])


@jit(nogil=True)
def localise(targets: np.ndarray, length: int, num_words: int, copy: Any) -> None:
    """Replace targets with rows of a shard's own copy, blanks included."""
    for i in range(length):
        if targets[i] < num_words:
            targets[i] = local_row(targets[i], copy)
        else:
            targets[i] += len(copy.local) - SIX - num_words


@jit(nogil=True, fastmath=FAST)
def train_skip_gram(stream: Stream, inputs: np.ndarray, outputs: np.ndarray, share_negatives: bool, copies: Copies | None) -> Progress:
    """Train skip-gram on sentences: each context word's vector predicts the centre, as in word2vec.c.

    Args:
        stream: The sentences.
        inputs: Word vectors W [V, D], float32.
        outputs: Output vectors C, or inner nodes, [V + 6, D]; the last six rows are blanks.
        share_negatives: Draw negatives once per window rather than once per pair.
        copies: `None`, or the copies of both matrices that a shard works on.
    """
    hierarchical = len(stream.tree.starts) > 1
    num_words, window, noise = len(stream.keep), stream.window, stream.noise
    buffers = make_buffers(stream)
    kept, targets, width = buffers.kept, buffers.targets, len(buffers.labels)
    state = start_state(stream.seed)
    known_total, pairs, loss, measured = 0, 0, 0.0, 0
    for sentence in range(len(stream.starts) - 1):
        alpha = rate_after(stream, known_total)
        num_kept, known, state = keep_words(stream, sentence, state, kept)
        known_total += known
        for centre in range(num_kept):
            state = next_state(state)
            reach = below(state, window) + 1
            first, last = max(0, centre - reach), min(num_kept, centre + reach + 1)
            num_contexts = last - first - 1
            if num_contexts == 0:
                continue
            rows = 1 if hierarchical or share_negatives else num_contexts
            count = noise.num + 1
            if hierarchical:
                count = path_targets(kept[centre], buffers, stream)
                if copies is None and centre + 1 < num_kept:
                    prefetch_path(kept[centre + 1], outputs, stream)
            else:
                for row in range(rows):
                    state = choose_negatives(kept[centre], targets, row * width, noise, state, num_words)
            if copies is not None:
                localise(targets, rows * ((count + SIX - 1) // SIX * SIX), num_words, copies.outputs)
            begin = 0
            for other in range(first, last):
                if other == centre:
                    continue
                following = begin + width
                if following < rows * width:
                    for i in range(following + 1, following + count):
                        prefetch_row(outputs, targets[i])
                row = kept[other] if copies is None else local_row(kept[other], copies.inputs)
                if pairs % LOSS_EVERY == 0:
                    loss += loss_of(inputs, row, outputs, buffers, begin, count)
                    measured += 1
                update_targets(inputs, row, outputs, buffers, begin, count, alpha)
                begin = following if rows > 1 else 0
                pairs += 1
    return Progress(known_total, pairs, loss, measured)


@jit(nogil=True, fastmath=FAST)
def train_cbow(stream: Stream, inputs: np.ndarray, outputs: np.ndarray, divide_gradient: bool, copies: Copies | None) -> Progress:
    """Train cbow on sentences: the mean of the context's vectors predicts the centre.

    Args:
        stream: The sentences.
        inputs: Word vectors W [V, D], float32.
        outputs: Output vectors C, or inner nodes, [V + 6, D]; the last six rows are blanks.
        divide_gradient: Divide the gradient by the number of context words, as the mean requires; False is word2vec.c's way.
        copies: `None`, or the copies of both matrices that a shard works on.
    """
    hierarchical = len(stream.tree.starts) > 1
    num_words, window, noise = len(stream.keep), stream.window, stream.noise
    buffers = make_buffers(stream)
    kept, targets = buffers.kept, buffers.targets
    hidden = np.zeros((2, inputs.shape[1]), np.float32)
    rows = np.empty(2 * stream.window, np.int64)
    state = start_state(stream.seed)
    known_total, pairs, loss, measured = 0, 0, 0.0, 0
    for sentence in range(len(stream.starts) - 1):
        alpha = rate_after(stream, known_total)
        num_kept, known, state = keep_words(stream, sentence, state, kept)
        known_total += known
        for centre in range(num_kept):
            state = next_state(state)
            reach = below(state, window) + 1
            first, last = max(0, centre - reach), min(num_kept, centre + reach + 1)
            num_contexts = last - first - 1
            if num_contexts == 0:
                continue
            count = noise.num + 1
            if hierarchical:
                count = path_targets(kept[centre], buffers, stream)
            else:
                state = choose_negatives(kept[centre], targets, 0, noise, state, num_words)
            if copies is not None:
                localise(targets, (count + SIX - 1) // SIX * SIX, num_words, copies.outputs)
            for k in range(inputs.shape[1]):
                hidden[0, k] = 0
            share = np.float32(1) / np.float32(num_contexts)
            context = 0
            for other in range(first, last):
                if other == centre:
                    continue
                row = kept[other] if copies is None else local_row(kept[other], copies.inputs)
                rows[context] = row
                context += 1
                for k in range(inputs.shape[1]):
                    hidden[0, k] += inputs[row, k] * share
            for k in range(inputs.shape[1]):
                hidden[1, k] = hidden[0, k]
            if pairs % LOSS_EVERY == 0:
                loss += loss_of(hidden, 0, outputs, buffers, 0, count)
                measured += 1
            update_targets(hidden, 0, outputs, buffers, 0, count, alpha)
            scale = share if divide_gradient else np.float32(1)
            for k in range(inputs.shape[1]):
                hidden[1, k] = (hidden[0, k] - hidden[1, k]) * scale
            for i in range(num_contexts):
                row = rows[i]
                for k in range(inputs.shape[1]):
                    inputs[row, k] += hidden[1, k]
            pairs += 1
    return Progress(known_total, pairs, loss, measured)
