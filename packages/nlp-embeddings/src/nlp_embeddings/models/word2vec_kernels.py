"""Word2vec's inner loops, compiled. `word2vec_reading` has the same in plain NumPy, and a test that both give the same numbers.

What makes them fast: one pass over a row computes the scores of six targets at once, a second pass changes the row and all
six (`row_instructions`); rows are padded to whole cache lines; negatives come from an alias table (two numbers a word), are drawn for a
whole window and asked for one pair ahead, a Huffman path one word ahead; nothing is allocated in a loop.
Departures from word2vec.c that follow: targets are taken six at a time, so beyond six (more than 5 negatives, or a long Huffman
path) the row is already changed by the first six; and a negative drawn twice for one pair counts once.

Letters: V words, D padded width of a row.
"""

from __future__ import annotations

import numpy as np

from nlp_embeddings.training.kernels import FAST
from nlp_embeddings.training.row_instructions import prefetch_row, products, step_rows
from rl_core.compiling import jit

SIX = 6
LOSS_EVERY = 32  # the loss is measured on one pair in so many

_MULTIPLIER = np.uint64(2685821657736338717)
_HALF = np.uint64(32)


@jit(nogil=True, inline="always")
def next_state(state):
    """xorshift64: the next state of a generator; `_upper` makes a number of it."""
    state ^= state >> np.uint64(12)
    state ^= state << np.uint64(25)
    state ^= state >> np.uint64(27)
    return state


@jit(nogil=True, inline="always")
def upper(state):
    """32 random bits of a state."""
    return np.uint32((state * _MULTIPLIER) >> _HALF)


@jit(nogil=True, inline="always")
def below(state, bound):
    """A random integer in [0, bound)."""
    return np.int64((((state * _MULTIPLIER) >> _HALF) * np.uint64(bound)) >> _HALF)


@jit(nogil=True, inline="always")
def draw(state, threshold, alias):
    """A word from the noise distribution: the upper half of the state chooses a column of the alias table, the lower half within it."""
    bits = state * _MULTIPLIER
    column = np.int64(((bits >> _HALF) * np.uint64(len(alias))) >> _HALF)
    if np.uint32(bits) < threshold[column]:
        return column
    return np.int64(alias[column])


@jit(nogil=True, inline="always")
def start_state(seed, position):
    """A generator's first state from a seed and a position: SplitMix64, never zero."""
    z = np.uint64(seed) + np.uint64(position + 1) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return z if z != np.uint64(0) else np.uint64(1)


@jit(nogil=True, fastmath=FAST, inline="always")
def sigmoid(x):
    """1 / (1 + exp(-x))."""
    return np.float32(1) / (np.float32(1) + np.exp(-x))


@jit(nogil=True, fastmath=FAST, error_model="numpy")
def update_targets(hidden, row, output, targets, begin, labels, count, num_real, rate, steps):
    """One step of logistic regression of `hidden[row]` against targets, in place on both sides.

    Args:
        hidden: [., D].
        row: Which row of it is h.
        output: [., D]; rows from `num_real` on are blanks that no step changes.
        targets: Rows of `output`, filled up with blanks to a multiple of six, the six of one pass all different.
        begin: Where in `targets` they begin.
        labels: 1 or 0 for each target, float32.
        count: How many targets, without filling.
        num_real: Number of rows that are no blanks.
        rate: alpha.
        steps: Room for six numbers, float32.
    """
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
def loss_of(hidden, row, output, targets, begin, labels, count, num_real):
    """-sum log s(+-h . c) over the targets of a pair, before its step."""
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
def choose_negatives(centre, targets, begin, num_negatives, state, threshold, alias, first_blank):
    """The centre word and its negatives as targets, filled up to a multiple of six; the generator's new state.

    A negative that is the centre, or was drawn before for this pair, becomes a blank.
    """
    targets[begin] = centre
    for k in range(1, num_negatives + 1):
        state = next_state(state)
        word = draw(state, threshold, alias)
        for earlier in range(begin, begin + k):
            if targets[earlier] == word:
                word = first_blank + k % SIX
                break
        targets[begin + k] = word
    fill(targets, begin, num_negatives + 1, first_blank)
    return state


