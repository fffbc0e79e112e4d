"""`metrics.jsonl`: one line a step, never doubled and never missing, however often the run was killed."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

NAME = "metrics.jsonl"
RESERVED = ("progress", "seconds")


class MetricsLog:
    """Appends lines, each handed to the system at once, so that a kill loses none.

    Args:
        folder: The run's folder.
        progress: Where the run goes on: lines beyond it are of steps that will be taken again, and are cut off.
    """

    def __init__(self, folder: Path, progress: int) -> None:
        end = 0
        self._file = (folder / NAME).open("ab", buffering=0)
        for line, after in _lines(folder):
            if line["progress"] > progress:
                break
            end = after
        self._file.truncate(end)

    def __enter__(self) -> MetricsLog:
        """The log itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Closes the file."""
        self._file.close()

    def write(self, line: Mapping[str, Any]) -> None:
        """Append a line.

        Raises:
            OSError: if the disk is full; a part that was written is cut off by the next session.
        """
        text = msgspec.json.encode(line) + b"\n"
        if self._file.write(text) != len(text):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def sync(self) -> None:
        """Wait until the disk has every line."""
        os.fsync(self._file.fileno())


def read(folder: Path) -> list[dict[str, float]]:
    """The lines of a run's `metrics.jsonl`, up to the first that is not whole."""
    return [line for line, _ in _lines(folder)]


def seconds(folder: Path, progress: int) -> float:
    """Time that the run had spent when it was at `progress`."""
    return max((line["seconds"] for line, _ in _lines(folder) if line["progress"] <= progress), default=0.0)


def _lines(folder: Path) -> Iterator[tuple[dict[str, float], int]]:
    """Each whole line, and the place in the file behind it."""
    path = folder / NAME
    if not path.is_file():
        return
    end = 0
    with path.open("rb") as file:
        for text in file:
            try:
                line = json.loads(text)
            except ValueError:
                return
            if (
                not text.endswith(b"\n")
                or not isinstance(line, dict)
                or not all(isinstance(line.get(name), int | float) for name in RESERVED)
            ):
                return
            end += len(text)
            yield line, end
