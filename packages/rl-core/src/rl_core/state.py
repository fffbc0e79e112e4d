"""Saving and restoring the attributes that an object declares as its state, without pickle."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

PLAIN = (str, int, float, bool, type(None))


def saved_state(owner: object, names: Iterable[str]) -> dict[str, Any]:
    """Return the named attributes of an object as arrays, plain values, lists and dicts.

    An attribute may be an array, a tensor, a plain value, a list, tuple or dict of these, or have a `state_dict()` of its own.

    >>> class Walk:
    ...     position, steps = np.zeros(2), 3
    >>> saved_state(Walk(), ("steps",))
    {'steps': 3}

    Raises:
        TypeError: if an attribute is of another kind.
    """
    return {name: _saved(getattr(owner, name), f"{type(owner).__name__}.{name}") for name in names}


def restore_state(owner: object, names: Iterable[str], state: Mapping[str, Any]) -> None:
    """Set the named attributes of an object to what `saved_state` returned: arrays and tensors in place, plain values by assignment.

    Raises:
        KeyError: if a name is missing from `state`.
        ValueError: if an array has another shape or type than the attribute, or the keys of a dict differ.
    """
    for name in names:
        place = f"{type(owner).__name__}.{name}"
        if name not in state:
            raise KeyError(f"{place} is not in the saved state, which has {', '.join(state) or 'nothing'}")
        setattr(owner, name, _restored(getattr(owner, name), state[name], place))


def _saved(value: Any, place: str) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return np.array(value)  # a copy: what was handed out does not follow the training
    if isinstance(value, PLAIN):
        return value
    if hasattr(value, "detach"):  # a tensor: this package never imports torch
        return value.detach().cpu().numpy().copy()
    if hasattr(value, "state_dict"):
        return _saved(value.state_dict(), place)
    if isinstance(value, Mapping):
        return {key: _saved(item, f"{place}[{key!r}]") for key, item in value.items()}
    if type(value).__name__ == "Block":  # content that never changes; the checkpoint knows it. A named tuple, but not a list of its fields
        return value
    if isinstance(value, list | tuple):
        return [_saved(item, f"{place}[{index}]") for index, item in enumerate(value)]
    raise TypeError(f"{place} is a {type(value).__name__}, which cannot be saved; give it a state_dict() or leave it out of `state_fields`")


def _restored(current: Any, saved: Any, place: str) -> Any:
    """Return the attribute's new value: the same object, changed in place, where it is an array, a tensor or a stateful object."""
    if isinstance(current, np.ndarray):
        saved = np.asarray(saved)
        if saved.shape != current.shape or saved.dtype != current.dtype:
            raise ValueError(
                f"{place} is saved as {saved.dtype}{list(saved.shape)}, but the agent has {current.dtype}{list(current.shape)}"
            )
        current[...] = saved
        return current
    if hasattr(current, "detach"):
        if tuple(np.shape(saved)) != tuple(current.shape):
            raise ValueError(f"{place} is saved with shape {list(np.shape(saved))}, but the agent has {list(current.shape)}")
        current.data.copy_(current.data.new_tensor(np.asarray(saved)))
        return current
    if hasattr(current, "load_state_dict"):
        own = current.state_dict()
        if any(hasattr(value, "detach") for value in own.values()):  # a torch module: its tensors are changed in place
            if set(own) != set(saved):
                raise ValueError(f"{place} is saved with {sorted(set(saved) ^ set(own))[:3]} missing or unknown")
            for key, tensor in own.items():
                _restored(tensor, saved[key], f"{place}[{key!r}]")  # some are copies: what `get_extra_state` returned
            current.load_state_dict(own)
        else:
            current.load_state_dict(saved)
        return current
    if isinstance(current, dict):
        if set(current) != set(saved):
            raise ValueError(f"{place} is saved with {sorted(set(saved) ^ set(current))[:3]} missing or unknown")
        return {key: _restored(item, saved[key], f"{place}[{key!r}]") for key, item in current.items()}
    if isinstance(current, list | tuple):
        if len(current) == len(saved) and current:
            return type(current)(
                _restored(item, new, f"{place}[{index}]") for index, (item, new) in enumerate(zip(current, saved, strict=True))
            )
        return type(current)(saved)
    if isinstance(current, bool | int | float | str) and not isinstance(saved, type(current)) and saved is not None:
        return type(current)(saved)
    return saved
