"""The two ways in which a command ends badly, both said in words: an `error:` line and a `hint:` line."""

from __future__ import annotations

from collections.abc import Iterable


class RlError(Exception):
    """Something a user should read.

    Args:
        message: What came, what was needed, and where; one sentence each.
        hint: What to do: a command, the nearest name, a size.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class RequestError(RlError):
    """The request was wrong: exit status 2. Raised before anything is written."""

    exit_code = 2


class WorkError(RlError):
    """The request was right and the work failed: exit status 1."""


class EnvironmentFailure(WorkError):
    """An environment raised an exception, returned a number that is not finite, or does not follow Gymnasium's interface.

    Attributes:
        raised: Whether the environment itself raised; another instance of it may then work.
    """

    raised: bool = False


def nearest(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """Up to `count` of the known names that look most like `name`, the most alike first."""
    import difflib  # only a mistake pays for it

    lowered = {candidate.lower(): candidate for candidate in sorted(known)}
    matches = difflib.get_close_matches(name.lower(), lowered, n=count, cutoff=0.5)
    return [lowered[match] for match in matches]
