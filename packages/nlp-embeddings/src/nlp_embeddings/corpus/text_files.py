"""Text files: the bytes of a corpus in blocks of bounded size, and the numbered lines of a file of questions.

A file may be compressed (.gz, .bz2, .xz). Every function here raises a `ValueError` that names the file, says what is wrong with it and
what to do about it.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma
import re
import stat
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal

from nlp_embeddings.corpus.tokenizers import COMBINING_MARKS

BLOCK_BYTES = 1 << 20
_OPENERS: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_MAGIC = {".gz": b"\x1f\x8b", ".bz2": b"BZh", ".xz": b"\xfd7zXZ\x00"}
_TEST_COMMANDS = {".gz": "gzip -t", ".bz2": "bzip2 -t", ".xz": "xz -t"}
_DAMAGE = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)
_CUTS = (b"\n", b" ", b"\t", b"\r")
_SPACE, _NO_LETTER = re.compile(r"\s"), re.compile(rf"[^\w{COMBINING_MARKS}]")
_TAIL_BYTES = 1 << 16  # of a block without white space: searched for another place to cut it
_KINDS = {
    stat.S_ISFIFO: "a named pipe",
    stat.S_ISSOCK: "a socket",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
    stat.S_ISDIR: "a folder",
}


def corpus_files(path: Path) -> list[Path]:
    """Return the files of a corpus in reading order: the file itself, or all ordinary files below a folder, sorted by name.

    Hidden files are left out.

    Raises:
        ValueError: if nothing is there to read.
    """
    try:
        if not path.is_dir():
            require_file(path, "a corpus is a text file, a folder of them, or a .gz, .bz2 or .xz file")
            return [path]
        found = sorted(p for p in path.rglob("*") if not any(part.startswith(".") for part in p.relative_to(path).parts))
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}; check its permissions") from error
    files = [p for p in found if p.is_file()]
    if not files:
        others = [p for p in found if not p.is_dir() or p.is_symlink()]
        rest = f" (its {len(others)} entries are pipes, devices or links that lead to no file)" if others else ""
        raise ValueError(f"the folder {path} holds no ordinary files{rest}; a corpus needs at least one text file")
    return files


def require_file(path: Path, expected: str = "expected a text file") -> None:
    """Check that a path names an ordinary file, or a link to one.

    Raises:
        ValueError: if it does not; a pipe, for one, can be read only once and may never end.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        raise ValueError(
            f"there is neither a file nor a folder {path} ({getattr(error, 'strerror', None) or error}); {expected}"
        ) from error
    if not stat.S_ISREG(mode):
        kind = next((name for is_kind, name in _KINDS.items() if is_kind(mode)), "not an ordinary file")
        raise ValueError(f"{path} is {kind}; {expected} (copy the text into a file first)")


def open_bytes(path: Path) -> IO[bytes]:
    """Open a file for reading, uncompressed if its name ends in .gz, .bz2 or .xz.

    Raises:
        ValueError: if the file cannot be opened, is not an ordinary file, or is not compressed although its name says so.
    """
    require_file(path)
    suffix = path.suffix.lower()
    try:
        if suffix not in _OPENERS:
            return path.open("rb")
        with path.open("rb") as file:
            begin = file.read(len(_MAGIC[suffix]))
        if begin != _MAGIC[suffix]:
            raise ValueError(
                f"{path} is named {suffix} but does not begin like such a file (with {begin!r}); "
                "rename it if it is plain text, or fetch it again"
            )
        return _OPENERS[suffix](path, "rb")
    except OSError as error:
        raise ValueError(f"{path} cannot be opened: {error.strerror or error}; check its permissions") from error


@contextmanager
def reading(path: Path, where: str | Callable[[], str]) -> Iterator[None]:
    """Turn errors of reading into a `ValueError` with the file, the place and the remedy.

    Args:
        path: The file that is read.
        where: The place, such as "byte 100 of its text", or a function that returns it.
    """
    try:
        yield
    except _DAMAGE as error:
        place = where if isinstance(where, str) else where()
        command = _TEST_COMMANDS.get(path.suffix.lower())
        check = f"check it with `{command} {path}`, and " if command else ""
        raise ValueError(f"{path} is damaged or cut short at {place}: {error}; {check}fetch or compress the file again") from error
    except OSError as error:
        place = where if isinstance(where, str) else where()
        if path.suffix.lower() in _OPENERS and error.errno is None:  # bz2 reports a damaged stream as an OSError
            raise ValueError(f"{path} is damaged at {place}: {error}; fetch or compress the file again") from error
        raise ValueError(f"{path} cannot be read past {place}: {error.strerror or error}; check the disk") from error


