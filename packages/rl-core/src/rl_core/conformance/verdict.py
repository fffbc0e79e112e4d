"""The outcome of a check: passed, failed with a fault, or skipped with a reason; and the text of an exception in it."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from typing import Literal

from rl_core.errors import RlError

TEXT_LENGTH = 400  # of another exception's text in a message


class Fault(Exception):
    """The component breaks the contract; the text says what was found, what is needed, and what its author can do."""


class Skipped(Exception):
    """The check does not apply here; the text says why."""


@dataclass(frozen=True)
class Result:
    """The outcome of one check of one component.

    Attributes:
        component: Name of the component; of the distribution for checks of a whole plugin.
        check: Name of the check.
        status: "passed", "failed" or "skipped".
        seconds: Duration. What several checks need is made by the first of them.
        message: Reason of a failure or a skip; "" when it passed.
        error: The exception behind a failure.
    """

    component: str
    check: str
    status: Literal["passed", "failed", "skipped"]
    seconds: float
    message: str
    error: BaseException | None = field(default=None, compare=False, repr=False)


def place(frame: traceback.FrameSummary) -> str:
    """Return the file, line and function of a frame, as a message ends with them."""
    return f" at {frame.filename.replace(chr(92), '/').rpartition('/')[2]}:{frame.lineno} in {frame.name}"


def in_words(error: BaseException) -> str:
    """Return the text of a fault, and of any other exception its type, text and the place where it was raised."""
    if isinstance(error, Fault):
        return str(error)
    if isinstance(error, RlError):
        return f"{error.message}; {error.hint}"
    frames = traceback.extract_tb(error.__traceback__)
    where = place(frames[-1]) if frames else ""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text if len(text) <= TEXT_LENGTH else text[:TEXT_LENGTH] + '...'}{where}"
