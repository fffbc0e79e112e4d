"""Inputs of both players: numbers alone, or numbers with what they are to show, as a dict of two parts.

What they are to show is a class, or a text of T tokens, which is seen as the mean of its words' vectors, whatever their order.

Letters: B batch, K classes or words, T tokens of a text.
"""

from __future__ import annotations

from typing import Any

import gymnasium
from gymnasium import spaces
from torch import Tensor
from torch.nn import functional

from dl_nets.networks.embedding import vocabulary

NUMBERS, LABEL = "numbers", "label"


def with_label(numbers: spaces.Box, label: int | spaces.Space[Any]) -> spaces.Space[Any]:
    """Return the space of numbers and one of so many classes, or a label of that space; that of the numbers alone for 0.

    >>> sorted(with_label(spaces.Box(-1, 1, (2,)), 3))
    ['label', 'numbers']
    """
    if isinstance(label, int):
        return spaces.Dict({LABEL: spaces.Discrete(label), NUMBERS: numbers}) if label else numbers
    return spaces.Dict({LABEL: label, NUMBERS: numbers})


def parts_of(space: gymnasium.Space[Any]) -> tuple[spaces.Box, int]:
    """Return the space of the numbers and how many classes, or words of texts, there are; 0 for none.

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
        words = vocabulary(label)
        if isinstance(numbers, spaces.Box) and words is not None:
            return numbers, words
    raise ValueError(
        f"the input space is {space}; expected a Box, or a Dict of 'numbers', a Box, and 'label', a Discrete that counts from 0, or tokens"
    )


def label_space(space: gymnasium.Space[Any]) -> int | spaces.Space[Any]:
    """Return the space of the labels of inputs; 0 where there are none."""
    return space[LABEL] if isinstance(space, spaces.Dict) and LABEL in space.spaces else 0


def shares(labels: Tensor, count: int) -> Tensor:
    """Return the share of each of `count` classes in labels [B], or of each word in texts [B, T], as rows [B, K] that sum to 1.

    >>> import torch
    >>> shares(torch.tensor([1]), 3), shares(torch.tensor([[0, 2]]), 3)
    (tensor([[0., 1., 0.]]), tensor([[0.5000, 0.0000, 0.5000]]))
    """
    hot = functional.one_hot(labels.long(), count).float()
    return hot.mean(dim=1) if labels.ndim == 2 else hot


def split(inputs: Any) -> tuple[Tensor, Tensor | None]:
    """Return the numbers [B, ...] and the labels [B] or texts [B, T], or `None`, of a batch of either space."""
    return (inputs[NUMBERS], inputs[LABEL]) if isinstance(inputs, dict) else (inputs, None)


def joined(numbers: Tensor, labels: Tensor | None) -> Any:
    """Return a batch of numbers [B, ...] with labels [B] or texts [B, T], or without them where they are `None`."""
    return numbers if labels is None else {LABEL: labels, NUMBERS: numbers}
