"""Checks of specs, with the fault in words. Nothing here imports a component."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

from rl_core import api
from rl_core.api import Spec

SUMMARY_LENGTH = 80
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_IMPORT_STRING = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
_DATA_FILE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^:]+")


def problem_of(spec: object, expected: type[Spec]) -> str:
    """Return the fault of a spec as a plugin gave it; "" if there is none.

    Checked here and not when the spec is made: an exception in the middle of a hook would lose the specs after it.
    """
    if not isinstance(spec, expected):
        return f"a {type(spec).__name__} was given where {_article(expected.__name__)} belongs"
    if not isinstance(spec.name, str) or not _NAME.fullmatch(spec.name):
        return f"the name {_short(spec.name)} is not allowed; expected at most 100 letters, digits and ._-, a letter or digit first"
    for name, kind, matches, wanted in _fields(expected.__name__):
        value = getattr(spec, name)
        if type(value) is not kind and not matches(value):
            return f"{spec.name}: {name} is {_short(value)}; it must be {wanted}"
    return _wrong_value(spec)


@cache
def _fields(kind: str) -> list[tuple[str, type | None, Callable[[Any], bool], str]]:
    return [
        (field.name, {"str": str, "int": int}.get(field.type), *_FIELD_TYPES[field.type])
        for field in getattr(api, kind).__dataclass_fields__.values()
    ]


def _wrong_value(spec: Any) -> str:
    if not _IMPORT_STRING.fullmatch(spec.target):
        return f"{spec.name}: target is {_short(spec.target)}; it must be an import string, 'package.module:Class'"
    if not spec.summary.strip() or not spec.summary.isprintable() or len(spec.summary) > SUMMARY_LENGTH:
        return f"{spec.name}: summary has {len(spec.summary)} characters; it must be one line of 1 to {SUMMARY_LENGTH}"
    if dotted := [module for module in spec.requires if not module.isidentifier()]:
        return (
            f"{spec.name}: requires names {_short(dotted[0])}; it must be a top-level module, as in 'import {dotted[0].partition('.')[0]}'"
        )
    if getattr(spec, "fits", ("anything",)) == ():
        return f"{spec.name}: fits is empty, so no task would ever fit; name the traits that a task must offer"
    if getattr(spec, "budget", 1) < 1:
        return f"{spec.name}: budget is {spec.budget}; it must be at least 1"
    for name in ("unit", "task", "argument", "example"):
        if getattr(spec, name, "given") == "":
            return f"{spec.name}: {name} is empty; see {type(spec).__name__} in rl_core.api"
    presets = getattr(spec, "presets", "")
    if presets and not _DATA_FILE.fullmatch(presets):
        return f"{spec.name}: presets is {_short(presets)}; it must name a data file, 'package:folder/file.yaml'"
    return ""


def plain_spec(spec: Any, expected: type[Spec]) -> Any:
    """Return a spec of plain strings, numbers, tuples and dicts, a copy where it has to be; of what is not a spec, the object itself.

    A plugin's subclass of `str` may raise in `__hash__`, `__eq__` or `lower`, wherever the host compares a name.
    """
    if not isinstance(spec, expected):
        return spec
    if type(spec) is expected and all(map(_is_plain, vars(spec).values())):  # as nearly all are
        return spec
    return expected(**{name: _plain(getattr(spec, name)) for name in expected.__dataclass_fields__})


_PLAIN = {str, int, float, bool, type(None)}


def _is_plain(value: Any) -> bool:
    kind = type(value)
    if kind is tuple:
        return _PLAIN.issuperset(map(type, value)) or all(map(_is_plain, value))
    if kind is dict:
        return all(map(_is_plain, value)) and all(map(_is_plain, value.values()))
    return kind in _PLAIN


def _plain(value: Any) -> Any:
    kind = type(value)
    if kind in _PLAIN:
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return int.__int__(value)
    if isinstance(value, tuple):
        return tuple(_plain(item) for item in tuple.__iter__(value))
    if isinstance(value, Mapping):
        return {_plain(key): _plain(item) for key, item in (dict.items(value) if isinstance(value, dict) else value.items())}
    return value


def unresolved(target: str) -> str:
    """Return why an import string cannot be resolved; "" if it can, as far as that is visible without importing it.

    The module is looked for, and its source must at least mention the name; a class made in an unusual way passes.
    """
    module, _, attribute = target.partition(":")
    found = _locate(module)
    if isinstance(found, str):
        return found
    first = attribute.partition(".")[0]
    source = found.file and _read(found.file)
    if source and not _mentions(source, first.encode()):
        return f"{module} defines no {first}"
    return ""


def is_installed(module: str) -> bool:
    """Return whether a top-level module can be imported; it is only looked for."""
    return not isinstance(_locate(module), str)


def forget_what_was_seen() -> None:
    """Clear the cache of modules: the installed packages may have changed since the last catalogue of this process."""
    _locate.cache_clear()
    _names.cache_clear()
    _read.cache_clear()


class _Module(NamedTuple):
    """A module that exists: the folders of its submodules, if it has any, and the file of its source, if there is one."""

    folders: list[str] | None
    file: str | None


@cache
def _locate(module: str) -> _Module | str:
    """Return a module, or why there is none. `importlib.util.find_spec` would import the parents of a dotted name."""
    spec = getattr(sys.modules.get(module), "__spec__", None)
    parent, _, leaf = module.rpartition(".")
    folders = None
    if parent and spec is None:
        found = _locate(parent)
        if isinstance(found, str):
            return found
        if found.folders is None:
            return f"module {module} not found"
        folders = found.folders
        for folder in folders:  # nearly every module is one of these two; the finders would ask for much more
            names = _names(folder)
            if leaf in names and "__init__.py" in _names(f"{folder}/{leaf}"):
                return _Module([f"{folder}/{leaf}"], f"{folder}/{leaf}/__init__.py")
            if f"{leaf}.py" in names:
                return _Module(None, f"{folder}/{leaf}.py")
    try:
        spec = spec or next((spec for finder in sys.meta_path if (spec := finder.find_spec(module, folders, None))), None)
    except Exception as error:  # a finder of a third party
        return f"looking for {module} raised {type(error).__name__}: {error}"
    if spec is None:
        return f"module {module} not found"
    file = spec.origin if spec.origin and spec.origin.endswith(".py") else None
    return _Module(None if spec.submodule_search_locations is None else list(spec.submodule_search_locations), file)


@cache
def _names(folder: str) -> frozenset[str]:
    try:
        return frozenset(os.listdir(folder))  # noqa: PTH208 - importing pathlib would be a tenth of what `rl-core list` takes
    except OSError:
        return frozenset()


@cache
def _read(path: str) -> bytes | None:
    """Return the content of a file, or `None`. A file object would double what the sources of all components take."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        try:
            return b"".join(iter(lambda: os.read(descriptor, 1 << 16), b""))
        finally:
            os.close(descriptor)
    except OSError:
        return None


def _mentions(source: bytes, name: bytes) -> bool:
    """Return whether the name occurs as a word, or names may be imported by other means. Compiling a pattern for each name is slower."""
    start = source.find(name)
    while start >= 0:
        end = start + len(name)
        if not _of_word(source[start - 1 : start]) and not _of_word(source[end : end + 1]):
            return True
        start = source.find(name, end)
    return b"__getattr__" in source or b"import *" in source


def _of_word(letter: bytes) -> bool:
    return letter.isalnum() or letter == b"_"


_STRING = {str}  # a set of types is compared faster than each item


def _is_strings(value: object) -> bool:
    return isinstance(value, tuple) and (_STRING.issuperset(map(type, value)) or all(isinstance(item, str) for item in value))


def _is_mapping(value: object) -> bool:
    return isinstance(value, dict | Mapping) and (_STRING.issuperset(map(type, value)) or all(isinstance(key, str) for key in value))


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
