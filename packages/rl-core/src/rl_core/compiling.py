"""Decorators for functions compiled by numba, whose machine code is kept on disk and rebuilt when any source it is made from changes.

numba itself compares only the file of the compiled function. A function that it inlines from another file could change, and the old
numbers would still be computed. Here the kept code carries a digest over the function's file, every file that it imports (directly or
through others) from packages with compiled functions, the constants that compiled functions read, and this file, which says how a
function that another one calls is compiled.

rl-core does not depend on numba: it is imported by the first decorated function.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache, lru_cache
from pathlib import Path
from types import CodeType
from typing import Any

PATIENCE = 2.0  # seconds
PLAIN = os.environ.get("NUMBA_DISABLE_JIT", "") not in ("", "0")  # functions stay plain Python, which a debugger follows
# At the beginning of a line: an import inside a function may have happened or not, and a digest must not depend on that.
_IMPORT = re.compile(r"^(?:from[ \t]+([\w.]+)[ \t]+import[ \t]+(\([^)]*\)|[^\n#]*)|import[ \t]+([\w., \t]+))", re.MULTILINE)
_CONSTANTS = (bool, int, float, complex, str, bytes, tuple, frozenset)
_functions: dict[str, list[Any]] = {}  # compiled functions by the name of their module
_announced: set[str] = set()
_said: set[str] = set()
_compiled = [0]  # signatures for which no kept code was found


def jit(signatures: Sequence[Any] = (), **options: Any) -> Callable[[Any], Any]:
    """Return a decorator that compiles a function with `numba.njit(**options)` and keeps its machine code.

    Args:
        signatures: Types of arguments to compile for at once, and no others; empty compiles at each call with new types.
        options: Options of `numba.njit` other than `cache`. `nogil` is on unless it is given: a thread that watches for a second Ctrl-C
            can then end the process inside a long loop (see `rl_core.runs.signals`).
    """
    options = {"nogil": True, **options}

    def decorate(function: Any) -> Any:
        import logging

        import numba

        log = logging.getLogger("numba")
        if log.level == logging.NOTSET:
            log.setLevel(logging.WARNING)  # a root logger at DEBUG would print some 50,000 lines for each kernel
        dispatcher = numba.njit(**options)(function)
        if not hasattr(dispatcher, "py_func"):  # NUMBA_DISABLE_JIT
            return dispatcher
        _functions.setdefault(function.__module__, []).append(function)
        dispatcher._cache = KernelCache(function, "; ".join(f"{name}={_text(options[name])}" for name in sorted(options)))
        for signature in signatures:
            dispatcher.compile(signature)
        if signatures:
            dispatcher.disable_compile()
        return dispatcher

    return decorate


kernel = jit(error_model="numpy")
"""Compile a function and keep its machine code."""

vectorised = jit(error_model="numpy", fastmath=True)
"""Compile a function whose sums may run in another order than written, always the same one; two to six times as fast.

A loop that adds up must not write to an array: the processor would then take another loop, with another order of the sum, whenever the
written array happens to follow closely behind a read one. The tests of rl-algos move arrays in memory to check this."""

inlined = jit(error_model="numpy", inline="always")
"""Compile a short function into the loops that call it: a call with arrays costs as much as a table look-up."""

shared = jit(error_model="numpy", forceinline=True)
"""Compile a longer function once for all loops that call it, into which its machine code is then put.

