"""Reference implementation of `models.word2vec_kernels` in plain NumPy.

The same random numbers are drawn in the same order, so that `test_the_compiled_kernel_agrees_with_the_reference` can compare the two
weight for weight.
"""

from __future__ import annotations

import itertools

import numpy as np

from nlp_embeddings.models.softmax import Random
from nlp_embeddings.training.stream import SIX, Noise, Stream, Tree


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Compute 1 / (1 + exp(-x)).

    Example:
        >>> float(sigmoid(np.log(3.0)))
        0.75
    """
    return 1 / (1 + np.exp(-x))


def logistic_loss(hidden: np.ndarray, targets: np.ndarray, labels: np.ndarray) -> float:
    """Compute -sum log s(+-h . c): the loss of negative sampling (4) and, with a path's nodes as targets, of hierarchical softmax (3).

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
    """Return the gradient of `logistic_loss` by h [D] and by the targets [T, D]: (s(h . c) - y) c and (s(h . c) - y) h.

    Example:
        >>> by_hidden, by_targets = logistic_gradient(np.array([2.0]), np.array([[0.0]]), np.array([1.0]))
        >>> by_targets.tolist()  # (1/2 - 1) * 2
        [[-1.0]]
    """
    error = sigmoid(targets @ hidden) - labels
    return error @ targets, np.outer(error, hidden)


def update_targets(hidden: np.ndarray, outputs: np.ndarray, targets: list[int], labels: list[int], rate: float | np.float32) -> None:
    """Take a step of logistic regression on h and its targets, in place, six targets at a time; targets of -1 are blanks."""
    for six in range(0, len(targets), SIX):
        kept = [place for place in range(six, min(six + SIX, len(targets))) if targets[place] >= 0]
        rows, y = [targets[place] for place in kept], np.array([labels[place] for place in kept], dtype=np.float32)
        by_hidden, by_targets = logistic_gradient(hidden, outputs[rows], y)
        outputs[rows] -= rate * by_targets
        hidden -= rate * by_hidden


def rate_at(stream: Stream, words: int) -> np.float32:
    """Return the learning rate after so many words of a call."""
    schedule = stream.schedule
    return np.float32(max(schedule.rate * (1 - (schedule.done + words) / (schedule.total + 1)), schedule.least))


def draw_noise(random: Random, noise: Noise) -> int:
    """Draw a word from the noise distribution, by the alias method."""
    bits = random.bits()
    column = ((bits >> 32) * len(noise.alias)) >> 32
    return column if (bits & 0xFFFFFFFF) < noise.threshold[column] else int(noise.alias[column])


def train(
    stream: Stream, inputs: np.ndarray, outputs: np.ndarray, *, rule: str = "skip-gram", share_negatives: bool = False
) -> tuple[int, int, float]:
    """Train on sentences, as `train_skip_gram` and `train_cbow` do; return words read, pairs and the sum of losses.

    Args:
        stream: The sentences.
        inputs: W [V, D].
        outputs: C or inner nodes.
        rule: "skip-gram"; or "mean" or "classic" for cbow with the gradient divided by the number of context words, or not.
        share_negatives: Draw negatives once per window.
    """
    random = Random(*stream.seed)
    num_words = len(stream.keep)
    known_total, pairs, loss = 0, 0, 0.0
    for start, stop in itertools.pairwise(stream.starts):
        rate = rate_at(stream, known_total)
        known = [int(word) for word in stream.ids[start:stop] if 0 <= word < num_words]
        kept = [word for word in known if random.upper() <= stream.keep[word]]
        known_total += len(known)
        for centre, word in enumerate(kept):
            reach = random.below(stream.window) + 1
            context = kept[max(0, centre - reach) : centre] + kept[centre + 1 : centre + reach + 1]
            if not context:
                continue
            if len(stream.tree.starts) > 1:
                chosen = [path_of(word, stream.tree)]
            else:
                times = 1 if rule != "skip-gram" or share_negatives else len(context)
                chosen = [choose_negatives(word, stream.noise, random) for _ in range(times)]
            if rule != "skip-gram":
                before = inputs[context].sum(axis=0) * np.float32(1 / len(context))
                hidden = before.copy()
                loss += learn_targets(hidden, outputs, chosen[0], rate)
                change = hidden - before
                np.add.at(inputs, context, change / len(context) if rule == "mean" else change)
                pairs += 1
                continue
            for index, other in enumerate(context):
                loss += learn_targets(inputs[other], outputs, chosen[index % len(chosen)], rate)
                pairs += 1
    return known_total, pairs, loss


def learn_targets(hidden: np.ndarray, outputs: np.ndarray, chosen: tuple[list[int], list[int]], rate: np.float32) -> float:
    """Take one step on h in place, and return the loss before it."""
    targets, labels = chosen
    real = [place for place, target in enumerate(targets) if target >= 0]
    loss = logistic_loss(hidden, outputs[[targets[place] for place in real]], np.array([labels[place] for place in real]))
    update_targets(hidden, outputs, targets, labels, rate)
    return loss


def choose_negatives(word: int, noise: Noise, random: Random) -> tuple[list[int], list[int]]:
    """Return the word and its negatives; one that is the word, or was drawn before, is a blank."""
    targets = [word]
    for _ in range(noise.num):
        drawn = draw_noise(random, noise)
        targets.append(-1 if drawn in targets else drawn)
    return targets, [1] + [0] * noise.num


def path_of(word: int, tree: Tree) -> tuple[list[int], list[int]]:
    """Return the inner nodes from the root to the word; 1 for a step to the left."""
    begin, end = tree.starts[word], tree.starts[word + 1]
    return tree.points[begin:end].tolist(), (1 - tree.codes[begin:end]).tolist()
