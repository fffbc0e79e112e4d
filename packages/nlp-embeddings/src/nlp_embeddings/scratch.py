"""Temporary folders that do not survive a killed process, and locks between processes."""

from __future__ import annotations

import glob
import shutil
import tempfile
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_MARK = ".in-use"
_GRACE_SECONDS = 60.0  # between making a folder and locking its mark


class Scratch:
    """A temporary folder, removed when it is closed, when it is garbage, or, after `kill -9`, when the next one like it is made.

    Its owner holds a lock on a file in it, which the system releases when the process ends in whatever way.

    Args:
        prefix: First part of its name; folders with the same prefix are swept.
        parent: Folder to make it in; the system's temporary folder if not given.

    Attributes:
        path: The folder.
    """

    def __init__(self, prefix: str, parent: Path | None = None) -> None:
        parent = Path(tempfile.gettempdir()) if parent is None else parent
        sweep(parent, prefix)
        self.path = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        self._mark = (self.path / _MARK).open("w")
        _lock(self._mark, wait=False)
        self._finalizer = weakref.finalize(self, _remove, self.path, self._mark)

    def release(self) -> None:
        """Keep the folder, as an ordinary one."""
        self._finalizer.detach()
        (self.path / _MARK).unlink(missing_ok=True)
        self._mark.close()

    def close(self) -> None:
        """Remove the folder."""
        self._finalizer()

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *exception: object) -> None:
        self.close()


def sweep(parent: Path, prefix: str) -> None:
    """Remove the temporary folders of processes that were killed.

    Args:
        parent: Folder to look in.
        prefix: Prefix of their names.
    """
    if fcntl is None:
        return
    for folder in parent.glob(f"{glob.escape(prefix)}*"):
        with suppress(OSError):  # of another user, or removed by another process just now
            if folder.is_symlink() or not folder.is_dir() or time.time() - folder.stat().st_mtime < _GRACE_SECONDS:
                continue
            with (folder / _MARK).open("r+") as mark:
                if _lock(mark, wait=False):
                    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold a lock between processes while a block runs; where the file system has no locks, the block runs without one.

    Args:
        path: The lock's file.
    """
    with path.open("a") as file:
        _lock(file, wait=True)
        yield


def _lock(file: IO[Any], *, wait: bool) -> bool:
    """Lock a file until it is closed; return whether that succeeded."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True


def _remove(path: Path, mark: IO[Any]) -> None:
    shutil.rmtree(path, ignore_errors=True)
    mark.close()
