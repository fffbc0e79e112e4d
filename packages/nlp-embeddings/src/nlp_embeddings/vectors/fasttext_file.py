"""Facebook's fastText `.bin` files: word rows, buckets and settings of an unquantised model."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import IO

import numpy as np

from nlp_embeddings.corpus.subwords import subword_buckets
from nlp_embeddings.vectors.errors import BadVectorFile
from nlp_embeddings.vectors.word_vectors import WordVectors

MAGIC, VERSIONS = 793712314, (11, 12)
_WORD = 0  # type of an entry; 1 is a label


class _BucketVectors:
    """Vectors of unknown words from a whole matrix of buckets, trained or not, as fastText itself makes them."""

    def __init__(self, buckets: np.ndarray, shortest: int, longest: int) -> None:
        self.buckets, self.shortest, self.longest = buckets, shortest, longest

    def vector_of(self, word: str) -> np.ndarray | None:
        if not len(self.buckets):
            return None
        rows = subword_buckets(word, self.shortest, self.longest, len(self.buckets))
        return self.buckets[rows].mean(axis=0) if len(rows) else None


def read_fasttext_bin(path: Path) -> WordVectors:
    """Vectors of a `.bin` file; of a word the mean of its row and its n-grams' rows, as fastText gives them.

    Raises:
        BadVectorFile: if the file is cut short, is no such file, or is quantised.
    """
    with path.open("rb") as file:
        magic, version = _read(path, file, "<2i")
        if magic != MAGIC or version not in VERSIONS:
            raise BadVectorFile(path, f"begins with {magic}, {version}; a fastText model begins with {MAGIC}, 12")
        width, _, _, _, _, _, _, kind, num_buckets, shortest, longest, _ = _read(path, file, "<12i")
        _read(path, file, "<d")
        size, num_words, _ = _read(path, file, "<3i")
        _, num_pruned = _read(path, file, "<2q")
        if not (0 <= num_words <= size and 0 < width <= 1 << 16):
            raise BadVectorFile(path, f"promises {num_words} words of {size} entries with width {width}, which cannot be")
        if version == 11 and kind == 3:
            longest = 0  # as fastText reads old supervised models
        words, counts = [], []
        for _ in range(size):
            name = _name(path, file)
            count, entry = _read(path, file, "<qb")
            if entry == _WORD:
                words.append(name)
                counts.append(count)
        if num_pruned > 0:
            raise BadVectorFile(path, "is a pruned model; export vectors from fastText as .vec instead")
        if _read(path, file, "<?")[0]:
            raise BadVectorFile(path, "is a quantised model (.ftz); export vectors from fastText as .vec instead")
        num_rows, columns = _read(path, file, "<2q")
        if columns != width or num_rows < num_words:
            raise BadVectorFile(path, f"holds a matrix [{num_rows}, {columns}] for {num_words} words of width {width}")
        matrix = np.fromfile(file, dtype="<f4", count=num_rows * columns)
        if matrix.size != num_rows * columns:
            raise BadVectorFile(path, f"ends after {matrix.size} of {num_rows * columns} numbers; it was cut short")
    matrix = matrix.reshape(num_rows, columns)
    if not np.isfinite(matrix).all():
        raise BadVectorFile(path, "holds NaN or infinity")
    buckets = matrix[num_words : num_words + num_buckets]
    vectors = np.array(matrix[:num_words])
    if longest > 0:
        for number, word in enumerate(words):
            if word != "</s>":
                rows = subword_buckets(word, shortest, longest, num_buckets)
                vectors[number] = (vectors[number] + buckets[rows].sum(axis=0)) / (1 + len(rows))
    subwords = _BucketVectors(buckets, shortest, longest) if longest > 0 else None
    return WordVectors(words, vectors, np.array(counts, dtype=np.int64), subwords)


def _read(path: Path, file: IO[bytes], form: str) -> tuple:
    size = struct.calcsize(form)
    data = file.read(size)
    if len(data) != size:
        raise BadVectorFile(path, f"ends at byte {file.tell()} within its header; it was cut short")
    return struct.unpack(form, data)


def _name(path: Path, file: IO[bytes]) -> str:
    letters = bytearray()
    while (letter := file.read(1)) != b"\0":
        if not letter or len(letters) > 1 << 16:
            raise BadVectorFile(path, f"ends at byte {file.tell()} within its vocabulary; it was cut short")
        letters += letter
    return letters.decode("utf-8", errors="replace")
