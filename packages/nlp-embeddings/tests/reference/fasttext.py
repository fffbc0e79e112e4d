"""Reference implementations of `models.fasttext_kernels` and of the text classifier's kernel in plain NumPy."""

from __future__ import annotations

import itertools

import numpy as np
from reference.word2vec import choose_negatives, learn_targets, rate_at

from nlp_embeddings.models.fasttext_kernels import WordRows
from nlp_embeddings.models.softmax import Random, softmax_gradient, softmax_loss
from nlp_embeddings.training.stream import Stream


def train(stream: Stream, inputs: np.ndarray, outputs: np.ndarray, words: WordRows, *, cbow: bool = False) -> tuple[int, int]:
    """Train on sentences, as `train_fasttext` does, every pair's step on all rows at once; return words read and pairs."""
    random = Random(*stream.seed)
    table, begins = words
    known_total, pairs = 0, 0
    for start, stop in itertools.pairwise(stream.starts):
        rate = rate_at(stream, known_total)
        known = [int(word) for word in stream.ids[start:stop] if 0 <= word < len(stream.keep)]
        kept = [word for word in known if random.upper() <= stream.keep[word]]
        known_total += len(known)
        for centre, word in enumerate(kept):
            reach = random.below(stream.window) + 1
            context = kept[max(0, centre - reach) : centre] + kept[centre + 1 : centre + reach + 1]
            if not context:
                continue
            sources, predicted = (context, [word]) if cbow else ([word], context)
            chosen = [choose_negatives(target, stream.noise, random) for target in predicted]
            rows = np.concatenate([table[begins[source] : begins[source + 1]] for source in sources])
            for pair in chosen:
                before = inputs[rows].mean(axis=0)
                hidden = before.copy()
                learn_targets(hidden, outputs, pair, rate)
                np.add.at(inputs, rows, hidden - before)
                pairs += 1
    return known_total, pairs


def train_classifier(
    features: np.ndarray,
    begins: np.ndarray,
    labels: np.ndarray,
    order: np.ndarray,
    rows: np.ndarray,
    outputs: np.ndarray,
    rate: float,
    rate_step: float,
) -> float:
    """Learn from texts one after the other, as `text_classifier.train_classifier` does; return the sum of losses."""
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
