"""Sentences with a tag for each word: CoNLL-U, CoNLL-2003 and its relatives, and `word_TAG` lines.

Files are UTF-8, with or without a byte order mark, and may be compressed (.gz, .bz2, .xz).
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from nlp_embeddings.corpus.text_files import numbered_lines

TagColumn = Literal["upos", "xpos"]
DOCUMENT_MARK = "-DOCSTART-"


class Sentence(NamedTuple):
    """A sentence with a tag for each word, and its tree if the file has one.

    Attributes:
        words: Its n words.
        tags: A tag for each word.
        heads: Number of each word's head, from 1; 0 for the root. Empty where the file has no trees.
        relations: Name of the relation of each word to its head; empty where the file has no trees.
        line: Number of its first line in the file.
    """

    words: list[str]
    tags: list[str]
    heads: list[int]
    relations: list[str]
    line: int


def read_sentences(path: Path, column: TagColumn = "upos") -> list[Sentence]:
    """Read tagged sentences in the format that the file's name or its first line shows.

    Args:
        path: `.conllu` in its name: CoNLL-U. Else a word and its tag a line, in the first and the last column, with blank lines between
            sentences; or lines of `word_TAG`.
        column: Tag of a CoNLL-U file: universal, the fourth column, or of the treebank's own, the fifth.

    Raises:
        ValueError: naming the line that has another form, or if the file holds no sentence.
    """
    if ".conllu" in path.name.lower():
        sentences = list(_conllu(path, column))
    else:
        first = next((line for _, line in numbered_lines(path) if line.strip()), "")
        joined = "\t" not in first and all("_" in word.strip("_") for word in first.split())
        sentences = list(_joined(path) if joined else _columns(path))
    if not sentences:
        raise ValueError(f"{path} holds no sentences; expected a word and its tag a line, or CoNLL-U, and a blank line after each sentence")
    return sentences


def _conllu(path: Path, column: TagColumn) -> Iterator[Sentence]:
    """Yield the sentences of a CoNLL-U file; the parts of multi-word tokens are words, empty nodes are left out."""
    place = 3 if column == "upos" else 4
    for number, lines in _blocks(path):
        words, tags, heads, relations = [], [], [], []
        for line_number, line in lines:
            if line.startswith("#"):
                continue
            fields = line.split("\t")
            if len(fields) != 10:
                raise ValueError(
                    f"{path}, line {line_number}: expected the 10 columns of CoNLL-U with tabs between them, got {len(fields)}: "
                    f"{reprlib.repr(line)}"
                )
            if not fields[0].isdigit():  # 3-4: a multi-word token, 8.1: an empty node
                continue
            words.append(fields[1])
            tags.append(fields[place])
            if fields[6].isdigit():
                heads.append(int(fields[6]))
                relations.append(fields[7])
        if heads and (len(heads) < len(words) or max(heads) > len(words)):
            raise ValueError(f"{path}, line {number}: the tree of this sentence has words without a head among its {len(words)} words")
        if words:
            yield Sentence(words, tags, heads, relations, number)


def _columns(path: Path) -> Iterator[Sentence]:
    """Yield the sentences of a file with a word and its tag a line, in the first and the last column."""
    for number, lines in _blocks(path):
        words, tags = [], []
        for line_number, line in lines:
            fields = line.split("\t") if "\t" in line else line.split()
            if fields[0] == DOCUMENT_MARK:
                continue
            if len(fields) < 2 or not fields[0] or not fields[-1].strip():
                raise ValueError(f"{path}, line {line_number}: expected a word and its tag, got {reprlib.repr(line)}")
            words.append(fields[0])
            tags.append(fields[-1].strip())
        if words:
            yield Sentence(words, tags, [], [], number)


def _joined(path: Path) -> Iterator[Sentence]:
    """Yield the sentences of a file with lines of `word_TAG`."""
    for number, line in numbered_lines(path):
        pairs = [token.rpartition("_") for token in line.split()]
        for word, _, tag in pairs:
            if not word or not tag:
                raise ValueError(f"{path}, line {number}: expected `word_TAG` between spaces, got {reprlib.repr(word or tag)}")
        if pairs:
            yield Sentence([word for word, _, _ in pairs], [tag for _, _, tag in pairs], [], [], number)


def _blocks(path: Path) -> Iterator[tuple[int, list[tuple[int, str]]]]:
    """Yield the groups of lines between blank lines, each with the number of its first line."""
    block: list[tuple[int, str]] = []
    for number, line in numbered_lines(path):
        if line.strip():
            block.append((number, line))
        elif block:
            yield block[0][0], block
            block = []
    if block:
        yield block[0][0], block
