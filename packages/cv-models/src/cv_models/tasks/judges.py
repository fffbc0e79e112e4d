"""The judge of label maps: pixels counted over a whole split, then IoU and Dice of each class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

MOST_CLASSES = 30  # with more of them, the scores of each are left out


def confusion(predictions: np.ndarray, targets: np.ndarray, num_classes: int) -> np.ndarray:
    """Return how many pixels of each true class (rows) got each class as answer (columns), [K, K], int64.

    Args:
        predictions: Class numbers [...], from 0.
        targets: Class numbers [...], from 0.
        num_classes: K.

    >>> confusion(np.array([0, 1, 1]), np.array([0, 0, 1]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    pairs = np.asarray(targets).ravel().astype(np.int64) * num_classes + np.asarray(predictions).ravel()
    return np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)


def map_scores(table: np.ndarray, class_names: Sequence[str]) -> dict[str, float]:
    """Return pixel accuracy, means of IoU and Dice over the classes that occur, and both of each class.

    With the pixels that are of a class and get it (both), and those that are of it or get it (either): IoU = both / either, and
    Dice = 2 both / (both + either). They are of the whole split, not means over pictures. A class that is neither there nor answered has
    the IoU and the Dice 1, and no part in the means.

    Args:
        table: Confusion matrix [K, K].
        class_names: Names of the K classes.

    Source: Taha and Hanbury, *Metrics for evaluating 3D medical image segmentation*, 2015, section 3.1.

    >>> scores = map_scores(np.array([[1, 1], [0, 1]]), ("no", "yes"))
    >>> [round(scores[name], 4) for name in ("pixel accuracy", "mean IoU", "IoU of yes", "Dice of yes")]
    [0.6667, 0.5, 0.5, 0.6667]
    """
    both = np.diagonal(table).astype(np.float64)
    either = table.sum(0) + table.sum(1) - both
    occurs = either > 0
    iou = np.where(occurs, both / np.maximum(either, 1), 1.0)
    dice = np.where(occurs, 2 * both / np.maximum(both + either, 1), 1.0)
    scores = {
        "mean IoU": float(iou[occurs].mean()) if occurs.any() else 1.0,
        "mean Dice": float(dice[occurs].mean()) if occurs.any() else 1.0,
        "pixel accuracy": float(both.sum() / max(1, table.sum())),
    }
    for index, name in enumerate(class_names if len(class_names) <= MOST_CLASSES else ()):
        scores[f"IoU of {name}"], scores[f"Dice of {name}"] = float(iou[index]), float(dice[index])
    return scores


class MapJudge:
    """A judge of label maps that keeps one confusion matrix, whatever the size of the split.

    Args:
        class_names: Names of the K classes.

    >>> judge = MapJudge(("no", "yes"))
    >>> judge.add(np.array([[[0, 1]]]), np.array([[[0, 0]]]))
    >>> judge.add(np.array([[[1, 1]]]), np.array([[[1, 1]]]))
    >>> judge.result()["pixel accuracy"]
    0.75
    """

    def __init__(self, class_names: Sequence[str]) -> None:
        self.class_names = tuple(class_names)
        self.table = np.zeros((len(self.class_names), len(self.class_names)), dtype=np.int64)

    def add(self, predictions: np.ndarray, targets: np.ndarray) -> None:
        """Count the pixels of label maps [B, H, W]."""
        self.table += confusion(predictions, targets, len(self.class_names))

    def result(self) -> dict[str, float]:
        """Return the scores of everything that was added."""
        return map_scores(self.table, self.class_names)
