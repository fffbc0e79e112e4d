"""Real transitions to learn a model from, and the scale of what a model reads and predicts.

Letters: n transitions, S numbers of an observation, D of an action's code, E members.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from rl_core.state import restore_state

HELD_OUT = 0.1  # share of the transitions that no member learns from


class Rows(NamedTuple):
    """Transitions as arrays: observations [n, S], codes of actions [n, D], rewards [n], terminations [n], and next observations [n, S]."""

    obs: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    next_obs: np.ndarray


class Transitions:
    """The newest transitions, each with a number of times that it counts for each member: a bootstrap that later fits keep.

    Args:
        capacity: Most transitions.
        num_numbers: S.
        code_size: D.
        num_members: E.
        rng: The stream of the counts.

    Attributes:
        size: Transitions kept.
        counts: How often each counts for each member [capacity, E]; all 0 where it is held out.
        held_out: Whether no member learns from it [capacity].
    """

    def __init__(self, capacity: int, num_numbers: int, code_size: int, num_members: int, rng: np.random.Generator) -> None:
        def zeros(*shape: int) -> np.ndarray:
            return np.zeros((capacity, *shape), dtype=np.float32)

        self._rows = Rows(zeros(num_numbers), zeros(code_size), zeros(), np.zeros(capacity, np.bool_), zeros(num_numbers))
        self.counts, self.held_out = np.zeros((capacity, num_members), dtype=np.int64), np.zeros(capacity, dtype=np.bool_)
        self.size, self._next, self._capacity, self._rng = 0, 0, capacity, rng

    def add(self, rows: Rows) -> None:
        """Add transitions; the oldest are forgotten when there is no more room."""
        count, members = len(rows.reward), self.counts.shape[1]
        at = (self._next + np.arange(count)) % self._capacity
        for kept, new in zip(self._rows, rows, strict=True):
            kept[at] = new
        self.held_out[at] = self._rng.random(count) < HELD_OUT
        counts = self._rng.poisson(1.0, (count, members)) if members > 1 else np.ones((count, 1), dtype=np.int64)
        self.counts[at] = np.where(self.held_out[at, None], 0, counts)
        self._next = int(at[-1] + 1) % self._capacity
        self.size = min(self.size + count, self._capacity)

    def rows(self, which: np.ndarray | None = None) -> Rows:
        """Return the transitions kept, or those at indices."""
        return Rows(*(column[: self.size] if which is None else column[which] for column in self._rows))

    def newest(self, count: int) -> Rows:
        """Return the newest `count` transitions, or all where fewer are kept, in the order of time."""
        return self.rows((self._next - np.arange(min(count, self.size), 0, -1)) % self._capacity)

    def newest_episode(self, count: int, num_envs: int, least: int) -> Rows | None:
        """Return the longest stretch of the newest `count` transitions that follow on one another in the first of `num_envs` environments.

        `None` where it has less than `least`, or no transition.
        """
        rows = Rows(*(column[::num_envs] for column in self.newest(count)))
        broken = np.flatnonzero((rows.next_obs[:-1] != rows.obs[1:]).any(axis=1)) + 1
        longest = max(np.split(np.arange(len(rows.reward)), broken), key=len)
        return Rows(*(column[longest] for column in rows)) if len(longest) >= max(least, 1) else None

    def learned(self) -> np.ndarray:
        """Return indices of the transitions that members learn from; all while fewer than ten are kept."""
        found = np.flatnonzero(~self.held_out[: self.size])
        return found if self.size >= 10 and len(found) else np.arange(self.size)

    def batches(self, num_batches: int, batch_size: int, rng: np.random.Generator) -> np.ndarray:
        """Return indices [batches, E, B] to learn from, for each member from its own bootstrap."""
        columns = []
        for count in self.counts[: self.size].T:
            pool = np.repeat(np.arange(self.size), count)
            pool = pool if len(pool) else np.arange(self.size)
            columns.append(pool[rng.integers(len(pool), size=(num_batches, batch_size))])
        return np.stack(columns, axis=1)

    def state_dict(self) -> dict[str, Any]:
        """Return the transitions kept and their counts."""
        kept = {name: column[: self.size].copy() for name, column in self._rows._asdict().items()}
        held_out = self.held_out[: self.size].copy()
        return {**kept, "counts": self.counts[: self.size].copy(), "held_out": held_out, "next": self._next}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned.

        Raises:
            ValueError: if it is the state of other transitions.
        """
        size = len(state["reward"])
        if size > self._capacity:
            raise ValueError(f"{size} transitions are saved; there is room for {self._capacity}: use the run's own recipe")
        for name, column in {**self._rows._asdict(), "counts": self.counts, "held_out": self.held_out}.items():
            saved = np.asarray(state[name])
            if saved.shape[1:] != column.shape[1:] or saved.dtype != column.dtype:
                raise ValueError(f"{name} is saved as {saved.dtype}{list(saved.shape)}, expected {column.dtype}{list(column.shape)}")
            column[:size] = saved
        self.size, self._next = size, int(state["next"])


class Scale:
    """Mean and deviation of vectors, by which they are brought to a common scale.

    Args:
        size: Numbers of a vector.

    >>> scale = Scale(1)
    >>> scale.fit(np.array([[1.0], [3.0]]))
    >>> scale.mean, scale.std
    (array([2.], dtype=float32), array([1.], dtype=float32))
    """

    def __init__(self, size: int) -> None:
        self.mean, self.std = np.zeros(size, dtype=np.float32), np.ones(size, dtype=np.float32)

    def fit(self, vectors: np.ndarray) -> None:
        """Take mean and deviation of vectors [n, size]; a number that never changes keeps the deviation 1."""
        self.mean[:] = vectors.mean(axis=0)
        std = vectors.std(axis=0)
        self.std[:] = np.where(std > 1e-6, std, 1.0)

    def state_dict(self) -> dict[str, Any]:
        """Return mean and deviation."""
        return {"mean": self.mean.copy(), "std": self.std.copy()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        restore_state(self, ("mean", "std"), state)
