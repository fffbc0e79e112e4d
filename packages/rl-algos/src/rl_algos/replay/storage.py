"""Storage of a replay buffer: memory or a file, whose size is checked before anything is taken."""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import Literal

import numpy as np

from rl_core.memory import in_words, require_memory

Storage = Literal["memory", "disk"]


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
        rows = f"buffer_size: {num_envs * num_rows:,} rows of the replay buffer, of {row.itemsize:,} bytes each,"
        require_memory(size, rows, "take a smaller one, or set storage=disk")
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
