"""FastText as one would write it on a board: the reading twin of `fasttext_kernels`."""

from __future__ import annotations

import itertools

import numpy as np

from nlp_embeddings.models.word2vec_reading import Random, Schedule, choose_negatives, learn_targets, softmax_gradient, softmax_loss


def train_fasttext_reading(
    ids: np.ndarray,
    starts: np.ndarray,
    inputs: np.ndarray,
    outputs: np.ndarray,
    num_words: int,
    keep: np.ndarray,
    noise: tuple[np.ndarray, np.ndarray, int],
    table: np.ndarray,
    begins: np.ndarray,
    window: int,
    schedule: Schedule,
    seed: int,
    position: int,
    *,
    cbow: bool = False,
) -> tuple[int, int]:
    """Train on sentences, as `train_fasttext` does; every pair's step is given to all rows at once. Words read and pairs."""
    random = Random(seed, position)
    known_total, pairs = 0, 0
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
            sources, predicted = (context, [word]) if cbow else ([word], context)
            chosen = [choose_negatives(target, noise, random) for target in predicted]
            rows = np.concatenate([table[begins[source] : begins[source + 1]] for source in sources])
            for target, pair in zip(predicted, chosen, strict=True):
                before = inputs[rows].mean(axis=0)
                hidden = before.copy()
                learn_targets(hidden, outputs, target, pair, rate)
                np.add.at(inputs, rows, hidden - before)
                pairs += 1
    return known_total, pairs


def train_classifier_reading(
    features: np.ndarray,
    begins: np.ndarray,
    labels: np.ndarray,
    order: np.ndarray,
    rows: np.ndarray,
    outputs: np.ndarray,
    rate: float,
    rate_step: float,
) -> float:
    """Learning from texts one after the other, as `text_classifier.train_classifier` does; the sum of losses."""
    total = 0.0
    for n, text in enumerate(order):
        own = features[begins[text] : begins[text + 1]]
        if len(own):
            hidden, label = rows[own].mean(axis=0), labels[text]
            total += softmax_loss(hidden, outputs, label)
            by_hidden, by_outputs = softmax_gradient(hidden, outputs, label)
            outputs -= (rate - n * rate_step) * by_outputs
            np.add.at(rows, own, -(rate - n * rate_step) * by_hidden / len(own))
    return total
