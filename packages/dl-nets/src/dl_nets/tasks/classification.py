"""Scores of classes, class by class, and of labels of which an example has any number, label by label."""

from __future__ import annotations

import numpy as np

from dl_nets.learning.data import accuracy

MOST_CLASSES = 20  # with more of them, the scores of each are left out


def report(predictions: np.ndarray, targets: np.ndarray, class_names: tuple[str, ...]) -> dict[str, float]:
    """Return accuracy, the accuracy of always answering the most frequent class, means over classes, and each class's scores.

    A class's precision is the share of the answers with this class that are right, its recall the share of its examples that are
    answered right, F1 their harmonic mean, 2 P R / (P + R), and its support the number of its examples. A share of nothing is 0. The
    means are over classes that occur.

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
    >>> scores["support of yes"]
    2.0
    """
    size = len(class_names)
    right = np.bincount(targets[predictions == targets], minlength=size)
    answered, actual = np.bincount(predictions, minlength=size), np.bincount(targets, minlength=size)
    recall, occurs = right / np.maximum(actual, 1), (answered + actual) > 0
    f1 = 2.0 * right / np.maximum(answered + actual, 1)
    return {
        "accuracy": accuracy(predictions, targets),
        "majority accuracy": float(actual.max() / max(1, len(targets))),
        "balanced accuracy": float(recall[actual > 0].mean()) if actual.any() else 0.0,
        "macro F1": float(f1[occurs].mean()) if occurs.any() else 0.0,
        **_of_each(class_names, right, answered, actual),
    }


def report_labels(predictions: np.ndarray, targets: np.ndarray, label_names: tuple[str, ...]) -> dict[str, float]:
    """Return the scores of a yes or no for each label, and those of each label.

    Micro F1 counts the labels of all examples together, macro F1 is the mean over labels that occur, the exact match is the share of
    examples whose labels are all right, and the majority baseline answers each label as most examples have it: the accuracy of single
    labels is compared with it.

    Args:
        predictions: 1 where an example is given a label [N, K].
        targets: 1 where it has the label [N, K].
        label_names: Names of the labels.

    Source: Tsoumakas and Katakis, *Multi-label classification: an overview*, 2007.

    Of three labels given two are right, and of three that there are two were found:

    >>> scores = report_labels(np.array([[1, 1], [1, 0]]), np.array([[1, 0], [1, 1]]), ("a", "b"))
    >>> round(scores["micro F1"], 4), scores["macro F1"], scores["exact match"], scores["label accuracy"], scores["majority label accuracy"]
    (0.6667, 0.5, 0.0, 0.5, 0.75)
    """
    given, wanted = predictions.astype(np.bool_), targets.astype(np.bool_)
    right, answered, actual = (given & wanted).sum(0), given.sum(0), wanted.sum(0)
    occurs = (answered + actual) > 0
    f1 = 2.0 * right / np.maximum(answered + actual, 1)
    share = actual / max(1, len(wanted))
    return {
        "micro F1": float(2.0 * right.sum() / max(1, answered.sum() + actual.sum())),
        "macro F1": float(f1[occurs].mean()) if occurs.any() else 0.0,
        "exact match": float((given == wanted).all(axis=1).mean()),
        "label accuracy": float((given == wanted).mean()),
        "majority label accuracy": float(np.maximum(share, 1.0 - share).mean()),
        **_of_each(label_names, right, answered, actual),
    }


def _of_each(names: tuple[str, ...], right: np.ndarray, answered: np.ndarray, actual: np.ndarray) -> dict[str, float]:
    """Return precision, recall, F1 and support of each class or label; empty where they are too many."""
    scores: dict[str, float] = {}
    for index, name in enumerate(names if len(names) <= MOST_CLASSES else ()):
        scores[f"precision of {name}"] = float(right[index] / max(1, answered[index]))
        scores[f"recall of {name}"] = float(right[index] / max(1, actual[index]))
        scores[f"F1 of {name}"] = float(2.0 * right[index] / max(1, answered[index] + actual[index]))
        scores[f"support of {name}"] = float(actual[index])
    return scores
