"""A ring of rows of numbers, of which the newest are kept; or several rings side by side that are written together.

Letters: M rings, T rows that are written, W numbers of a row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


class Ring:
    """The newest rows.

    Args:
        capacity: Most rows.
        width: W.
        num_rings: M rings of so many rows each; `None` is one, without an axis of its own.

    Attributes:
        rows: [capacity, W] or [M, capacity, W], float32.
        written: Rows written to each ring so far.
    """

    def __init__(self, capacity: int, width: int, num_rings: int | None = None) -> None:
        self.rows = np.zeros((*([] if num_rings is None else [num_rings]), capacity, width), dtype=np.float32)
        self.written = 0

    def __len__(self) -> int:
        """Rows that are kept, of each ring."""
        return min(self.written, self.rows.shape[-2])

    def add(self, rows: np.ndarray) -> None:
        """Write rows [T, W] or [M, T, W], at most the capacity; the oldest go."""
        count = rows.shape[-2]
        self.rows[..., (self.written + np.arange(count)) % self.rows.shape[-2], :] = rows
        self.written += count

    def sample(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Return rows [count, W], or [M, count, W] of the same places, drawn with replacement."""
        drawn: np.ndarray = self.rows[..., rng.integers(len(self), size=count), :]
        return drawn

    def state_dict(self) -> dict[str, Any]:
        """Return the rows and their number."""
        return {"rows": self.rows[..., : len(self), :].copy(), "written": self.written}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned.

        Raises:
            ValueError: if the rows are not as many and as wide as the ring holds after so many were written.
        """
        written, rows = int(state["written"]), np.asarray(state["rows"])
        wanted = (*self.rows.shape[:-2], min(written, self.rows.shape[-2]), self.rows.shape[-1])
        if written < 0 or rows.shape != wanted:
            raise ValueError(f"the state has rows {list(rows.shape)} of {written} that were written; this ring holds {list(wanted)}")
        self.written = written
        self.rows[..., : len(self), :] = rows
