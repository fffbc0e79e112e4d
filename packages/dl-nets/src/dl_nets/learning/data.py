"""Examples of data tasks: splits, scores, and reading onto a device."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, cast

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor
from torch.nn import functional

from dl_nets.learning.metrics import Metrics
from rl_core import batches
from rl_core.batches import Batch, Ragged
from rl_core.judge import Judge
from rl_core.task import DataTask

FEATURES_AT_ONCE = 256  # examples whose features are computed in one call
TARGETS_AT_ONCE = 1024  # examples that are read at once for their targets
STATISTICS_NUMBERS = 2**24  # of the training targets at most that mean and deviation are computed from
READ_AHEAD = 2  # batches that are read before they are asked for


def split_indices(
    count: int, validation_fraction: float, test_fraction: float, split_seed: int, classes: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Return sorted indices of the three splits, the same on every machine and in every run.

    Args:
        count: How many examples there are.
        validation_fraction: Share of the validation split, in [0, 1).
        test_fraction: Share of the test split, in (0, 1).
        split_seed: Which of the possible splits; independent of the run's seed.
        classes: Class of each example [count]; each class is then split on its own, so that all splits have its share.

    Returns:
        Indices of "train", "validation" and "test", which have no example in common and miss none.

    Raises:
        ValueError: if there are too few examples for a training and a test split.

    >>> {name: indices.tolist() for name, indices in split_indices(8, 0.25, 0.25, 0, np.array([0, 0, 0, 0, 1, 1, 1, 1])).items()}
    {'train': [1, 3, 4, 5], 'validation': [0, 6], 'test': [2, 7]}
    """
    rng = np.random.Generator(np.random.PCG64(split_seed))
    groups = [np.arange(count)] if classes is None else [np.flatnonzero(classes == label) for label in np.unique(classes)]
    parts: dict[str, list[np.ndarray]] = {"train": [], "validation": [], "test": []}
    for group in groups:
        shuffled = rng.permutation(group)
        tested = round(len(group) * test_fraction)
        held_back = tested + round(len(group) * validation_fraction)
        parts["test"].append(shuffled[:tested])
        parts["validation"].append(shuffled[tested:held_back])
        parts["train"].append(shuffled[held_back:])
    splits = {name: np.sort(np.concatenate(indices)) for name, indices in parts.items()}
    if not len(splits["train"]) or not len(splits["test"]):
        sizes = ", ".join(f"{len(indices)} {name}" for name, indices in splits.items())
        of_classes = "" if classes is None else f" of {len(groups)} {'class' if len(groups) == 1 else 'classes'}, each split on its own,"
        raise ValueError(f"{count} examples{of_classes} are split into {sizes}; train and test need at least one each")
    return splits


def check_fractions(validation_fraction: float, test_fraction: float) -> None:
    """Refuse fractions that leave nothing to learn from or nothing to judge by.

    Raises:
        ValueError: naming the fraction, its value and its range.
    """
    if not 0.0 <= validation_fraction < 1.0:
        raise ValueError(f"validation_fraction is {validation_fraction}; it must be in [0, 1)")
    if not 0.0 < test_fraction < 1.0:
        raise ValueError(f"test_fraction is {test_fraction}; it must be in (0, 1)")
    if not validation_fraction + test_fraction < 1.0:
        raise ValueError(
            f"validation_fraction + test_fraction is {validation_fraction + test_fraction}; it must be < 1, or nothing is left"
        )


def accuracy(predictions: np.ndarray, targets: np.ndarray) -> float:
    """Return the share of predictions [B] that equal their targets [B].

    >>> accuracy(np.array([1, 2, 3, 3]), np.array([1, 2, 3, 4]))
    0.75
    """
    return float(np.mean(predictions == targets))


def r2(predictions: np.ndarray, targets: np.ndarray) -> float:
    """Return 1 - sum (target - prediction)^2 / sum (target - mean target)^2: 1 is perfect, 0 is as good as the mean.

    Args:
        predictions: [B, ...].
        targets: [B, ...]; where all are equal, the result is 0, or 1 when every prediction is right.

    >>> r2(np.array([1.0, 2.0, 4.0]), np.array([1.0, 2.0, 3.0]))
    0.5
    """
    residual = float(np.square(targets - predictions).sum())
    total = float(np.square(targets - targets.mean(axis=0)).sum())
    if total == 0.0:
        return float(residual == 0.0)
    return 1.0 - residual / total


