"""Observations and actions of several parts, as one row of numbers.

An environment whose observations are `Dict`, `Tuple`, `MultiDiscrete` or `MultiBinary` has an input space `Structured`: a `Box` [D] of
float32, so that every agent, buffer and checkpoint takes it. Numbers of a `Box` stay as they are (bytes are scaled from their bounds to
[0, 1]), a choice becomes one-hot, and parts are laid side by side in the order of their space. A network that reads parts apart, such as
pictures, finds them by `Structured.leaves`.

Actions of a `Dict` or `Tuple` have an output space `StructuredActions`: rows [D] with one number for each choice, and each number of a
`Box`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium import spaces

OBSERVATIONS = (spaces.Dict, spaces.Tuple, spaces.MultiDiscrete, spaces.MultiBinary)
CHOICES = (spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)


class Leaf(NamedTuple):
    """A part that has no parts of its own.

    Attributes:
        path: Keys and positions on the way to it: ("camera", "left"), (0,).
        space: A `Box`, `Discrete`, `MultiDiscrete` or `MultiBinary`.
        part: Its place in a row.
    """

    path: tuple[str | int, ...]
    space: gymnasium.Space[Any]
    part: slice

    @property
    def name(self) -> str:
        """The path in words: "camera.left"."""
        return ".".join(map(str, self.path)) or "the observation"


class Structured(spaces.Box):
    """Space of rows [D] that hold an observation of several parts.

    Args:
        structure: The space that they come from.

    Attributes:
        structure: That space.
        leaves: Its parts, in the order of a row.

    Raises:
        ValueError: if a part is of another kind; the message names it.

    >>> space = Structured(spaces.Dict(door=spaces.Discrete(3), place=spaces.Box(-1, 1, (2,))))
    >>> space.flatten({"place": [0.5, 1.0], "door": 2}).tolist()
    [0.0, 0.0, 1.0, 0.5, 1.0]
    """

    def __init__(self, structure: gymnasium.Space[Any]) -> None:
        self.structure = structure
        self.leaves = tuple(_leaves(structure, _observed_size))
        low = np.concatenate([_bounds(leaf.space)[0] for leaf in self.leaves])
        high = np.concatenate([_bounds(leaf.space)[1] for leaf in self.leaves])
        super().__init__(low.astype(np.float32), high.astype(np.float32), dtype=np.float32)

    def flatten(self, value: Any) -> np.ndarray:
        """Return the row [D] of an observation.

        Raises:
            ValueError: naming the part that is missing, or not of its space.
        """
        row = np.zeros(self.shape, np.float32)
        for leaf in self.leaves:
            given = _at(value, leaf)
            space, shape = leaf.space, leaf.space.shape or ()
            try:
                array = np.asarray(given)
            except (TypeError, ValueError) as error:
                raise ValueError(f"{leaf.name} is not an array: {error}") from error
            if array.size != math.prod(shape) or (array.shape != shape and array.size > 1) or array.dtype.kind not in "biuf":
                raise ValueError(f"{leaf.name} is {array.dtype}{list(array.shape)}, expected {space}")
            if isinstance(space, spaces.Box):
                if space.dtype == np.uint8 and array.dtype != np.uint8 and not _are_bytes(array):
                    raise ValueError(f"{leaf.name} is {array.tolist()}, which is outside of {space}")
                numbers = array.reshape(-1).astype(np.float32)
                row[leaf.part] = (numbers - _low(space)) / _span(space) if space.dtype == np.uint8 else numbers
            elif isinstance(space, spaces.MultiBinary):
                row[leaf.part] = array.reshape(-1)
            else:
                sizes, start = choices_of(space)
                chosen = array.reshape(-1).astype(np.int64) - start
                if (chosen < 0).any() or (chosen >= sizes).any():
                    raise ValueError(f"{leaf.name} is {array.tolist()}, which is outside of {space}")
                row[leaf.part.start + np.cumsum(sizes) - sizes + chosen] = 1.0
        return row

    def __repr__(self) -> str:
        """Return the space as it is written."""
        return f"Structured({self.structure})"

    def __eq__(self, other: object) -> bool:
        """Return whether the other space is the same."""
        return isinstance(other, Structured) and self.structure == other.structure


class StructuredActions(spaces.Space[np.ndarray]):
    """Space of rows [D] that hold an action of several parts: one number for each choice, and each number of a `Box`.

    Args:
        structure: The space that they lead to.

    Attributes:
        structure: That space.
        leaves: Its parts, in the order of a row.

    >>> space = StructuredActions(spaces.Tuple((spaces.Discrete(3), spaces.Box(-1, 1, (2,)))))
    >>> space.unflatten(np.array([2.0, 0.5, -0.5]))
    (2, array([ 0.5, -0.5], dtype=float32))
    """

    def __init__(self, structure: gymnasium.Space[Any]) -> None:
        self.structure = structure
        self.leaves = tuple(_leaves(structure, lambda space: math.prod(space.shape or ())))
        super().__init__((self.leaves[-1].part.stop,), np.float64)

    def unflatten(self, row: np.ndarray) -> Any:
        """Return the action that a row [D] holds, as the environment takes it."""
        return _built(self.structure, (), {leaf.path: _typed(leaf.space, row[leaf.part]) for leaf in self.leaves})

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Return a row [D], each of its choices with the same probability, and numbers within bounds or [-1, 1]."""
        return np.concatenate([_drawn(leaf.space, rng) for leaf in self.leaves])

    def sample(self, mask: Any = None, probability: Any = None) -> np.ndarray:
        """Return a row [D] drawn from the space's own generator."""
        return self.draw(self.np_random)

    def contains(self, x: Any) -> bool:
        """Return whether a row [D] holds an action of the structure."""
        row = np.asarray(x)
        return row.shape == self.shape and bool(self.structure.contains(self.unflatten(row)))

    def __repr__(self) -> str:
        """Return the space as it is written."""
        return f"StructuredActions({self.structure})"

    def __eq__(self, other: object) -> bool:
        """Return whether the other space is the same."""
        return isinstance(other, StructuredActions) and self.structure == other.structure


