"""Errors about unknown words and unreadable vector files."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path


class UnknownWord(KeyError):
    """A word without a vector.

    Attributes:
        word: The word.
        near: Up to three words with a similar spelling that have one.
    """

    def __init__(self, word: str, known: Sequence[str]) -> None:
        self.word, self.near = word, difflib.get_close_matches(word, known[:50_000], n=3, cutoff=0.6)
        hint = f"; near it are {', '.join(self.near)}" if self.near else ""
        self.message = f"the word {word!r} has no vector{hint}"
        super().__init__(self.message)

    def __str__(self) -> str:
        return self.message


class BadVectorFile(ValueError):
    """A file of vectors that cannot be read."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
