"""What a text is cut into: the scanner's table of chunks, the tokens that each chunk becomes, and the words that these are."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable

import numpy as np

from nlp_embeddings.corpus.scan_kernels import rehash
from nlp_embeddings.corpus.tokenizers import Tokenizer, is_abbreviation


class Words:
    """Words seen so far, in order of first sight, and what becomes of a token on its way there.

    Args:
        tokenizer: Makes tokens of chunks.
        lowercase: Fold capitals.
        drop: Tokens that are no words, after lower-casing.
        change: Applied to each token: a stemmer, a lemmatiser.

    Attributes:
        index: Id of each word.
        counts: Occurrences by id, with room to spare [>= V], int64.
    """

    def __init__(self, tokenizer: Tokenizer, lowercase: bool, drop: frozenset[str], change: Callable[[str], str] | None) -> None:
        self.tokenizer, self.lowercase, self.drop, self.change = tokenizer, lowercase, drop, change
        self.index: dict[str, int] = {}
        self.counts = np.zeros(1 << 12, dtype=np.int64)

    @property
    def words(self) -> list[str]:
        """All words by id, on one line each."""
        words = list(self.index)
        return words if "\n" not in "".join(words) else [word.replace("\n", " ") for word in words]

    def ids(self, tokens: Iterable[str]) -> list[int]:
        """Ids of tokens; dropped ones are left out, new ones entered."""
        index, found = self.index, []
        for token in tokens:
            word = token.lower() if self.lowercase else token
            if word in self.drop:
                continue
            if self.change is not None:
                word = self.change(word)
            if not word:
                continue
            found.append(index.setdefault(word, len(index)))
        self._make_room()
        return found

    def ids_of_whole(self, words: Iterable[str]) -> list[int]:
        """Ids of different tokens that are words as they are: as `ids`, and several times as fast where all are new."""
        index, words = self.index, list(words)
        if index.keys().isdisjoint(words):
            found = list(range(len(index), len(index) + len(words)))
            index.update(zip(words, found, strict=True))
        else:
            found = [index.setdefault(word, len(index)) for word in words]
        self._make_room()
        return found

    def _make_room(self) -> None:
        if len(self.index) > len(self.counts):
            self.counts = np.concatenate([self.counts, np.zeros(len(self.index) * 2 - len(self.counts), dtype=np.int64)])


class ChunkTable:
    """The scanner's table of chunks; what its arrays hold is told at `scan`."""

    def __init__(self) -> None:
        self._pool = np.empty(1 << 17, dtype="<u8")
        self._entries = np.zeros((1 << 16, 2), dtype=np.uint64)
        self._begins = np.zeros((1 << 15) + 1, dtype=np.int64)
        self._lengths = np.empty(1 << 15, dtype=np.int32)
        self._num = np.zeros(1, dtype=np.int64)

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """What `scan` takes."""
        return self._pool, self._entries, self._begins, self._lengths, self._num

    @property
    def num(self) -> int:
        """Chunks known."""
        return int(self._num[0])

    def texts(self, first: int) -> list[str]:
        """Chunks from `first` on."""
        begins = ((self._begins[first : self.num] - self._begins[first]) * 8).tolist()
        pool = self._pool[self._begins[first] : self._begins[self.num]].tobytes().decode("latin-1")  # a letter a byte
        lengths = self._lengths[first : self.num].tolist()
        pieces = [pool[begin : begin + length] for begin, length in zip(begins, lengths, strict=True)]
        return [piece if piece.isascii() else piece.encode("latin-1").decode("utf-8") for piece in pieces]

    def make_room(self, spare_bytes: int) -> None:
        """Double whatever is near full; a chunk may be as long as a whole block."""
        while len(self._pool) - self._begins[self.num] < max(spare_bytes // 8 + 1, len(self._pool) // 4):
            self._pool = np.concatenate([self._pool, np.empty_like(self._pool)])
        if self.num * 4 > len(self._entries):
            self._entries = np.zeros((len(self._entries) * 4, 2), dtype=np.uint64)
            self._lengths = np.concatenate([self._lengths, np.empty(len(self._entries) // 2 - len(self._lengths), dtype=np.int32)])
            self._begins = np.concatenate([self._begins, np.zeros(len(self._lengths) + 1 - len(self._begins), dtype=np.int64)])
            rehash(self._entries, self._pool, self._begins, self._lengths, self.num)


class ChunkTokens:
    """The tokens that each chunk becomes, and whether it ends a sentence; what the arrays hold is told at `expand`.

    Args:
        vocabulary: Where their ids come from.
        by_line: Sentences end with lines, whatever chunks say.

    Attributes:
        num: Chunks known.
        widest: Most tokens of a chunk, at least 1.
    """

    def __init__(self, vocabulary: Words, by_line: bool) -> None:
        self.vocabulary, self.by_line = vocabulary, by_line
        self.num, self.widest = 0, 1
        self._single, self._begins = np.zeros(0, dtype=np.int32), np.zeros(1, dtype=np.int64)
        self._ids, self._flags = np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.uint8)

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """What `expand` takes."""
        return self._single, self._begins, self._ids, self._flags

    def add(self, chunks: list[str]) -> None:
        """Take in new chunks, in the order of their numbers."""
        if not chunks:
            return
        numbers, sizes = self._tokens_of(chunks)
        self_ending = bool(self.vocabulary.tokenizer.inside[ord(".")])  # the stop is part of the chunk: the chunk itself says that it ends
        marks = np.array([0] * len(chunks) if self.by_line else [_flag(text, self_ending) for text in chunks], dtype=np.uint8)
        ends = np.cumsum(sizes)
        first = np.array([*numbers, 0], dtype=np.int32)[ends - sizes]  # of the chunks that are no token, any
        self._single = np.concatenate([self._single, np.where(np.equal(sizes, 1), first * 4 + marks, -1)])
        self._begins = np.concatenate([self._begins, self._begins[-1] + ends])
        self._ids = np.concatenate([self._ids, np.array(numbers, dtype=np.int32)])
        self._flags = np.concatenate([self._flags, marks])
        self.num, self.widest = self.num + len(chunks), max(self.widest, *sizes)

    def _tokens_of(self, chunks: list[str]) -> tuple[list[int], list[int]]:
        """Ids of the tokens of all chunks, and how many each chunk has."""
        vocabulary, split = self.vocabulary, self.vocabulary.tokenizer.split
        one_token = vocabulary.tokenizer.name in ("whitespace", "regex")  # what an ASCII chunk is, for "regex" if it is alphanumeric
        whole = vocabulary.tokenizer.name == "whitespace"
        as_they_are = whole and not vocabulary.drop and vocabulary.change is None
        numbers: list[int] = []
        sizes: list[int] = []
        for plain, some in itertools.groupby(chunks, str.isascii):
            if plain and as_they_are:
                ids = vocabulary.ids_of_whole(some)
                numbers += ids
                sizes += [1] * len(ids)
                continue
            for text in some:
                one = one_token and plain and (whole or text.isalnum())
                ids = vocabulary.ids((text,) if one else split(text.replace("\ufeff", "")))
                numbers += ids
                sizes.append(len(ids))
        return numbers, sizes


def _flag(text: str, self_ending: bool) -> int:
    bare = text.strip("\"'”’)]([")
    if self_ending:
        return 2 if bare[-1:] in ("!", "?") or (bare[-1:] == "." and not is_abbreviation(bare[:-1])) else 0
    return 1 if is_abbreviation(bare) and bare != "i" else 0
