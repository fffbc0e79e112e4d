"""Storage of a replay buffer: memory or a file, whose size is checked before anything is taken."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Literal

import numpy as np

Storage = Literal["memory", "disk"]

MEMORY_INFO = Path("/proc/meminfo")
CONTROL_GROUP = Path("/sys/fs/cgroup")


def allocate(num_envs: int, num_rows: int, row: np.dtype, storage: Storage) -> np.ndarray:
    """Return empty rings [N, L] of rows.

    Memory is taken by the operating system as rows are written, but a buffer that cannot be filled is refused here. The space of a file
    is reserved before the file is mapped: writing to a map of a full disk would kill the process.

    Args:
        num_envs: N.
        num_rows: L.
        row: Type of a row.
        storage: "memory", or "disk" for a file without a name in the folder for temporary files, gone with the process.

    Raises:
        ValueError: if memory or disk are too small.
    """
    size = num_envs * num_rows * row.itemsize
    if storage == "memory":
        require_memory(size, f"buffer_size: the replay buffer has {num_envs * num_rows:,} rows of {row.itemsize:,} bytes", "storage=disk")
        return np.zeros((num_envs, num_rows), dtype=row)
    folder = tempfile.gettempdir()
    advice = "take a smaller buffer_size, or set TMPDIR to a folder on a larger disk"
    if size > (free := shutil.disk_usage(folder).free):
        raise ValueError(f"buffer_size: the replay buffer needs {in_words(size)} in {folder}, of which {in_words(free)} are free; {advice}")
    with tempfile.TemporaryFile(prefix="rl-algos-replay-") as file:
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            return np.memmap(file, dtype=row, mode="w+", shape=(num_envs, num_rows)).view(np.ndarray)
        except OSError as error:
            raise ValueError(
                f"buffer_size: {in_words(size)} for the replay buffer cannot be reserved in {folder}: {error.strerror}; {advice}"
            ) from error


def require_memory(size: int, what: str, alternative: str = "") -> None:
    """Refuse what needs more memory than is available.

    Args:
        size: Bytes needed.
        what: The setting, and what needs the memory, for the message.
        alternative: Another way out than a smaller value, for the message.

    Raises:
        ValueError: if less than `size` bytes are available.
    """
    available = available_memory()
    if available is not None and size > available:
        other = f", or set {alternative}" if alternative else ""
        raise ValueError(f"{what}, {in_words(size)} together, but {in_words(available)} of memory are available; take a smaller one{other}")


def available_memory() -> int | None:
    """Return the bytes of memory that this process can still take, or `None` where the system does not say.

    That is what the kernel counts as available, or what the control group of the process (a container's limit) leaves, if that is less.
    """
    found = []
    try:
        lines = dict(line.split(":", 1) for line in MEMORY_INFO.read_text().splitlines())
        found.append(1024 * int(lines["MemAvailable"].split()[0]))
    except (OSError, KeyError, ValueError):
        pass
    try:
        limit, used = ((CONTROL_GROUP / name).read_text().strip() for name in ("memory.max", "memory.current"))
        found.append(max(0, int(limit) - int(used)))
    except (OSError, ValueError):  # version 1 of control groups, another system, or no limit: "max"
        pass
    return min(found, default=None)


def in_words(size: int) -> str:
    """Return a number of bytes as a person reads it.

    >>> in_words(512), in_words(3 * 2**30 // 2)
    ('512 bytes', '1.5 GiB')
    """
    for power, unit in ((4, "TiB"), (3, "GiB"), (2, "MiB"), (1, "KiB")):
        if size >= 1024**power:
            return f"{size / 1024**power:,.1f} {unit}"
    return f"{size} bytes"
