"""Encoding of a text: one pass gives a memory-mapped file of word ids, sentence starts and a vocabulary.

Ids are ranks by frequency (0 is the most frequent word; ties go to the word seen first), so a minimum count is a bound on ids. Strings
are not touched again after this pass, and a position in the corpus is one integer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np

from nlp_embeddings.corpus.chunks import ChunkTable, ChunkTokens, ChunkWords
from nlp_embeddings.corpus.encoded import Corpus, new_corpus_folder
from nlp_embeddings.corpus.scan_kernels import PADDING, expand, scan
from nlp_embeddings.corpus.text_files import blocks_of_file, blocks_of_texts, corpus_files
from nlp_embeddings.corpus.tokenizers import TOKENIZERS, Tokenizer, with_stops_apart

MAX_SENTENCE_WORDS = 10_000  # a longer sentence (a text without line breaks) is cut; no word of it is dropped
_OUT_EVENTS = 1 << 20
_RENUMBERED = 1 << 16  # ids at once: few enough for the processor's cache


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
    """Encode a corpus into `folder`, which appears whole or not at all.

    Args:
        source: A file, a folder of files, a compressed file, or an iterable of texts (each ends a sentence).
        folder: Folder to write; replaced if it exists.
        tokenizer: A name of `TOKENIZERS`, or a function from a line to its tokens.
        lowercase: Fold capitals.
        sentences: End of a sentence: every line, or `.!?` and blank lines.
        drop: Words left out, after lower-casing.
        change: Function applied to each different word: a stemmer, a lemmatizer.
        undecodable: "refuse" or "replace" bytes that are not UTF-8.

    Raises:
        ValueError: if the corpus has no words, or cannot be read.
    """
    if isinstance(source, Path | str):
        blocks, name = _blocks_of_files(corpus_files(Path(source)), undecodable), str(source)
    else:
        blocks, name = blocks_of_texts(source), "the iterable"
    vocabulary = ChunkWords(tokenizer if isinstance(tokenizer, Tokenizer) else _named(tokenizer), lowercase, drop, change)
    with new_corpus_folder(folder) as work:
        with (work / "ids.bin").open("wb") as ids_file, (work / "starts.bin").open("wb") as starts_file:
            if callable(tokenizer) and not isinstance(tokenizer, Tokenizer):
                pieces = _python_pieces(blocks, tokenizer, vocabulary)
            else:
                pieces = _scanned_pieces(blocks, vocabulary, sentences)
            total = _write_pieces(pieces, ids_file, starts_file)
        if total == 0:
            shown = getattr(tokenizer, "__name__", tokenizer)
            raise ValueError(f"{name} holds no words (tokenizer {shown}); a corpus needs at least one: check the file, or change tokenizer")
        _renumber(work, vocabulary)
    return Corpus(folder, verify=False)  # written just now


def _blocks_of_files(files: list[Path], undecodable: Literal["refuse", "replace"]) -> Iterator[bytes]:
    for file in files:
        yield from blocks_of_file(file, undecodable=undecodable)
        yield b"\n\n"


def _named(tokenizer: Any) -> Tokenizer:
    if isinstance(tokenizer, str) and tokenizer not in TOKENIZERS:
        raise ValueError(f"tokenizer is {tokenizer!r}; expected one of {', '.join(TOKENIZERS)}, or a function from a line to its tokens")
    return TOKENIZERS[tokenizer] if isinstance(tokenizer, str) else TOKENIZERS["whitespace"]


def _scanned_pieces(blocks: Iterable[bytes], vocabulary: ChunkWords, sentences: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (ids, sentence ends relative to them) of each block, through the compiled scanner."""
    by_line, members = sentences == "line", vocabulary.tokenizer.inside
    table, tokens = ChunkTable(), ChunkTokens(vocabulary, by_line)
    out = np.empty(_OUT_EVENTS, dtype=np.int32)
    state, open_words = np.zeros(2, dtype=np.int64), np.array([0, -1])
    for given in blocks:
        block = given if by_line else with_stops_apart(given, vocabulary.tokenizer.name)
        inside = np.frombuffer(block.translate(members) + PADDING, dtype=np.uint8)
        data = np.frombuffer((block.lower() if vocabulary.lowercase else block) + PADDING, dtype=np.uint8)  # ASCII capitals alone
        position = 0
        while position < len(block):
            position, n_out = scan(data, inside, position, by_line, state, out, table.arrays)
            tokens.add(table.texts(tokens.num))
            most = tokens.most_of(out[:n_out])
            ids = np.empty(most, dtype=np.int32)
            ends = np.empty(most + 1, dtype=np.int64)
            n_ids, n_ends = expand(out[:n_out], tokens.arrays, open_words, MAX_SENTENCE_WORDS, ids, ends, vocabulary.counts)
            yield ids[:n_ids], ends[:n_ends]
            if position < len(block):
                table.make_room(len(block))  # so that a chunk too long for the table fits


def _python_pieces(
    blocks: Iterable[bytes], tokenizer: Callable[[str], list[str]], vocabulary: ChunkWords
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the same as `_scanned_pieces`, line by line through any function; every line is a sentence."""
    rest = ""
    for block in blocks:
        lines = (rest + block.decode("utf-8")).split("\n")
        rest = lines.pop()
        yield _piece(lines, tokenizer, vocabulary)
    yield _piece([rest], tokenizer, vocabulary)


def _piece(lines: list[str], tokenizer: Callable[[str], list[str]], vocabulary: ChunkWords) -> tuple[np.ndarray, np.ndarray]:
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


def _write_pieces(pieces: Iterable[tuple[np.ndarray, np.ndarray]], ids_file: IO[bytes], starts_file: IO[bytes]) -> int:
    """Write ids and sentence starts to disk, and return the number of words."""
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


def _renumber(work: Path, vocabulary: ChunkWords) -> None:
    """Replace ids by first sight with ids by frequency, in place, and write the vocabulary."""
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
