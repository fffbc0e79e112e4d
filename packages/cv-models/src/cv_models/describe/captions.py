"""Captions as tokens: the words that are known, and rows that hold several true captions of one picture.

Letters: B batch, R captions of a picture, T tokens of a caption, V vocabulary.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from rl_core.tokens import Tokens

PADDING, END, UNKNOWN = 0, 1, 2
MARKS = ("<padding>", "<end>", "<unknown>")


def words_of(caption: str) -> list[str]:
    """Return the words of a caption in lower case, without punctuation.

    >>> words_of("A man's dog, running.")
    ['a', "man's", 'dog', 'running']
    """
    return re.findall(r"[^\W_]+(?:'[^\W_]+)?", caption.lower())


class Captions(Tokens):
    """Space of the captions of a picture: R slots of T tokens in one row [R T]; words, the end, then padding fill a slot.

    An answer is one caption in the first slot. A target holds up to R true captions; slots without one are padding.

    Args:
        length: T, the most tokens of a caption, its end included.
        size: V.
        num_captions: R.
        words: The known words in the order of their tokens, from 3 on; networks with a vocabulary of their own read them.

    >>> Captions(5, 20, 2).shape
    (10,)
    """

    def __init__(self, length: int, size: int, num_captions: int = 1, words: Sequence[str] = ()) -> None:
        super().__init__(length * num_captions, size, padding=PADDING, end=END)
        self.caption_length, self.num_captions, self.words = length, num_captions, tuple(words)


class Vocabulary:
    """The known words, each with its token; tokens below 3 are padding, the end, and any other word.

    Args:
        words: Known words, in the order of their tokens.

    >>> vocabulary = Vocabulary(["a", "dog"])
    >>> vocabulary.row([["a", "dog"], ["a", "cat"]], 4, 2).tolist()
    [3, 4, 1, 0, 3, 2, 1, 0]
    >>> vocabulary.texts(np.array([3, 4, 1, 0, 3, 2, 1, 0]), 4)
    ['a dog', 'a <unknown>']
    """

    def __init__(self, words: Sequence[str]) -> None:
        self.words = tuple(words)
        self._tokens = {word: number for number, word in enumerate(self.words, start=len(MARKS))}

    @classmethod
    def of(cls, captions: Iterable[Sequence[str]], least: int = 1) -> Vocabulary:
        """Return the words that occur `least` times or more, the commonest first, then in the order of the alphabet.

        >>> Vocabulary.of([["b", "a"], ["b"]]).words
        ('b', 'a')
        """
        counts = Counter(word for caption in captions for word in caption)
        return cls([word for word, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])) if count >= least])

    @property
    def size(self) -> int:
        """V, the marks included."""
        return len(MARKS) + len(self.words)

    def tokens(self, words: Sequence[str]) -> list[int]:
        """Return the tokens of words."""
        return [self._tokens.get(word, UNKNOWN) for word in words]

    def row(self, captions: Sequence[Sequence[str]], length: int, num_captions: int) -> np.ndarray:
        """Return the row [R T] of a picture's captions; those beyond R are left out, and words beyond T - 1.

        Args:
            captions: Words of each caption.
            length: T.
            num_captions: R.
        """
        row = np.full((num_captions, length), PADDING, np.int64)
        for place, words in enumerate(captions[:num_captions]):
            tokens = [*self.tokens(words)[: length - 1], END]
            row[place, : len(tokens)] = tokens
        return row.reshape(-1)

    def texts(self, row: np.ndarray, length: int) -> list[str]:
        """Return the captions in a row [R T]; slots of padding alone are left out, but for the first."""
        found: list[str] = []
        for slot in np.asarray(row).reshape(-1, length):
            ends = np.flatnonzero(slot == END)
            kept = slot[: ends[0]] if len(ends) else slot[slot != PADDING]
            if len(found) == 0 or (slot != PADDING).any():
                found.append(" ".join(self._word(int(token)) for token in kept if token != PADDING))
        return found

    def answer(self, row: np.ndarray, length: int) -> str:
        """Return the caption in the first slot of a row [R T]."""
        return self.texts(np.asarray(row)[:length], length)[0]

    def _word(self, token: int) -> str:
        return MARKS[token] if token < len(MARKS) else self.words[token - len(MARKS)]
