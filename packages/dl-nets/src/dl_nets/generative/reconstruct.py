"""The tasks `reconstruct:<task>` and `anomalies:<task>`: a data task without its labels, for learning from inputs alone.

`reconstruct` asks for each input back. An answer that only copies is perfect, so it is the learner that must be narrow: an autoencoder's
code has fewer numbers than the input, or its input is noisy. Linear methods are beaten where their error at the same code size is: that of
principal components is `pca_error`.

`anomalies` shows inputs of the normal classes alone to the learner, and is judged on test inputs of all classes.

Letters: B batch, N examples, D numbers of an input.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import numpy as np
from gymnasium import spaces

from dl_nets.generative.view import View, ViewConfig
from dl_nets.tasks.classification import report
from rl_core.batches import Batch
from rl_core.config import Doc, configclass


class Reconstruct(View):
    """Inputs of another task, bytes scaled to [0, 1], each to be answered by itself; judged by the mean squared error. See `View`."""

    Config: ClassVar[type] = ViewConfig
    metric = "mean squared error"
    higher_is_better = False

    def __init__(self, config: ViewConfig, state: Mapping[str, Any] | None = None) -> None:
        super().__init__(config, state)
        self.input_space = self.output_space = self.space

    def traits(self) -> frozenset[str]:
        """Return the traits of every task, and that answers are the inputs."""
        return super().traits() | {"reconstruction"}

    def read(self, split: str, indices: np.ndarray) -> tuple[Batch, Batch]:
        """Return inputs [B, ...] twice, as inputs and as targets."""
        numbers = self.numbers(split, indices)
        return numbers, numbers.copy()

    def judge(self) -> ReconstructionJudge:
        """Return a new judge."""
        return ReconstructionJudge()


class ReconstructionJudge:
    """The mean squared error of a number, and the share of the variance that is explained, added up batch by batch.

    >>> judge = ReconstructionJudge()
    >>> judge.add(np.array([[1.0], [3.0]]), np.array([[1.0], [2.0]]))
    >>> judge.result()  # errors 0 and 1; the targets' variance around 1.5 is 1/4
    {'mean squared error': 0.5, 'explained variance': -1.0}
    """

    def __init__(self) -> None:
        self._error = self._squares = 0.0
        self._sum: np.ndarray | None = None
        self._count = 0

    def add(self, predictions: Any, targets: Any) -> None:
        """Count reconstructions [B, ...] against inputs [B, ...]."""
        answers, wanted = (np.asarray(batch, dtype=np.float64).reshape(len(batch), -1) for batch in (predictions, targets))
        self._error += float(np.square(answers - wanted).sum())
        self._squares += float(np.square(wanted).sum())
        self._sum = wanted.sum(axis=0) + (0.0 if self._sum is None else self._sum)
        self._count += len(wanted)

    def result(self) -> dict[str, float]:
        """Return the metrics; the explained variance of inputs that are all equal is 0."""
        assert self._sum is not None
        variance = self._squares - float(np.square(self._sum).sum()) / self._count
        explained = 1.0 - self._error / variance if variance > 0.0 else 0.0
        return {"mean squared error": self._error / (self._count * self._sum.size), "explained variance": explained}


def pca_error(train: np.ndarray, test: np.ndarray, code_size: int) -> float:
    """Return the mean squared error of test inputs [M, D] behind the `code_size` principal components of training inputs [N, D].

    Source: Pearson, *On lines and planes of closest fit to systems of points in space*, 1901.

    Points on a line need one number:

    >>> line = np.array([[0.0, 0.0], [1.0, 2.0], [2.0, 4.0]])
    >>> round(pca_error(line, line, 1), 12), round(pca_error(line, line, 0), 4)  # the variances 2/3 and 8/3
    (0.0, 1.6667)
    """
    train, test = (part.reshape(len(part), -1).astype(np.float64) for part in (train, test))
    mean = train.mean(axis=0)
    _, vectors = np.linalg.eigh(np.cov(train.T, bias=True).reshape(train.shape[1], -1))
    kept = vectors[:, ::-1][:, :code_size]
    centred = test - mean
    return float(np.square(centred - centred @ kept @ kept.T).mean())


@configclass
class AnomaliesConfig(ViewConfig):
    """The task whose inputs are looked at, and its normal classes."""

    normal: Annotated[tuple[str, ...], Doc("names of the classes that are normal; () is the first one")] = ()


class Anomalies(View):
    """Inputs of another task: those of its normal classes to learn from, those of all classes in the test split. See `View`.

    Raises:
        ValueError: if the task has no classes, or none of such a name.
    """

    Config: ClassVar[type] = AnomaliesConfig
    metric = "balanced accuracy"
    class_names = ("normal", "anomalous")

    def __init__(self, config: AnomaliesConfig, state: Mapping[str, Any] | None = None) -> None:
        super().__init__(config, state)
        self.input_space, self.output_space = self.space, spaces.Discrete(2)
        names = self.source.class_names
        if not names:
            raise ValueError(f"task {config.task} asks for {self.source.output_space}; expected a task whose answers are classes")
        wanted = config.normal or names[:1]
        if missing := [name for name in wanted if name not in names]:
            raise ValueError(f"normal names {', '.join(missing)}; the classes of task {config.task} are {', '.join(names)}")
        if len(set(wanted)) >= len(names):
            raise ValueError(f"normal names {len(set(wanted))} of the {len(names)} classes of task {config.task}; leave one out")
        self._normal = np.isin(np.arange(len(names)), [names.index(name) for name in wanted])
        self._rows: dict[str, np.ndarray] = {}

    def traits(self) -> frozenset[str]:
        """Return the traits of every task, and that the learner sees normal inputs alone."""
        return super().traits() | {"anomaly"}

    def num_examples(self, split: str) -> int:
        """Return how many examples the split has: in "test" all, else those of normal classes."""
        return len(self._indices(split))

    def read(self, split: str, indices: np.ndarray) -> tuple[Batch, Batch]:
        """Return inputs [B, ...] and targets [B]: 0 normal, 1 anomalous."""
        rows = self._indices(split)[indices]
        return self.numbers(split, rows), self._are_anomalous(split, rows).astype(np.int64)

    def score(self, predictions: Any, targets: Any) -> dict[str, float]:
        """Return the mean of the recalls of both classes, and each class's precision, recall and F1."""
        return report(np.asarray(predictions), np.asarray(targets), self.class_names)

    def _indices(self, split: str) -> np.ndarray:
        """Return the rows of the source's split that this split holds."""
        if split not in self._rows:
            rows = np.arange(self.source.num_examples(split))
            self._rows[split] = rows if split == "test" or not len(rows) else rows[~self._are_anomalous(split, rows)]
        return self._rows[split]

    def _are_anomalous(self, split: str, rows: np.ndarray) -> np.ndarray:
        classes = self.classes(split, rows)
        assert classes is not None  # there are class names
        return ~self._normal[classes]
