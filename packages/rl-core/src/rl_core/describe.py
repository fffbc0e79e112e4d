"""Config fields as a user reads them: name, type, default, and help with the range, all from the annotations."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from rl_core.config import help_of, range_of


@dataclass(frozen=True)
class ConfigField:
    """One field of a config.

    Attributes:
        name: The key that `--set name=value` takes.
        type: As written in the source, with aliases of choices expanded: `Literal['tanh', 'relu']`.
        default: As JSON; a tuple is a list. `None` also for a field without one (`required`).
        help: Symbol, meaning, unit and range; "" when it has none.
        required: True if the field has no default.
    """

    name: str
    type: str
    default: Any
    help: str
    required: bool = False


def describe(config: type, overrides: Mapping[str, Any] | None = None) -> list[ConfigField]:
    """Return the fields of a config dataclass, in order.

    Args:
        config: A dataclass.
        overrides: Defaults that the component's spec changes.

    Raises:
        TypeError: if `config` is not a dataclass.
    """
    if not (isinstance(config, type) and dataclasses.is_dataclass(config)):
        raise TypeError(f"{config!r} is not a dataclass; a component's Config is a frozen dataclass")
    rows = []
    hints = _hints(config)
    for field in dataclasses.fields(config):
        if not field.init:
            continue
        hint = hints.get(field.name, field.type)
        help_, bounds = help_of(hint), range_of(hint)
        if help_ and bounds:
            help_ = f"{help_}, {bounds}"
        default, required = _default(field)
        if overrides and field.name in overrides:
            default, required = overrides[field.name], False
        rows.append(ConfigField(field.name, hint if isinstance(hint, str) else type_name(hint), as_json(default), help_, required))
    return rows


def as_json(value: Any) -> Any:
    """Return a default as JSON holds it, and the `repr` of what JSON cannot hold."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((as_json(item) for item in value), key=repr)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: as_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return repr(value)


def _default(field: dataclasses.Field[Any]) -> tuple[Any, bool]:
    if field.default is not dataclasses.MISSING:
        return field.default, False
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory(), False
    return None, True


def type_name(hint: Any) -> str:
    """Return a type as its source would write it, without `Annotated` and with aliases spelled out.

    >>> type_name(tuple[Annotated[int, "a range"], ...]), type_name(Annotated[float, "a range"] | None)
    ('tuple[int, ...]', 'float | None')
    """
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return type_name(parts[0])
    if origin is Literal:
        return f"Literal[{', '.join(map(repr, parts))}]"
    if origin in (Union, UnionType):
        return " | ".join(map(type_name, parts))
    if parts:
        return f"{getattr(origin, '__name__', origin)}[{', '.join(map(type_name, parts))}]"
    if hint in (None, type(None), ...):
        return "..." if hint is ... else "None"
    return str(getattr(hint, "__name__", str(hint).replace("typing.", "")))


def _hints(config: type) -> dict[str, Any]:
    try:
        return get_type_hints(config, include_extras=True)
    except (NameError, TypeError):  # names that only a type checker sees
        return {}
