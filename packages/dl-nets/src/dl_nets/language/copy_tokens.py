"""Rows of words in which those that the vocabulary lacks have numbers too, by their order in the text that is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rl_core.tokens import Tokens

PADDING, END, UNKNOWN = 0, 1, 2


class CopyTokens(Tokens):
    """Space of rows [T] of words in [0, V + K): those from V on are the K first different words of an input that the vocabulary lacks.

    Networks that copy read them as unknown, and may answer with them. To any other network they are tokens like the rest: placeholders.

    Args:
        length: T.
        known: V, size of the vocabulary; 0, 1 and 2 mean padding, the end and unknown.
        copies: K.
        ends: Whether 1 ends a row.

    >>> CopyTokens(5, 10, 3, ends=True).size
    13
    """

    def __init__(self, length: int, known: int, copies: int, *, ends: bool) -> None:
        super().__init__(length, known + copies, padding=PADDING, end=END if ends else None)
        self.known, self.copies, self.unknown = known, copies, UNKNOWN

    def __repr__(self) -> str:
        """Return the space as it is written."""
        return f"CopyTokens({self.length}, {self.known}, {self.copies}, ends={self.end is not None})"


def numbered(words: Sequence[str], vocabulary: Mapping[str, int], copies: int) -> tuple[list[int], dict[str, int]]:
    """Return the numbers of the words of an input, and the numbers of those among them that the vocabulary lacks.

    Args:
        words: Of the input.
        vocabulary: Numbers of the known words; V is their count and that of padding, end and unknown.
        copies: K.

    >>> numbered(["ada", "was", "born", "as", "ada", "byron"], {"was": 3, "born": 4, "as": 5}, 8)
    ([6, 3, 4, 5, 6, 7], {'ada': 6, 'byron': 7})
    """
    first = len(vocabulary) + UNKNOWN + 1
    others: dict[str, int] = {}
    row = []
    for word in words:
        number = vocabulary.get(word)
        if number is None:
            if word not in others and len(others) < copies:
                others[word] = first + len(others)
            number = others.get(word, UNKNOWN)
        row.append(number)
    return row, others
