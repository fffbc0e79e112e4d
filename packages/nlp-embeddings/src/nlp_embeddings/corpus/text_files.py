"""Bytes of a corpus: a file, a folder, compressed files, or an iterable of texts, in blocks of bounded size."""

from __future__ import annotations

import bz2
import gzip
import lzma
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, Literal

BLOCK_BYTES = 1 << 20
_OPENERS: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_CUTS = (b"\n", b" ", b"\t", b"\r")


def corpus_files(path: Path) -> list[Path]:
    """The files of a corpus in the order in which they are read: the file itself, or all files under a folder, sorted.

    Hidden files are left out.

    Raises:
        ValueError: if there is nothing there.
    """
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.is_file() and not any(part.startswith(".") for part in p.relative_to(path).parts))
        if not files:
            raise ValueError(f"the folder {path} holds no files; a corpus needs at least one text file")
        return files
    if not path.exists():
        raise ValueError(f"there is no file or folder {path}; a corpus is a text file, a folder of them, or a .gz, .bz2 or .xz file")
    return [path]


def open_bytes(path: Path) -> IO[bytes]:
    """The file's bytes, uncompressed if its name ends in .gz, .bz2 or .xz."""
    opener = _OPENERS.get(path.suffix.lower())
    return opener(path, "rb") if opener else path.open("rb")


def blocks_of_file(path: Path, *, undecodable: Literal["refuse", "replace"] = "refuse") -> Iterator[bytes]:
    """Valid UTF-8 of one file in blocks that end at white space, so that no token is cut.

    Args:
        path: The file; compressed by its suffix.
        undecodable: What becomes of bytes that are not UTF-8: an error that names file and offset, or U+FFFD and a note on standard error.

    Raises:
        ValueError: for bytes that are not UTF-8 (with "refuse"), and for a damaged compressed file.
    """
    offset, carry, replaced, first = 0, b"", 0, 0
    with open_bytes(path) as file:
        while True:
            try:
                block = file.read(BLOCK_BYTES)
            except (OSError, EOFError, lzma.LZMAError) as error:
                raise ValueError(f"{path} cannot be read past byte {offset} of its text: {error}; is the file whole?") from error
            data = carry + block
            if not data:
                break
            end = len(data) if not block else next((place + 1 for cut in _CUTS if (place := data.rfind(cut)) >= 0), 0)
            if end == 0 and len(data) < 4 * BLOCK_BYTES:
                carry = data
                continue
            end = end or len(data)
            piece, carry = data[:end], data[end:]
            if not piece.isascii():
                try:
                    piece.decode("utf-8")
                except UnicodeDecodeError as error:
                    if undecodable == "refuse":
                        raise ValueError(
                            f"{path} is not UTF-8 at byte {offset + error.start} (0x{piece[error.start]:02x}: {error.reason}); "
                            "convert the file, or replace such bytes with undecodable=replace"
                        ) from error
                    first = first if replaced else offset + error.start
                    text = piece.decode("utf-8", errors="replace")
                    replaced += text.count("\ufffd")
                    yield text.encode("utf-8")
                    offset += end
                    continue
            yield piece
            offset += end
    if replaced:
        print(f"{path}: {replaced} sequences that are not UTF-8 were replaced, the first at byte {first}", file=sys.stderr)


def blocks_of_texts(texts: Iterable[str]) -> Iterator[bytes]:
    """Texts of an iterable, each ended by a blank line, gathered into blocks."""
    gathered, size = [], 0
    for text in texts:
        if not isinstance(text, str):
            raise ValueError(f"an item of the corpus is a {type(text).__name__}; an iterable corpus yields texts (str)")
        piece = text.encode("utf-8", errors="replace") + b"\n\n"
        gathered.append(piece)
        size += len(piece)
        if size >= BLOCK_BYTES:
            yield b"".join(gathered)
            gathered, size = [], 0
    if gathered:
        yield b"".join(gathered)
