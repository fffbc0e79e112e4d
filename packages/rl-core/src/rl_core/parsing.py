"""Inputs that a user typed, as batches of one."""

from __future__ import annotations

import json
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from rl_core.batches import Batch, Ragged
from rl_core.structured import Structured


def parse(space: gymnasium.Space[Any], text: str) -> Batch:
    """Return a batch of one input from JSON in the shape of a space: an array, an object by part, or a list of rows.

    Args:
        space: What one input must be.
        text: What the user typed. For a `Text` space the text itself, without quotes, is taken as well.

    Raises:
        ValueError: if the text is not JSON, or does not have the shape and the kind of numbers of the space.

    >>> parse(spaces.Box(-1, 1, (2,)), "[0.5, 1]")
    array([[0.5, 1. ]], dtype=float32)
    >>> parse(spaces.Dict(a=spaces.Discrete(3), b=spaces.Sequence(spaces.Discrete(9))), '{"a": 2, "b": [1, 8]}')
    {'a': array([2]), 'b': Ragged(values=array([1, 8]), splits=array([0, 2]))}
    """
    if isinstance(space, spaces.Text):
        return _text(space, text)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        wanted = "JSON" if isinstance(space, spaces.Dict | spaces.Sequence) else "a JSON array of numbers"
        raise ValueError(f"the input {text[:60]!r} is not {wanted}; this task takes {space}") from error
    try:
        return _batch(space, value, text)
    except RecursionError as error:
        raise ValueError(f"the input {text[:60]!r} is nested too deeply; this task takes {space}") from error


def _batch(space: gymnasium.Space[Any], value: Any, text: str) -> Batch:
    """Return a batch of one from a JSON value."""
    if isinstance(space, Structured):
        try:
            return space.flatten(value)[None]
        except ValueError as error:
            raise ValueError(f"of the input {text[:60]!r} {error}") from error
    if isinstance(space, spaces.Dict):
        if not isinstance(value, dict) or set(value) != set(space.spaces):
            raise ValueError(
                f"the input {text[:60]!r} is not a JSON object with the keys {', '.join(space.spaces)}; this task takes {space}"
            )
        return {name: _batch(part, value[name], text) for name, part in space.spaces.items()}
    if isinstance(space, spaces.Sequence):
        feature = space.feature_space
        if isinstance(feature, spaces.Dict) and isinstance(value, dict):  # a list for each part, as answers are printed
            return {name: _batch(spaces.Sequence(part), value.get(name), text) for name, part in feature.spaces.items()}
        if not isinstance(value, list):
            raise ValueError(f"the input {text[:60]!r} is not a JSON list; this task takes {space}")
        if isinstance(feature, spaces.Dict):
            parts: list[Any] = [_batch(feature, item, text) for item in value]
            return {name: Ragged.of([[part[name][0] for part in parts]], _like(inner)) for name, inner in feature.spaces.items()}
        rows = [_array(feature, item, text)[0] for item in value]
        return Ragged.of([rows], _like(feature))
    if isinstance(space, spaces.Text):
        return _text(space, value if isinstance(value, str) else text)
    return _array(space, value, text)


def _like(space: gymnasium.Space[Any]) -> np.ndarray:
    return np.zeros((0, *(space.shape or ())), dtype=space.dtype)


def _array(space: gymnasium.Space[Any], value: Any, text: str) -> np.ndarray:
    shape = space.shape or ()
    try:
        array = np.asarray(value)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the input {text[:60]!r} is not a JSON array of numbers; this task takes {space}") from error
    kinds = "biuf" if np.dtype(space.dtype).kind == "f" else "biu"
    if array.dtype.kind not in kinds:
        raise ValueError(f"the input {text[:60]!r} is not made of {space.dtype} numbers; this task takes {space}")
    if array.shape != shape:
        raise ValueError(f"the input has shape {list(array.shape)}; this task takes {list(shape)} ({space})")
    typed = array.astype(space.dtype)
    known = np.isfinite(typed).all() if typed.dtype.kind == "f" else (typed == array).all()
    if not known or not (isinstance(space, spaces.Box) or space.contains(typed)):
        raise ValueError(f"the input {text[:60]!r} is outside of what this task takes: {space}")
    return typed[None]


def _text(space: spaces.Text, text: str) -> np.ndarray:
    if not space.contains(text):
        raise ValueError(
            f"the input {text[:60]!r} is outside of what this task takes: {space.min_length} to {space.max_length} characters "
            f"of its alphabet of {len(space.character_set)}"
        )
    return np.array([text])
