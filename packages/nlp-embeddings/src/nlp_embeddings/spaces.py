"""The input and output of an embedding, as Gymnasium spaces."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces


def text_space(max_length: int = 200) -> spaces.Text:
    """Return the space of texts; samples are words of small letters and spaces."""
    return spaces.Text(max_length=max_length, charset="abcdefghijklmnopqrstuvwxyz ")


class Vector(spaces.Space):
    """The space of finite vectors of any width, which the agent chooses. Its trait is `vector-output`."""

    def __init__(self, seed: int | np.random.Generator | None = None) -> None:
        super().__init__(shape=None, dtype=np.float32, seed=seed)

    @property
    def is_np_flattenable(self) -> bool:
        """False: the width is not known."""
        return False

    def sample(self, mask: Any = None, probability: Any = None) -> np.ndarray:
        """Draw a normal vector of width 1."""
        return self.np_random.normal(size=1).astype(np.float32)

    def contains(self, x: Any) -> bool:
        """Return whether `x` is one finite vector."""
        array = np.asarray(x)
        return array.ndim == 1 and array.dtype.kind == "f" and bool(np.isfinite(array).all())

    def __repr__(self) -> str:
        return "Vector()"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vector)


class AnyText(spaces.Text):
    """The space of all texts, in any script and of any length; samples are small letters and spaces. Its traits are those of `Text`."""

    def __init__(self) -> None:
        super().__init__(max_length=40, min_length=1, charset="abcdefghijklmnopqrstuvwxyz ")

    def contains(self, x: Any) -> bool:
        """Return whether `x` is a text."""
        return isinstance(x, str)

    def __repr__(self) -> str:
        return "AnyText()"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AnyText)
