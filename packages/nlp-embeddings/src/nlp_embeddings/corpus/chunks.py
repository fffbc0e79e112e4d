"""The parts that a text is cut into: the scanner's table of chunks, the tokens of each chunk, and the words seen so far."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable

import numpy as np

from nlp_embeddings.corpus.scan_kernels import Table, Tokens, rehash
from nlp_embeddings.corpus.tokenizers import FULL_STOPS, Tokenizer, is_abbreviation

_SIMPLE_BOUND = 1 << 24  # tokens
_ENDS = ("!", "?", *FULL_STOPS)


class ChunkWords:
    """Words seen so far, in order of first sight, and the rules that make words of tokens.

    Args:
        tokenizer: Makes tokens of chunks.
        lowercase: Fold capitals.
        drop: Tokens that are not words, after lower-casing.
        change: Function applied to each token: a stemmer, a lemmatizer.

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
        """All words by id, without line breaks."""
        words = list(self.index)
        return words if "\n" not in "".join(words) else [word.replace("\n", " ") for word in words]

    def ids(self, tokens: Iterable[str]) -> list[int]:
        """Return the ids of tokens; dropped ones are left out, new ones entered."""
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
        """Return the ids of different tokens that are words unchanged: as `ids`, and several times as fast if all are new."""
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
    """The scanner's table of chunks, which grows when it is nearly full."""

    def __init__(self) -> None:
        self.arrays = Table(
            np.empty(1 << 17, dtype="<u8"),
            np.zeros((1 << 16, 2), dtype=np.uint64),
            np.zeros((1 << 15) + 1, dtype=np.int64),
            np.empty(1 << 15, dtype=np.int32),
            np.zeros(1, dtype=np.int64),
        )

    @property
    def num(self) -> int:
        """Number of chunks known."""
        return int(self.arrays.num[0])

    def texts(self, first: int) -> list[str]:
        """Return the chunks from number `first` on."""
        table = self.arrays
        begins = ((table.begins[first : self.num] - table.begins[first]) * 8).tolist()
        pool = table.pool[table.begins[first] : table.begins[self.num]].tobytes().decode("latin-1")  # a letter a byte
        lengths = table.lengths[first : self.num].tolist()
        pieces = [pool[begin : begin + length] for begin, length in zip(begins, lengths, strict=True)]
        return [piece if piece.isascii() else piece.encode("latin-1").decode("utf-8") for piece in pieces]

    def make_room(self, spare_bytes: int) -> None:
        """Double every array that is nearly full; a chunk may be as long as a whole block."""
        pool, entries, begins, lengths, count = self.arrays
        while len(pool) - begins[self.num] < max(spare_bytes // 8 + 1, len(pool) // 4):
            pool = np.concatenate([pool, np.empty_like(pool)])
        grown = self.num * 4 > len(entries)
        if grown:
            entries = np.zeros((len(entries) * 4, 2), dtype=np.uint64)
            lengths = np.concatenate([lengths, np.empty(len(entries) // 2 - len(lengths), dtype=np.int32)])
            begins = np.concatenate([begins, np.zeros(len(lengths) + 1 - len(begins), dtype=np.int64)])
        self.arrays = Table(pool, entries, begins, lengths, count)
        if grown:
            rehash(self.arrays)


class ChunkTokens:
    """The tokens of each chunk, and whether it ends a sentence.

    Args:
        vocabulary: Gives words their ids.
        by_line: Only line breaks end sentences.

    Attributes:
        num: Number of chunks known.
        widest: Most tokens of a chunk, at least 1.
    """

    def __init__(self, vocabulary: ChunkWords, by_line: bool) -> None:
        self.vocabulary, self.by_line = vocabulary, by_line
        self.num, self.widest = 0, 1
        self._single, self._begins = np.zeros(0, dtype=np.int32), np.zeros(1, dtype=np.int64)
        self._ids, self._flags = np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.uint8)

    @property
    def arrays(self) -> Tokens:
        """The tokens as `expand` takes them."""
        return Tokens(self._single, self._begins, self._ids, self._flags)

    def most_of(self, events: np.ndarray) -> int:
        """Return a bound of the number of tokens of some chunk numbers [M]; exact where the simple bound is large."""
        if len(events) * self.widest <= _SIMPLE_BOUND:
            return len(events) * self.widest
        chunks = events[events >= 0]
        return int((self._begins[chunks + 1] - self._begins[chunks]).sum()) + len(events)

    def add(self, chunks: list[str]) -> None:
        """Add new chunks, in the order of their numbers."""
        if not chunks:
            return
        numbers, sizes = self._tokens_of(chunks)
        self_ending = bool(self.vocabulary.tokenizer.inside[ord(".")])  # the full stop is part of the chunk
        marks = np.array([0] * len(chunks) if self.by_line else [_flag(text, self_ending) for text in chunks], dtype=np.uint8)
        ends = np.cumsum(sizes)
        first = np.array([*numbers, 0], dtype=np.int32)[ends - sizes]  # any id for chunks without a token
        self._single = np.concatenate([self._single, np.where(np.equal(sizes, 1), first * 4 + marks, -1)])
        self._begins = np.concatenate([self._begins, self._begins[-1] + ends])
        self._ids = np.concatenate([self._ids, np.array(numbers, dtype=np.int32)])
        self._flags = np.concatenate([self._flags, marks])
        self.num, self.widest = self.num + len(chunks), max(self.widest, *sizes)

    def _tokens_of(self, chunks: list[str]) -> tuple[list[int], list[int]]:
        """Return the ids of the tokens of all chunks, and the number of tokens of each chunk."""
        vocabulary, split = self.vocabulary, self.vocabulary.tokenizer.split
        one_token = vocabulary.tokenizer.name in ("whitespace", "regex")  # an ASCII chunk is one token, for "regex" if alphanumeric
        whole = vocabulary.tokenizer.name == "whitespace"
        unchanged = whole and not vocabulary.drop and vocabulary.change is None
        numbers: list[int] = []
        sizes: list[int] = []
        for plain, some in itertools.groupby(chunks, str.isascii):
            if plain and unchanged:
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
    """Return the flag of a chunk; see `Tokens`."""
    bare = text.strip("\"'”’)]([")
    if self_ending:
        return 2 if bare[-1:] in _ENDS or (bare[-1:] == "." and not is_abbreviation(bare[:-1])) else 0
    return 1 if is_abbreviation(bare) and bare != "i" else 0
