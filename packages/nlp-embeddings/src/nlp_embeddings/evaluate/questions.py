"""Files of questions: pairs of words with scores, analogies, and texts with labels.

Files are UTF-8, with or without a byte order mark, and may be compressed (.gz, .bz2, .xz).
"""

from __future__ import annotations

import reprlib
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nlp_embeddings.corpus.text_files import numbered_lines

FASTTEXT_MARK = "__label__"
"""Beginning of a line of labelled text in files made for Facebook's fastText."""

MIN_TEXTS = 5
"""Least number of texts of a label: four to learn from and one to test."""

Analogies = dict[str, list[tuple[str, str, str, str]]]


class Pair(NamedTuple):
    """Two words and a score of their similarity by people."""

    first: str
    second: str
    score: float


def read_pairs(path: Path | str) -> list[Pair]:
    """Read pairs of words, `word word score` a line, between spaces, tabs or commas; a header and lines that begin with # are skipped.

    Raises:
        ValueError: if a line has another form, or there are fewer than three pairs.
    """
    pairs: list[Pair] = []
    for number, line in numbered_lines(Path(path)):
        parts = line.replace(",", " ").split()
        if not parts or line.startswith("#"):
            continue
        try:
            pairs.append(Pair(parts[0], parts[1], float(parts[2])))
        except (IndexError, ValueError) as error:
            if number == 1:
                continue
            raise ValueError(f"{path}, line {number}: expected `word word score`, got {reprlib.repr(line)}") from error
    if len(pairs) < 3:
        raise ValueError(f"{path} holds {len(pairs)} pairs of words; a rank correlation needs at least three")
    return pairs


def read_analogies(path: Path | str) -> Analogies:
    """Read analogies by group: lines `: group`, then `a b c d`, meaning a is to b as c is to d.

    Raises:
        ValueError: if a line has another form, or the file has none.
    """
    groups: Analogies = {}
    name = "analogies"
    for number, line in numbered_lines(Path(path)):
        if line.startswith(":"):
            name = line[1:].strip()
        elif line.strip():
            parts = line.split()
            if len(parts) != 4:
                raise ValueError(f"{path}, line {number}: expected four words, got {reprlib.repr(line)}")
            groups.setdefault(name, []).append((parts[0], parts[1], parts[2], parts[3]))
    if not groups:
        raise ValueError(f"{path} holds no analogies; a line is `a b c d`")
    return groups


class LabelledTexts(NamedTuple):
    """Texts with one label each.

    Attributes:
        texts: N texts.
        labels: Numbers of their labels [N].
        names: Names of the labels, sorted.
    """

    texts: list[str]
    labels: np.ndarray
    names: list[str]


def read_labelled(path: Path, known: Sequence[str] = ()) -> LabelledTexts:
    """Read texts with labels.

    Labels with fewer than five texts are left out, with a note on standard error.

    Args:
        path: A line for each text: `label<TAB>text`, or `__label__label text` as for fastText. Empty lines are skipped.
        known: Names of the labels, if they are given; then any number of texts is enough.

    Raises:
        ValueError: if a line has another form or several labels, a label is not one of `known`, or fewer than two labels are left.
    """
    names, texts = [], []
    for number, line in numbered_lines(path):
        if not line.strip():
            continue
        marked = line.startswith(FASTTEXT_MARK)
        name, text = _split_at_space(line) if marked else line.partition("\t")[::2]
        if not name.removeprefix(FASTTEXT_MARK if marked else "").strip() or not text.strip():
            form = f"`{FASTTEXT_MARK}label text`" if marked else "`label<TAB>text`"
            raise ValueError(f"{path}, line {number}: expected {form}, got {reprlib.repr(line)}")
        if marked and text.lstrip().startswith(FASTTEXT_MARK):
            second = text.split()[0]
            raise ValueError(
                f"{path}, line {number}: the text has several labels ({name}, {second}, ...); keep one label a text, "
                "or write the line once for each of them"
            )
        names.append(name.removeprefix(FASTTEXT_MARK).strip())
        texts.append(text)
    if known:
        strangers = sorted(set(names) - set(known))
        if strangers or not names:
            found = f"labels that were not learned: {_some(strangers)}" if strangers else "no texts"
            raise ValueError(f"{path} holds {found}; the known ones are {_some(list(known))}")
        kept = list(known)
    else:
        counts = Counter(names)
        kept = sorted(name for name, count in counts.items() if count >= MIN_TEXTS)
        few = sorted(set(counts) - set(kept))
        if len(kept) < 2:
            raise ValueError(
                f"{path} holds {len(texts)} texts, and {len(kept)} of its {len(counts)} labels ({_some(sorted(counts))}) have "
                f"{MIN_TEXTS} or more; at least two labels with {MIN_TEXTS} texts each are needed"
            )
        if few:
            dropped = sum(counts[name] for name in few)
            left_out = f"{dropped} texts of {len(few)} labels with fewer than {MIN_TEXTS} texts were left out"
            print(f"{path}: {left_out}: {_some(few)}", file=sys.stderr)
    number_of = {name: number for number, name in enumerate(kept)}
    chosen = [place for place, name in enumerate(names) if name in number_of]
    labels = np.array([number_of[names[place]] for place in chosen], dtype=np.int64)
    return LabelledTexts([texts[place] for place in chosen], labels, kept)


def _split_at_space(line: str) -> tuple[str, str]:
    """Split a line at its first white space."""
    parts = line.split(maxsplit=1)
    return parts[0], parts[1] if len(parts) == 2 else ""


def _some(names: Sequence[str]) -> str:
    """Return the first few of some names, shortened."""
    shown = ", ".join(name if len(name) <= 30 else f"{name[:27]}..." for name in names[:5])
    return shown if len(names) <= 5 else f"{shown}, ... ({len(names) - 5} more)"
