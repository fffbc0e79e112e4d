"""A corpus on disk: one pass over the text gives a memory-mapped file of word ids, sentence starts and a vocabulary.

Ids are ranks by frequency (0 is the most frequent word; ties go to the word seen first), so a minimum count is nothing but
a bound on ids. Strings are never touched again after this pass, and a position in the corpus is one integer.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np

from nlp_embeddings.corpus.chunks import ChunkTable, ChunkTokens, Words
from nlp_embeddings.corpus.scan_kernels import PADDING, expand, scan
from nlp_embeddings.corpus.text_files import blocks_of_file, blocks_of_texts, corpus_files
from nlp_embeddings.corpus.tokenizers import TOKENIZERS, Tokenizer

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
        vocabulary = Words(tokenizer if isinstance(tokenizer, Tokenizer) else _named(tokenizer), lowercase, drop, change)
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


def _scanned_pieces(blocks: Iterable[bytes], vocabulary: Words, sentences: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(ids, sentence ends relative to them) of block after block, through the compiled scanner."""
    by_line, members = sentences == "line", vocabulary.tokenizer.inside
    table, tokens = ChunkTable(), ChunkTokens(vocabulary, by_line)
    out = np.empty(_OUT_EVENTS, dtype=np.int32)
    state, open_words = np.zeros(2, dtype=np.int64), np.array([0, -1])
    for block in blocks:
        inside = np.frombuffer(block.translate(members) + PADDING, dtype=np.uint8)
        data = np.frombuffer((block.lower() if vocabulary.lowercase else block) + PADDING, dtype=np.uint8)  # ASCII capitals alone
        position = 0
        while position < len(block):
            position, n_out = scan(data, inside, position, by_line, state, out, *table.arrays)
            tokens.add(table.texts(tokens.num))
            ids = np.empty(n_out * tokens.widest, dtype=np.int32)
            ends = np.empty(n_out * tokens.widest + 1, dtype=np.int64)
            n_ids, n_ends = expand(out, n_out, *tokens.arrays, open_words, MAX_SENTENCE_WORDS, ids, ends, vocabulary.counts)
            yield ids[:n_ids], ends[:n_ends]
            if position < len(block):
                table.make_room(len(block))  # whatever was too long for the table fits now


def _python_pieces(
    blocks: Iterable[bytes], tokenizer: Callable[[str], list[str]], vocabulary: Words
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """As `_scanned_pieces`, line by line through any function; every line is a sentence."""
    rest = ""
    for block in blocks:
        lines = (rest + block.decode("utf-8")).split("\n")
        rest = lines.pop()
        yield _piece(lines, tokenizer, vocabulary)
    yield _piece([rest], tokenizer, vocabulary)


def _piece(lines: list[str], tokenizer: Callable[[str], list[str]], vocabulary: Words) -> tuple[np.ndarray, np.ndarray]:
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


def _renumber(work: Path, vocabulary: Words) -> None:
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
