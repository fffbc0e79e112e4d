"""Configs of components without the libraries that they compute with, which take seconds to import and which a config does not need.

While a component's module is imported here, a library that is not loaded yet is a placeholder: its attributes, calls and items are
placeholders, and a class may derive from one. Everything else that is asked of one raises, and then the module is imported as it is. So
the fields are those of the real class, or the real class is asked. (Sphinx documents modules without their libraries in the same way.)
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.machinery import ModuleSpec, PathFinder
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from rl_core.errors import RlError

if TYPE_CHECKING:
    from rl_core.describe import ConfigField
    from rl_core.plugins.catalogue import Entry


class AskedTooMuch(Exception):
    """The failure of a placeholder to be what code took it for."""


class _Placeholder:
    """An attribute of a library that is not imported."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Placeholder()

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Return what a decorator would, the decorated function or class, and else a placeholder."""
        decorated = len(arguments) == 1 and not options and isinstance(arguments[0], FunctionType | type)
        return arguments[0] if decorated else _Placeholder()

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        return ()

    def __getitem__(self, key: Any) -> Any:
        return _Placeholder()

    def __or__(self, other: Any) -> Any:
        return _Placeholder()

    __ror__ = __or__

    def __bool__(self) -> bool:
        """Return True to the module `typing`, which asks for the bound of a TypeVar."""
        if sys._getframe(1).f_globals.get("__name__") == "typing":
            return True
        raise AskedTooMuch

    def __eq__(self, other: object) -> bool:
        if sys._getframe(1).f_globals.get("__name__") == "typing":
            return self is other
        raise AskedTooMuch

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        raise AskedTooMuch


class _Library(_Placeholder, ModuleType):
    """A library that is not imported, or a module of one."""


class _Finder:
    """A finder of modules, before all others, that gives libraries as placeholders if they are installed and not loaded."""

    def __init__(self) -> None:
        self.real = {name.partition(".")[0] for name in sys.modules} | sys.stdlib_module_names
        self.libraries: set[str] = set()

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        library = name.partition(".")[0]
        if library in self.real:
            return None
        if library not in self.libraries and PathFinder.find_spec(library) is None:
            return None
        self.libraries.add(library)
        return ModuleSpec(name, self, is_package=True)  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Library(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


@contextmanager
def in_place_of_libraries() -> Iterator[None]:
    """Import libraries as placeholders; afterwards forget every module that may have met one."""
    import gymnasium  # noqa: F401 - it and NumPy are for spaces and arrays, which rl-core computes with when it is imported
    import numpy  # noqa: F401

    kept, finder = set(sys.modules), _Finder()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path[:] = [each for each in sys.meta_path if each is not finder]
        for name in set(sys.modules) - kept:
            if name.partition(".")[0] not in {"gymnasium", "numpy", *sys.stdlib_module_names}:
                del sys.modules[name]
                package, _, child = name.rpartition(".")
                if package in kept:
                    vars(sys.modules[package]).pop(child, None)


def config_fields(entry: Entry, *, whole: bool = False) -> list[ConfigField]:
    """Return the fields of a component's config; libraries are imported only if the fields cannot be told without, or if `whole` is set.

    Raises:
        RlError: if the component cannot be imported.
        AttributeError: if it has no config.
        TypeError: if its config is not a dataclass.
    """
    from rl_core.describe import describe

    with suppress(AskedTooMuch, RlError, AttributeError, TypeError):
        if not whole:
            with in_place_of_libraries():
                config = entry.load().Config
                if not any(isinstance(base, _Placeholder) for each in config.__mro__ for base in getattr(each, "__orig_bases__", ())):
                    return describe(config, entry.spec.config)
    return describe(entry.load().Config, entry.spec.config)
