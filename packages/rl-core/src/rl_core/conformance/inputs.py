"""What a component is fed with: a few inputs of a task, and answers at random."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from rl_core.seeds import Seeds
from rl_core.task import ControlTask, DataTask, Task


def batch(task: Task, count: int) -> np.ndarray:
    """The first inputs [B, ...] that a task gives, B at most `count`: first observations, or test examples."""
    if isinstance(task, ControlTask):
        envs = task.envs(count, Seeds(0, ("conformance",)))
        try:
            return envs.reset()
        finally:
            envs.close()
    if isinstance(task, DataTask):
        return task.read("test", np.arange(min(count, task.num_examples("test"))))[0]
    return samples(task.input_space, count, np.random.default_rng(0))


def samples(space: gymnasium.Space[Any], count: int, rng: np.random.Generator) -> np.ndarray:
    """Random members of a space [B, ...]; unbounded numbers are standard normal."""
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
    space.seed(int(rng.integers(2**31)))
    return np.array([space.sample() for _ in range(count)])


def members(space: gymnasium.Space[Any], rows: Any) -> str:
    """Why rows [B, ...] are no members of a space; "" when each is one. Numbers of another precision will do."""
    for index, row in enumerate(rows):
        if isinstance(space, spaces.Box | spaces.MultiBinary | spaces.MultiDiscrete):
            array = np.asarray(row)
            if array.shape != space.shape:
                return f"row {index} has shape {list(array.shape)}; {space} has {list(space.shape)}"
            if space.dtype is not None and not np.can_cast(array.dtype, space.dtype, "same_kind"):
                return f"row {index} has dtype {array.dtype}; {space} has {space.dtype}"
            row = array.astype(space.dtype)
        if row not in space:
            return f"row {index} is {np.array2string(np.asarray(row), threshold=8, precision=4)}, which is not in {space}"
    return ""


class RandomAnswers:
    """A predictor that answers at random, the same way each time it is made.

    Args:
        space: What an answer must be.
    """

    def __init__(self, space: gymnasium.Space[Any]) -> None:
        self._space = space
        self._rng = np.random.default_rng(0)

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """Answers [B, ...]."""
        return samples(self._space, len(inputs), self._rng)
