"""Inputs and answers for a component under test: a few inputs of a task, and random members of a space."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from rl_core import batches
from rl_core.batches import Batch, Ragged
from rl_core.offline import TransitionTask
from rl_core.seeds import Seeds
from rl_core.task import ControlTask, DataTask, Task

ROW_ITEMS = 4  # at most, of a random ragged row; one row in five is empty


def batch(task: Task, count: int) -> Any:
    """Return the first inputs [B, ...] of a task, B at most `count`: first observations, or test examples."""
    if isinstance(task, ControlTask):
        envs = task.envs(count, Seeds(0, ("conformance",)))
        try:
            return envs.reset()
        finally:
            envs.close()
    if isinstance(task, DataTask):
        given: Any = task.read("test", np.arange(min(count, task.num_examples("test"))))[0]
        return given["obs"] if isinstance(task, TransitionTask) else given
    return samples(task.input_space, count, np.random.default_rng(0))


def samples(space: gymnasium.Space[Any], count: int, rng: np.random.Generator) -> Any:
    """Return a batch of random members of a space; unbounded numbers are standard normal."""
    if isinstance(space, spaces.Discrete):
        return rng.integers(int(space.start), int(space.start) + int(space.n), count)
    if isinstance(space, spaces.MultiDiscrete):
        return (space.start + rng.integers(0, space.nvec, (count, *space.shape))).astype(space.dtype)
    if isinstance(space, spaces.MultiBinary):
        return rng.integers(0, 2, (count, *space.shape)).astype(space.dtype)
    if isinstance(space, spaces.Box):
        low, high = (np.clip(bound.astype(np.float64), -1e3, 1e3) for bound in (space.low, space.high))
        drawn = np.where(np.isfinite(space.low) & np.isfinite(space.high), rng.uniform(low, high, (count, *space.shape)), 0.0)
        free = ~(np.isfinite(space.low) & np.isfinite(space.high))
        normal = np.clip(rng.standard_normal((count, *space.shape)), space.low, space.high)
        return np.where(free, normal, drawn).astype(space.dtype)
    if isinstance(space, spaces.Dict):
        return {name: samples(part, count, rng) for name, part in space.spaces.items()}
    if isinstance(space, spaces.Sequence):
        splits = np.concatenate([[0], np.cumsum(rng.integers(0, ROW_ITEMS + 1, count))]).astype(np.int64)
        values = samples(space.feature_space, int(splits[-1]), rng)
        return {name: Ragged(part, splits) for name, part in values.items()} if isinstance(values, dict) else Ragged(values, splits)
    space.seed(int(rng.integers(2**31)))
    return np.array([space.sample() for _ in range(count)])


def members(space: gymnasium.Space[Any], rows: Any) -> str:
    """Return why a batch does not hold members of a space; "" when each row is one. Numbers of another precision are accepted."""
    if isinstance(space, spaces.Dict):
        if not isinstance(rows, dict) or set(rows) != set(space.spaces):
            return f"it is {_kind(rows)}; {space} needs a dict of the parts {', '.join(space.spaces)}"
        found = {name: members(part, rows[name]) for name, part in space.spaces.items()}
        return next((f"part {name!r}: {text}" for name, text in found.items() if text), "")
    if isinstance(space, spaces.Sequence):
        return _ragged_members(space, rows)
    for index, row in enumerate(rows):
        if isinstance(space, spaces.Box | spaces.MultiBinary | spaces.MultiDiscrete):
            array = np.asarray(row)
            if array.shape != space.shape:
                return f"row {index} has shape {list(array.shape)}; {space} has {list(space.shape)}"
            if space.dtype is not None and not np.can_cast(array.dtype, space.dtype, "same_kind"):
                return f"row {index} has dtype {array.dtype}; {space} has {space.dtype}"
            row = array.astype(space.dtype)
        elif isinstance(space, spaces.Text):
            row = str(row)
        if row not in space:
            return f"row {index} is {np.array2string(np.asarray(row), threshold=8, precision=4)}, which is not in {space}"
    return ""


def _ragged_members(space: spaces.Sequence, rows: Any) -> str:
    feature = space.feature_space
    if not isinstance(feature, spaces.Dict):
        return members(feature, rows.values) if isinstance(rows, Ragged) else f"it is {_kind(rows)}; {space} needs Ragged rows"
    if not isinstance(rows, dict) or not all(isinstance(part, Ragged) for part in rows.values()):
        return f"it is {_kind(rows)}; {space} needs a dict of Ragged rows"
    first = next(iter(rows.values()), None)
    for name, part in rows.items():
        if first is not None and not np.array_equal(part.splits, first.splits):
            return f"the rows of part {name!r} differ in length from those of the other parts"
    return members(feature, {name: part.values for name, part in rows.items()})


def _kind(rows: Any) -> str:
    return f"a {type(rows).__name__}"


class RandomAnswers:
    """A predictor that answers at random, the same way each time it is made.

    Args:
        space: Space of one answer.
    """

    def __init__(self, space: gymnasium.Space[Any]) -> None:
        self._space = space
        self._rng = np.random.default_rng(0)

    def __call__(self, inputs: Batch) -> Any:
        """Return random answers [B, ...]."""
        return samples(self._space, batches.count(inputs), self._rng)
