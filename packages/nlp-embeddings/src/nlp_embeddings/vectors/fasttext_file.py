"""Facebook's fastText `.bin` files: word rows, buckets and settings of an unquantised model; may be compressed."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import IO

import numpy as np

from nlp_embeddings.corpus.subwords import subword_buckets
from nlp_embeddings.corpus.text_files import open_bytes, reading
from nlp_embeddings.vectors.errors import BadVectorFile

MAGIC, VERSIONS = 793712314, (11, 12)
_WORD = 0  # type of an entry; 1 is a label
_ENTRY_BYTES = 10  # of the shortest entry of the vocabulary
_PIECE_BYTES = 1 << 24
_LONGEST_NGRAM = 1 << 16


class BucketVectors:
    """Vectors of unknown words from a whole matrix of buckets, trained or not, as in fastText itself.

    Args:
        buckets: Vectors of the buckets [B, d].
        shortest: Letters of the shortest n-gram.
        longest: Letters of the longest.
    """

    def __init__(self, buckets: np.ndarray, shortest: int, longest: int) -> None:
        self.buckets, self.shortest, self.longest = buckets, shortest, longest

    def vector_of(self, word: str) -> np.ndarray | None:
        """Return the mean of the vectors of a word's n-grams [d]; `None` if it has none."""
        rows = subword_buckets(word, self.shortest, self.longest, len(self.buckets))
        return self.buckets[rows].mean(axis=0) if len(rows) else None


class _Reader:
    """The bytes of a model file, with the number of those that are left where it is known."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self.path, self.file, self.position = path, file, 0
        compressed = path.suffix.lower() in (".gz", ".bz2", ".xz")
        self.size = None if compressed else path.stat().st_size

    def take(self, count: int, part: str) -> bytes:
        """Read so many bytes.

        Raises:
            BadVectorFile: if the file ends before.
        """
        self.require(count, part)
        pieces = []
        left = count
        while left:
            piece = self.file.read(min(left, _PIECE_BYTES))
            if not piece:
                raise BadVectorFile(self.path, f"ends at byte {self.position} within its {part}; it was cut short")
            pieces.append(piece)
            left -= len(piece)
            self.position += len(piece)
        return b"".join(pieces)

    def skip(self, count: int, part: str) -> None:
        """Read so many bytes and forget them."""
        self.require(count, part)
        while count:
            count -= len(self.take(min(count, _PIECE_BYTES), part))

    def require(self, count: int, part: str) -> None:
        """Check that so many bytes can be left in the file, before anything is allocated for them."""
        if count < 0 or (self.size is not None and count > self.size - self.position):
            end = f"ends at byte {self.size}" if self.size is not None else "ends"
            raise BadVectorFile(self.path, f"{end} within its {part}, which would take {count} bytes; it was cut short")

    def numbers(self, form: str, part: str) -> tuple:
        """Read numbers of a form of `struct`."""
        return struct.unpack(form, self.take(struct.calcsize(form), part))

    def text(self) -> bytes:
        """Read up to a zero byte."""
        letters = bytearray()
        while (letter := self.take(1, "vocabulary")) != b"\0":
            letters += letter
            if len(letters) > 1 << 16:
                raise BadVectorFile(self.path, f"has a word longer than {1 << 16} bytes; it is damaged")
        return bytes(letters)


def read_fasttext_bin(path: Path, limit: int | None = None) -> tuple[list[bytes], np.ndarray, np.ndarray, BucketVectors | None]:
    """Read a `.bin` file; the vector of a word is the mean of its row and its n-grams' rows, as in fastText.

    Args:
        path: The file.
        limit: Number of words to read, the first ones; all if `None`. Vectors of unknown words are made of all buckets anyway.

    Returns:
        Words, their vectors [V, d], their counts [V], and the vectors of the buckets if the model has n-grams.

    Raises:
        BadVectorFile: if the file is cut short, is not such a file, or is quantised.
    """
    with open_bytes(path) as file, reading(path, lambda: f"byte {reader.position}"):
        reader = _Reader(path, file)
        magic, version = reader.numbers("<2i", "header")
        if magic != MAGIC or version not in VERSIONS:
            raise BadVectorFile(path, f"begins with {magic}, {version}; a fastText model begins with {MAGIC}, 12")
        width, _, _, _, _, _, _, kind, num_buckets, shortest, longest, _ = reader.numbers("<12i", "header")
        reader.numbers("<d", "header")
        size, num_words, _ = reader.numbers("<3i", "header")
        _, num_pruned = reader.numbers("<2q", "header")
        if not (0 <= num_words <= size and 0 < width <= 1 << 16 and shortest >= 0 and longest <= _LONGEST_NGRAM and num_buckets >= 0):
            raise BadVectorFile(path, f"promises {num_words} words of {size} entries with width {width}, which is not plausible")
        reader.require(size * _ENTRY_BYTES, "vocabulary")
        if version == 11 and kind == 3:
            longest = 0  # as fastText reads old supervised models
        words, counts = _vocabulary(reader, size)
        if num_pruned > 0:
            raise BadVectorFile(path, "is a pruned model; export vectors from fastText as .vec instead")
        if reader.numbers("<?", "header")[0]:
            raise BadVectorFile(path, "is a quantised model (.ftz); export vectors from fastText as .vec instead")
        num_rows, columns = reader.numbers("<2q", "header")
        needed = len(words) + (num_buckets if longest > 0 else 0)
        if columns != width or num_rows < needed or len(words) != num_words or (longest > 0 and num_buckets == 0):
            raise BadVectorFile(
                path, f"holds a matrix [{num_rows}, {columns}] for {num_words} words and {num_buckets} buckets of width {width}"
            )
        reader.require(num_rows * columns * 4, "matrix")
        kept = len(words) if limit is None else min(limit, len(words))
        vectors = _rows(reader, kept, width)
        reader.skip((len(words) - kept) * width * 4, "matrix")
        buckets = _rows(reader, num_buckets if longest > 0 else 0, width)
        reader.skip((num_rows - needed) * width * 4, "matrix")
    if not np.isfinite(buckets).all():
        raise BadVectorFile(path, "a bucket's vector holds NaN or infinity")
    words = words[:kept]
    if longest > 0:
        for number, word in enumerate(words):
            if word != b"</s>":
                rows = subword_buckets(word.decode("utf-8", errors="replace"), shortest, longest, num_buckets)
                vectors[number] = (vectors[number] + buckets[rows].sum(axis=0)) / (1 + len(rows))
    subwords = BucketVectors(buckets, shortest, longest) if longest > 0 else None
    return words, vectors, np.array(counts[:kept], dtype=np.int64), subwords


def _vocabulary(reader: _Reader, size: int) -> tuple[list[bytes], list[int]]:
    """Read words and their counts; labels are left out."""
    words, counts = [], []
    for _ in range(size):
        name = reader.text()
        count, entry = reader.numbers("<qb", "vocabulary")
        if entry == _WORD:
            words.append(name)
            counts.append(count)
    return words, counts


def _rows(reader: _Reader, count: int, width: int) -> np.ndarray:
    """Read rows of the matrix [count, width]."""
    return np.frombuffer(reader.take(count * width * 4, "matrix"), dtype="<f4").reshape(count, width).copy()
