"""What is wrong with a spec, in words. Nothing here imports a component."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from functools import cache
from importlib.machinery import ModuleSpec
from typing import Any

from rl_core.api import Spec

SUMMARY_LENGTH = 80
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_IMPORT_STRING = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
_DATA_FILE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^:]+")


def problem_of(spec: object, expected: type[Spec]) -> str:
    """What is wrong with a spec as given by a plugin; "" when nothing is.

    Checked here and not when the spec is made: an exception in the middle of a hook would lose the specs after it.
    """
    if not isinstance(spec, expected):
        return f"a {type(spec).__name__} was given where {_article(expected.__name__)} belongs"
    if not isinstance(spec.name, str) or not _NAME.fullmatch(spec.name):
        return f"the name {spec.name!r} is not allowed; a name is of letters, digits and ._- and starts with a letter or digit"
    for field in expected.__dataclass_fields__.values():
        value = getattr(spec, field.name)
        matches, wanted = _FIELD_TYPES[field.type]
        if not matches(value):
            return f"{spec.name}: {field.name} is {_short(value)}; it must be {wanted}"
    return _wrong_value(spec)


def _wrong_value(spec: Any) -> str:
    if not _IMPORT_STRING.fullmatch(spec.target):
        return f"{spec.name}: target is {spec.target!r}; it must be an import string, 'package.module:Class'"
    if not spec.summary.strip() or not spec.summary.isprintable() or len(spec.summary) > SUMMARY_LENGTH:
        return f"{spec.name}: summary has {len(spec.summary)} characters; it must be one line of 1 to {SUMMARY_LENGTH}"
    dotted = [module for module in spec.requires if not module.isidentifier()]
    if dotted:
        return f"{spec.name}: requires names {dotted[0]!r}; it must be a top-level module, as in 'import {dotted[0].partition('.')[0]}'"
    if getattr(spec, "fits", ("anything",)) == ():
        return f"{spec.name}: fits is empty, so no task would ever fit; name the traits that a task must offer"
    if getattr(spec, "budget", 1) < 1:
        return f"{spec.name}: budget is {spec.budget}; it must be at least 1"
    for name in ("unit", "task", "argument", "example"):
        if getattr(spec, name, "given") == "":
            return f"{spec.name}: {name} is empty; see {type(spec).__name__} in rl_core.api"
    presets = getattr(spec, "presets", "")
    if presets and not _DATA_FILE.fullmatch(presets):
        return f"{spec.name}: presets is {presets!r}; it must name a data file, 'package:folder/file.yaml'"
    return ""


def unresolved(target: str) -> str:
    """Why an import string cannot lead anywhere; "" when it can, as far as can be seen without importing it.

    The module is looked for, and its source must at least mention the name; a class made in an unusual way passes.
    """
    module, _, attribute = target.partition(":")
    found = _locate(module)
    if isinstance(found, str):
        return found
    source = _source_of(module)
    first = attribute.partition(".")[0]
    if source is not None and not re.search(rb"\b%b\b|\b__getattr__\b|import \*" % first.encode(), source):
        return f"{module} defines no {first}"
    return ""


def forget_what_was_seen() -> None:
    """Look anew: what is installed may have changed since the last catalogue was made in this process."""
    _locate.cache_clear()
    _source_of.cache_clear()


def is_installed(module: str) -> bool:
    """Whether a top-level module can be imported; it is only looked for."""
    return not isinstance(_locate(module), str)


@cache
def _locate(module: str) -> ModuleSpec | str:
    """The spec of a module, or why there is none. `importlib.util.find_spec` would import the parents of a dotted name."""
    path, found = None, None
    names = module.split(".")
    for depth in range(1, len(names) + 1):
        name = ".".join(names[:depth])
        try:
            found = next((spec for finder in sys.meta_path if (spec := finder.find_spec(name, path, None))), None)
        except Exception as error:  # a finder of a third party
            return f"looking for {name} raised {type(error).__name__}: {error}"
        if found is None:
            return f"there is no module {name}"
        loaded = sys.modules.get(name)
        path = getattr(loaded, "__path__", None) or found.submodule_search_locations
        if path is None and depth < len(names):
            return f"there is no module {'.'.join(names[: depth + 1])}"
    assert found is not None
    return found


@cache
def _source_of(module: str) -> bytes | None:
    """The source of a module, as it is in its file; `None` where there is no such file."""
    found = _locate(module)
    if isinstance(found, str) or not found.origin or not found.origin.endswith(".py"):
        return None
    try:
        return found.loader.get_data(found.origin)  # type: ignore[union-attr]
    except (OSError, AttributeError):
        return None


def _is_strings(value: object) -> bool:
    return isinstance(value, tuple) and all(isinstance(item, str) for item in value)


def _is_mapping(value: object) -> bool:
    return isinstance(value, Mapping) and all(isinstance(key, str) for key in value)


_FIELD_TYPES: dict[Any, tuple[Callable[[Any], bool], str]] = {
    "str": (lambda value: isinstance(value, str), "a string"),
    "str | None": (lambda value: value is None or (isinstance(value, str) and value != ""), "a name or None"),
    "int": (lambda value: isinstance(value, int) and not isinstance(value, bool), "an integer"),
    "tuple[str, ...]": (_is_strings, "a tuple of strings, such as ('torch',)"),
    "Mapping[str, Any]": (_is_mapping, "a mapping with strings as keys"),
}


def _article(name: str) -> str:
    return f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
