"""Texts with one or several labels: tab- or comma-separated, fastText's `__label__`, and JSON lines."""

from __future__ import annotations

import csv
import json
import reprlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from nlp_embeddings.corpus.text_files import numbered_lines

_TEXT_NAMES = ("text", "sentence", "question", "review", "content")
_LABEL_NAMES = ("label", "labels", "category", "sentiment", "intent", "class")
_MARK = "__label__"


class Labelled(NamedTuple):
    """A text and its labels."""

    text: str
    labels: tuple[str, ...]


def read_labelled(path: Path) -> list[Labelled]:
    """Read texts with their labels.

    Args:
        path: `.jsonl` in its name: objects with `text` and `label`, a text or a list of them. `.csv`: a header that names both columns.
            Else lines `label<TAB>text`, or `__label__one __label__two text`.

    Raises:
        ValueError: naming the line that has another form, or if the file holds no text.
    """
    name = path.name.lower()
    rows = _json_rows(path) if ".jsonl" in name else _csv_rows(path) if ".csv" in name else _lines(path)
    found = []
    for number, text, labels in rows:
        if not text.strip() or not all(label.strip() for label in labels):
            raise ValueError(f"{path}, line {number}: expected a text and its label, got {reprlib.repr((text, labels))}")
        found.append(Labelled(" ".join(text.split()), tuple(dict.fromkeys(label.strip() for label in labels))))
    if not found:
        raise ValueError(f"{path} holds no texts; expected lines of `label<TAB>text`")
    return found


def _lines(path: Path) -> Iterator[tuple[int, str, list[str]]]:
    for number, line in numbered_lines(path):
        if not line.strip():
            continue
        if line.startswith(_MARK):
            tokens = line.split()
            labels = [token.removeprefix(_MARK) for token in tokens if token.startswith(_MARK)]
            yield number, " ".join(token for token in tokens if not token.startswith(_MARK)), labels
        else:
            label, tab, text = line.partition("\t")
            if not tab:
                raise ValueError(f"{path}, line {number}: expected `label<TAB>text`, got {reprlib.repr(line)}")
            yield number, text, [label]


def _csv_rows(path: Path) -> Iterator[tuple[int, str, list[str]]]:
    reader = csv.reader(f"{line}\n" for _, line in numbered_lines(path))
    header = [name.strip().lower() for name in next(reader, [])]
    text = next((header.index(name) for name in _TEXT_NAMES if name in header), None)
    label = next((header.index(name) for name in _LABEL_NAMES if name in header), None)
    if text is None or label is None:
        raise ValueError(
            f"{path}: expected a header with a column {' or '.join(_TEXT_NAMES)}, and one {' or '.join(_LABEL_NAMES)}, got {header}"
        )
    for row in reader:
        if row:
            if len(row) != len(header):
                raise ValueError(f"{path}, line {reader.line_num}: expected {len(header)} columns, got {len(row)}")
            yield reader.line_num, row[text], [row[label]]


def _json_rows(path: Path) -> Iterator[tuple[int, str, list[str]]]:
    for number, line in numbered_lines(path):
        if not line.strip():
            continue
        found = json_object(path, number, line)
        text = next((found[name] for name in _TEXT_NAMES if name in found), None)
        labels = next((found[name] for name in _LABEL_NAMES if name in found), None)
        labels = labels if isinstance(labels, list) else [labels]
        if not isinstance(text, str) or not all(isinstance(label, str | int) for label in labels):
            raise ValueError(f'{path}, line {number}: expected {{"text": ..., "label": ...}}, got {reprlib.repr(line)}')
        yield number, text, [str(label) for label in labels]


def json_object(path: Path, number: int, line: str) -> dict[str, Any]:
    """Return the JSON object of a line.

    Raises:
        ValueError: naming the file and the line if it is not one.
    """
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}, line {number}: expected a JSON object, got {reprlib.repr(line)}") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path}, line {number}: expected a JSON object, got {reprlib.repr(line)}")
    return found
