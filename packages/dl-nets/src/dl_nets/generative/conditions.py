"""Inputs of both players: numbers alone, or numbers with the class that they belong to, as a dict of two parts."""

from __future__ import annotations

from typing import Any

import gymnasium
from gymnasium import spaces
from torch import Tensor

NUMBERS, LABEL = "numbers", "label"


def with_label(numbers: spaces.Box, classes: int) -> spaces.Space[Any]:
    """Return the space of numbers and one of `classes` classes; that of the numbers alone for 0.

    >>> sorted(with_label(spaces.Box(-1, 1, (2,)), 3))
    ['label', 'numbers']
    """
    return spaces.Dict({LABEL: spaces.Discrete(classes), NUMBERS: numbers}) if classes else numbers


def parts_of(space: gymnasium.Space[Any]) -> tuple[spaces.Box, int]:
    """Return the space of the numbers and how many classes there are, 0 for none.

    Raises:
        ValueError: if the space is neither a `Box` nor a `Dict` of `numbers` and `label`.

    >>> parts_of(with_label(spaces.Box(-1, 1, (2,)), 3))[1]
    3
    """
    if isinstance(space, spaces.Box):
        return space, 0
    if isinstance(space, spaces.Dict) and set(space) == {LABEL, NUMBERS}:
        numbers, label = space[NUMBERS], space[LABEL]
        if isinstance(numbers, spaces.Box) and isinstance(label, spaces.Discrete) and label.start == 0:
            return numbers, int(label.n)
    raise ValueError(
        f"the input space is {space}; expected a Box, or a Dict of 'numbers', a Box, and 'label', a Discrete that counts from 0"
    )


def split(inputs: Any) -> tuple[Tensor, Tensor | None]:
    """Return the numbers [B, ...] and the labels [B], or `None`, of a batch of either space."""
    return (inputs[NUMBERS], inputs[LABEL]) if isinstance(inputs, dict) else (inputs, None)


def joined(numbers: Tensor, labels: Tensor | None) -> Any:
    """Return a batch of numbers [B, ...] with labels [B], or without them where they are `None`."""
    return numbers if labels is None else {LABEL: labels, NUMBERS: numbers}
