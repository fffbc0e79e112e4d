"""Configs: frozen dataclasses whose fields carry their range and their help in `Annotated`.

A component's config is declared with `configclass`:

    @configclass
    class GuessConfig:
        learning_rate: Annotated[Positive, Doc("alpha, step size")] = 0.1
        num_envs: Annotated[Count, Doc("N, environments stepped together")] = 8
        depth: Annotated[int, Meta(ge=2, le=8), Doc("levels of the tree")] = 3

The ranges are those of `msgspec.Meta` (`gt`, `ge`, `lt`, `le`). The config refuses values outside of them, `rl-core show` prints
them beside the help, and the conformance kit tries them. `__post_init__` is left for rules that span several fields.
"""

from __future__ import annotations

import dataclasses
import math
import re
import reprlib
import shlex
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, TypeVar, dataclass_transform

import msgspec
from msgspec import Meta as Meta

from rl_core import documents
from rl_core.errors import RequestError, nearest

SCOPES = ("agent", "network", "task")

_T = TypeVar("_T")


def Doc(help: str) -> Meta:
    """Return the help of a config field: its symbol, meaning and unit. Use it in `Annotated`, after the type and the range."""
    return Meta(description=help)


Positive = Annotated[float, Meta(gt=0)]
"""A number > 0."""
NonNegative = Annotated[float, Meta(ge=0)]
"""A number >= 0."""
Fraction = Annotated[float, Meta(ge=0, le=1)]
"""A number in [0, 1]."""
FilePath = Annotated[str, Meta(extra={"path": True})]
"""The path of a file or folder. A run keeps it as an absolute path: a relative one is resolved when the run is created, against the
folder of the recipe file that gives it, and else against the working directory."""
Count = Annotated[int, Meta(ge=1)]
"""A whole number >= 1."""
Whole = Annotated[int, Meta(ge=0)]
"""A whole number >= 0."""


@dataclass_transform(frozen_default=True)
def configclass(cls: type[_T]) -> type[_T]:
    """Make a class a frozen dataclass whose instances hold the ranges of their fields.

    The ranges are checked before the class's own `__post_init__`, which may add rules across fields; a base's rules are checked first,
    without a call of `super`.

    Raises:
        ValueError: when an instance is made with a value outside its field's range; it names the field, the value and the range.

    >>> @configclass
    ... class Steps:
    ...     rate: Annotated[Positive, Doc("alpha, step size")] = 0.1
    >>> Steps(rate=-1.0)
    Traceback (most recent call last):
    ValueError: rate is -1.0; it must be > 0
    """
    own = cls.__dict__.get("__post_init__")

    def __post_init__(self: Any) -> None:
        inherited = getattr(super(cls, self), "__post_init__", None)
        if inherited is not None:
            inherited()
        require_ranges(self)
        if own is not None:
            own(self)

    cls.__post_init__ = __post_init__  # type: ignore[attr-defined]
    return dataclasses.dataclass(frozen=True)(cls)


@dataclasses.dataclass(frozen=True)
class Range:
    """The numbers that a field takes, as its `Meta` gives them.

    Attributes:
        low: Lower end; `None` where there is none.
        high: Upper end; `None` where there is none.
        with_low: Whether the lower end itself is allowed.
        with_high: Whether the upper end itself is allowed.
    """

    low: float | None = None
    high: float | None = None
    with_low: bool = True
    with_high: bool = True

    def __bool__(self) -> bool:
        """Return whether the range excludes any number."""
        return self.low is not None or self.high is not None

    def __contains__(self, value: float) -> bool:
        """Return whether a number is within the range; NaN never is."""
        above = self.low is None or (value >= self.low if self.with_low else value > self.low)
        below = self.high is None or (value <= self.high if self.with_high else value < self.high)
        return above and below

    def __str__(self) -> str:
        """Return the range as help and errors print it.

        >>> str(Range(0, 1, with_high=False)), str(Range(low=1)), str(Range(low=0, with_low=False))
        ('in [0, 1)', '>= 1', '> 0')
        """
        if self.low is not None and self.high is not None:
            return f"in {'[' if self.with_low else '('}{self.low:g}, {self.high:g}{']' if self.with_high else ')'}"
        if self.low is not None:
            return f"{'>=' if self.with_low else '>'} {self.low:g}"
        return f"{'<=' if self.with_high else '<'} {self.high:g}" if self.high is not None else "any number"


