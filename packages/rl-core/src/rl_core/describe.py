"""Config fields as a user reads them: name, type, default, and help with the range."""

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
        name: What `--set name=value` takes.
        type: As written in the source, but a name that stands for choices gives way to them: `Literal['tanh', 'relu']`.
        default: As JSON; a tuple is a list. `None` also where there is none (`required`).
        help: Symbol, meaning, unit and range; "" when it has none.
        required: There is no default.
    """

    name: str
    type: str
    default: Any
    help: str
    required: bool = False


def describe(config: type, overrides: Mapping[str, Any] | None = None) -> list[ConfigField]:
    """Fields of a config dataclass, in order.

    Args:
        config: A dataclass.
        overrides: Defaults that the component's spec changes.

    Raises:
        TypeError: if `config` is no dataclass.
    """
    if not (isinstance(config, type) and dataclasses.is_dataclass(config)):
        raise TypeError(f"{config!r} is not a dataclass; a component's Config is a frozen dataclass")
    source: dict[str, tuple[str, str]] = {}
    for base in reversed(config.__mro__):
        if dataclasses.is_dataclass(base):
            source |= _source_of_fields(base)
    rows = []
    hints = _hints(config)
    for field in dataclasses.fields(config):
        if not field.init:
            continue
        written, help_ = source.get(field.name, ("", ""))
        hint = hints.get(field.name, field.type)
        if described := help_of(hint):
            bounds = range_of(hint)
            written, help_ = type_name(hint), f"{described}, {bounds}" if bounds else described
        default, required = _default(field)
        if overrides and field.name in overrides:
            default, required = overrides[field.name], False
        rows.append(ConfigField(field.name, written or _type_text(field.type), as_json(default), help_, required))
    return rows


def as_json(value: Any) -> Any:
    """A default as JSON would hold it; what JSON cannot hold is its `repr`."""
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


def _type_text(annotation: Any) -> str:
    if isinstance(annotation, str):
        return annotation
    return (
        annotation.__name__
        if isinstance(annotation, type) and not hasattr(annotation, "__args__")
        else str(annotation).replace("typing.", "")
    )


def _source_of_fields(config: type) -> dict[str, tuple[str, str]]:
    """Type and comment of each field that the class itself writes; nothing where the source cannot be had."""
    import ast
    import inspect
    import io
    import sys
    import textwrap
    import tokenize

    try:
        text = textwrap.dedent(inspect.getsource(config))
        body = ast.parse(text).body[0]
    except (OSError, TypeError, SyntaxError, IndexError):
        return {}
    if not isinstance(body, ast.ClassDef):
        return {}
    comments = {
        token.start[0]: token.string.lstrip("#").strip()
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.COMMENT
    }
    names = vars(sys.modules[config.__module__])
    found = {}
    for node in body.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            for part in ast.walk(node.annotation):
                if isinstance(part, ast.Name) and get_origin(names.get(part.id)) is Literal:
                    part.id = str(names[part.id]).removeprefix("typing.")
            found[node.target.id] = (ast.unparse(node.annotation), comments.get(node.end_lineno or node.lineno, ""))
    return found
