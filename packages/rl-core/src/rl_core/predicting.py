"""Inputs of `Agent.predict` as a person writes them: lists, and a single observation instead of a batch."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from rl_core.structured import Structured

PLAIN = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)


def taking_lists(predict: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Return the method `predict` so that it also takes lists and a single observation, whose answer is then a single one."""

    @wraps(predict)
    def with_lists(self: Any, inputs: Any) -> Any:
        space = self.task.input_space
        if isinstance(space, Structured) and isinstance(inputs, dict | tuple):
            return predict(self, space.flatten(inputs)[None])[0]
        if not isinstance(space, PLAIN) or (type(inputs) is np.ndarray and _is_batch(inputs.shape, tuple(space.shape or ()))):
            return predict(self, inputs)
        batch, single = as_batch(inputs, space)
        answers = predict(self, batch)
        return answers[0] if single else answers

    return with_lists


def _is_batch(given: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Return whether a shape is that of a batch [B, ...]; images may be of another size than the task's."""
    return len(given) == len(wanted) + 1 and (len(wanted) > 1 or given[1:] == wanted)


def as_batch(inputs: Any, space: gymnasium.Space) -> tuple[np.ndarray, bool]:
    """Return inputs as a batch [B, ...] of a space, and whether they were a single input.

    >>> as_batch([0, 0, 0, 0], spaces.Box(-1, 1, (4,)))
    (array([[0., 0., 0., 0.]], dtype=float32), True)
    >>> as_batch([2, 1], spaces.Discrete(3))
    (array([2, 1]), False)

    Raises:
        ValueError: if the inputs are not finite numbers of the space's shape and type.
    """
    shape, dtype = tuple(space.shape or ()), np.dtype(space.dtype)
    try:
        given = np.asarray(inputs)
    except ValueError as error:
        raise ValueError(f"the input is not an array of numbers: {error}") from error
    if given.dtype.kind not in "biuf":
        raise ValueError(f"the input is of type {given.dtype}, expected numbers of {space}")
    if given.shape != shape and given.shape[1:] != shape:
        raise ValueError(
            f"the input has shape {list(given.shape)}, expected one input of shape {list(shape)} or a batch of shape "
            f"[B{''.join(f', {size}' for size in shape)}]"
        )
    with np.errstate(over="ignore"):  # refused below, in words
        typed = given.astype(dtype)
    if dtype.kind == "f" and not np.isfinite(typed).all():
        raise ValueError(f"the input has a number that is not finite in {dtype}, expected numbers of {space}")
    if dtype.kind != "f" and not np.array_equal(typed, given):
        raise ValueError(f"the input has numbers that {dtype} cannot hold, expected numbers of {space}")
    if isinstance(space, spaces.Discrete) and given.size and not space.start <= given.min() <= given.max() < space.start + space.n:
        raise ValueError(f"the input is {given.tolist()}, expected whole numbers from {space.start} to {space.start + space.n - 1}")
    return (typed[None], True) if given.shape == shape else (typed, False)
