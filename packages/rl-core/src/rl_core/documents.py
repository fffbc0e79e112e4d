"""Strict readers of plain data in YAML, TOML and JSON: nothing is executed, no key may be given twice, nothing is expanded.

YAML is read by the rules of version 1.2 instead of PyYAML's 1.1: `1e-3` is a number, `no` and `off` are texts, `010` is ten.
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from rl_core.errors import RequestError

LARGEST_FILE = 4_000_000  # bytes; a recipe has a few thousand
_TAGS = {
    "bool": (re.compile(r"(?:true|True|TRUE|false|False|FALSE)$"), "tTfF"),
    "int": (re.compile(r"[-+]?[0-9]+(?:_[0-9]+)*$"), "-+0123456789"),
    "float": (re.compile(r"[-+]?(?:(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|\.(?:inf|Inf|INF))$"), "-+.0123456789"),
    "null": (re.compile(r"(?:~|null|Null|NULL|)$"), ["", "~", "n", "N"]),
}


def read(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML, TOML or JSON file, by its suffix.

    Raises:
        RequestError: if the file is missing, of another kind, malformed, or not a mapping with text keys.
    """
    suffix = path.suffix.lower()
    if not path.is_file():
        raise RequestError(f"recipe file {str(path)!r} not found", "give the path of a .yaml, .toml or .json file")
    if suffix not in (".yaml", ".yml", ".toml", ".json"):
        raise RequestError(f"recipe file {path.name!r} ends in {suffix or 'nothing'}", "recipes are .yaml, .yml, .toml or .json")
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise ValueError(f"it is larger than {LARGEST_FILE:,} bytes")
        text = path.read_text(encoding="utf-8")
        if suffix == ".toml":
            data: Any = tomllib.loads(text, parse_float=_number)
        elif suffix == ".json":
            data = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
        else:
            data = parse_yaml(text)
    except (OSError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:300]
        raise RequestError(f"recipe file {path.name!r} cannot be read: {reason}", f"fix the {suffix[1:].upper()} syntax in it") from error
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        raise RequestError(f"recipe file {path.name!r} is not a mapping of names to values", "begin with a line such as: agent: ppo")
    return data


def parse_yaml(text: str) -> Any:
    """Return the value of a YAML text.

    >>> parse_yaml("{learning_rate: 1e-3, mode: off}")
    {'learning_rate': 0.001, 'mode': 'off'}

    Raises:
        ValueError: if it is not YAML, or has a tag, an alias or a key given twice.
    """
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def dump_yaml(value: Any) -> str:
    """Return YAML that reads the same by versions 1.1 and 1.2: texts that either takes for a number are quoted."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - as PyYAML declares it

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Return a node; tags are refused, and aliases too: a few lines of them expand to gigabytes."""
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent):
            raise ValueError(f"aliases (*{event.anchor}) are not allowed")
        if event.tag is not None:
            raise ValueError(f"tags ({event.tag}) are not allowed")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        """Return a mapping; a key given twice is refused."""
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                raise ValueError("a key is not a text")
            if key in seen:
                raise ValueError(f"the key {key!r} is given twice")
            seen.add(key)
        return super().construct_mapping(node, deep)

    def construct_integer(self, node: yaml.ScalarNode) -> int:
        """Return a decimal integer, also with leading zeros."""
        return int(self.construct_scalar(node))

    def construct_real(self, node: yaml.ScalarNode) -> float:
        """Return a number, or infinity."""
        return float(self.construct_scalar(node).lower().replace(".inf", "inf"))


class _Dumper(yaml.SafeDumper):
    pass


for _name, (_pattern, _first) in _TAGS.items():
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", _pattern, list(_first))
_Dumper.add_representer(
    str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if text.isprintable() else '"')
)
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_integer)
_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.construct_real)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} is given twice")
    return data


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _number(text: str) -> float:
    number = float(text)
    if math.isnan(number):
        raise ValueError("nan is not a valid setting")
    return number
