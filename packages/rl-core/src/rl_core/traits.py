"""Traits of spaces: the words by which the host decides which agents and networks fit a task.

| output space | trait | module's outputs |
|---|---|---|
| `Discrete(K)` | `discrete-output` | `[B, K]`, a logit for each class |
| `Box` of any shape but [H, W, C] | `continuous-output` | `[B, *shape]` |
| `Box` [H, W, C] | `image-output` | `[B, H, W, C]` |
| `MultiBinary` | `binary-output` | `[B, *shape]`, logits |
| `MultiDiscrete` [H, W] of K classes | `map-output` | `[B, H, W, K]`, logits |
| `MultiDiscrete` [T] of V tokens | `token-output` | `[B, T, V]`, logits |
| `Sequence(Discrete(K))` | `ragged-output` | `Ragged` with values `[N, K]`, logits; one row for each item of the target's rows |
| `StructuredActions`, of several parts | `composed-output` | the numbers of its distributions, side by side |
| `Text` | `text-output` | the module brings its own loss |
| `Sequence(Dict(box, label))` | `boxes-output` | the module brings its own loss |
| `Sequence(Dict(box, label, mask))` | `instances-output` | the module brings its own loss |
| `Dict` of plain spaces | `dict-output` | a dict of the outputs of each part |

Rows of tokens are best stated as `rl_core.tokens.Tokens`, a `MultiDiscrete` that says which ids are padding and the end of a text.
"""

from __future__ import annotations

import math
from typing import Any

import gymnasium
from gymnasium import spaces

from rl_core.structured import StructuredActions


def input_trait(space: gymnasium.Space[Any]) -> str:
    """Return the trait of an input space.

    >>> import numpy as np
    >>> input_trait(spaces.Box(0, 255, (8, 8, 3), np.uint8)), input_trait(spaces.Dict(a=spaces.Discrete(2)))
    ('image-input', 'dict-input')
    """
    if isinstance(space, spaces.Discrete):
        return "discrete-input"
    if isinstance(space, spaces.Box):
        return {1: "vector-input", 3: "image-input"}.get(len(space.shape), "array-input")
    if isinstance(space, spaces.MultiDiscrete):
        return "token-input"
    if isinstance(space, spaces.Text):
        return "text-input"
    if isinstance(space, spaces.Sequence):
        return "ragged-input"
    return f"{type(space).__name__.lower()}-input"


def output_trait(space: gymnasium.Space[Any]) -> str:
    """Return the trait of an output space.

    >>> import numpy as np
    >>> box = spaces.Box(0, 1, (4,))
    >>> output_trait(box), output_trait(spaces.Sequence(spaces.Dict(box=box, label=spaces.Discrete(2))))
    ('continuous-output', 'boxes-output')
    >>> output_trait(spaces.MultiDiscrete(np.full((8, 8), 5))), output_trait(spaces.MultiDiscrete([9, 9, 9]))
    ('map-output', 'token-output')
    """
    if isinstance(space, spaces.Discrete):
        return "discrete-output"
    if isinstance(space, spaces.Box):
        return "image-output" if len(space.shape) == 3 else "continuous-output"
    if isinstance(space, spaces.MultiBinary):
        return "binary-output"
    if isinstance(space, spaces.MultiDiscrete) and (space.nvec == space.nvec.flat[0]).all():
        return {1: "token-output", 2: "map-output"}.get(len(space.shape), "multidiscrete-output")
    if isinstance(space, StructuredActions):
        return "composed-output"
    if isinstance(space, spaces.Text):
        return "text-output"
    if isinstance(space, spaces.Sequence):
        parts = set(space.feature_space) if isinstance(space.feature_space, spaces.Dict) else set()
        if {"box", "label"} <= parts:
            return "instances-output" if "mask" in parts else "boxes-output"
        return "ragged-output"
    return f"{type(space).__name__.lower()}-output"


def output_shape(space: gymnasium.Space[Any]) -> tuple[int, ...] | None:
    """Return the shape of a module's output for one example of a space; `None` where the module brings its own loss, or rows are ragged.

    >>> import numpy as np
    >>> output_shape(spaces.Discrete(10)), output_shape(spaces.MultiDiscrete(np.full((8, 6), 5)))
    ((10,), (8, 6, 5))
    """
    if isinstance(space, spaces.Discrete):
        return (int(space.n),)
    if isinstance(space, spaces.Box | spaces.MultiBinary):
        return tuple(space.shape)
    if isinstance(space, spaces.MultiDiscrete) and (space.nvec == space.nvec.flat[0]).all():
        return (*space.shape, int(space.nvec.flat[0]))
    return None


def output_size(space: gymnasium.Space[Any]) -> int | None:
    """Return how many numbers a module gives for one example of a space; `None` where it brings its own loss, or rows are ragged.

    >>> output_size(spaces.Box(-1, 1, (2, 3)))
    6
    """
    shape = output_shape(space)
    return None if shape is None else math.prod(shape)
