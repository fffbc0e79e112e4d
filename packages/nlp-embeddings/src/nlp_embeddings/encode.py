"""A corpus on disk: one pass over the text gives a memory-mapped file of word ids, sentence starts and a vocabulary.

Ids are ranks by frequency (0 is the most frequent word; ties go to the word seen first), so a minimum count is nothing but
a bound on ids. Strings are never touched again after this pass, and a position in the corpus is one integer.
"""

from __future__ import annotations

import itertools
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np

from nlp_embeddings.scan_kernels import PADDING, expand, rehash, scan
from nlp_embeddings.text_files import blocks_of_file, blocks_of_texts, corpus_files
from nlp_embeddings.tokenizers import TOKENIZERS, Tokenizer, is_abbreviation

FORMAT = 1
MAX_SENTENCE_WORDS = 10_000  # a longer sentence (a text without line breaks) is cut, and nothing of it is dropped
_OUT_EVENTS = 1 << 20
_RENUMBERED = 1 << 16  # ids at once: few enough for the processor's cache


class Corpus:
    """An encoded corpus, memory-mapped.

    Args:
        folder: What `encode` wrote.

    Attributes:
        ids: Word ids of the whole text [N], int32.
        starts: Where each sentence starts in `ids` [S + 1], int64; the last entry is N.
        words: The vocabulary by id.
        counts: Occurrences by id [V], int64, never rising.
    """

    def __init__(self, folder: Path) -> None:
        about = json.loads((folder / "corpus.json").read_text(encoding="utf-8"))
        if about["format"] != FORMAT:
            raise ValueError(f"{folder} holds an encoded corpus of format {about['format']}; this version reads {FORMAT}: encode it anew")
        self.folder = folder
        self.words: list[str] = (folder / "words.txt").read_text(encoding="utf-8").split("\n")
        self.counts = np.fromfile(folder / "counts.bin", dtype="<i8")
        self.ids = np.memmap(folder / "ids.bin", dtype="<i4", mode="r")
        self.starts = np.memmap(folder / "starts.bin", dtype="<i8", mode="r")

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def num_sentences(self) -> int:
        """S."""
        return len(self.starts) - 1

    def sentences(self) -> Iterator[list[str]]:
        """Every sentence as its words; what other libraries take as a corpus."""
        for start, end in zip(self.starts[:-1], self.starts[1:], strict=True):
            yield [self.words[index] for index in self.ids[start:end]]


