"""Compiled look-ups of an n-gram model.

Letters: N tokens of a text, V tokens of the vocabulary, M contexts of an order, G n-grams.
"""

from __future__ import annotations

import numpy as np

from rl_core.compiling import kernel


@kernel
def context_keys(text: np.ndarray, order: int, factor: np.uint64, begin: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a number for the `order` - 1 tokens before each token [N], and the token in front of them [N].

    The number is a polynomial of the tokens in `factor`, modulo 2^64: different for different tokens while it does not overflow.
    The token in front is -1 where there is none, and -2 where there are fewer than `order` - 1 tokens, or the token is a mark of a begin.

    Args:
        text: Token numbers [N].
        order: n.
        factor: Base of the polynomial.
        begin: Token that marks the begin of a line, which no context crosses; -1: the text is one sequence.
    """
    keys, before = np.zeros(len(text), np.uint64), np.full(len(text), -2)
    first = 0
    for i in range(len(text)):
        if text[i] == begin:
            first = i
            continue
        if i - order + 1 < first:
            continue
        key = np.uint64(0)
        for j in range(i - order + 1, i):
            key = key * factor + np.uint64(text[j] + 1)
        keys[i] = key
        before[i] = text[i - order] if i - order >= first else -1
    return keys, before


@kernel
def find(keys: np.ndarray, low: int, high: int, wanted: np.uint64) -> int:
    """Return the place of a number in a sorted array between two places, or -1."""
    end = high
    while low < high:
        middle = (low + high) // 2
        if keys[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low if low < end and keys[low] == wanted else -1


@kernel
def fall_back(
    probabilities: np.ndarray,
    keys: np.ndarray,
    known: np.ndarray,
    contexts: np.ndarray,
    splits: np.ndarray,
    grams: tuple[np.ndarray, np.ndarray],
    left: np.ndarray,
    text: np.ndarray,
) -> None:
    """Interpolate p_k(w | h) = discounted share + left(h) p_{k-1}(w | h') for each token of a text, in place.

    Args:
        probabilities: p_{k-1} of each token; becomes p_k [N].
        keys: Number of each token's context [N].
        known: Whether each token has a context of this order [N].
        contexts: Numbers of the contexts seen [M], sorted.
        splits: First n-gram of each context [M + 1].
        grams: Last tokens of the n-grams, sorted within a context [G], and their discounted shares [G].
        left: Share that each context leaves to the shorter one [M].
        text: Token numbers [N].
    """
    tokens, shares = grams
    for i in range(len(text)):
        place = find(contexts, 0, len(contexts), keys[i]) if known[i] else -1
        if place >= 0:
            gram = find(tokens, splits[place], splits[place + 1], text[i])
            probabilities[i] = left[place] * probabilities[i] + (shares[gram] if gram >= 0 else 0.0)


@kernel
def fall_back_whole(
    distributions: np.ndarray,
    keys: np.ndarray,
    known: np.ndarray,
    contexts: np.ndarray,
    splits: np.ndarray,
    grams: tuple[np.ndarray, np.ndarray],
    left: np.ndarray,
) -> None:
    """Do as `fall_back` does for whole distributions [N, V], one for each context."""
    tokens, shares = grams
    for i in range(len(keys)):
        place = find(contexts, 0, len(contexts), keys[i]) if known[i] else -1
        if place >= 0:
            for v in range(distributions.shape[1]):
                distributions[i, v] *= left[place]
            for gram in range(splits[place], splits[place + 1]):
                distributions[i, tokens[gram]] += shares[gram]
