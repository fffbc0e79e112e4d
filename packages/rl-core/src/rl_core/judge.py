"""Judges: they take predictions and targets batch by batch, and give metrics at the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from rl_core import batches
from rl_core.batches import Batch


class Judge(Protocol):
    """The metrics of one split, added up batch by batch, so that no split has to fit in memory."""

    def add(self, predictions: Any, targets: Any) -> None:
        """Count the predictions [B, ...] for a batch against its targets [B, ...]."""

    def result(self) -> dict[str, float]:
        """Return the metrics of everything that was added, the task's `metric` among them."""


class Collected:
    """A judge that keeps all batches and scores them at the end; for splits that fit in memory.

    >>> import numpy as np
    >>> judge = Collected(lambda predictions, targets: {"accuracy": float((predictions == targets).mean())})
    >>> judge.add(np.array([0, 1]), np.array([0, 0]))
    >>> judge.add(np.array([1]), np.array([1]))
    >>> round(judge.result()["accuracy"], 4)
    0.6667

    Args:
        score: Metrics of predictions [N, ...] against targets [N, ...].
    """

    def __init__(self, score: Callable[[Any, Any], dict[str, float]]) -> None:
        self._score = score
        self._predictions: list[Batch] = []
        self._targets: list[Batch] = []

    def add(self, predictions: Any, targets: Any) -> None:
        """Keep a batch."""
        self._predictions.append(predictions)
        self._targets.append(targets)

    def result(self) -> dict[str, float]:
        """Return the score of all batches.

        Raises:
            ValueError: if nothing was added.
        """
        return self._score(batches.concatenate(self._predictions), batches.concatenate(self._targets))
