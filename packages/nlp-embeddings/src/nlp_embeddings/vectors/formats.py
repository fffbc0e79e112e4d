"""Files of word vectors: word2vec text and binary, GloVe text, fastText `.vec`, and the native safetensors, memory-mapped.

Whatever is written appears whole or not at all. Whatever is read is checked: a file that is cut short, a value that is no
number, a row of another width and a word that comes twice are refused with file and line.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from nlp_embeddings.corpus.text_files import open_bytes
from nlp_embeddings.vectors.errors import BadVectorFile
from nlp_embeddings.vectors.word_vectors import WordVectors

_KIND = "nlp-embeddings word vectors"


def save(vectors: WordVectors, path: Path, form: str, about: dict[str, Any] | None = None) -> None:
    """Write vectors in a format of `WRITERS`.

    Raises:
        ValueError: if the format is unknown, a value is not finite, or a word holds white space and the format cannot.
    """
    if form not in WRITERS:
        raise ValueError(f"format is {form!r}; it must be one of {', '.join(WRITERS)}")
    matrix = np.ascontiguousarray(vectors.vectors, dtype="<f4")
    if not np.isfinite(matrix).all():
        row = int(np.flatnonzero(~np.isfinite(matrix).all(axis=1))[0])
        raise ValueError(f"the vector of {vectors.index_to_key[row]!r} is not finite; nothing was written to {path}")
    if form != "safetensors":
        for word in vectors.index_to_key:
            if len(word.split()) != 1:
                raise ValueError(f"the word {word!r} holds white space, which the format {form} cannot; take safetensors")
    with _written_whole(path) as file:
        WRITERS[form](vectors, matrix, file, about or {})


def _write_text(header: bool) -> Callable[[WordVectors, np.ndarray, IO[bytes], dict[str, Any]], None]:
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


def _write_safetensors(vectors: WordVectors, matrix: np.ndarray, file: IO[bytes], about: dict[str, Any]) -> None:
    arrays = {"vectors": matrix, "words": np.frombuffer("\n".join(vectors.index_to_key).encode(), dtype=np.uint8)}
    if vectors.counts is not None:
        arrays["counts"] = np.asarray(vectors.counts, dtype="<i8")
    names = {"f4": "F32", "u1": "U8", "i8": "I64"}
    header: dict[str, Any] = {"__metadata__": {"format": _KIND, "about": json.dumps(about)}}
    end = 0
    for name, array in arrays.items():
        header[name] = {"dtype": names[array.dtype.str[1:]], "shape": list(array.shape), "data_offsets": [end, end + array.nbytes]}
        end += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 64 + 56)  # the data begins at a cache line
    file.write(len(text).to_bytes(8, "little") + text)
    for array in arrays.values():
        file.write(array.tobytes())


WRITERS: dict[str, Callable[[WordVectors, np.ndarray, IO[bytes], dict[str, Any]], None]] = {
    "safetensors": _write_safetensors,
    "word2vec-text": _write_text(header=True),
    "word2vec-binary": _write_binary,
    "glove": _write_text(header=False),
}


def load(path: Path | str, form: str = "", *, limit: int | None = None) -> WordVectors:
    """Read vectors; without a format it is told from the file.

    Args:
        path: The file; text and binary forms may be compressed (.gz, .bz2, .xz).
        form: A format of `WRITERS`, "fasttext-bin" or "" to find out.
        limit: Read only so many words, the first ones.

    Raises:
        ValueError: if the file is not what it should be.
    """
    path = Path(path)
    form = form or _guess(path)
    if form == "safetensors":
        return _read_safetensors(path, limit)
    if form == "fasttext-bin":
        from nlp_embeddings.vectors.fasttext_file import read_fasttext_bin

        return read_fasttext_bin(path)
    if form == "word2vec-binary":
        words, rows = _read_binary(path, limit)
    elif form in ("word2vec-text", "glove"):
        words, rows = _read_text(path, form == "word2vec-text", limit)
    else:
        raise ValueError(f"format is {form!r}; it must be one of {', '.join([*WRITERS, 'fasttext-bin'])}")
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(bad):
        raise BadVectorFile(path, f"the vector of {words[bad[0]]!r} (word {bad[0] + 1}) holds NaN or infinity")
    try:
        return WordVectors(words, rows)
    except ValueError as error:
        raise BadVectorFile(path, str(error)) from error


def _guess(path: Path) -> str:
    with open_bytes(path) as file:
        head = file.read(1 << 16)
    if not head:
        raise BadVectorFile(path, "the file is empty")
    if head[:4] == (793712314).to_bytes(4, "little"):
        return "fasttext-bin"
    if head[8:9] == b"{" and b'"vectors"' in head:
        return "safetensors"
    first, _, rest = head.partition(b"\n")
    if len(first.split()) == 2 and all(part.isdigit() for part in first.split()):
        line = rest.split(b"\n", 1)[0].split()
        return "word2vec-text" if len(line) == int(first.split()[1]) + 1 and _is_number(line[-1]) else "word2vec-binary"
    return "glove"


def _is_number(text: bytes) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _header(path: Path, line: bytes) -> tuple[int, int]:
    parts = line.split()
    if len(parts) != 2 or not all(part.isdigit() for part in parts):
        raise BadVectorFile(path, f"the first line is {line[:40]!r}; it must give the number of words and their width, like b'1000 100'")
    if int(parts[0]) > 1 << 32 or not 0 < int(parts[1]) <= 1 << 16:
        raise BadVectorFile(path, f"the first line promises {int(parts[0])} words of width {int(parts[1])}, which no file holds")
    return int(parts[0]), int(parts[1])


def _read_text(path: Path, header: bool, limit: int | None) -> tuple[list[str], np.ndarray]:
    words: list[str] = []
    rows: list[np.ndarray] = []
    with open_bytes(path) as file:
        count, width = _header(path, file.readline()) if header else (None, 0)
        for number, line in enumerate(file, 2 if header else 1):
            if limit is not None and len(words) >= limit:
                break
            if not line.strip():
                continue
            # GloVe's words may hold spaces: split from the right
            parts = line.split() if header or not width else line.rstrip(b" \r\n").rsplit(b" ", width)
            width = width or len(parts) - 1
            try:
                row = np.array(parts[1:], dtype=np.float32) if len(parts) == width + 1 else None
            except ValueError:
                row = None
            if row is None:
                raise BadVectorFile(path, f"line {number} does not hold a word and {width} numbers: {line[:60]!r}")
            words.append(parts[0].decode("utf-8", errors="replace"))
            rows.append(row)
    expected = count if limit is None else None
    if expected is not None and len(words) != expected:
        raise BadVectorFile(path, f"the first line promises {expected} words, and {len(words)} are there; is the file whole?")
    if not rows:
        raise BadVectorFile(path, "there are no vectors in it")
    return words, np.stack(rows)


def _read_binary(path: Path, limit: int | None) -> tuple[list[str], np.ndarray]:
    words: list[str] = []
    with open_bytes(path) as file:
        count, width = _header(path, file.readline(100))
        count = count if limit is None else min(count, limit)
        size = 4 * width
        rows = np.empty((min(count, 1 << 20), width), dtype=np.float32)
        buffer, position = b"", 0
        for number in range(count):
            while (space := buffer.find(b" ", position)) < 0 or len(buffer) < space + 1 + size:
                block = file.read(max(1 << 22, size))
                if not block:
                    raise BadVectorFile(path, f"the file ends within word {number + 1} of {count}; it was cut short")
                buffer, position = buffer[position:] + block, 0
            if number == len(rows):
                rows = np.concatenate([rows, np.empty_like(rows)])
            words.append(buffer[position:space].lstrip(b"\n").decode("utf-8", errors="replace"))
            rows[number] = np.frombuffer(buffer, dtype="<f4", count=width, offset=space + 1)
            position = space + 1 + size
    if not words:
        raise BadVectorFile(path, "there are no vectors in it")
    return words, rows[: len(words)]


def _read_safetensors(path: Path, limit: int | None) -> WordVectors:
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 0 < length <= min(size - 8, 100_000_000):
            raise BadVectorFile(
                path, f"its header would be {length} bytes in a file of {size}; it is no safetensors file, or was cut short"
            )
        try:
            header = json.loads(file.read(length))
            about = header["vectors"], header["words"], header.get("counts")
            arrays = [_mapped(path, entry, 8 + length, size) if entry else None for entry in about]
        except (ValueError, KeyError, TypeError) as error:
            raise BadVectorFile(path, f"its header does not describe word vectors ({error})") from error
    vectors, words, counts = arrays
    assert vectors is not None
    assert words is not None
    names = words.tobytes().decode("utf-8").split("\n")
    if len(names) != len(vectors):
        raise BadVectorFile(path, f"{len(names)} words came with {len(vectors)} vectors")
    for start in range(0, len(vectors), 1 << 16):
        if not np.isfinite(vectors[start : start + (1 << 16)]).all():
            raise BadVectorFile(path, "a vector holds NaN or infinity")
    try:
        return WordVectors(names[:limit], vectors[:limit], None if counts is None else np.asarray(counts[:limit]))
    except ValueError as error:
        raise BadVectorFile(path, str(error)) from error


def _mapped(path: Path, entry: dict[str, Any], base: int, size: int) -> np.ndarray:
    dtype = {"F32": "<f4", "U8": "u1", "I64": "<i8"}[entry["dtype"]]
    begin, end = entry["data_offsets"]
    shape = tuple(int(n) for n in entry["shape"])
    if base + end > size or begin < 0 or end - begin != int(np.prod(shape)) * np.dtype(dtype).itemsize:
        raise ValueError(f"the data of {shape} does not fit the file of {size} bytes; it was cut short")
    return np.memmap(path, dtype=dtype, mode="r", offset=base + begin, shape=shape)


@contextmanager
def _written_whole(path: Path) -> Iterator[IO[bytes]]:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
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