def range_of(hint: Any) -> Range:
    """Return the range that an annotation states for its number, or for each number of its tuple; an empty one where it states none.

    >>> str(range_of(Annotated[Count | None, Doc("how many")]))
    '>= 1'
    """
    found: dict[str, float] = {}
    for meta in _metas(hint):
        found |= {name: bound for name in ("gt", "ge", "lt", "le") if (bound := getattr(meta, name)) is not None}
    low, high = found.get("gt", found.get("ge")), found.get("lt", found.get("le"))
    return Range(low, high, "gt" not in found, "lt" not in found)


def help_of(hint: Any) -> str:
    """Return the help that an annotation carries, or "".

    >>> help_of(Annotated[Positive, Doc("alpha, step size")])
    'alpha, step size'
    """
    return next((meta.description for meta in _metas(hint) if meta.description), "")


def with_absolute_paths(config: Any, base: Callable[[str], Path]) -> Any:
    """Return a config whose fields of type `FilePath` are absolute; empty ones stay empty.

    Args:
        config: An instance of a config class.
        base: From the name of a field to the folder that a relative path in it is resolved against.
    """
    changed = {}
    for name, hint in _hints(config.__class__, extras=True).items():
        if any((meta.extra or {}).get("path") for meta in _metas(hint)) and getattr(config, name, None):
            changed[name] = str((base(name) / Path(getattr(config, name)).expanduser()).resolve())
    return dataclasses.replace(config, **changed) if changed else config


def require_ranges(config: Any) -> None:
    """Check every field of a config against the range that its annotation states.

    Raises:
        ValueError: naming the field, the value and the range.
    """
    for name, bounds in _ranges(config.__class__).items():
        if not hasattr(config, name):
            continue
        value = getattr(config, name)
        for number in value if isinstance(value, tuple | list) else (value,):
            if isinstance(number, int | float) and number not in bounds:
                shown = list(value) if isinstance(value, tuple) else value
                raise ValueError(f"{name} is {shown}; it must be {bounds}")


@lru_cache(maxsize=1024)
def _hints(config_class: type, *, extras: bool = False) -> dict[str, Any]:
    """Return the annotations of a config's fields; to evaluate them takes a millisecond, and every config that is made needs them."""
    return typing.get_type_hints(config_class, include_extras=extras)


@lru_cache(maxsize=1024)
def _ranges(config_class: type) -> dict[str, Range]:
    """Return the ranges that the fields of a config state, by name."""
    found = {name: range_of(hint) for name, hint in _hints(config_class, extras=True).items()}
    return {name: bounds for name, bounds in found.items() if bounds}


def _metas(hint: Any) -> list[Meta]:
    """Return every `Meta` within an annotation, the inner ones first."""
    metas = [meta for part in typing.get_args(hint) if not isinstance(part, Meta) for meta in _metas(part)]
    return metas + [meta for meta in getattr(hint, "__metadata__", ()) if isinstance(meta, Meta)]


def build(config_class: type, values: Mapping[str, Any], *, where: str, sources: Mapping[str, str] | None = None) -> Any:
    """Build an instance of a frozen config dataclass from plain values.

    Args:
        config_class: The dataclass; fields that `values` lacks keep their defaults.
        values: Field names to values as YAML, TOML or JSON give them, or as text from the command line.
        where: What the error calls the config: "agent ppo".
        sources: Origin of each value, for the error: "--set", "recipe file 'ppo.yaml'".

    Raises:
        RequestError: for an unknown field, a value of another type, NaN, or a value that `__post_init__` refuses.
    """
    sources = sources or {}
    hints = _hints(config_class)
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
        raise RequestError(
            f"the config of {place} was refused: {error}", f"see: rl-core show {shlex.quote(where.split(maxsplit=1)[-1])}"
        ) from error


MARKS = " \t|>;,:#-!%@&*?./\\"
"""Characters that are a text where a value of `--set` consists of nothing else."""


def to_plain(config: Any) -> dict[str, Any]:
    """Return the config's fields as data that YAML and JSON hold."""
    return msgspec.to_builtins(config)


