"""Metrics by name, added up batch by batch: of classes from their confusion matrix, of numbers from sums, of flags from counts.

Letters: B batch, K classes, flags or numbers of an answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from gymnasium import Space, spaces

from dl_nets.learning.steps import examples_at_once, num_numbers
from rl_core.batches import Batch
from rl_core.task import DataTask
from rl_core.tokens import padding_of
from rl_core.traits import output_trait

MetricName = Literal[
    "accuracy", "balanced_accuracy", "precision", "recall", "f1", "kappa", "matthews", "top_2", "top_3", "top_5",
    "exact", "micro_f1",
    "mae", "mse", "rmse", "r2", "mape", "max_error", "bias",
]  # fmt: skip
"""Metrics by name. Of classes, and of the pixels of maps and of tokens: `accuracy`; `precision`, `recall` and `f1`, each the mean over
classes (macro), where a class that is neither asked for nor answered is left out; `balanced_accuracy`, the mean recall of the classes
that are asked for; `kappa`, Cohen 1960; `matthews`, Gorodkin 2004; `top_k`, the share of examples whose class is among the k likeliest.
Padding of tokens is left out.
Of flags: `accuracy` of each flag, `exact` of all flags of an example, `precision`, `recall` and `f1` as means over flags, `micro_f1` of all
flags together. Of numbers, over all of an answer: `mae`, `mse`, `rmse`, `r2`, `mape` in percent, `max_error`, and `bias`, the mean of
prediction - target."""

OF_CLASSES = ("accuracy", "balanced_accuracy", "precision", "recall", "f1", "kappa", "matthews", "top_2", "top_3", "top_5")
OF_FLAGS = ("accuracy", "exact", "precision", "recall", "f1", "micro_f1")
OF_NUMBERS = ("mae", "mse", "rmse", "r2", "mape", "max_error", "bias")


def macro(right: np.ndarray, asked: np.ndarray, answered: np.ndarray) -> dict[str, float]:
    """Return precision, recall and F1 as means over classes; a class that is neither asked for nor answered is left out.

    Args:
        right: How often each class was answered rightly [K].
        asked: How often it was asked for [K].
        answered: How often it was answered [K].

    Precisions 1/2 and 1, recalls 1 and 1/2, F1 2/3 and 2/3:

    >>> {name: round(value, 4) for name, value in macro(np.array([1, 1]), np.array([1, 2]), np.array([2, 1])).items()}
    {'precision': 0.75, 'recall': 0.75, 'f1': 0.6667}
    """
    seen = asked + answered > 0
    right, asked, answered = (counts[seen].astype(np.float64) for counts in (right, asked, answered))
    return {
        "precision": float(np.mean(right / np.maximum(answered, 1.0))),
        "recall": float(np.mean(right / np.maximum(asked, 1.0))),
        "f1": float(np.mean(2.0 * right / (asked + answered))),
    }


def of_confusion(confusion: np.ndarray) -> dict[str, float]:
    """Return the metrics of classes, but top-k, of a confusion matrix [K, K]: rows are targets, columns answers.

    >>> found = of_confusion(np.array([[20, 5], [10, 15]]))
    >>> round(found["accuracy"], 4), round(found["kappa"], 4), round(found["matthews"], 4)
    (0.7, 0.4, 0.4082)
    """
    count, right = float(confusion.sum()), np.diagonal(confusion)
    asked, answered = confusion.sum(axis=1), confusion.sum(axis=0)
    accuracy = float(right.sum()) / count
    chance = float(asked @ answered) / count**2
    spread = math.sqrt((1.0 - float(asked @ asked) / count**2) * (1.0 - float(answered @ answered) / count**2))
    return {
        "accuracy": accuracy,
        "balanced_accuracy": float(np.mean(right[asked > 0] / asked[asked > 0])),
        "kappa": (accuracy - chance) / (1.0 - chance) if chance < 1.0 else 0.0,
        "matthews": (accuracy - chance) / spread if spread else 0.0,
        **macro(right, asked, answered),
    }


class Metrics:
    """The metrics that a config names, of everything that is added.

    Args:
        names: Names of metrics.
        space: Output space of the task.

    Raises:
        ValueError: if a metric does not suit the space; it names those that do.

    >>> judged = Metrics(("rmse", "bias"), spaces.Box(-9, 9, (1,)))
    >>> judged.add(np.array([[1.0], [2.0]]), np.array([[0.0], [5.0]]))
    >>> judged.result()  # sqrt((1 + 9) / 2), and (1 - 3) / 2
    {'rmse': 2.23606797749979, 'bias': -1.0}
    """

    def __init__(self, names: tuple[MetricName, ...], space: Space[Any]) -> None:
        trait = output_trait(space)
        kinds = {"discrete-output": OF_CLASSES, "map-output": OF_CLASSES, "token-output": OF_CLASSES, "binary-output": OF_FLAGS}
        numbers = OF_NUMBERS if isinstance(space, spaces.Box) else ()
        fitting = kinds.get(trait, numbers)
        if unfit := [name for name in names if name not in fitting]:
            raise ValueError(f"metrics names {unfit[0]}, which does not suit {space}; expected {', '.join(fitting) or 'no metrics'}")
        self._names = names
        self._classes = int(np.max(getattr(space, "nvec", getattr(space, "n", 0)))) if fitting is OF_CLASSES else 0
        self._start = np.asarray(getattr(space, "start", 0)) if self._classes else 0
        self._padding = padding_of(space)
        self._is_flags = fitting is OF_FLAGS
        self._levels = [int(name.removeprefix("top_")) for name in names if name.startswith("top_")]
        if max(self._levels, default=0) > self._classes > 0:
            raise ValueError(f"metrics names top_{max(self._levels)}, but there are {self._classes} classes")
        self._confusion = np.zeros((self._classes, self._classes), np.int64)
        self._among = dict.fromkeys(self._levels, 0)
        self._flags: Any = 0
        self._exact = self._count = 0
        self._sums, self._spread = np.zeros(5), _Spread()

    @property
    def needs_outputs(self) -> bool:
        """True if `add` needs the module's outputs."""
        return bool(self._levels)

    def add(self, answers: np.ndarray, targets: np.ndarray, outputs: Any = None) -> None:
        """Count answers [B, ...] against targets [B, ...]; `outputs` are the logits [B, ..., K] of classes, for top-k, array or tensor."""
        self._count += len(targets)
        if self._classes:
            kept = np.ones(targets.shape, bool) if self._padding is None else targets != self._padding
            wanted, found = (targets - self._start)[kept], (answers - self._start)[kept]
            pairs = np.bincount(wanted.astype(np.int64) * self._classes + found.astype(np.int64), minlength=self._classes**2)
            self._confusion += pairs.reshape(self._classes, self._classes)
            if outputs is not None and self._levels:
                logits = np.asarray(outputs.cpu() if hasattr(outputs, "cpu") else outputs).reshape(-1, self._classes)[kept.ravel()]
                rank = (logits > logits[np.arange(len(wanted)), wanted][:, None]).sum(axis=1)
                for level in self._levels:
                    self._among[level] += int((rank < level).sum())
        elif self._is_flags:
            wanted, found = targets.reshape(len(targets), -1).astype(bool), answers.reshape(len(targets), -1).astype(bool)
            self._exact += int((wanted == found).all(axis=1).sum())
            self._flags = self._flags + np.stack([(wanted & found).sum(0), wanted.sum(0), found.sum(0), (wanted == found).sum(0)])
        else:
            wanted, error = targets.astype(np.float64), answers.astype(np.float64) - targets
            self._spread.add(wanted.reshape(len(wanted), -1))
            absolute = np.abs(error)
            percent = 100.0 * absolute / np.maximum(np.abs(wanted), 1e-7)
            self._sums[:4] += absolute.sum(), np.square(error).sum(), percent.sum(), error.sum()
            self._sums[4] = max(self._sums[4], float(absolute.max(initial=0.0)))

    def result(self) -> dict[str, float]:
        """Return the metrics by name, in the order of the config."""
        if self._classes:
            found = of_confusion(self._confusion)
            found |= {f"top_{level}": right / int(self._confusion.sum()) for level, right in self._among.items()}
        elif self._is_flags:
            right, asked, answered, equal = self._flags
            found = macro(right, asked, answered) if (asked + answered).any() else {"precision": 1.0, "recall": 1.0, "f1": 1.0}
            found |= {
                "accuracy": float(equal.mean()) / self._count,
                "exact": self._exact / self._count,
                "micro_f1": float(2 * right.sum() / max(1, asked.sum() + answered.sum())),
            }
        else:
            absolute, squares, percent, total, largest = (float(value) for value in self._sums)
            count, spread = self._spread.size, self._spread.total
            found = {
                "mae": absolute / count,
                "mse": squares / count,
                "rmse": math.sqrt(squares / count),
                "r2": 1.0 - squares / spread if spread else float(squares == 0.0),
                "mape": percent / count,
                "max_error": largest,
                "bias": total / count,
            }
        return {name: found[name] for name in self._names}