class Accuracy:
    """Judge of classes: the share of predictions that equal their targets, counted batch by batch.

    >>> judge = Accuracy()
    >>> judge.add(np.array([0, 1]), np.array([0, 0]))
    >>> judge.add(np.array([1]), np.array([1]))
    >>> round(judge.result()["accuracy"], 4)
    0.6667
    """

    def __init__(self) -> None:
        self._right = self._count = 0

    def add(self, predictions: np.ndarray, targets: np.ndarray) -> None:
        """Count predictions [B] against targets [B]."""
        self._right += int(np.count_nonzero(predictions == targets))
        self._count += len(targets)

    def result(self) -> dict[str, float]:
        """Return the accuracy of everything that was added.

        Raises:
            ValueError: if nothing was added.
        """
        if not self._count:
            raise ValueError("expected at least one batch to judge, got none")
        return {"accuracy": self._right / self._count}


class ArrayTask(DataTask):
    """Examples that are held in memory: `accuracy` judges classes, `r2` judges numbers.

    Args:
        config: The task's config.
        splits: Inputs [N, ...] and targets [N] (classes) or [N, K] (numbers) of each split.
        input_space: Space of one input.
        class_names: Names of the classes, in order; empty where the targets are numbers.
    """

    def __init__(
        self,
        config: Any,
        splits: Mapping[str, tuple[np.ndarray, np.ndarray]],
        input_space: gymnasium.Space[Any],
        class_names: tuple[str, ...],
    ) -> None:
        super().__init__(config)
        self._splits = splits
        self.class_names = class_names
        self.input_space = input_space
        if class_names:
            self.output_space, self.metric = spaces.Discrete(len(class_names)), "accuracy"
        else:
            self.output_space, self.metric = spaces.Box(-np.inf, np.inf, splits["train"][1].shape[1:], np.float32), "r2"

    def num_examples(self, split: str) -> int:
        """Return how many examples the split has."""
        return len(self._splits[split][0])

    def read(self, split: str, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return inputs [B, ...] and targets [B, ...] of the examples at `indices` [B]."""
        inputs, targets = self._splits[split]
        return inputs[indices], targets[indices]

    def judge(self) -> Judge:
        """Return a new judge: of classes one that counts, of numbers, or where a task has another score, one that keeps its batches."""
        return Accuracy() if self.class_names and type(self).score is ArrayTask.score else super().judge()

    def score(self, predictions: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        """Return the accuracy of classes [B]; r2 and mean absolute error, in the targets' unit, of numbers [B, K]."""
        if self.class_names:
            return {"accuracy": accuracy(predictions, targets)}
        return {"r2": r2(predictions, targets), "mean absolute error": float(np.abs(targets - predictions).mean())}


class Examples:
    """One split of a data task as tensors on a device, kept there whole when it is small enough and not costly to read.

    A split that is not kept is read ahead of its use by a thread, in order.

    Args:
        task: Source of the examples.
        split: "train", "validation" or "test".
        device: Where batches are wanted.
        resident_megabytes: A larger split is read batch by batch.
        features: Function of inputs on the device that is applied to them; computed once where the result is kept.
    """

    def __init__(
        self,
        task: DataTask,
        split: str,
        device: torch.device,
        resident_megabytes: int,
        features: Callable[[Any], Tensor] | None = None,
    ) -> None:
        self._task, self._split, self._device, self._features = task, split, device, features
        self._count = task.num_examples(split)
        self._resident: tuple[Any, Any] | None = None
        if self._count and not task.costly:
            one = task.read(split, np.arange(1))
            if features is not None:
                one = to_arrays(self._on_device(one)[0]), one[1]
            if self._count * sum(batches.num_bytes(batch) for batch in one) <= resident_megabytes * 2**20:
                self._resident = self._read_all()

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, indices: np.ndarray) -> tuple[Any, Any]:
        """Return inputs and targets of the examples at `indices` [B], batches of tensors; texts stay NumPy arrays."""
        if self._resident is None:
            return self._on_device(self._task.read(self._split, indices))
        chosen = torch.from_numpy(indices).to(self._device)
        return take(self._resident[0], chosen), take(self._resident[1], chosen)

    def stream(
        self, parts: Sequence[np.ndarray], read: Callable[[np.ndarray], tuple[Batch, Batch]] | None = None
    ) -> Iterator[tuple[Any, Any]]:
        """Yield inputs and targets of one array of indices after the other; up to `READ_AHEAD` of them are read before they are asked for.

        The thread that reads ends with the iterator.

        Args:
            parts: Arrays of indices.
            read: Reader of the examples, where they are varied; by default those of the split as they are.
        """
        if self._resident is not None and read is None:
            yield from (self[part] for part in parts)
            return
        reads = read or (lambda part: self._task.read(self._split, part))
        with ThreadPoolExecutor(1, thread_name_prefix="reads-ahead") as reader:
            pending: deque[Future[tuple[Batch, Batch]]] = deque()
            try:
                for number in range(len(parts)):
                    while len(pending) <= READ_AHEAD and number + len(pending) < len(parts):
                        pending.append(reader.submit(reads, parts[number + len(pending)]))
                    yield self._on_device(pending.popleft().result())
            finally:
                for future in pending:
                    future.cancel()

    def _read_all(self) -> tuple[Any, Any]:
        """Return all inputs and targets; features in parts, so that no more than a part of what they are computed from is held."""
        if self._features is None:
            return self._on_device(self._task.read(self._split, np.arange(self._count)))
        features, targets = [], []
        for start in range(0, self._count, FEATURES_AT_ONCE):
            part = self._task.read(self._split, np.arange(start, min(start + FEATURES_AT_ONCE, self._count)))
            features.append(self._on_device(part)[0])
            targets.append(part[1])
        return torch.cat(features), to_tensors(batches.concatenate(targets), self._device)

    def _on_device(self, examples: tuple[Batch, Batch]) -> tuple[Any, Any]:
        inputs = to_tensors(examples[0], self._device)
        return inputs if self._features is None else self._features(inputs), to_tensors(examples[1], self._device)