def parse_overrides(overrides: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return values by scope from `--set` texts: `clip_range=0.1` (the agent's), `network.hidden=[64,64]`, `task.size=8`.

    >>> parse_overrides(["clip_range=0.1", "network.hidden=[64, 64]"])
    {'agent': {'clip_range': 0.1}, 'network': {'hidden': [64, 64]}, 'task': {}}
    >>> parse_overrides(["task.delimiter=|"])["task"]
    {'delimiter': '|'}

    Raises:
        RequestError: for a text without `=`, without a key, or whose value is not one line of YAML.
    """
    values: dict[str, dict[str, Any]] = {scope: {} for scope in SCOPES}
    for text in overrides:
        key, equals, raw = text.partition("=")
        key = key.strip()
        if not equals or not key:
            raise RequestError(f"--set expects key=value, got {text!r}", "write for example: --set learning_rate=0.001")
        scope, dot, field = key.partition(".")
        if not dot:
            scope, field = "agent", key
        if scope not in SCOPES or not field:
            raise RequestError(
                f"--set {key!r} does not say whose field it is",
                "write a plain field of the agent, or one that starts with agent., network. or task.",
            )
        try:
            plain = not raw.strip(MARKS)  # a separator such as | or #, which YAML takes for a mark of its own
            values[scope][field] = raw.strip() if plain else documents.parse_yaml(raw)
        except ValueError as error:
            raise RequestError(
                f"the value of --set {key} is {reprlib.repr(raw)}, which is not YAML: {error}", "quote texts, write lists as [1, 2]"
            ) from error
    return values


def convert(value: Any, hint: Any, key: str, where: str) -> Any:
    """Return `value` as the type `hint`.

    Raises:
        RequestError: naming the key, its place, the expected type and the given value.
    """
    given = reprlib.repr(value)
    if type(value).__module__ == "numpy" and not getattr(value, "shape", (0,)):
        value = value.item()  # a number of NumPy, which is not imported here
    if isinstance(value, str):
        value = _read_text(value, hint)
    elif isinstance(value, float) and value.is_integer() and not {float, bool} & (kinds := _plain_types(hint)) and int in kinds:
        value = int(value)  # 1e4
    try:
        result = msgspec.convert(value, hint, strict=not isinstance(value, str))
    except msgspec.ValidationError as error:
        raise RequestError(f"{key!r} of {where} is {given}: {str(error).lower()}", f"it must be {_words(hint)}") from error
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        raise RequestError(f"{key!r} of {where} cannot be read from {given}", f"it must be {_words(hint)}") from error
    if isinstance(result, float) and math.isnan(result):
        raise RequestError(f"{key!r} of {where} is NaN", f"it must be {_words(hint)}")
    if isinstance(result, int) and abs(result) >= 2**63:
        raise RequestError(f"{key!r} of {where} is {given}, which is too large", f"it must be {_words(hint)} less than 2**63")
    return result


def _read_text(text: str, hint: Any) -> Any:
    """Return a text as a user writes lists and whole numbers without YAML: "64,64", "1e4"; other texts as they are.

    >>> _read_text("64,64", tuple[int, ...]), _read_text("1e4", int), _read_text("1.5", int), _read_text("a,b", str)
    ([64, 64], 10000, '1.5', 'a,b')
    >>> _read_text("", tuple[int, ...])  # an empty list is written []
    ''
    """
    kinds = _plain_types(hint)
    if str not in kinds and tuple in kinds and text.strip():
        try:
            items = documents.parse_yaml(f"[{text}]")
        except ValueError:
            return text
        return items if isinstance(items, list) else text
    if int in kinds and not kinds & {float, str}:
        try:
            number = float(text)
        except ValueError:
            return text
        return int(number) if number.is_integer() else text
    return text


def _plain_types(hint: Any) -> set[Any]:
    """Return the types that an annotation allows, without what is inside lists."""
    origin = typing.get_origin(hint)
    if origin is typing.Annotated:
        return _plain_types(typing.get_args(hint)[0])
    if origin in (typing.Union, types.UnionType):
        return set().union(*(_plain_types(part) for part in typing.get_args(hint)))
    if origin is typing.Literal:
        return {type(choice) for choice in typing.get_args(hint)}
    return {origin or hint}


def did_you_mean(name: str, known: Iterable[str], otherwise: str) -> str:
    """Return a hint for an unknown key: the nearest known one, or all of them."""
    known = list(known)
    close = nearest(name, known, 1)
    return f"did you mean {close[0]!r}?" if close else f"{otherwise}: {', '.join(known) or 'none'}"


_EXAMPLES = {"a whole number": "[64, 64]", "a number": "[0.1, 0.2]", "a text": "[one, two]"}


def _words(hint: Any) -> str:
    """Return the name of a type in words."""
    if typing.get_origin(hint) is typing.Literal:
        return "one of " + ", ".join(map(repr, typing.get_args(hint)))
    parts = typing.get_args(hint)
    if type(None) in parts:
        return f"{' or '.join(_words(part) for part in parts if part is not type(None))}, or null"
    if typing.get_origin(hint) is tuple and parts[1:] == (...,):
        return f"a list, each item {_words(parts[0])}, such as {_EXAMPLES.get(_words(parts[0]), '[a, b]')}"
    if typing.get_origin(hint) is Mapping:
        return "names and their values, {name: value}"
    names = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
    return names.get(hint, str(hint).replace("typing.", "").replace("collections.abc.", ""))
