"""Containment of a plugin's code: what it prints, raises or changes in the process costs only the plugin."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from typing import Any

from rl_core.errors import WorkError, printable

LONGEST_REPORT = 500  # characters


@contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """Redirect everything that is printed to standard error, also by C code and child processes: standard output is for the result.

    A call of `os._exit` inside raises SystemExit, so that no plugin can end the program without a word.
    """
    with suppress(OSError, ValueError, AttributeError):
        sys.stdout.flush()
    saved = None
    with suppress(OSError):  # one of the two may be closed
        saved = os.dup(1)
        os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr), _exit_raises():
            yield
    finally:
        if saved is not None:
            os.dup2(saved, 1)
            os.close(saved)


@contextmanager
def _exit_raises() -> Iterator[None]:
    """Replace `os._exit` by a function that raises SystemExit in this process; children of a fork keep the real one."""
    real, process = os._exit, os.getpid()

    def refused(status: int) -> Any:
        if os.getpid() != process:
            real(status)
        raise SystemExit(status)

    os._exit = refused
    try:
        yield
    finally:
        os._exit = real


@contextmanager
def contained_import(package: str) -> Iterator[list[str]]:
    """Undo what an import does to the whole process: the working folder, and finders of modules that raise.

    Yields a list to which a sentence is added for each effect that was undone.

    Raises:
        WorkError: if the user interrupts it.
    """
    effects: list[str] = []
    finders = list(sys.meta_path)
    folder = _working_folder()
    try:
        yield effects
    except KeyboardInterrupt as error:
        raise WorkError(
            f"interrupted while plugin {package} was loading", f"if its import does not end, switch it off: --disable {package}"
        ) from error
    finally:
        if sys.meta_path != finders:
            sys.meta_path[:] = [finder if finder in finders else GuardedFinder(finder, package) for finder in sys.meta_path]
        if folder and _working_folder() != folder:
            with suppress(OSError):
                os.chdir(folder)
                effects.append("changed the working folder, which was restored")


def _working_folder() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - pathlib would slow down every command
    except OSError:
        return ""


class GuardedFinder:
    """A finder of modules that a plugin installed: when it raises, the import continues without it, and one line names the plugin."""

    def __init__(self, finder: Any, package: str) -> None:
        self._finder, self._package, self._reported = finder, package, False

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the finder."""
        return getattr(self._finder, name)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Return what the finder finds; `None` if it raises."""
        try:
            return self._finder.find_spec(name, path, target)
        except Exception as error:
            if not self._reported:
                self._reported = True
                text = f"warning: plugin {self._package}: its finder of modules failed ({said(error)}) and is ignored"
                print(text, file=sys.stderr, flush=True)
            return None


def said(error: BaseException) -> str:
    """Return an exception in one line: its type and its text."""
    try:
        text = printable(" ".join(str(error).split()), LONGEST_REPORT)
    except Exception:  # an exception whose own text raises
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def contained(error: BaseException) -> str:
    """Return what a plugin raised, in one line; Ctrl-C is raised again, `sys.exit` and panics of extensions are not."""
    if isinstance(error, KeyboardInterrupt):
        raise error
    return said(error)


def author_remedy(package: str) -> str:
    """Return what a user can do about a fault in the plugin."""
    return f"update it (pip install --upgrade {package}), report it to its authors, or switch it off (--disable {package})"
