"""Compiled look-ups of an n-gram model.

Letters: N tokens of a text, V tokens of the vocabulary, M contexts of an order, G n-grams.
"""

from __future__ import annotations

import numpy as np

from rl_core.compiling import kernel


@kernel
def context_keys(text: np.ndarray, order: int, factor: np.uint64) -> np.ndarray:
    """Return a number for the `order` - 1 tokens before each token [N]; of the first ones, for those that there are.

    The number is a polynomial of the tokens in `factor`, modulo 2^64: different for different tokens while it does not overflow.
    """
    keys = np.zeros(len(text), np.uint64)
    for i in range(len(text)):
        key = np.uint64(0)
        for j in range(max(i - order + 1, 0), i):
            key = key * factor + np.uint64(text[j] + 1)
        keys[i] = key
    return keys


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
        contexts: Numbers of the contexts seen [M], sorted.
        splits: First n-gram of each context [M + 1].
        grams: Last tokens of the n-grams, sorted within a context [G], and their discounted shares [G].
        left: Share that each context leaves to the shorter one [M].
        text: Token numbers [N].
    """
    tokens, shares = grams
    for i in range(len(text)):
        place = find(contexts, 0, len(contexts), keys[i])
        if place >= 0:
            gram = find(tokens, splits[place], splits[place + 1], text[i])
            probabilities[i] = left[place] * probabilities[i] + (shares[gram] if gram >= 0 else 0.0)


@kernel
def fall_back_whole(
    distributions: np.ndarray,
    keys: np.ndarray,
    contexts: np.ndarray,
    splits: np.ndarray,
    grams: tuple[np.ndarray, np.ndarray],
    left: np.ndarray,
) -> None:
    """Do as `fall_back` does for whole distributions [N, V], one for each context."""
    tokens, shares = grams
    for i in range(len(keys)):
        place = find(contexts, 0, len(contexts), keys[i])
        if place >= 0:
            for v in range(distributions.shape[1]):
                distributions[i, v] *= left[place]
            for gram in range(splits[place], splits[place + 1]):
                distributions[i, tokens[gram]] += shares[gram]
