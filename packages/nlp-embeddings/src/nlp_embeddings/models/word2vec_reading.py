"""Word2vec as one would write it on a board: the reading twin of `word2vec_kernels`, in plain NumPy, and the full softmax.

The same random numbers are drawn in the same order, so that `test_the_compiled_kernel_does_what_the_reading_twin_does` can
compare the two weight for weight.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np

SIX = 6
_MASK = (1 << 64) - 1


class Random:
    """xorshift64*, started from a seed and a position by SplitMix64."""

    def __init__(self, seed: int, position: int) -> None:
        z = (seed + (position + 1) * 0x9E3779B97F4A7C15) & _MASK
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        self.state = (z ^ (z >> 31)) or 1

    def bits(self) -> int:
        """64 random bits."""
        self.state ^= self.state >> 12
        self.state = (self.state ^ (self.state << 25)) & _MASK
        self.state ^= self.state >> 27
        return (self.state * 2685821657736338717) & _MASK

    def upper(self) -> int:
        """32 random bits."""
        return self.bits() >> 32

    def below(self, bound: int) -> int:
        """A random integer in [0, bound)."""
        return (self.upper() * bound) >> 32

    def noise(self, threshold: np.ndarray, alias: np.ndarray) -> int:
        """A word from the noise distribution, by the alias method."""
        bits = self.bits()
        column = ((bits >> 32) * len(alias)) >> 32
        return column if (bits & 0xFFFFFFFF) < threshold[column] else int(alias[column])


class Schedule(NamedTuple):
    """alpha falls linearly from `rate` with the words done, and never under `least`."""

    rate: float
    least: float
    done: int
    total: int


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)).

    Example:
        >>> float(sigmoid(np.log(3.0)))
        0.75
    """
    return 1 / (1 + np.exp(-x))


def logistic_loss(hidden: np.ndarray, targets: np.ndarray, labels: np.ndarray) -> float:
    """-sum log s(+-h . c): the loss of negative sampling (4) and, with a path's nodes as targets, of hierarchical softmax (3).

    Args:
        hidden: h [D].
        targets: c [T, D].
        labels: 1 for the word itself, 0 for negatives [T].

    Source: Mikolov, Sutskever, Chen, Corrado, Dean, 2013.

    Example:
        >>> round(logistic_loss(np.array([1.0]), np.array([[np.log(3.0)], [0.0]]), np.array([1.0, 0.0])), 4)  # -log 3/4 - log 1/2
        0.9808
    """
    scores = targets @ hidden
    return float(np.log1p(np.exp(np.where(labels > 0, -scores, scores))).sum())