def judge_split(metrics: Metrics, task: DataTask, answered: Callable[[Batch], tuple[Any, Any]], split: str = "test") -> dict[str, float]:
    """Return the metrics of a split, read in parts.

    Args:
        metrics: Nothing was added yet.
        task: Source of the examples.
        answered: Function from inputs to answers and outputs, which may be `None`.
        split: "train", "validation" or "test".
    """
    count = task.num_examples(split)
    size = examples_at_once(num_numbers(task.read(split, np.arange(1))[0]))
    for start in range(0, count, size):
        inputs, targets = task.read(split, np.arange(start, min(start + size, count)))
        answers, outputs = answered(inputs)
        metrics.add(np.asarray(answers), np.asarray(targets), outputs)
    return metrics.result()


class _Spread:
    """The sum of squared distances from the mean of each column, batch by batch (Chan, Golub and LeVeque 1983)."""

    def __init__(self) -> None:
        self._count, self._mean, self._squares = 0, np.zeros(1), np.zeros(1)

    def add(self, values: np.ndarray) -> None:
        """Count values [B, K]."""
        count, mean = self._count + len(values), values.mean(axis=0)
        shift = mean - self._mean
        self._squares = self._squares + np.square(values - mean).sum(axis=0) + np.square(shift) * self._count * len(values) / count
        self._mean = self._mean + shift * len(values) / count
        self._count = count

    @property
    def total(self) -> float:
        """The sum over all columns."""
        return float(self._squares.sum())

    @property
    def size(self) -> int:
        """The number of numbers that were added."""
        return self._count * self._mean.size
