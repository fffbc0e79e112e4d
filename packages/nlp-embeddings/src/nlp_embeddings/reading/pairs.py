"""Pairs of texts: a source and its target, a question and its answer."""

from __future__ import annotations

import itertools
import reprlib
from pathlib import Path
from typing import NamedTuple

from nlp_embeddings.corpus.text_files import numbered_lines
from nlp_embeddings.reading.labelled import json_object
from rl_core.documents import parse_yaml

_SOURCES = ("source", "question", "input", "prompt")
_TARGETS = ("target", "answer", "output", "reply")


class TextPair(NamedTuple):
    """A text and the one that belongs to it."""

    source: str
    target: str


def read_pairs(path: Path) -> list[TextPair]:
    """Read pairs of texts: `source<TAB>target` a line, further columns left out; or JSON lines with `source` and `target`.

    Raises:
        ValueError: naming the line that has another form, or if the file holds no pair.
    """
    json_lines, found = ".jsonl" in path.name.lower(), []
    for number, line in numbered_lines(path):
        if not line.strip():
            continue
        if json_lines:
            fields = json_object(path, number, line)
            pair = [next((fields[name] for name in names if name in fields), None) for names in (_SOURCES, _TARGETS)]
        else:
            pair = list(line.split("\t")[:2])
        if len(pair) < 2 or not all(isinstance(text, str) and text.strip() for text in pair):
            raise ValueError(f"{path}, line {number}: expected `source<TAB>target`, got {reprlib.repr(line)}")
        found.append(TextPair(str(pair[0]).strip(), str(pair[1]).strip()))
    if not found:
        raise ValueError(f"{path} holds no pairs; expected lines of `source<TAB>target`")
    return found


def read_conversations(path: Path) -> list[TextPair]:
    """Read pairs from YAML as the corpora of ChatterBot have it: `conversations`, lists of texts of which each answers the one before.

    Raises:
        ValueError: if it is not YAML, or not such lists; it names the conversation.
    """
    try:
        data = parse_yaml("\n".join(line for _, line in numbered_lines(path)))
    except ValueError as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    given = data.get("conversations") if isinstance(data, dict) else data
    expected = "expected `conversations:` and below it lists of texts, each of which answers the one before"
    if not isinstance(given, list):
        raise ValueError(f"{path} holds {reprlib.repr(given)} in place of a list of conversations; {expected}")
    found = []
    for number, texts in enumerate(given, start=1):
        if (
            not isinstance(texts, list)
            or len(texts) < 2
            or not all(isinstance(text, str | int | float) and str(text).strip() for text in texts)
        ):
            raise ValueError(f"{path}, conversation {number}: {reprlib.repr(texts)} is not a list of two or more texts; {expected}")
        found += [TextPair(*pair) for pair in itertools.pairwise(" ".join(str(text).split()) for text in texts)]
    if not found:
        raise ValueError(f"{path} holds no conversations; {expected}")
    return found


def joined(sources: Path, targets: Path) -> list[TextPair]:
    """Read pairs from two files with a text a line, line by line.

    Raises:
        ValueError: if the files have unlike numbers of lines.
    """
    left, right = ([line.strip() for _, line in numbered_lines(path)] for path in (sources, targets))
    if len(left) != len(right):
        raise ValueError(f"{sources} has {len(left)} lines and {targets} has {len(right)}; parallel files have as many lines as each other")
    return [TextPair(*pair) for pair in zip(left, right, strict=True) if all(pair)]