def logistic_gradient(hidden: np.ndarray, targets: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gradient of `logistic_loss` by h [D] and by the targets [T, D]: (s(h . c) - y) c and (s(h . c) - y) h.

    Example:
        >>> by_hidden, by_targets = logistic_gradient(np.array([2.0]), np.array([[0.0]]), np.array([1.0]))
        >>> by_targets.tolist()  # (1/2 - 1) * 2
        [[-1.0]]
    """
    error = sigmoid(targets @ hidden) - labels
    return error @ targets, np.outer(error, hidden)


def softmax_loss(hidden: np.ndarray, outputs: np.ndarray, word: int) -> float:
    """-log softmax(C h)[w], over the whole vocabulary (2).

    Example:
        >>> round(softmax_loss(np.array([0.0]), np.zeros((4, 1)), 2), 4)  # log 4
        1.3863
    """
    scores = outputs @ hidden
    return float(np.log(np.exp(scores - scores.max()).sum()) + scores.max() - scores[word])


def softmax_gradient(hidden: np.ndarray, outputs: np.ndarray, word: int) -> tuple[np.ndarray, np.ndarray]:
    """Gradient of `softmax_loss` by h [D] and by C [V, D]: (p - y) C and (p - y) h."""
    scores = outputs @ hidden
    error = np.exp(scores - scores.max())
    error /= error.sum()
    error[word] -= 1
    return error @ outputs, np.outer(error, hidden)


def update_targets(hidden: np.ndarray, outputs: np.ndarray, targets: list[int], labels: list[int], rate: float | np.float32) -> None:
    """A step of logistic regression on h and its targets, in place, six targets at a time; targets of -1 are blanks."""
    for six in range(0, len(targets), SIX):
        kept = [place for place in range(six, min(six + SIX, len(targets))) if targets[place] >= 0]
        rows, y = [targets[place] for place in kept], np.array([labels[place] for place in kept], dtype=np.float32)
        by_hidden, by_targets = logistic_gradient(hidden, outputs[rows], y)
        outputs[rows] -= rate * by_targets
        hidden -= rate * by_hidden


def train_reading(
    ids: np.ndarray,
    starts: np.ndarray,
    inputs: np.ndarray,
    outputs: np.ndarray,
    num_words: int,
    keep: np.ndarray,
    noise: tuple[np.ndarray, np.ndarray, int],
    tree: tuple[np.ndarray, np.ndarray, np.ndarray],
    window: int,
    schedule: Schedule,
    seed: int,
    position: int,
    *,
    cbow: bool = False,
    divide_gradient: bool = True,
    share_negatives: bool = False,
    softmax: bool = False,
) -> tuple[int, int, float, int]:
    """Train on sentences, as `train_skip_gram` and `train_cbow` do, or with the full softmax; arguments and results as there."""
    random = Random(seed, position)
    known_total, pairs, loss = 0, 0, 0.0
    for start, stop in itertools.pairwise(starts):
        rate = np.float32(max(schedule.rate * (1 - (schedule.done + known_total) / (schedule.total + 1)), schedule.least))
        known = [int(word) for word in ids[start:stop] if 0 <= word < num_words]
        kept = [word for word in known if random.upper() <= keep[word]]
        known_total += len(known)
        for centre, word in enumerate(kept):
            reach = random.below(window) + 1
            context = kept[max(0, centre - reach) : centre] + kept[centre + 1 : centre + reach + 1]
            if not context:
                continue
            if softmax:
                chosen = []
            elif len(tree[2]) > 1:
                chosen = [_path(word, tree)]
            else:
                times = 1 if cbow or share_negatives else len(context)
                chosen = [choose_negatives(word, noise, random) for _ in range(times)]
            if cbow:
                before = inputs[context].sum(axis=0) * np.float32(1 / len(context))
                hidden = before.copy()
                loss += learn_targets(hidden, outputs, word, chosen[0] if chosen else None, rate)
                change = hidden - before
                np.add.at(inputs, context, change / len(context) if divide_gradient else change)
                pairs += 1
                continue
            for index, other in enumerate(context):
                loss += learn_targets(inputs[other], outputs, word, chosen[index % len(chosen)] if chosen else None, rate)
                pairs += 1
    return known_total, pairs, loss, pairs


def learn_targets(
    hidden: np.ndarray, outputs: np.ndarray, word: int, chosen: tuple[list[int], list[int]] | None, rate: float | np.float32
) -> float:
    """One step on h in place; the loss before it."""
    if chosen is None:
        loss = softmax_loss(hidden, outputs, word)
        by_hidden, by_outputs = softmax_gradient(hidden, outputs, word)
        outputs -= rate * by_outputs
        hidden -= rate * by_hidden
        return loss
    targets, labels = chosen
    real = [place for place, target in enumerate(targets) if target >= 0]
    loss = logistic_loss(hidden, outputs[[targets[place] for place in real]], np.array([labels[place] for place in real]))
    update_targets(hidden, outputs, targets, labels, rate)
    return loss


def choose_negatives(word: int, noise: tuple[np.ndarray, np.ndarray, int], random: Random) -> tuple[list[int], list[int]]:
    """The word and its negatives; one that is the word, or was drawn before, is a blank."""
    threshold, alias, num_negatives = noise
    targets = [word]
    for _ in range(num_negatives):
        drawn = random.noise(threshold, alias)
        targets.append(-1 if drawn in targets else drawn)
    return targets, [1] + [0] * num_negatives


def _path(word: int, tree: tuple[np.ndarray, np.ndarray, np.ndarray]) -> tuple[list[int], list[int]]:
    """Inner nodes from the root to the word; 1 where the way goes left."""
    codes, points, path_starts = tree
    begin, end = path_starts[word], path_starts[word + 1]
    return points[begin:end].tolist(), (1 - codes[begin:end]).tolist()