def seen(space: gymnasium.Space[Any]) -> gymnasium.Space[Any]:
    """Return the input space of an environment with observations of `space`."""
    return Structured(space) if isinstance(space, OBSERVATIONS) else space


def taken(space: gymnasium.Space[Any]) -> gymnasium.Space[Any]:
    """Return the output space of an environment with actions of `space`."""
    return StructuredActions(space) if isinstance(space, spaces.Dict | spaces.Tuple) else space


def _leaves(structure: gymnasium.Space[Any], size_of: Any) -> Iterator[Leaf]:
    begin = 0
    for path, space in _walk(structure, ()):
        size = size_of(space)
        yield Leaf(path, space, slice(begin, begin + size))
        begin += size


def _walk(space: gymnasium.Space[Any], path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], gymnasium.Space[Any]]]:
    if isinstance(space, spaces.Dict):
        for name, part in space.spaces.items():
            yield from _walk(part, (*path, name))
    elif isinstance(space, spaces.Tuple):
        for position, part in enumerate(space.spaces):
            yield from _walk(part, (*path, position))
    elif isinstance(space, spaces.Box | spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary):
        yield path, space
    else:
        raise ValueError(
            f"the part {'.'.join(map(str, path))!r} is a {type(space).__name__}; parts are Box, Discrete, MultiDiscrete or MultiBinary"
        )


def _observed_size(space: gymnasium.Space[Any]) -> int:
    return math.prod(space.shape or ()) if isinstance(space, spaces.Box | spaces.MultiBinary) else int(choices_of(space)[0].sum())


def choices_of(space: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the sizes and the first numbers of the choices of a `Discrete`, `MultiDiscrete` or `MultiBinary` space."""
    if isinstance(space, spaces.MultiBinary):
        size = math.prod(space.shape)
        return np.full(size, 2, dtype=np.int64), np.zeros(size, dtype=np.int64)
    if isinstance(space, spaces.Discrete):
        return np.array([space.n], dtype=np.int64), np.array([space.start], dtype=np.int64)
    return space.nvec.reshape(-1).astype(np.int64), space.start.reshape(-1).astype(np.int64)


def _bounds(space: gymnasium.Space[Any]) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(space, spaces.Box) and space.dtype != np.uint8:
        return space.low.reshape(-1), space.high.reshape(-1)
    size = _observed_size(space)
    return np.zeros(size), np.ones(size)


def _are_bytes(array: np.ndarray) -> bool:
    return bool(((array >= 0) & (array <= 255) & (array == np.floor(array))).all())


def _low(space: spaces.Box) -> np.ndarray:
    return space.low.reshape(-1).astype(np.float32)


def _span(space: spaces.Box) -> np.ndarray:
    return np.maximum(space.high.reshape(-1).astype(np.float32) - _low(space), np.float32(1.0))


def _at(value: Any, leaf: Leaf) -> Any:
    for depth, key in enumerate(leaf.path):
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError) as error:
            place = ".".join(map(str, leaf.path[: depth + 1]))
            raise ValueError(f"the part {place!r} is missing, expected {leaf.space} there") from error
    return value


def _typed(space: gymnasium.Space[Any], numbers: np.ndarray) -> Any:
    if isinstance(space, spaces.Discrete):
        return int(numbers[0])
    return numbers.astype(space.dtype).reshape(space.shape or ())


def _built(space: gymnasium.Space[Any], path: tuple[str | int, ...], values: dict[tuple[str | int, ...], Any]) -> Any:
    if isinstance(space, spaces.Dict):
        return {name: _built(part, (*path, name), values) for name, part in space.spaces.items()}
    if isinstance(space, spaces.Tuple):
        return tuple(_built(part, (*path, position), values) for position, part in enumerate(space.spaces))
    return values[path]


def _drawn(space: Any, rng: np.random.Generator) -> np.ndarray:
    if isinstance(space, spaces.MultiBinary):
        return rng.integers(2, size=math.prod(space.shape)).astype(np.float64)
    if not isinstance(space, spaces.Box):
        sizes, start = choices_of(space)
        return (start + rng.integers(sizes)).astype(np.float64)
    low = np.where(np.isfinite(space.low), space.low, np.minimum(-1.0, space.high - 1.0)).reshape(-1)
    high = np.where(np.isfinite(space.high), space.high, np.maximum(1.0, space.low + 1.0)).reshape(-1)
    return np.clip(low + (high - low) * rng.random(low.shape), low, high).astype(space.dtype).astype(np.float64)
