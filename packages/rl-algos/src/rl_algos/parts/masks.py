"""Actions that are not allowed: heads and values that rule them out.

Source: S. Huang, S. Ontanon, "A closer look at invalid action masking in policy gradient algorithms", 2022, section 2: a logit of a large
negative number in place of the network's gives the action a probability of 0, and its gradient is 0.
Departures: none.
Letters: B batch, A actions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rl_algos.parts.exploration import FORBIDDEN
from rl_core.task import ControlTask

if TYPE_CHECKING:
    import torch

LEAST_LOGIT = -1e8  # exp of it is 0 beside any other logit, and 0 times it is 0, which of an infinite one it would not be


def masked(head: np.ndarray, legal: np.ndarray | None) -> np.ndarray:
    """Return logits [B, A] with `LEAST_LOGIT` in place of those of actions that are not allowed; `None` allows all.

    >>> masked(np.array([[1.0, 2.0]], np.float32), np.array([[True, False]])).tolist()
    [[1.0, -100000000.0]]
    """
    return head if legal is None else np.where(legal, head, np.float32(LEAST_LOGIT))


def masked_tensor(head: torch.Tensor, legal: torch.Tensor | None) -> torch.Tensor:
    """Return what `masked` does, of tensors; no gradient reaches the logits that are replaced."""
    return head if legal is None else head.masked_fill(~legal, LEAST_LOGIT)


def allowed_values(values: np.ndarray, legal: np.ndarray | None) -> np.ndarray:
    """Return action values [B, A] with `FORBIDDEN` in place of those of actions that are not allowed; `None` allows all."""
    return values if legal is None else np.where(legal, values, np.asarray(FORBIDDEN, dtype=values.dtype))


def legal_at(task: Any, inputs: Any) -> np.ndarray | None:
    """Return which actions are allowed at observations [B, ...], where they show it; else `None`."""
    return task.legal_at(inputs) if isinstance(task, ControlTask) and "legal" in task.extras else None
