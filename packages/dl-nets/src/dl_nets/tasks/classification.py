"""Scores of a classifier, class by class."""

from __future__ import annotations

import numpy as np

from dl_nets.learning.data import accuracy

MOST_CLASSES = 20  # with more of them, the scores of each are left out


def report(predictions: np.ndarray, targets: np.ndarray, class_names: tuple[str, ...]) -> dict[str, float]:
    """Return accuracy, the accuracy of always answering the most frequent class, means over classes, and each class's scores.

    A class's precision is the share of the answers with this class that are right, its recall the share of its examples that are
    answered right, and F1 their harmonic mean, 2 P R / (P + R). A share of nothing is 0. The means are over classes that occur.

    Args:
        predictions: Class numbers [N], from 0.
        targets: Class numbers [N], from 0.
        class_names: Names of the classes.

    Source: van Rijsbergen, *Information retrieval*, 2nd edition, 1979, chapter 7.

    >>> scores = report(np.array([1, 0, 0, 0]), np.array([1, 1, 0, 0]), ("no", "yes"))
    >>> scores["accuracy"], scores["majority accuracy"], scores["balanced accuracy"]
    (0.75, 0.5, 0.75)
    >>> scores["precision of yes"], scores["recall of yes"], round(scores["F1 of yes"], 4), round(scores["macro F1"], 4)
    (1.0, 0.5, 0.6667, 0.7333)
    """
    size = len(class_names)
    right = np.bincount(targets[predictions == targets], minlength=size)
    answered, actual = np.bincount(predictions, minlength=size), np.bincount(targets, minlength=size)
    precision, recall = right / np.maximum(answered, 1), right / np.maximum(actual, 1)
    f1 = 2.0 * right / np.maximum(answered + actual, 1)
    occurs = (answered + actual) > 0
    scores = {
        "accuracy": accuracy(predictions, targets),
        "majority accuracy": float(actual.max() / max(1, len(targets))),
        "balanced accuracy": float(recall[actual > 0].mean()) if actual.any() else 0.0,
        "macro F1": float(f1[occurs].mean()) if occurs.any() else 0.0,
    }
    for index, name in enumerate(class_names if size <= MOST_CLASSES else ()):
        scores[f"precision of {name}"] = float(precision[index])
        scores[f"recall of {name}"] = float(recall[index])
        scores[f"F1 of {name}"] = float(f1[index])
    return scores
