"""Files of word vectors: word2vec text and binary, GloVe text, fastText `.vec` and `.bin`, and memory-mapped safetensors.

A written file appears whole or not at all. A read file is checked: one that is cut short, a value that is not a number, a row of another
width, a word that is not UTF-8 or repeated are refused with file and place.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np

from nlp_embeddings.corpus.text_files import open_bytes, reading
from nlp_embeddings.vectors.errors import BadVectorFile
from nlp_embeddings.vectors.fasttext_file import MAGIC, read_fasttext_bin
from nlp_embeddings.vectors.safetensors_file import read_safetensors, write_safetensors
from nlp_embeddings.vectors.text_formats import header_of, is_text_row, read_binary, read_text
from nlp_embeddings.vectors.word_vectors import Subwords, WordVectors

_GUESS_BYTES = 1 << 16
_BYTES_OF_A_NUMBER = 32  # at most, in text

Write = Callable[[WordVectors, np.ndarray, IO[bytes], dict[str, Any]], None]


def save(vectors: WordVectors, path: Path, form: str, about: dict[str, Any] | None = None) -> None:
    """Write vectors in a format of `WRITERS`.

    Raises:
        ValueError: if the format is unknown, a value is not finite, or a word contains white space and the format cannot hold it.
    """
    if form not in WRITERS:
        raise ValueError(f"format is {form!r}; expected one of {', '.join(WRITERS)}")
    matrix = np.ascontiguousarray(vectors.vectors, dtype="<f4")
    if not np.isfinite(matrix).all():
        row = int(np.flatnonzero(~np.isfinite(matrix).all(axis=1))[0])
        raise ValueError(f"the vector of {vectors.index_to_key[row]!r} is not finite; nothing was written to {path}")
    if form != "safetensors":
        for word in vectors.index_to_key:
            if len(word.split()) != 1 or word != word.strip():
                raise ValueError(f"the word {word!r} contains white space, which the format {form} cannot hold; use safetensors")
    with _written_whole(path) as file:
        WRITERS[form](vectors, matrix, file, about or {})


def _write_text(header: bool) -> Write:
    def write(vectors: WordVectors, matrix: np.ndarray, file: IO[bytes], about: dict[str, Any]) -> None:
        if header:
            file.write(f"{len(matrix)} {matrix.shape[1]}\n".encode())
        for word, row in zip(vectors.index_to_key, matrix, strict=True):
            # str of a float32 is the shortest text that reads back the same
            file.write(f"{word} {' '.join([str(value) for value in row])}\n".encode())

    return write


def _write_binary(vectors: WordVectors, matrix: np.ndarray, file: IO[bytes], about: dict[str, Any]) -> None:
    file.write(f"{len(matrix)} {matrix.shape[1]}\n".encode())
    for word, row in zip(vectors.index_to_key, matrix, strict=True):
        file.write(word.encode() + b" " + row.tobytes() + b"\n")


WRITERS: dict[str, Write] = {
    "safetensors": write_safetensors,
    "word2vec-text": _write_text(header=True),
    "word2vec-binary": _write_binary,
    "glove": _write_text(header=False),
}
"""Functions that write vectors, by format."""


def load(path: Path | str, form: str = "", *, limit: int | None = None, bad_words: Literal["refuse", "skip"] = "refuse") -> WordVectors:
    """Read vectors; without a format it is recognised by the content.

    Args:
        path: The file; all but safetensors may be compressed (.gz, .bz2, .xz).
        form: A format of `WRITERS`, "fasttext-bin" or "" to recognise it.
        limit: Number of words to read, the first ones; all if `None`.
        bad_words: Words that are not UTF-8, or repeated: an error | left out, with their number on standard error.

    Raises:
        ValueError: if the file cannot be read in this format.
    """
    path = Path(path)
    form = form or _guess(path)
    counts: np.ndarray | None = None
    subwords: Subwords | None = None
    if form == "safetensors":
        return read_safetensors(path, limit)
    if form == "fasttext-bin":
        words, rows, counts, subwords = read_fasttext_bin(path, limit)
    elif form == "word2vec-binary":
        words, rows = read_binary(path, limit)
    elif form in ("word2vec-text", "glove"):
        words, rows = read_text(path, form == "word2vec-text", limit)
    else:
        raise ValueError(f"format is {form!r}; expected one of {', '.join([*WRITERS, 'fasttext-bin'])}")
    kept, names = _good_words(path, words, bad_words)
    if len(kept) < len(words):
        rows, counts = rows[kept], None if counts is None else counts[kept]
    finite = np.isfinite(rows).all(axis=1)
    if not finite.all():
        first = int(np.argmin(finite))
        raise BadVectorFile(path, f"the vector of {names[first]!r} (word {kept[first] + 1}) holds NaN or infinity")
    return WordVectors(names, rows, counts, subwords)


def _good_words(path: Path, words: list[bytes], bad_words: Literal["refuse", "skip"]) -> tuple[list[int], list[str]]:
    """Return the places and the texts of the words that are UTF-8 and appear for the first time."""
    names: dict[str, int] = {}
    undecodable: list[int] = []
    repeated: list[int] = []
    for place, word in enumerate(words):
        try:
            name = word.decode("utf-8")
        except UnicodeDecodeError:
            undecodable.append(place)
            continue
        if names.setdefault(name, place) != place:
            repeated.append(place)
    if bad_words == "refuse" and (undecodable or repeated):
        place = min([*undecodable, *repeated])
        shown = repr(words[place].decode("utf-8", errors="replace"))
        problem = f"the word {shown} (word {place + 1}) is not UTF-8" if place in undecodable else f"the word {shown} appears twice"
        raise BadVectorFile(path, f"{problem}; load(..., bad_words='skip') leaves such words out")
    if not names:
        raise BadVectorFile(path, "none of its words is UTF-8")
    if undecodable or repeated:
        print(f"{path}: {len(undecodable)} words that are not UTF-8 and {len(repeated)} repeated ones were left out", file=sys.stderr)
    return list(names.values()), list(names)


def _guess(path: Path) -> str:
    """Return the format of a file by its content."""
    with open_bytes(path) as file, reading(path, "its beginning"):
        head = file.read(_GUESS_BYTES)
        if not head:
            raise BadVectorFile(path, "the file is empty")
        if head[:4] == MAGIC.to_bytes(4, "little"):
            return "fasttext-bin"
        if head[8:9] == b"{" and b'"vectors"' in head:
            return "safetensors"
        first, _, rest = head.partition(b"\n")
        header = header_of(first)
        if header is None:
            return "glove"
        if b"\n" not in rest:
            rest += file.read(_BYTES_OF_A_NUMBER * min(header[1], 1 << 16))
    return "word2vec-text" if is_text_row(rest.split(b"\n", 1)[0], header[1]) else "word2vec-binary"


@contextmanager
def _written_whole(path: Path) -> Iterator[IO[bytes]]:
    """Give a file to write that takes the place of `path` when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}-")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)  # mkstemp makes it private
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
