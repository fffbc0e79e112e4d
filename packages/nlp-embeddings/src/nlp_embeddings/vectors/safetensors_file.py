"""Word vectors in a safetensors file, read by memory mapping.

The file holds `vectors` [V, d], the UTF-8 bytes of all words one after the other in `words`, the end of each in `word_ends` [V], and
their `counts` [V] if known.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import IO, Any

import numpy as np

from nlp_embeddings.corpus.text_files import require_file
from nlp_embeddings.vectors.errors import BadVectorFile
from nlp_embeddings.vectors.word_vectors import WordVectors

_KIND = "nlp-embeddings word vectors"
_TYPES = {"F32": "<f4", "U8": "u1", "I64": "<i8"}
_MAX_HEADER_BYTES = 100_000_000


def write_safetensors(vectors: WordVectors, matrix: np.ndarray, file: IO[bytes], about: dict[str, Any]) -> None:
    """Write vectors; `about` is kept as metadata."""
    words = [word.encode("utf-8", errors="surrogatepass") for word in vectors.index_to_key]
    arrays = {
        "vectors": matrix,
        "words": np.frombuffer(b"".join(words), dtype=np.uint8),
        "word_ends": np.cumsum([len(word) for word in words], dtype="<i8"),
    }
    if vectors.counts is not None:
        arrays["counts"] = np.asarray(vectors.counts, dtype="<i8")
    names = {kind[1:] if kind[0] == "<" else kind: name for name, kind in _TYPES.items()}
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


def read_safetensors(path: Path, limit: int | None) -> WordVectors:
    """Read vectors by memory mapping.

    Args:
        path: The file.
        limit: Number of words to read; all if `None`.

    Raises:
        BadVectorFile: if the file is cut short, or does not hold word vectors.
    """
    require_file(path)
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 0 < length <= min(size - 8, _MAX_HEADER_BYTES):
            raise BadVectorFile(
                path, f"its header would be {length} bytes in a file of {size}; it is not a safetensors file, or was cut short"
            )
        try:
            header = json.loads(file.read(length))
            about = header["vectors"], header["words"], header["word_ends"], header.get("counts")
            vectors, words, ends, counts = (_mapped(path, entry, 8 + length, size) if entry else None for entry in about)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise BadVectorFile(path, f"its header does not describe word vectors ({error})") from error
    assert vectors is not None
    assert words is not None
    assert ends is not None
    if vectors.ndim != 2 or len(ends) != len(vectors) or (np.diff(ends, prepend=0) < 0).any() or ends[-1] != len(words):
        raise BadVectorFile(path, f"it has {len(ends)} words for vectors of shape {list(vectors.shape)}; one row for each word is needed")
    text, begins = words.tobytes(), [0, *ends.tolist()]
    names = [text[a:b].decode("utf-8", errors="surrogatepass") for a, b in itertools.pairwise(begins)][:limit]
    for start in range(0, len(vectors), 1 << 16):
        if not np.isfinite(vectors[start : start + (1 << 16)]).all():
            raise BadVectorFile(path, "a vector holds NaN or infinity")
    try:
        return WordVectors(names, vectors[:limit], None if counts is None else np.asarray(counts[:limit]))
    except ValueError as error:
        raise BadVectorFile(path, str(error)) from error


def _mapped(path: Path, entry: dict[str, Any], base: int, size: int) -> np.ndarray:
    """Map an array of the file."""
    dtype = _TYPES[entry["dtype"]]
    begin, end = entry["data_offsets"]
    shape = tuple(int(n) for n in entry["shape"])
    if base + end > size or begin < 0 or end - begin != int(np.prod(shape)) * np.dtype(dtype).itemsize:
        raise ValueError(f"the data of {shape} does not fit the file of {size} bytes; it was cut short")
    return np.memmap(path, dtype=dtype, mode="r", offset=base + begin, shape=shape)
