"""The state of each run of a sweep, derived from the files of its folder."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rl_core.errors import WorkError
from rl_core.runs import checkpoint, files

State = Literal["done", "failed", "running", "paused", "waiting"]
STATES: tuple[State, ...] = ("done", "running", "paused", "waiting", "failed")
RESULT = "result.json"
FAILURE = "failure.json"
PAUSE = "paused.json"  # the score of a run where it was paused, if the sweep asks for it


@dataclass(frozen=True)
class Failure:
    """The attempts at a run that failed, `failure.json`. A run with a result has none.

    Attributes:
        error: The last error.
        hint: Its remedy.
        progress: Progress of the run at it.
        status: Exit status, or minus the signal; 0 where the process went on.
        attempts: How often the run failed without getting any further.
        final: Whether it is not tried again.
        output: The end of what the run printed.
    """

    error: str
    hint: str = ""
    progress: int = 0
    status: int = 0
    attempts: int = 1
    final: bool = False
    output: str = ""


def result_of(folder: Path) -> dict[str, Any] | None:
    """Return the content of a run's `result.json`; `None` if it has none, or one that was cut."""
    document = _read(folder / RESULT)
    return document if document is not None and {"score", "metric", "progress"} <= document.keys() else None


def failure_of(folder: Path) -> Failure | None:
    """Return what a run failed of; `None` if it did not."""
    document = _read(folder / FAILURE)
    try:
        return None if document is None else Failure(**document)
    except TypeError:
        return None


def score_at(folder: Path, until: int) -> float | None:
    """Return the score of a run that is done, or was paused and scored at this progress; `None` if there is none.

    Where the run was evaluated while it learned, the score is that of the best evaluation, so that a test split stays unseen.
    """
    result = result_of(folder)
    if result is not None:
        best = result.get("best")
        score = best["score"] if isinstance(best, dict) and "score" in best else result["score"]
        return float(score) if isinstance(score, int | float) else None
    paused = _read(folder / PAUSE) or {}
    score = paused.get("score")
    return float(score) if paused.get("until") == until and isinstance(score, int | float) else None


def is_scored(folder: Path, until: int) -> bool:
    """Return whether a run was scored at this pause or a later one."""
    return int((_read(folder / PAUSE) or {}).get("until", 0)) >= until


def write_pause(folder: Path, until: int, score: float) -> None:
    """Write the score of a run that is paused.

    Raises:
        OSError: if the disk is full.
    """
    files.replace(folder / PAUSE, (json.dumps({"until": until, "score": score if math.isfinite(score) else None}) + "\n").encode())


def write_failure(folder: Path, failure: Failure) -> None:
    """Write `failure.json`, and the folder where the run has none.

    Raises:
        WorkError: if the disk is full.
    """
    try:
        files.make_folder(folder)
        files.replace(folder / FAILURE, (json.dumps(failure.__dict__, indent=1) + "\n").encode())
    except OSError as error:
        raise WorkError(f"{str(folder / FAILURE)!r} cannot be written: {error.strerror or error}", "free some space") from error


def progress_of(folder: Path) -> int:
    """Return the progress of the newest checkpoint; 0 if there is none."""
    return max(checkpoint.names(folder / "checkpoints"), default=0)


def state_of(folder: Path, *, claimed: bool) -> State:
    """Return the state of a run; `claimed` says whether a worker holds a fresh lease of it."""
    if not folder.is_dir():
        return "running" if claimed else "waiting"
    if result_of(folder) is not None:
        return "done"
    if claimed:
        return "running"
    failure = failure_of(folder)
    if failure is not None and failure.final:
        return "failed"
    return "paused" if progress_of(folder) else "waiting"


def _read(path: Path) -> dict[str, Any] | None:
    try:
        document = json.loads(files.read(path))
    except (OSError, ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None
