"""Configs: frozen dataclasses, filled from plain data with errors that name the key, where it came from and the nearest key."""

from __future__ import annotations

import dataclasses
import math
import re
import reprlib
import typing
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from rl_core import documents
from rl_core.errors import RequestError, nearest

SCOPES = ("agent", "network", "task")


def build(config_class: type, values: Mapping[str, Any], *, where: str, sources: Mapping[str, str] | None = None) -> Any:
    """An instance of a frozen config dataclass from plain values.

    Args:
        config_class: The dataclass; fields that `values` lacks keep their defaults.
        values: Field names to values as YAML, TOML or JSON give them, or as text from the command line.
        where: What the error calls the config: "agent ppo".
        sources: Where each value came from, for the error: "--set", "recipe file 'ppo.yaml'".

    Raises:
        RequestError: for an unknown field, a value of another type, NaN, or a value that `__post_init__` refuses.
    """
    sources = sources or {}
    hints = typing.get_type_hints(config_class)
    names = [field.name for field in dataclasses.fields(config_class)]
    converted = {}
    for key, value in values.items():
        place = f"{where}, given by {sources[key]}," if key in sources else where
        if key not in names:
            raise RequestError(f"unknown config field {key!r} of {place.rstrip(',')}", did_you_mean(key, names, "its fields are"))
        converted[key] = convert(value, hints[key], key, place)
    try:
        return config_class(**converted)
    except (ValueError, TypeError, OverflowError) as error:
        guilty = sorted({source for key, source in sources.items() if re.search(rf"\b{re.escape(key)}\b", str(error))})
        place = f"{where}, given by {' and '.join(guilty)}," if guilty else where
        raise RequestError(f"the config of {place} was refused: {error}", f"see: rl-core show {where.split()[-1]}") from error


def to_plain(config: Any) -> dict[str, Any]:
    """The config's fields as data that YAML and JSON hold."""
    return msgspec.to_builtins(config)


def parse_overrides(overrides: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Values by scope from `--set` texts: `clip_range=0.1` (the agent's), `network.hidden=[64,64]`, `task.size=8`.

    >>> parse_overrides(["clip_range=0.1", "network.hidden=[64, 64]"])
    {'agent': {'clip_range': 0.1}, 'network': {'hidden': [64, 64]}, 'task': {}}

    Raises:
        RequestError: for a text without `=`, without a key, or whose value is not one line of YAML.
    """
    values: dict[str, dict[str, Any]] = {scope: {} for scope in SCOPES}
    for text in overrides:
        key, equals, raw = text.partition("=")
        key = key.strip()
        if not equals or not key:
            raise RequestError(f"--set takes key=value, but {text!r} came", "write for example: --set learning_rate=0.001")
        scope, dot, field = key.partition(".")
        if not dot:
            scope, field = "agent", key
        if scope not in SCOPES or not field:
            raise RequestError(
                f"--set {key!r} does not say whose field it is",
                "write a plain field of the agent, or one that starts with agent., network. or task.",
            )
        try:
            values[scope][field] = documents.parse_yaml(raw) if raw.strip() else ""
        except ValueError as error:
            raise RequestError(
                f"the value of --set {key} is {reprlib.repr(raw)}, which is not YAML: {error}", "quote texts, write lists as [1, 2]"
            ) from error
    return values


def convert(value: Any, hint: Any, key: str, where: str) -> Any:
    """`value` as the type `hint`.

    Raises:
        RequestError: naming the key, the place, what was expected and what came.
    """
    came = reprlib.repr(value)
    try:
        result = msgspec.convert(value, hint, strict=not isinstance(value, str))
    except msgspec.ValidationError as error:
        raise RequestError(f"{key!r} of {where} is {came}: {str(error).lower()}", f"it must be {_words(hint)}") from error
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        raise RequestError(f"{key!r} of {where} cannot be read from {came}", f"it must be {_words(hint)}") from error
    if isinstance(result, float) and math.isnan(result):
        raise RequestError(f"{key!r} of {where} is NaN", f"it must be {_words(hint)}")
    if isinstance(result, int) and abs(result) >= 2**63:
        raise RequestError(f"{key!r} of {where} is {came}, which is too large", f"it must be {_words(hint)} less than 2**63")
    return result


def did_you_mean(name: str, known: Iterable[str], otherwise: str) -> str:
    """A hint for a key that is unknown: the nearest one, or all of them."""
    known = list(known)
    close = nearest(name, known, 1)
    return f"did you mean {close[0]!r}?" if close else f"{otherwise}: {', '.join(known) or 'none'}"


def _words(hint: Any) -> str:
    """A type as a reader would say it."""
    if typing.get_origin(hint) is typing.Literal:
        return "one of " + ", ".join(map(repr, typing.get_args(hint)))
    parts = typing.get_args(hint)
    if type(None) in parts:
        return f"{' or '.join(_words(part) for part in parts if part is not type(None))}, or null"
    if typing.get_origin(hint) is tuple and parts[1:] == (...,):
        return f"a list, each item {_words(parts[0])}"
    if typing.get_origin(hint) is Mapping:
        return "names and their values, {name: value}"
    names = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
    return names.get(hint, str(hint).replace("typing.", "").replace("collections.abc.", ""))