`inlined` would compile it anew in each of them: of the loop of a tabular learner, its rule of exploration takes a third of the time."""


@contextmanager
def announced(what: str, patience: float = PATIENCE) -> Iterator[None]:
    """Print on standard error what is being compiled, once per process, if the first call takes longer than `patience` seconds.

    Nothing is printed while kept code is loaded, however long that takes on a busy machine.
    """
    if what in _announced:
        yield
        return
    _announced.add(what)
    done, before = threading.Event(), _compiled[0]
    threading.Thread(target=_announce, args=(what, patience, done, before), daemon=True).start()
    try:
        yield
    finally:
        done.set()


def _announce(what: str, patience: float, done: threading.Event, before: int) -> None:
    while not done.wait(patience):
        if _compiled[0] > before:
            kept = "every process does this here" if _said else "the result is kept, and later runs start at once"
            print(f"compiling {what} for this machine; {kept}", file=sys.stderr, flush=True)
            return


class KernelCache:
    """The kept machine code of one function, as numba's dispatchers expect it. The disk is not touched before the first call.

    Without a folder that can be written, or with a full disk, the function is compiled in memory, and one line says so. A damaged file is
    ignored and written anew.

    Args:
        function: The Python function.
        options: Options of the compiler, as text.
    """

    def __init__(self, function: Any, options: str) -> None:
        self._function = function
        self._options = options
        self._located: Any = None
        self._looked = False

    @property
    def cache_path(self) -> str | None:
        """The folder of the machine code; `None` where none can be written."""
        kept = self._kept()
        return None if kept is None else kept.cache_path

    def load_overload(self, signature: Any, context: Any) -> Any:
        """Return the kept code for a signature, or `None`."""
        kept, found = self._kept(), None
        if kept is not None:
            with suppress(Exception):  # whatever damage does to a file of another program's format
                found = kept.load_overload(signature, context)
        _compiled[0] += found is None
        return found

    def save_overload(self, signature: Any, compiled: Any) -> None:
        """Keep the code for a signature, and remove what was kept for older sources."""
        kept = self._kept()
        if kept is None:
            return
        try:
            kept.save_overload(signature, compiled)
        except OSError as error:
            _say_unkept(f"{kept.cache_path}: {error.strerror or error}")
            return
        base: str = kept._cache_file._index_name.removesuffix(".nbi")
        family = kept._impl.filename_base.rpartition("-")[0]
        for path in Path(kept.cache_path).iterdir():
            if path.name.startswith(f"{family}-") and not path.name.startswith(base) and path.suffix in (".nbi", ".nbc"):
                with suppress(OSError):
                    path.unlink()

    def enable(self) -> None:
        """Do nothing: this cache is always on."""

    def disable(self) -> None:
        """Do nothing: this cache is always on."""

    def flush(self) -> None:
        """Forget the kept code."""
        kept = self._kept()
        if kept is not None:
            kept.flush()

    def _kept(self) -> Any:
        if not self._looked:
            self._looked = True
            self._located = self._locate()
        return self._located

    def _locate(self) -> Any:
        from numba.core.caching import FunctionCache

        try:
            located = FunctionCache(self._function)
        except RuntimeError:
            _say_unkept("no folder for it can be written")
            return None
        digest = hashlib.sha256(f"{source_digest(self._function.__module__)} {self._options}".encode()).hexdigest()
        located._cache_file = _checked_files()(located.cache_path, f"{located._impl.filename_base}-{digest[:16]}", digest)
        return located


@lru_cache(maxsize=1)
def _checked_files() -> Any:
    """Return numba's class of cache files with a checksum at the end of each file: a damaged one would crash the process."""
    from numba.core.caching import IndexDataCacheFile

    class CheckedFiles(IndexDataCacheFile):
        """An index and its data files; a data file holds its key, and ends with its own digest."""

        def load(self, key: Any) -> Any:
            found = super().load(key)
            return found[1] if found is not None and found[0] == key else None

        def save(self, key: Any, data: Any) -> None:
            super().save(key, (key, data))

        def _dump(self, content: Any) -> bytes:
            data: bytes = super()._dump(content)
            return data + hashlib.sha256(data).digest()

        def _load_index(self) -> dict[Any, str]:
            try:
                found: dict[Any, str] = super()._load_index()
            except Exception:  # the many ways in which a damaged file cannot be read
                return {}
            return found

        def _load_data(self, name: str) -> Any:
            data = Path(self._data_path(name)).read_bytes()
            if hashlib.sha256(data[:-32]).digest() != data[-32:]:
                raise OSError(f"{name} is damaged")  # numba compiles again, as for a missing file
            return super()._load_data(name)

    return CheckedFiles


