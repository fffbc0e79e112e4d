"""The space of a row of tokens, with the ids that mean something to a learner: padding and the end."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces


class Tokens(spaces.MultiDiscrete):
    """Space of rows [T] of token ids, each in [0, V), int64: a `MultiDiscrete` that states what some ids mean.

    A shorter text is padded at its end. Networks do not attend to padding, losses and judges do not count it, and an answer that
    holds `end` counts up to it.

    Args:
        length: T, the most tokens of a row.
        size: V, the size of the vocabulary.
        padding: Id that fills a row behind its last token; `None` where every row has T tokens.
        end: Id that ends a text; `None` where none does.

    Raises:
        ValueError: if an id is outside [0, V).

    >>> space = Tokens(4, 30, padding=0, end=1)
    >>> space, space.padding, np.array([5, 9, 1, 0]) in space
    (Tokens(4, 30, padding=0, end=1), 0, True)
    """

    def __init__(self, length: int, size: int, *, padding: int | None = None, end: int | None = None) -> None:
        super().__init__(np.full(length, size), dtype=np.int64)
        for name, number in (("padding", padding), ("end", end)):
            if number is not None and not 0 <= number < size:
                raise ValueError(f"{name} is {number}; expected an id in [0, {size}), or None")
        self.length, self.size, self.padding, self.end = length, size, padding, end

    def __repr__(self) -> str:
        """Return the space as it is written."""
        named = "".join(f", {name}={number}" for name, number in (("padding", self.padding), ("end", self.end)) if number is not None)
        return f"Tokens({self.length}, {self.size}{named})"


def padding_of(space: gymnasium.Space[Any]) -> int | None:
    """Return the id that fills rows of a space of tokens behind their last token; `None` where there is none.

    >>> padding_of(Tokens(4, 30, padding=0)), padding_of(spaces.MultiDiscrete([30, 30]))
    (0, None)
    """
    return space.padding if isinstance(space, Tokens) else None


def end_of(space: gymnasium.Space[Any]) -> int | None:
    """Return the id that ends a text of a space of tokens; `None` where there is none.

    >>> end_of(Tokens(4, 30, end=1))
    1
    """
    return space.end if isinstance(space, Tokens) else None
