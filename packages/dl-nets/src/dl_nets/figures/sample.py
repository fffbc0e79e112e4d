"""Test examples with the answers to them, few enough to be drawn within a second."""

from __future__ import annotations

from time import perf_counter
from typing import Any, NamedTuple, Protocol

import numpy as np
from gymnasium import spaces
from torch import nn

from rl_core.task import DataTask

MOST = 1000  # examples
SECONDS = 0.4  # after which no more examples are answered
PART = 100


class Trained(Protocol):
    """Protocol of what is drawn: an agent that learned a data task with a module."""

    @property
    def task(self) -> Any:
        """The task."""

    @property
    def module(self) -> nn.Module:
        """The module that answers."""

    def predict(self, inputs: Any) -> Any:
        """Return answers [B, ...] to inputs [B, ...]."""

    def probabilities(self, inputs: Any) -> np.ndarray:
        """Return the probability [B, K] of each class, or raise `NotImplementedError`."""


class Sample(NamedTuple):
    """Test examples.

    Attributes:
        inputs: [N, ...].
        targets: [N, ...].
        answers: [N, ...].
        probabilities: Of each class [N, K]; `None` where there are none.
    """

    inputs: np.ndarray
    targets: np.ndarray
    answers: np.ndarray
    probabilities: np.ndarray | None


def test_sample(trained: Trained) -> Sample | None:
    """Return evenly spaced test examples with their answers; `None` where these are not arrays of classes or numbers."""
    task: DataTask = trained.task
    space, count = task.output_space, task.num_examples("test")
    if not count or not isinstance(space, spaces.Discrete | spaces.Box):
        return None
    # Strided, so that the first parts hold examples of all of the split: the time may end before the last part.
    places = np.unique(np.linspace(0, count - 1, min(MOST, count)).astype(np.int64))
    places = np.concatenate([places[start :: -(-len(places) // PART)] for start in range(-(-len(places) // PART))])
    parts: list[Sample] = []
    begun = perf_counter()
    for start in range(0, len(places), PART):
        inputs, targets = task.read("test", np.sort(places[start : start + PART]))
        if not isinstance(inputs, np.ndarray) or not isinstance(targets, np.ndarray):
            return None
        parts.append(_answered(trained, inputs, targets))
        if perf_counter() - begun > SECONDS:
            break
    inputs, targets, answers = (np.concatenate([part[index] for part in parts]) for index in range(3))
    known = [part.probabilities for part in parts if part.probabilities is not None]
    return Sample(inputs, targets, answers, np.concatenate(known) if known else None)


def _answered(trained: Trained, inputs: np.ndarray, targets: np.ndarray) -> Sample:
    try:
        probabilities = trained.probabilities(inputs)
    except NotImplementedError:
        return Sample(inputs, targets, np.asarray(trained.predict(inputs)), None)
    return Sample(inputs, targets, probabilities.argmax(axis=1) + int(trained.task.output_space.start), probabilities)