@jit(nogil=True)
def fill(targets, begin, count, first_blank):
    """Fill targets up to a multiple of six; the blanks of one six are all different."""
    while count % SIX != 0:
        targets[begin + count] = first_blank + count % SIX
        count += 1


@jit(nogil=True)
def keep_words(ids, start, stop, num_words, keep, state, kept):
    """Words of a sentence that are in the vocabulary and survive subsampling; their number, all in the vocabulary, the new state."""
    num_kept, known = 0, 0
    for position in range(start, stop):
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
def local_row(word, slots, touched, count, shared, local):
    """Row of a word in a shard's own copy; copied from the shared matrix when first touched."""
    slot = slots[word]
    if slot < 0:
        slot = count[0]
        slots[word] = slot
        touched[slot] = word
        count[0] += 1
        local[slot] = shared[word]
    return slot


@jit(nogil=True)
def path_targets(word, targets, labels, codes, points, path_starts, first_blank):
    """The inner nodes on a word's path as targets, their labels, and how many."""
    begin, count = path_starts[word], path_starts[word + 1] - path_starts[word]
    for i in range(count):
        targets[i] = points[begin + i]
        labels[i] = 1 - codes[begin + i]
    fill(targets, 0, count, first_blank)
    return count


@jit(nogil=True)
def ask_for_path(word, outputs, points, path_starts):
    """Ask for the inner nodes of a word's path; the first few are on most paths and near already."""
    for i in range(path_starts[word] + SIX, path_starts[word + 1]):
        prefetch_row(outputs, points[i])


@jit(nogil=True)
def localise(targets, length, num_words, slots, touched, count, shared, local):
    """Targets as rows of a shard's own copy, blanks included."""
    for i in range(length):
        if targets[i] < num_words:
            targets[i] = local_row(targets[i], slots, touched, count, shared, local)
        else:
            targets[i] += len(local) - SIX - num_words


@jit(nogil=True)
def longest_of(starts):
    """The largest difference of neighbours, at least 1."""
    longest = 1
    for i in range(len(starts) - 1):
        longest = max(longest, starts[i + 1] - starts[i])
    return longest


