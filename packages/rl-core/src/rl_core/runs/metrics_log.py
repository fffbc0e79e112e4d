"""`metrics.jsonl`: one line a step, never doubled and never missing, however often the run was killed."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from rl_core.runs.files import opened

NAME = "metrics.jsonl"
RESERVED = ("progress", "seconds")
ENOUGH_TO_DRAW = 20_000  # lines; no picture shows more
LONGEST_LINE = 1 << 20  # bytes; a line has some hundred
_decoder = msgspec.json.Decoder(dict[str, float])


class MetricsLog:
    """A log that appends lines, each handed to the system at once, so that a kill loses none.

    Args:
        folder: The run's folder.
        progress: Where the run continues; lines beyond it belong to steps that will be taken again, and are cut off.

    Raises:
        OSError: if the file cannot be written, or is not an ordinary file of this folder.
    """

    def __init__(self, folder: Path, progress: int) -> None:
        end = 0
        self._file = open(  # noqa: SIM115, PTH123 - a descriptor has no path
            opened(folder / NAME, os.O_WRONLY | os.O_CREAT | os.O_APPEND), "ab", buffering=0
        )
        for line, after in _lines(folder):
            if line["progress"] > progress:
                break
            end = after
        self._file.truncate(end)

    def __enter__(self) -> MetricsLog:
        """Return the log itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close the file."""
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


def read(folder: Path, most: int | None = None) -> list[dict[str, float]]:
    """Return the lines of a run's `metrics.jsonl`, up to the first that is not whole.

    Args:
        folder: The run's folder.
        most: Number of lines to return at most: of a longer file, neighbouring lines are averaged. `None` returns all of them.
    """
    lines: list[dict[str, float]] = []
    together, pending = 1, []  # so many lines of the file make one that is returned
    for line, _ in _lines(folder):
        pending.append(line)
        if len(pending) < together:
            continue
        lines.append(_mean(pending))
        pending = []
        if most is not None and len(lines) >= 2 * most:
            lines = [_mean(lines[begin : begin + 2]) for begin in range(0, len(lines), 2)]
            together *= 2
    if pending:
        lines.append(_mean(pending))
    if most is not None and len(lines) > most:
        lines = [_mean(lines[begin : begin + 2]) for begin in range(0, len(lines), 2)]
    return lines


def seconds(folder: Path, progress: int) -> float:
    """Return the time that the run had spent when it was at `progress`."""
    return max((line["seconds"] for line, _ in _lines(folder) if line["progress"] <= progress), default=0.0)


def _mean(lines: list[dict[str, float]]) -> dict[str, float]:
    """Return the mean of each metric over the lines that have it, at the progress of the last line."""
    if len(lines) == 1:
        return lines[0]
    found: dict[str, list[float]] = {}
    for line in lines:
        for name, value in line.items():
            found.setdefault(name, []).append(value)
    return {name: sum(values) / len(values) for name, values in found.items()} | {name: lines[-1][name] for name in RESERVED}


def _lines(folder: Path) -> Iterator[tuple[dict[str, float], int]]:
    """Yield each whole line, and the place in the file behind it; nothing of a file that cannot be read."""
    try:
        file = open(opened(folder / NAME, os.O_RDONLY), "rb")  # noqa: SIM115, PTH123 - a descriptor has no path
    except OSError:
        return
    end = 0
    with file:
        while (text := file.readline(LONGEST_LINE)).endswith(b"\n"):
            try:
                line = _decoder.decode(text)
            except (ValueError, RecursionError):
                return
            if "progress" not in line or "seconds" not in line:
                return
            end += len(text)
            yield line, end
