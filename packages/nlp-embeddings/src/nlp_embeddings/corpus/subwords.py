"""N-grams of letters of words, hashed into buckets as in fastText.

Source: Bojanowski, Grave, Joulin, Mikolov, "Enriching Word Vectors with Subword Information", 2017; the hash is that of the
authors' program: 32-bit FNV-1a with every byte sign-extended first, so that it differs from plain FNV-1a beyond ASCII.
Departures: buckets without an n-gram of the vocabulary are not kept, and the vector of an unknown word is the mean of kept
ones only; in fastText the others hold random numbers that were never trained and add noise to that vector.
"""

from __future__ import annotations

import numpy as np

from rl_core.compiling import jit


def subword_hash(text: str) -> int:
    """Return the hash of an n-gram, 32 bits; the reference implementation of the compiled one.

    Example:
        >>> subword_hash("where"), subword_hash("<wh"), subword_hash("é"), subword_hash("<naï")
        (90969176, 1048167652, 1023043777, 785907692)
    """
    value = 2166136261
    for byte in text.encode("utf-8"):
        extended = byte if byte < 128 else byte | 0xFFFFFF00  # as a signed char becomes an unsigned int
        value = ((value ^ extended) * 16777619) & 0xFFFFFFFF
    return value


def subwords(word: str, shortest: int = 3, longest: int = 6) -> list[str]:
    """Return the n-grams of `<word>` by code points, without the single brackets.

    Example:
        >>> subwords("as")
        ['<as', '<as>', 'as>']
    """
    framed = f"<{word}>"
    found = []
    for start in range(len(framed)):
        for length in range(shortest, longest + 1):
            end = start + length
            if end <= len(framed) and not (length == 1 and (start == 0 or end == len(framed))):
                found.append(framed[start:end])
    return found


def subword_buckets(word: str, shortest: int, longest: int, num_buckets: int) -> np.ndarray:
    """Return the bucket of each n-gram of a word, in order.

    Example:
        >>> subword_buckets("as", 3, 6, 2_000_000).tolist()
        [1429031, 419163, 1039177]
    """
    pool = np.frombuffer(f"<{word}>".encode(), dtype=np.uint8)
    return _buckets(pool, np.array([0, len(pool)]), shortest, longest, num_buckets)[0]


class SubwordTable:
    """The rows of a matrix that make up each word: its own row, then one for each bucket of its n-grams.

    Args:
        words: V words; row i is word i's own.
        shortest: Letters of the shortest n-gram, brackets included; 0 for none.
        longest: Letters of the longest.
        num_buckets: Buckets of the hash.

    Attributes:
        buckets: Different buckets in use, sorted [U]; bucket k's row is V + k.
        begins: First of each word's rows in `rows` [V + 1].
        rows: Rows of all words, one after the other.
    """

    def __init__(self, words: list[str], shortest: int, longest: int, num_buckets: int) -> None:
        self.shortest, self.longest, self.num_buckets = shortest, longest, num_buckets
        pieces = [f"<{word}>".encode() for word in words]
        begins = np.concatenate([[0], np.cumsum([len(piece) for piece in pieces], dtype=np.int64)])
        found, ends = _buckets(np.frombuffer(b"".join(pieces), dtype=np.uint8), begins, shortest, longest, num_buckets)
        self.num_words = len(words)
        self.buckets, number = np.unique(found, return_inverse=True)
        self.begins = ends + np.arange(len(words) + 1)
        self.rows = np.empty(self.begins[-1], dtype=np.int64)
        own = self.begins[:-1]
        self.rows[own] = np.arange(len(words))
        inner = np.ones(len(self.rows), dtype=bool)
        inner[own] = False
        self.rows[inner] = number.ravel() + len(words)

    @property
    def num_rows(self) -> int:
        """V + U."""
        return self.num_words + len(self.buckets)

    def rows_of_unknown(self, word: str) -> np.ndarray:
        """Return the rows of those n-grams of an unknown word that words of the vocabulary have too."""
        found = subword_buckets(word, self.shortest, self.longest, self.num_buckets)
        place = np.searchsorted(self.buckets, found)
        place = (
            place[(place < len(self.buckets)) & (self.buckets[np.minimum(place, len(self.buckets) - 1)] == found)] if len(found) else place
        )
        return place + self.num_words


class SubwordVectors:
    """Vectors of unknown words from a table and its matrix.

    Args:
        table: Rows of each word.
        matrix: [V + U, d].
    """

    def __init__(self, table: SubwordTable, matrix: np.ndarray) -> None:
        self.table, self.matrix = table, matrix

    def vector_of(self, word: str) -> np.ndarray | None:
        """Return the mean of the rows of a word's known n-grams [d]; `None` if there are none."""
        rows = self.table.rows_of_unknown(word)
        return self.matrix[rows].mean(axis=0) if len(rows) else None


def mean_rows(matrix: np.ndarray, table: SubwordTable) -> np.ndarray:
    """Return the vectors of the table's words [V, d], each the mean of its rows."""
    vectors = np.empty((table.num_words, matrix.shape[1]), dtype=np.float32)
    for first in range(0, table.num_words, 4096):
        begins = table.begins[first : first + 4097]
        sums = np.add.reduceat(matrix[table.rows[begins[0] : begins[-1]]], begins[:-1] - begins[0], axis=0)
        vectors[first : first + 4096] = sums / np.diff(begins)[:, None]
    return vectors


@jit(nogil=True)
def _buckets(pool, begins, shortest, longest, num_buckets):
    """Return the buckets of the n-grams of framed words (UTF-8, one after the other), and the end of each word's [V + 1]."""
    found = np.empty(16, np.int64)
    ends = np.zeros(len(begins), np.int64)
    count = 0
    for word in range(len(begins) - 1):
        first, last = begins[word], begins[word + 1]
        for start in range(first, last):
            if pool[start] & 0xC0 == 0x80:  # within a character
                continue
            value, length, end = np.uint32(2166136261), 0, start
            while end < last and length < longest:
                while True:
                    value = np.uint32((value ^ np.uint32(np.int8(pool[end]))) * np.uint32(16777619))
                    end += 1
                    if end >= last or pool[end] & 0xC0 != 0x80:
                        break
                length += 1
                if length >= shortest and not (length == 1 and (start == first or end == last)):
                    if count == len(found):
                        larger = np.empty(2 * count, np.int64)
                        for known in range(count):
                            larger[known] = found[known]
                        found = larger
                    found[count] = value % np.uint32(num_buckets)
                    count += 1
        ends[word + 1] = count
    return found[:count].copy(), ends
