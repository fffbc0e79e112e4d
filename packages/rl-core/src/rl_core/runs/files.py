"""Files of a run's folder, which may be a stranger's: only ordinary files and folders inside it are read or written.

A link in such a folder could lead anywhere, a pipe or a device never ends. `require_ordinary` refuses a folder that holds one; and each
file is opened without following a link.
"""

from __future__ import annotations

import errno
import itertools
import os
import shlex
import shutil
import stat
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from rl_core.errors import RequestError

LARGEST_DOCUMENT = 64 << 20  # bytes of a manifest or a result; both have a few thousand
UNFINISHED = (".lock", ".recipe.yaml.writing")  # all that a run has before its recipe
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)  # or opening a pipe would wait for its other end


def require_ordinary(folder: Path) -> None:
    """Check that a run's folder holds nothing but ordinary files and folders; the folder itself may be a link.

    Raises:
        RequestError: naming the first link, pipe, socket or device.
    """
    pending = [folder]
    while pending:
        try:
            entries = list(os.scandir(pending.pop()))
        except (FileNotFoundError, NotADirectoryError):  # removed by the process that works on the run
            continue
        except OSError as error:
            raise RequestError(f"{str(folder)!r} cannot be read: {error.strerror or error}", "make the folder readable") from error
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                pending.append(Path(entry.path))
            elif not entry.is_file(follow_symlinks=False):
                try:
                    mode = os.lstat(entry.path).st_mode
                except FileNotFoundError:
                    continue
                name = os.path.relpath(entry.path, folder)
                raise RequestError(
                    f"{name!r} in {str(folder)!r} is {_kind(mode)}; a run's folder holds only ordinary files and folders",
                    "remove it if the folder is yours; do not open a folder from a stranger that has one",
                )


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISLNK, "a link"), (stat.S_ISFIFO, "a named pipe"), (stat.S_ISSOCK, "a socket"))
    return next((name for test, name in kinds if test(mode)), "a device")


def is_unfinished(folder: Path) -> bool:
    """Return whether the folder holds what a run killed before its first instant was over leaves: no recipe, and nothing to lose."""
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return False
    return bool(entries) and all(entry.name in UNFINISHED and entry.is_file(follow_symlinks=False) for entry in entries)


def require_free(out: Path) -> None:
    """Check that a new run can have the folder.

    Raises:
        RequestError: if it is not a folder, or holds something.
    """
    if out.is_file():
        raise RequestError(f"{str(out)!r} is a file; a run is written into a folder", "give another --out")
    if out.exists() and not (out.is_dir() and (is_unfinished(out) or not any(out.iterdir()))):
        raise RequestError(
            f"{str(out)!r} exists and is not empty", f"continue it with `rl-core resume {shlex.quote(str(out))}`, or give another --out"
        )


class NewFolder(NamedTuple):
    """A folder for a new run.

    Attributes:
        path: The folder.
        made: The folders that were made for it, outermost first; empty where it was there.
    """

    path: Path
    made: tuple[Path, ...]

    def discard(self) -> None:
        """Remove the run's files, and the folders that were made for it."""
        for entry in self.path.iterdir() if self.path.is_dir() else ():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)
        for folder in reversed(self.made):
            with suppress(OSError):  # another run was made beside it
                folder.rmdir()


def new_folder(out: Path | None, name: str) -> NewFolder:
    """Return the folder `out`, or `runs/<name>` with the suffix -2, -3, ... if that exists, made where it is missing.

    Raises:
        OSError: if it cannot be made.
    """
    parent = Path("runs") if out is None else out
    missing = [folder for folder in (parent, *parent.parents) if not folder.exists()]
    if out is not None:
        make_folder(out)
        return NewFolder(out, tuple(reversed(missing)))
    parent.mkdir(exist_ok=True)
    for count in itertools.count(1):
        folder = parent / (name if count == 1 else f"{name}-{count}")
        with suppress(FileExistsError):
            folder.mkdir()
            break
    return NewFolder(folder, (*reversed(missing), folder))


def opened(path: Path, flags: int) -> int:
    """Return a descriptor of an ordinary file, opened with `flags`; a link is not followed, and a pipe not waited for.

    A file that has a second name elsewhere is not opened for writing.

    Raises:
        OSError: if it is not an ordinary file or cannot be opened.
    """
    try:
        descriptor = os.open(path, flags | _NO_FOLLOW | _NO_WAIT | getattr(os, "O_CLOEXEC", 0), 0o666)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.EISDIR):  # a link; a pipe or a socket; a folder
            raise OSError(f"{path.name} is not an ordinary file") from error
        raise
    status = os.fstat(descriptor)
    shared = flags & (os.O_WRONLY | os.O_RDWR) and status.st_nlink > 1
    if not stat.S_ISREG(status.st_mode) or shared:
        os.close(descriptor)
        raise OSError(f"{path.name} {'has a second name elsewhere' if shared else 'is not an ordinary file'}")
    return descriptor


def read(path: Path, largest: int = LARGEST_DOCUMENT) -> bytes:
    """Return the content of an ordinary file.

    Raises:
        OSError: if it is not an ordinary file, cannot be read, or has more than `largest` bytes.
    """
    with open(opened(path, os.O_RDONLY), "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > largest:
            raise OSError(f"{path.name} has {size:,} bytes; at most {largest:,} are expected")
        return file.read(size)


def make_folder(folder: Path) -> None:
    """Make a folder, and its parents, so that it outlasts a power cut.

    Raises:
        OSError: if there is something else of that name.
    """
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        sync_folder(folder.parent)


def write_synced(path: Path, data: bytes) -> None:
    """Write a new file and wait until the disk has it.

    Raises:
        OSError: if there is a file of that name, or the disk is full.
    """
    with open(opened(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def replace(path: Path, data: bytes) -> None:
    """Put `data` at `path` in one step: a reader finds the old file or the new one, never a part."""
    temporary = path.with_name(f".{path.name}.writing")
    temporary.unlink(missing_ok=True)  # whatever it is: a link is removed, not followed
    write_synced(temporary, data)
    temporary.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Wait until the disk has the folder's names; nothing where the system cannot."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