@jit(nogil=True, fastmath=FAST)
def train_skip_gram(
    ids, starts, inputs, outputs, num_words, keep, noise, tree, window, share_negatives, schedule, seed, position, copies
):  # fmt: skip
    """Train skip-gram on sentences: each context word's vector predicts the centre, as in word2vec.c.

    Args:
        ids: Word ids; below 0 or from V on, a word is passed over.
        starts: Where each sentence starts in `ids` [S + 1].
        inputs: Word vectors W [V, D], float32.
        outputs: Output vectors C, or inner nodes, [V + 6, D]; the last six rows are blanks.
        num_words: V.
        keep: For each word, how many of 2^32 draws keep it [V].
        noise: (threshold, alias, K) of the negatives.
        tree: (codes, points, path starts) of the Huffman tree; path starts of length 1 for negative sampling.
        window: Most words on each side that are context; the actual width is drawn uniformly from 1..window per word.
        share_negatives: Draw negatives once per window rather than once per pair.
        schedule: (rate at the start, least rate, words done before this call, words of the whole run); the rate falls linearly.
        seed: Of this call's random numbers.
        position: Makes the random numbers of each call its own.
        copies: `None`, or of a shard that works on copies: (slots, touched, count, shared, local) of both sides.

    Returns:
        Words read that are in the vocabulary, pairs trained, sum of measured losses, number of them.
    """
    rate, least_rate, done, total = schedule
    threshold, alias, num_negatives = noise
    codes, points, path_starts = tree
    hierarchical = len(path_starts) > 1
    state = start_state(seed, position)
    kept = np.empty(longest_of(starts), np.int64)
    most = max(num_negatives + 1, longest_of(path_starts))
    width = (most + SIX - 1) // SIX * SIX  # of one pair's targets
    targets = np.zeros(2 * window * width, np.int64)
    labels = np.zeros(width, np.float32)
    labels[0] = 1
    steps = np.empty(SIX, np.float32)
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
            num_contexts = last - first - 1
            if num_contexts == 0:
                continue
            rows = 1 if hierarchical or share_negatives else num_contexts
            count = num_negatives + 1
            if hierarchical:
                count = path_targets(kept[centre], targets, labels, codes, points, path_starts, num_words)
                if copies is None and centre + 1 < num_kept:
                    ask_for_path(kept[centre + 1], outputs, points, path_starts)
            else:
                for row in range(rows):
                    state = choose_negatives(kept[centre], targets, row * width, num_negatives, state, threshold, alias, num_words)
            if copies is not None:
                localise(targets, rows * ((count + SIX - 1) // SIX * SIX), num_words, *copies[1])
            begin = 0
            for other in range(first, last):
                if other == centre:
                    continue
                following = begin + width
                if following < rows * width:
                    for i in range(following + 1, following + count):
                        prefetch_row(outputs, targets[i])
                row = kept[other] if copies is None else local_row(kept[other], *copies[0])
                if pairs % LOSS_EVERY == 0:
                    loss += loss_of(inputs, row, outputs, targets, begin, labels, count, num_real)
                    measured += 1
                update_targets(inputs, row, outputs, targets, begin, labels, count, num_real, alpha, steps)
                begin = following if rows > 1 else 0
                pairs += 1
    return known_total, pairs, loss, measured


@jit(nogil=True, fastmath=FAST)
def train_cbow(
    ids, starts, inputs, outputs, num_words, keep, noise, tree, window, divide_gradient, schedule, seed, position, copies
):  # fmt: skip
    """Train cbow on sentences: the mean of the context's vectors predicts the centre.

    Args:
        ids: As in `train_skip_gram`; likewise all others but one.
        starts: Likewise.
        inputs: Likewise.
        outputs: Likewise.
        num_words: Likewise.
        keep: Likewise.
        noise: Likewise.
        tree: Likewise.
        window: Likewise.
        divide_gradient: Divide the gradient by the number of context words, as the mean requires; False is word2vec.c's way.
        schedule: Likewise.
        seed: Likewise.
        position: Likewise.
        copies: Likewise.

    Returns:
        Words read that are in the vocabulary, windows trained, sum of measured losses, number of them.
    """
    rate, least_rate, done, total = schedule
    threshold, alias, num_negatives = noise
    codes, points, path_starts = tree
    hierarchical = len(path_starts) > 1
    state = start_state(seed, position)
    kept = np.empty(longest_of(starts), np.int64)
    most = max(num_negatives + 1, longest_of(path_starts))
    width = (most + SIX - 1) // SIX * SIX  # of one pair's targets
    targets = np.zeros(2 * window * width, np.int64)
    labels = np.zeros(width, np.float32)
    labels[0] = 1
    steps = np.empty(SIX, np.float32)
    hidden = np.zeros((2, inputs.shape[1]), np.float32)
    rows = np.empty(2 * window, np.int64)
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
            num_contexts = last - first - 1
            if num_contexts == 0:
                continue
            count = num_negatives + 1
            if hierarchical:
                count = path_targets(kept[centre], targets, labels, codes, points, path_starts, num_words)
            else:
                state = choose_negatives(kept[centre], targets, 0, num_negatives, state, threshold, alias, num_words)
            if copies is not None:
                localise(targets, (count + SIX - 1) // SIX * SIX, num_words, *copies[1])
            for k in range(inputs.shape[1]):
                hidden[0, k] = 0
            share = np.float32(1) / np.float32(num_contexts)
            context = 0
            for other in range(first, last):
                if other == centre:
                    continue
                row = kept[other] if copies is None else local_row(kept[other], *copies[0])
                rows[context] = row
                context += 1
                for k in range(inputs.shape[1]):
                    hidden[0, k] += inputs[row, k] * share
            for k in range(inputs.shape[1]):
                hidden[1, k] = hidden[0, k]
            if pairs % LOSS_EVERY == 0:
                loss += loss_of(hidden, 0, outputs, targets, 0, labels, count, num_real)
                measured += 1
            update_targets(hidden, 0, outputs, targets, 0, labels, count, num_real, alpha, steps)
            scale = share if divide_gradient else np.float32(1)
            for k in range(inputs.shape[1]):
                hidden[1, k] = (hidden[0, k] - hidden[1, k]) * scale
            for i in range(num_contexts):
                row = rows[i]
                for k in range(inputs.shape[1]):
                    inputs[row, k] += hidden[1, k]
            pairs += 1
    return known_total, pairs, loss, measured