class ValidationRun:
    """A look at the validation split: the sum of its losses so far, the judge of its answers, and the metrics of the config."""

    def __init__(self, judge: Judge, metrics: Metrics | None) -> None:
        self.judge = judge
        self.metrics = metrics
        self.loss = self.weight = 0.0


def read_targets(task: DataTask, indices: np.ndarray, part: str = "") -> np.ndarray:
    """Return the training targets at `indices` [N, ...], or a part of them by its name, read in parts."""
    parts = np.array_split(indices, max(1, math.ceil(len(indices) / TARGETS_AT_ONCE)))
    targets: Any = batches.concatenate([task.read("train", each)[1] for each in parts])
    return np.asarray(targets[part] if part else targets)


def some_targets(task: DataTask, part: str = "") -> np.ndarray:
    """Return the training targets [N, ...], or evenly spaced ones where all are more than `STATISTICS_NUMBERS` numbers.

    Args:
        task: Source of the targets.
        part: Name of the part of the targets; "" where they are one array.
    """
    count, space = task.num_examples("train"), task.output_space
    shape = space[part].shape if part and isinstance(space, spaces.Dict) else space.shape
    most = max(1, STATISTICS_NUMBERS // math.prod(shape or ()))
    return read_targets(task, np.arange(count) if count <= most else np.linspace(0, count - 1, most).astype(np.int64), part)


def to_tensors(batch: Batch, device: torch.device) -> Any:
    """Return a batch with tensors on a device in place of arrays; texts stay NumPy arrays, since torch has none.

    >>> to_tensors({"x": np.array([1.5])}, torch.device("cpu"))
    {'x': tensor([1.5000], dtype=torch.float64)}
    """
    wider = {
        np.dtype(np.uint16): np.int32,
        np.dtype(np.uint32): np.int64,
        np.dtype(np.uint64): np.int64,
    }  # torch computes with few unsigned

    def tensor(array: np.ndarray) -> Any:
        if array.dtype.kind == "U":
            return array
        return torch.as_tensor(array.astype(wider[array.dtype]) if array.dtype in wider else array, device=device)

    return batches.apply(batch, tensor)


def to_arrays(batch: Any) -> Batch:
    """Return a batch with NumPy arrays in place of tensors.

    >>> to_arrays(torch.tensor([1, 2]))
    array([1, 2])
    """
    if type(batch) is Tensor:
        return batch.detach().cpu().numpy()
    return cast(Batch, batches.apply(batch, lambda value: value.detach().cpu().numpy() if isinstance(value, Tensor) else value))


def take(batch: Any, indices: Tensor) -> Any:
    """Return the examples at `indices` [B] of a batch of tensors.

    >>> rows = to_tensors(batches.Ragged.of([[1], [2, 3], []]), torch.device("cpu"))
    >>> take(rows, torch.tensor([1, 0, 2])).values
    tensor([2, 3, 1])
    """
    if type(batch) is Tensor:
        return batch[indices]
    if isinstance(batch, Mapping):
        return {name: take(part, indices) for name, part in batch.items()}
    if isinstance(batch, Ragged):
        lengths = batch.lengths[indices]
        splits = functional.pad(lengths.cumsum(0), (1, 0))
        shift = torch.repeat_interleave(batch.splits[:-1][indices] - splits[:-1], lengths)
        return Ragged(take(batch.values, torch.arange(len(shift), device=shift.device) + shift), splits)
    return batch.index_select(0, indices) if isinstance(batch, Tensor) else batch[indices.cpu().numpy()]
