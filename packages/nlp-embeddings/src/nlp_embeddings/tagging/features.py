"""Attributes of words, such as endings and shapes, and the templates that look at them in a window around a word.

Letters: N words of a text, U different ones, A attributes, F templates, K tags.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

ATTRIBUTES: Mapping[str, Callable[[str], str]] = {
    "word": lambda word: word,
    "lower": str.lower,
    "prefix1": lambda word: word[:1],
    "prefix2": lambda word: word[:2],
    "prefix3": lambda word: word[:3].lower(),
    "suffix1": lambda word: word[-1:],
    "suffix2": lambda word: word[-2:].lower(),
    "suffix3": lambda word: word[-3:].lower(),
    "suffix4": lambda word: word[-4:].lower(),
    "shape": lambda word: shape(word),
    "outline": lambda word: re.sub(r"(.)\1+", r"\1", shape(word)),
}
"""Attributes of a word by name."""

UNKNOWN, BOUNDARY = 0, 1  # values of every attribute: not seen in training; beyond the sentence

Template = tuple[int, str]
"""Distance from the word, and name of an attribute."""


def shape(word: str) -> str:
    """Return a word with its letters replaced by x and X, and its digits by 0.

    >>> shape("BRCA1-like")
    'XXXX0-xxxx'
    """
    return "".join("X" if c.isupper() else "x" if c.isalpha() else "0" if c.isdigit() else c for c in word)


class Encoded(NamedTuple):
    """Sentences as numbers.

    Attributes:
        types: Number of each word's type [N], all sentences joined.
        splits: First word of each sentence, and N at the end [S + 1].
        rows: Values of the types' attributes [U + 1, A]; the last row is what is beyond a sentence.
        known: Number of each type among the training words, or -1 [U].
    """

    types: np.ndarray
    splits: np.ndarray
    rows: np.ndarray
    known: np.ndarray


class AttributeTable:
    """The values that the attributes of the training words have, numbered.

    Args:
        words: Different words of the training text.
        names: Names of attributes.

    Attributes:
        words: As given.
        sizes: Number of values of each attribute [A], with those for unknown and boundary.
    """

    def __init__(self, words: Sequence[str], names: Sequence[str]) -> None:
        self.words = list(words)
        self.names = tuple(names)
        self._functions = [ATTRIBUTES[name] for name in names]
        self._values: list[dict[str, int]] = []
        for function in self._functions:
            values = dict.fromkeys(map(function, self.words))
            self._values.append({value: number for number, value in enumerate(values, start=2)})
        self.sizes = np.array([len(values) + 2 for values in self._values], dtype=np.int64)
        self._number = {word: number for number, word in enumerate(self.words)}
        self._rows: dict[str, list[int]] = {}

    def encode(self, sentences: Sequence[Sequence[str]]) -> Encoded:
        """Return sentences as numbers."""
        number: dict[str, int] = {}
        types = [number.setdefault(word, len(number)) for sentence in sentences for word in sentence]
        splits = np.concatenate([[0], np.cumsum([len(sentence) for sentence in sentences], dtype=np.int64)]).astype(np.int64)
        rows = [self._row(word) for word in number]
        rows.append([BOUNDARY] * len(self.names))
        known = np.array([self._number.get(word, -1) for word in number], dtype=np.int64)
        return Encoded(np.array(types, dtype=np.int64), splits, np.array(rows, dtype=np.int64).reshape(-1, len(self.names)), known)

    def _row(self, word: str) -> list[int]:
        row = self._rows.get(word)
        if row is None:
            row = [values.get(function(word), UNKNOWN) for values, function in zip(self._values, self._functions, strict=True)]
            if len(self._rows) < 200_000:  # a server that runs for months does not fill the memory
                self._rows[word] = row
        return row


class Templates:
    """Templates as arrays: the weights of template f for value v of its attribute are in row `bases[f] + v`.

    Args:
        templates: Distances and names of attributes.
        table: The attributes.

    Attributes:
        offsets: Distance of each template's word [F].
        columns: Number of each template's attribute [F].
        bases: First row of each template's weights [F].
        num_rows: Rows of all templates.
    """

    def __init__(self, templates: Sequence[Template], table: AttributeTable) -> None:
        self.offsets = np.array([offset for offset, _ in templates], dtype=np.int64)
        self.columns = np.array([table.names.index(name) for _, name in templates], dtype=np.int64)
        sizes = table.sizes[self.columns]
        self.bases = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
        self.num_rows = int(sizes.sum())


def names_of(templates: Sequence[Template]) -> tuple[str, ...]:
    """Return the names of the attributes that templates look at, each once.

    >>> names_of([(0, "word"), (-1, "word"), (0, "shape")])
    ('word', 'shape')
    """
    return tuple(dict.fromkeys(name for _, name in templates))