def encode(
    source: Path | Iterable[str],
    folder: Path,
    *,
    tokenizer: str | Callable[[str], list[str]] = "regex",
    lowercase: bool = True,
    sentences: Literal["line", "punctuation"] = "line",
    drop: frozenset[str] = frozenset(),
    change: Callable[[str], str] | None = None,
    undecodable: Literal["refuse", "replace"] = "refuse",
) -> Corpus:
    """The corpus encoded into `folder`, which appears whole or not at all.

    Args:
        source: A file, a folder of files, a compressed file, or an iterable of texts (each ends a sentence).
        folder: Where to; replaced if it exists.
        tokenizer: A name of `TOKENIZERS`, or a function from a line to its tokens.
        lowercase: Fold capitals.
        sentences: What ends a sentence: every line, or `.!?` and blank lines.
        drop: Words left out, after lower-casing.
        change: Applied to each different word: a stemmer, a lemmatiser.
        undecodable: "refuse" or "replace" bytes that are not UTF-8.

    Raises:
        ValueError: if the corpus holds no words, or cannot be read.
    """
    if isinstance(source, Path | str):
        blocks, name = _blocks_of_files(corpus_files(Path(source)), undecodable), str(source)
    else:
        blocks, name = blocks_of_texts(source), "the iterable"
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        vocabulary = _Words(tokenizer if isinstance(tokenizer, Tokenizer) else _named(tokenizer), lowercase, drop, change)
        with (work / "ids.bin").open("wb") as ids_file, (work / "starts.bin").open("wb") as starts_file:
            if callable(tokenizer) and not isinstance(tokenizer, str):
                pieces = _python_pieces(blocks, tokenizer, vocabulary)
            else:
                pieces = _scanned_pieces(blocks, vocabulary, sentences)
            total = _write_pieces(pieces, ids_file, starts_file)
        if total == 0:
            raise ValueError(f"{name} holds no words (tokenizer {getattr(tokenizer, '__name__', tokenizer)}); a corpus needs at least one")
        _renumber(work, vocabulary)
        (work / "corpus.json").write_text(json.dumps({"format": FORMAT, "words": total, "vocabulary": len(vocabulary.index)}))
        if folder.exists():
            shutil.rmtree(folder)
        work.rename(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return Corpus(folder)


def _blocks_of_files(files: list[Path], undecodable: Literal["refuse", "replace"]) -> Iterator[bytes]:
    for file in files:
        yield from blocks_of_file(file, undecodable=undecodable)
        yield b"\n\n"


def _named(tokenizer: Any) -> Tokenizer:
    if isinstance(tokenizer, str) and tokenizer not in TOKENIZERS:
        raise ValueError(f"tokenizer is {tokenizer!r}; it must be one of {', '.join(TOKENIZERS)}, or a function from a line to its tokens")
    return TOKENIZERS[tokenizer] if isinstance(tokenizer, str) else TOKENIZERS["whitespace"]


class _Words:
    """Words seen so far, in order of first sight, and what becomes of a token on its way there."""

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


def _scanned_pieces(blocks: Iterable[bytes], vocabulary: _Words, sentences: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(ids, sentence ends relative to them) of block after block, through the compiled scanner."""
    tokenizer = vocabulary.tokenizer
    by_line = sentences == "line"
    self_ending = not by_line and bool(tokenizer.inside[ord(".")])  # the stop is part of the chunk: the chunk itself says that it ends
    table = _ChunkTable()
    out = np.empty(_OUT_EVENTS, dtype=np.int32)
    state, open_words = np.zeros(2, dtype=np.int64), np.array([0, -1])
    token_begin, token_ids, flags = np.zeros(1, dtype=np.int64), np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.uint8)
    single = np.zeros(0, dtype=np.int32)
    one_token = tokenizer.name in ("whitespace", "regex")  # what an ASCII chunk is, for "regex" if it is letters and digits alone
    whole = tokenizer.name == "whitespace"
    as_they_are = whole and not vocabulary.drop and vocabulary.change is None
    known, widest = 0, 1
    for block in blocks:
        inside = np.frombuffer(block.translate(tokenizer.inside) + PADDING, dtype=np.uint8)
        data = np.frombuffer((block.lower() if vocabulary.lowercase else block) + PADDING, dtype=np.uint8)  # ASCII capitals alone
        position = 0
        while position < len(block):
            position, n_out = scan(data, inside, position, by_line, state, out, *table.arrays)
            numbers: list[int] = []
            sizes: list[int] = []
            texts = table.texts(known)
            for plain, some in itertools.groupby(texts, str.isascii):
                if plain and as_they_are:
                    ids = vocabulary.ids_of_whole(some)
                    numbers += ids
                    sizes += [1] * len(ids)
                    continue
                for text in some:
                    one = one_token and plain and (whole or text.isalnum())
                    ids = vocabulary.ids((text,) if one else tokenizer.split(text.replace("\ufeff", "")))
                    numbers += ids
                    sizes.append(len(ids))
            marks = [0] * len(texts) if by_line else [_flag(text, self_ending) for text in texts]
            if sizes:
                widest = max(widest, *sizes)
                ends, marked = np.cumsum(sizes), np.array(marks, dtype=np.uint8)
                first = np.array([*numbers, 0], dtype=np.int32)[ends - sizes]  # of the chunks that are no token, any
                single = np.concatenate([single, np.where(np.equal(sizes, 1), first * 4 + marked, -1)])
                token_begin = np.concatenate([token_begin, token_begin[-1] + ends])
                token_ids = np.concatenate([token_ids, np.array(numbers, dtype=np.int32)])
                flags = np.concatenate([flags, marked])
            known = table.num
            ids_out = np.empty(n_out * widest, dtype=np.int32)
            ends_out = np.empty(n_out * widest + 1, dtype=np.int64)
            n_ids, n_ends = expand(
                out, n_out, single, token_begin, token_ids, flags, open_words, MAX_SENTENCE_WORDS, ids_out, ends_out, vocabulary.counts
            )
            yield ids_out[:n_ids], ends_out[:n_ends]
            if position < len(block):
                table.make_room(len(block))  # whatever was too long for the table fits now


def _flag(text: str, self_ending: bool) -> int:
    bare = text.strip("\"'”’)]([")
    if self_ending:
        return 2 if bare[-1:] in ("!", "?") or (bare[-1:] == "." and not is_abbreviation(bare[:-1])) else 0
    return 1 if is_abbreviation(bare) and bare != "i" else 0


class _ChunkTable:
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


def _python_pieces(
    blocks: Iterable[bytes], tokenizer: Callable[[str], list[str]], vocabulary: _Words
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """As `_scanned_pieces`, line by line through any function; every line is a sentence."""
    rest = ""
    for block in blocks:
        lines = (rest + block.decode("utf-8")).split("\n")
        rest = lines.pop()
        yield _piece(lines, tokenizer, vocabulary)
    yield _piece([rest], tokenizer, vocabulary)


def _piece(lines: list[str], tokenizer: Callable[[str], list[str]], vocabulary: _Words) -> tuple[np.ndarray, np.ndarray]:
    ids: list[int] = []
    ends = []
    for line in lines:
        found = vocabulary.ids(tokenizer(line))
        if found:
            ids.extend(found)
            ends.append(len(ids))
    array = np.array(ids, dtype=np.int32)
    vocabulary.counts[: len(vocabulary.index)] += np.bincount(array, minlength=len(vocabulary.index))
    return array, np.array(ends, dtype=np.int64)


def _write_pieces(pieces: Iterable[tuple[np.ndarray, np.ndarray]], ids_file: Any, starts_file: Any) -> int:
    """Ids and sentence starts to disk; the number of words."""
    total, last = 0, 0
    np.zeros(1, dtype="<i8").tofile(starts_file)
    for ids, ends in pieces:
        ids.tofile(ids_file)
        if len(ends):
            (ends + total).tofile(starts_file)
            last = int(ends[-1]) + total
        total += len(ids)
    if total > last:
        np.array([total], dtype="<i8").tofile(starts_file)
    return total


def _renumber(work: Path, vocabulary: _Words) -> None:
    """Ids by first sight become ids by frequency, in place, and the vocabulary is written."""
    words = vocabulary.words
    counts = vocabulary.counts[: len(words)]
    order = np.argsort(-counts, kind="stable")
    rank = np.empty(len(order), dtype=np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    with (work / "ids.bin").open("r+b") as file:
        while len(ids := np.fromfile(file, dtype="<i4", count=_RENUMBERED)):
            file.seek(-ids.nbytes, 1)
            rank[ids].tofile(file)
    counts[order].astype("<i8").tofile(work / "counts.bin")
    (work / "words.txt").write_text("\n".join(np.array(words, dtype=object)[order]), encoding="utf-8")
