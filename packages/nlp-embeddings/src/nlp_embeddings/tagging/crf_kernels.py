"""Compiled recursions of a linear-chain conditional random field.

Letters: N words of all sentences, K tags, U types of words, O distances of the window, A attributes, F templates, R rows of weights.
"""

from __future__ import annotations

import numpy as np

from rl_core.compiling import kernel


@kernel
def type_scores(
    weights: np.ndarray, rows: np.ndarray, slots: np.ndarray, columns: np.ndarray, bases: np.ndarray, num_slots: int
) -> np.ndarray:
    """Return what a type of word adds to the scores of the word at each distance from it [O, U + 1, K].

    A word's scores are sums over templates; all templates at one distance see the same type, so their sum is taken once a type rather than
    once a word.

    Args:
        weights: [R, K].
        rows: Values of the types' attributes [U + 1, A].
        slots: Number of each template's distance [F].
        columns: Number of each template's attribute [F].
        bases: First row of each template [F].
        num_slots: O.
    """
    result = np.zeros((num_slots, len(rows), weights.shape[1]))
    for u in range(len(rows)):
        for f in range(len(slots)):
            row = bases[f] + rows[u, columns[f]]
            for k in range(weights.shape[1]):
                result[slots[f], u, k] += weights[row, k]
    return result


@kernel
def type_gradient(
    by_type: np.ndarray, rows: np.ndarray, slots: np.ndarray, columns: np.ndarray, bases: np.ndarray, count: int
) -> np.ndarray:
    """Return the sums over types and distances [R, K] that belong to each weight: the transpose of `type_scores`."""
    result = np.zeros((count, by_type.shape[2]))
    for u in range(len(rows)):
        for f in range(len(slots)):
            row = bases[f] + rows[u, columns[f]]
            for k in range(by_type.shape[2]):
                result[row, k] += by_type[slots[f], u, k]
    return result


@kernel
def word_scores(by_type: np.ndarray, types: np.ndarray, splits: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """Return the scores of the tags of each word [N, K]: sums over the window of what its types add."""
    size, beyond = by_type.shape[2], by_type.shape[1] - 1
    scores = np.zeros((len(types), size))
    for s in range(len(splits) - 1):
        for i in range(splits[s], splits[s + 1]):
            for o in range(len(distances)):
                place = i + distances[o]
                kind = types[place] if splits[s] <= place < splits[s + 1] else beyond
                for k in range(size):
                    scores[i, k] += by_type[o, kind, k]
    return scores


@kernel
def forward_backward(scores: np.ndarray, transitions: np.ndarray, splits: np.ndarray, marginals: np.ndarray, pairs: np.ndarray) -> float:
    """Return the sum over sentences of log Z; fill `marginals` and add to `pairs`.

    With e = exp(score) and M = exp(T): a_i = e_i * (a_{i-1} M) / c_i, b_i = M (e_{i+1} * b_{i+1}) / c_{i+1}, log Z = sum log c_i, and the
    marginals are a_i * b_i. Each word's scores are shifted by their largest, which is added to log Z again.

    Args:
        scores: [N, K].
        transitions: T [K + 1, K + 1]: row 0 is the start, column 0 the end; -1e30 forbids.
        splits: [S + 1].
        marginals: Filled with P(tag of word i | sentence) [N, K].
        pairs: Expected number of each pair of neighbours is added [K + 1, K + 1].
    """
    size = scores.shape[1]
    moves = np.exp(transitions)
    longest = 0
    for s in range(len(splits) - 1):
        longest = max(longest, splits[s + 1] - splits[s])
    seen, forward, backward = np.zeros((longest, size)), np.zeros((longest, size)), np.zeros((longest, size))
    scale = np.zeros(longest + 1)
    total = 0.0
    for s in range(len(splits) - 1):
        begin, length = splits[s], splits[s + 1] - splits[s]
        if length == 0:
            continue
        for i in range(length):
            top = scores[begin + i, 0]
            for k in range(1, size):
                top = max(top, scores[begin + i, k])
            total += top
            mass = 0.0
            for k in range(size):
                seen[i, k] = np.exp(scores[begin + i, k] - top)
                value = 0.0
                if i == 0:
                    value = moves[0, k + 1]
                else:
                    for j in range(size):
                        value += forward[i - 1, j] * moves[j + 1, k + 1]
                forward[i, k] = value * seen[i, k]
                mass += forward[i, k]
            scale[i] = mass
            total += np.log(mass)
            for k in range(size):
                forward[i, k] /= mass
        mass = 0.0
        for k in range(size):
            mass += forward[length - 1, k] * moves[k + 1, 0]
        scale[length] = mass
        total += np.log(mass)
        for k in range(size):
            backward[length - 1, k] = moves[k + 1, 0] / mass
            pairs[k + 1, 0] += forward[length - 1, k] * backward[length - 1, k]
        for i in range(length - 2, -1, -1):
            for j in range(size):
                value = 0.0
                for k in range(size):
                    step = moves[j + 1, k + 1] * seen[i + 1, k] * backward[i + 1, k] / scale[i + 1]
                    value += step
                    pairs[j + 1, k + 1] += forward[i, j] * step
                backward[i, j] = value
        for k in range(size):
            pairs[0, k + 1] += forward[0, k] * backward[0, k]
        for i in range(length):
            for k in range(size):
                marginals[begin + i, k] = forward[i, k] * backward[i, k]
    return total


@kernel
def sums_by_type(values: np.ndarray, types: np.ndarray, splits: np.ndarray, distances: np.ndarray, num_types: int) -> np.ndarray:
    """Return the sums of words' values [N, K] over the types in their windows [O, U + 1, K]: the transpose of `word_scores`."""
    size = values.shape[1]
    result = np.zeros((len(distances), num_types, size))
    for s in range(len(splits) - 1):
        for i in range(splits[s], splits[s + 1]):
            for o in range(len(distances)):
                place = i + distances[o]
                kind = types[place] if splits[s] <= place < splits[s + 1] else num_types - 1
                for k in range(size):
                    result[o, kind, k] += values[i, k]
    return result
