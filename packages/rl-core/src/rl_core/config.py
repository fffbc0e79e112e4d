"""Configs: frozen dataclasses, filled from plain data with errors that name the key, the file and the nearest key."""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from rl_core.errors import RequestError, nearest

SCOPES = ("agent", "network", "task")


def build(config_class: type, values: Mapping[str, Any], *, where: str) -> Any:
    """An instance of a frozen config dataclass from plain values.

    Args:
        config_class: The dataclass; fields that `values` lacks keep their defaults.
        values: Field names to values as YAML, TOML or JSON give them, or as text from the command line.
        where: What the error calls the place: "agent ppo".

    Raises:
        RequestError: for an unknown field, a value of another type, NaN, or a value that `__post_init__` refuses.
    """
    hints = typing.get_type_hints(config_class)
    names = [field.name for field in dataclasses.fields(config_class)]
    converted = {}
    for key, value in values.items():
        if key not in names:
            close = nearest(key, names, 1)
            raise RequestError(
                f"unknown config field {key!r} of {where}",
                f"did you mean {close[0]!r}?" if close else f"its fields are: {', '.join(names) or 'none'}",
            )
        converted[key] = _convert(value, hints[key], key, where)
    try:
        return config_class(**converted)
    except (ValueError, TypeError) as error:
        raise RequestError(f"the config of {where} was refused: {error}", f"see: rl-core show {where.split()[-1]}") from error


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
            values[scope][field] = yaml.safe_load(raw) if raw.strip() else ""
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise RequestError(f"the value of --set {key} is {raw!r}, which is not YAML", "quote texts, write lists as [1, 2]") from error
    return values


def read_file(path: Path) -> dict[str, Any]:
    """The mapping in a YAML, TOML or JSON file, by its ending.

    Raises:
        RequestError: if the file is missing, of another kind, malformed, or no mapping with text keys.
    """
    if not path.is_file():
        raise RequestError(f"there is no recipe file {str(path)!r}", "give the path of a .yaml, .toml or .json file")
    suffix = path.suffix.lower()
    if suffix not in (".yaml", ".yml", ".toml", ".json"):
        raise RequestError(f"recipe file {path.name!r} ends in {suffix or 'nothing'}", "recipes are .yaml, .yml, .toml or .json")
    try:
        text = path.read_text(encoding="utf-8")
        if suffix == ".toml":
            import tomllib

            data: Any = tomllib.loads(text)
        elif suffix == ".json":
            import json

            data = json.loads(text)
        else:
            data = yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        reason = " ".join(str(error).split())[:300]
        raise RequestError(f"recipe file {path.name!r} cannot be read: {reason}", f"mend the {suffix[1:].upper()} in it") from error
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        raise RequestError(f"recipe file {path.name!r} holds no mapping of names to values", "begin with a line such as: agent: ppo")
    return data


def convert(value: Any, hint: Any, key: str, where: str) -> Any:
    """`value` as the type `hint`.

    Raises:
        RequestError: naming the key, the place, what was expected and what came.
    """
    return _convert(value, hint, key, where)


def _convert(value: Any, hint: Any, key: str, where: str) -> Any:
    try:
        result = msgspec.convert(value, hint, strict=not isinstance(value, str))
    except msgspec.ValidationError as error:
        raise RequestError(f"{key!r} of {where} is {value!r}: {str(error).lower()}", f"it must be {_words(hint)}") from error
    except (TypeError, RecursionError, OverflowError) as error:
        raise RequestError(f"{key!r} of {where} cannot be read from {value!r}", f"it must be {_words(hint)}") from error
    if isinstance(result, float) and math.isnan(result):
        raise RequestError(f"{key!r} of {where} is NaN", f"it must be {_words(hint)}")
    return result


def _words(hint: Any) -> str:
    """A type as a reader would say it."""
    if typing.get_origin(hint) is typing.Literal:
        return "one of " + ", ".join(map(repr, typing.get_args(hint)))
    names = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
    return names.get(hint, str(hint).replace("typing.", "").replace("collections.abc.", ""))
