"""Errors that are printed as an `error:` line and a `hint:` line, and what makes text safe to print."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class RlError(Exception):
    """An error for a user to read.

    Args:
        message: The value found, the value expected, and the place; one sentence each.
        hint: The remedy: a command, the nearest name, a size.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how to build it again, with both texts, on its way to another process."""
        return type(self), (self.message, self.hint), self.__dict__


class RequestError(RlError):
    """A request that is wrong: exit status 2. Raised before anything is written."""

    exit_code = 2


class DataError(RequestError, ValueError):
    """A file of the user's data that cannot be read when its turn comes: exit status 2.

    Args:
        message: The file, what is wrong with it, and what is expected.
        hint: The remedy.

    >>> str(DataError("a.png is cut off"))
    'a.png is cut off'
    """

    def __init__(self, message: str, hint: str = "copy or save the file again, then run the command again") -> None:
        super().__init__(message, hint)


class WorkError(RlError):
    """A failure of work that was requested correctly: exit status 1."""


class EnvironmentFailure(WorkError):
    """An environment raised an exception, returned a number that is not finite, or does not follow Gymnasium's interface.

    Attributes:
        raised: Whether the environment itself raised; another instance of it may then work.
    """

    raised: bool = False


def nearest(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """Return up to `count` of the known names that are most similar to `name`, the most similar first."""
    import difflib  # only a mistake costs this import

    lowered = {candidate.lower(): candidate for candidate in sorted(known)}
    matches = difflib.get_close_matches(name.lower(), lowered, n=count, cutoff=0.5)
    return [lowered[match] for match in matches]


_HARMLESS = "\n\u00a0\u3000"  # a new line; spaces that `isprintable` refuses


def printable(text: str, longest: int = 100_000) -> str:
    r"""Return text as a terminal can show it: control characters, escapes and lone surrogates escaped, and not more than `longest`.

    Names, class labels and messages of plugins, files and environments may hold anything; they are printed through this function.

    >>> print(printable(chr(27) + "[31mred"))
    \x1b[31mred
    """
    if len(text) > longest:
        text = f"{text[:longest]}... ({len(text):,} characters)"
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in _HARMLESS else c.encode("unicode_escape").decode() for c in text)