def blocks_of_file(path: Path, *, undecodable: Literal["refuse", "replace"] = "refuse") -> Iterator[bytes]:
    """Yield the UTF-8 text of a file in blocks that end at white space, so that no token is cut.

    A text without ASCII white space is cut after another space or punctuation mark, and never within a character.

    Args:
        path: The file; compressed by its suffix.
        undecodable: For bytes that are not UTF-8: an error that names file and offset, or U+FFFD and a note on standard error.

    Raises:
        ValueError: for bytes that are not UTF-8 (with "refuse"), and for a damaged compressed file.
    """
    offset, carry, replaced, first = 0, b"", 0, 0
    with open_bytes(path) as file:
        while True:
            with reading(path, f"byte {offset + len(carry)} of its text"):
                block = file.read(BLOCK_BYTES)
            data = carry + block
            if not data:
                break
            end = _end_of_block(data) if block else len(data)
            if end == 0:
                carry = data
                continue
            piece, carry = data[:end], data[end:]
            if not piece.isascii():
                try:
                    piece.decode("utf-8")
                except UnicodeDecodeError as error:
                    if undecodable == "refuse":
                        raise ValueError(_not_utf8(path, piece, error, f"byte {offset + error.start}")) from error
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


def sample_of_file(path: Path, size: int = 1 << 16) -> str:
    """Return the beginning of a file's text, `size` bytes of it; bytes that are not UTF-8 are replaced."""
    with open_bytes(path) as file, reading(path, "the beginning of its text"):
        return file.read(size).decode("utf-8", errors="replace")


def _end_of_block(data: bytes) -> int:
    """Return where a block of a longer text may end; 0 asks for more text first."""
    end = next((place + 1 for cut in _CUTS if (place := data.rfind(cut)) >= 0), 0)
    if end or len(data) < 4 * BLOCK_BYTES:
        return end
    whole = len(data)
    for back in range(1, 4):  # a character has at most four bytes
        byte = data[-back]
        if byte >= 0xC0:  # its first byte
            size = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            whole = len(data) if back >= size else len(data) - back
            break
        if byte < 0x80:
            break
    begin = whole - _TAIL_BYTES
    while data[begin] & 0xC0 == 0x80:
        begin += 1
    try:
        tail = data[begin:whole].decode("utf-8")
    except UnicodeDecodeError:
        return whole
    for separator in (_SPACE, _NO_LETTER):
        places = [match.end() for match in separator.finditer(tail)]
        if places:
            return whole - len(tail[places[-1] :].encode("utf-8"))
    return whole


def _not_utf8(path: Path, data: bytes, error: UnicodeDecodeError, place: str) -> str:
    utf16 = data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) and error.start == 0
    guess = " (it looks like UTF-16)" if utf16 else ""
    return (
        f"{path} is not UTF-8 at {place} (0x{data[error.start]:02x}: {error.reason}){guess}; "
        "convert the file, or replace such bytes with undecodable=replace"
    )


def blocks_of_texts(texts: Iterable[str]) -> Iterator[bytes]:
    """Yield the texts of an iterable in blocks, each text followed by a blank line.

    Raises:
        ValueError: if an item is not a text.
    """
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


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    r"""Yield the lines of a UTF-8 file with their numbers, from 1.

    Lines end with \n, \r\n or \r, as editors count them; U+2028, U+0085 and form feeds are part of a line. A byte order mark is left out.

    Raises:
        ValueError: if the file is not UTF-8, cannot be read, or is damaged.
    """
    number = 0
    rest = ""
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    with open_bytes(path) as file:
        while True:
            with reading(path, f"line {number + 1}"):
                block = file.read(BLOCK_BYTES)
            try:
                text = rest + decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                line = number + 1 + rest.count("\n") + bytes(error.object[: error.start]).count(b"\n")
                raise ValueError(f"{path} is not UTF-8 in line {line}: {error.reason}; save it as UTF-8") from error
            if block and text.endswith("\r"):  # perhaps the first half of \r\n
                text, held = text[:-1], "\r"
            else:
                held = ""
            lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
            rest = lines.pop() + held
            for each in lines:
                number += 1
                yield number, each
            if not block:
                break
    if rest:
        yield number + 1, rest
