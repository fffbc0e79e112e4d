"""Readers of word2vec text and binary files and of GloVe and fastText `.vec` text."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nlp_embeddings.corpus.text_files import open_bytes, reading
from nlp_embeddings.vectors.errors import BadVectorFile

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_BLANKS = b" \t\r\n"
_LINES_TO_GUESS_BY = 20

Rows = tuple[list[bytes], np.ndarray]
"""Words as bytes, and their vectors [V, d], float32."""


def header_of(line: bytes) -> tuple[int, int] | None:
    """Return the number of words and their width that a first line states; `None` if it is not such a line."""
    parts = line.removeprefix(BYTE_ORDER_MARK).split()
    if len(parts) != 2 or not all(part.isdigit() for part in parts):
        return None
    return int(parts[0]), int(parts[1])


def is_text_row(line: bytes, width: int) -> bool:
    """Return whether a line is a word, which may have spaces, and `width` numbers."""
    return split_row(line, width) is not None


def split_row(line: bytes, width: int) -> tuple[bytes, np.ndarray] | None:
    """Return the word and the vector [d] of a line; `None` if it does not hold a word and exactly d numbers.

    Example:
        >>> split_row(b"new york 1 2", 2)[0], split_row(b"york 1 2 3", 2)
        (b'new york', None)
    """
    parts = line.rstrip(_BLANKS).rsplit(b" ", width)
    if len(parts) != width + 1:
        parts = line.rstrip(_BLANKS).rsplit(None, width)
    if len(parts) != width + 1:
        return None
    word = parts[0]
    if len(word.split()) > 1 and is_number(word.split()[-1]):  # a row of more than d numbers
        return None
    try:
        return word, np.array(parts[1:], dtype=np.float32)
    except ValueError:
        return None


def is_number(text: bytes) -> bool:
    """Return whether a text is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def read_text(path: Path, header: bool, limit: int | None) -> Rows:
    """Read vectors of a text file, a word and its numbers a line.

    Args:
        path: The file; may be compressed.
        header: Whether its first line states the number of words and their width; else the width is that of the first lines.
        limit: Number of words to read; all if `None`.

    Raises:
        BadVectorFile: if a line has another form, or the number of words is not the one stated.
    """
    words: list[bytes] = []
    rows: list[np.ndarray] = []
    number = 0
    with open_bytes(path) as file, reading(path, lambda: f"line {number + 1}"):
        count, width = _checked_header(path, file.readline()) if header else (None, _width_of(path))
        for number, line in enumerate(file, 2 if header else 1):
            if limit is not None and len(words) >= limit:
                break
            if number == 1:
                line = line.removeprefix(BYTE_ORDER_MARK)
            if not line.strip():
                continue
            row = split_row(line, width)
            if row is None:
                raise BadVectorFile(path, f"line {number} does not hold a word and {width} numbers: {line[:60]!r}")
            words.append(row[0])
            rows.append(row[1])
    if count is not None and limit is None and len(words) != count:
        raise BadVectorFile(path, f"the first line promises {count} words, but the file has {len(words)}; it may have been cut short")
    if not rows:
        raise BadVectorFile(path, "the file has no vectors")
    return words, np.stack(rows)


def read_binary(path: Path, limit: int | None) -> Rows:
    """Read vectors of a word2vec binary file.

    Args:
        path: The file; may be compressed.
        limit: Number of words to read; all if `None`.

    Raises:
        BadVectorFile: if the file is cut short, or smaller than its first line promises.
    """
    words: list[bytes] = []
    pieces: list[np.ndarray] = []
    with open_bytes(path) as file, reading(path, lambda: f"word {len(words) + 1}"):
        count, width = _checked_header(path, file.readline(100))
        size = 4 * width
        if path.suffix.lower() not in (".gz", ".bz2", ".xz") and count * (size + 1) > path.stat().st_size:
            raise BadVectorFile(
                path,
                f"the first line promises {count} words of width {width}, more than fit its {path.stat().st_size} bytes; it was cut short",
            )
        count = count if limit is None else min(count, limit)
        buffer, position = b"", 0
        for number in range(count):
            while (space := buffer.find(b" ", position)) < 0 or len(buffer) < space + 1 + size:
                block = file.read(max(1 << 22, size))
                if not block:
                    raise BadVectorFile(path, f"the file ends within word {number + 1} of {count}; it was cut short")
                buffer, position = buffer[position:] + block, 0
            words.append(buffer[position:space].lstrip(b"\n"))
            pieces.append(np.frombuffer(buffer, dtype="<f4", count=width, offset=space + 1).copy())
            position = space + 1 + size
    if not words:
        raise BadVectorFile(path, "the file has no vectors")
    return words, np.stack(pieces)


def _checked_header(path: Path, line: bytes) -> tuple[int, int]:
    header = header_of(line)
    if header is None:
        raise BadVectorFile(path, f"the first line is {line[:40]!r}; expected the number of words and their width, like b'1000 100'")
    if header[0] > 1 << 32 or not 0 < header[1] <= 1 << 16:
        raise BadVectorFile(path, f"the first line promises {header[0]} words of width {header[1]}, which is not plausible")
    return header


def _width_of(path: Path) -> int:
    """Return the width of the vectors of a file without a header: the fewest numbers at the end of its first lines."""
    widths: list[int] = []
    with open_bytes(path) as file, reading(path, "its first lines"):
        for _, line in zip(range(_LINES_TO_GUESS_BY), file, strict=False):
            parts = line.split()
            numbers = next((place for place, part in enumerate(reversed(parts)) if not is_number(part)), len(parts))
            if parts and (numbers or not widths):
                widths.append(min(numbers, len(parts) - 1))
    return max(min(widths, default=0), 1)