def source_digest(module: str) -> str:
    """Return a digest over the sources that the compiled functions of a module are made from, and over the decorators here."""
    digest = hashlib.sha256()
    for name in sorted(_closure(module) | {__name__}):
        digest.update(f"{name} {_source(name)[1]}\n".encode())
        for function in _functions.get(name, ()):
            for constant, value in _constants(function):
                digest.update(f"{constant} = {value}\n".encode())
    return digest.hexdigest()


def _closure(module: str) -> set[str]:
    """Return the names of a module and of the loaded modules that it imports, also indirectly, from packages with compiled functions."""
    holders = {name.partition(".")[0] for name in _functions} | {module.partition(".")[0]}
    found, open_ = {module}, [module]
    while open_:
        for name in _source(open_.pop())[0]:
            if name not in found and name.partition(".")[0] in holders:
                found.add(name)
                open_.append(name)
    return found


@cache
def _source(module: str) -> tuple[tuple[str, ...], str]:
    """Return the names of loaded modules that a module's source imports, and the digest of that source."""
    loaded = sys.modules.get(module)
    path = getattr(loaded, "__file__", None)
    if loaded is None or path is None:
        return (), "no source"
    try:
        data = Path(path).read_bytes()
    except OSError:
        return (), "no source"
    text = data.decode("utf-8", errors="replace") if path.endswith(".py") else ""
    names: set[str] = set()
    for origin, taken, plain in _IMPORT.findall(text):
        if origin:
            with suppress(ImportError, ValueError):
                full = importlib.util.resolve_name(origin, loaded.__package__ or "")
                names |= {full, *(f"{full}.{name}" for name in re.findall(r"\w+", taken))}
        names |= {name.split()[0] for name in plain.split(",") if name.strip()}
    return tuple(sorted(name for name in names if name in sys.modules)), hashlib.sha256(data).hexdigest()


def _constants(function: Any) -> Iterator[tuple[str, str]]:
    """Return the names and values of the global constants that a compiled function reads: numba writes them into the machine code."""
    for name in sorted(_names(function.__code__)):
        value = function.__globals__.get(name)
        if isinstance(value, _CONSTANTS):
            yield name, _text(value)
        elif type(value).__module__ == "numpy" and hasattr(value, "tobytes"):
            yield name, f"{value.dtype}{value.shape} {hashlib.sha256(value.tobytes()).hexdigest()}"


def _names(code: CodeType) -> set[str]:
    return set(code.co_names).union(*(_names(inner) for inner in code.co_consts if isinstance(inner, CodeType)))


def _text(value: Any) -> str:
    """Return `repr(value)`, for a set in an order that does not depend on the process."""
    return repr(sorted(value, key=repr)) if isinstance(value, set | frozenset) else repr(value)


def _say_unkept(why: str) -> None:
    text = f"compiled code cannot be kept ({why}): every process compiles anew; set NUMBA_CACHE_DIR to a folder that can be written"
    if not _said:
        print(text, file=sys.stderr, flush=True)
    _said.add(why)


def cache_problem(folder: Path) -> str:
    """Return why the machine code of a package in this folder cannot be kept on disk, or "". numba itself is not imported."""
    if importlib.util.find_spec("numba") is None:
        return ""
    named = os.environ.get("NUMBA_CACHE_DIR")
    home = Path("~/Library/Caches" if sys.platform == "darwin" else os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    candidates = [Path(named)] if named else [folder / "__pycache__", home / "numba"]
    if any(_can_be_written(candidate) for candidate in candidates):
        return ""
    return f"the compiled code of {folder.name} cannot be kept: neither {' nor '.join(map(str, candidates))} can be written"


def _can_be_written(folder: Path) -> bool:
    nearest = next((path for path in (folder, *folder.parents) if path.exists()), folder)
    return nearest.is_dir() and os.access(nearest, os.W_OK)
