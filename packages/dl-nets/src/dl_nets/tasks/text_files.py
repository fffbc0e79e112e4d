"""Text files, compressed or not, refused with their line where they are not text."""

from __future__ import annotations

import hashlib
from pathlib import Path

_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}  # byte order marks of the encodings that are not UTF-8
_MODULES = {".gz": "gzip", ".bz2": "bz2", ".xz": "lzma"}


def digest_of(path: Path) -> str:
    """Return the SHA-256 of the bytes of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def printable(text: str) -> str:
    r"""Return a text with its control characters as escapes.

    >>> printable("é\x1b[31m")
    'é\\x1b[31m'
    """
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def shown(path: Path) -> str:
    """Return a path as messages show it: relative to the working directory where it is below it."""
    try:
        return printable(str(path.relative_to(Path.cwd())))
    except ValueError:
        return printable(str(path))


def read_text(path: Path, encoding: str = "utf-8") -> tuple[str, str]:
    """Return the text of a file, and the SHA-256 of its bytes.

    Args:
        path: The file; one whose name ends with .gz, .bz2 or .xz is unpacked.
        encoding: Name of the encoding; a byte order mark of UTF-8 is skipped.

    Raises:
        ValueError: for a file that is missing, damaged, or not text in that encoding; the text names the line and the byte.
    """
    name = shown(path)
    if path.is_dir():
        raise ValueError(f"{name} is a folder; expected a file")
    if not path.is_file():
        raise ValueError(f"file {name!r} not found" + ("" if path.is_absolute() and name == str(path) else f" in {Path.cwd()}"))
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{name} cannot be read: {error.strerror}") from error
    digest = hashlib.sha256(raw).hexdigest()
    raw = _unpacked(raw, path, name)
    utf_8 = encoding.lower().replace("_", "-") in ("utf-8", "utf8", "utf-8-sig")
    for mark, other in _MARKS.items():
        if utf_8 and raw.startswith(mark):
            raise ValueError(f"{name} is encoded in {other.upper()}, not in UTF-8; save it as UTF-8, or set task.encoding={other}")
    try:
        text = raw.decode("utf-8-sig" if utf_8 else encoding)
    except LookupError as error:
        raise ValueError(f"encoding is {encoding!r}, which is unknown; expected for example utf-8, latin-1 or cp1252") from error
    except (UnicodeDecodeError, UnicodeError) as error:
        start = getattr(error, "start", 0)
        line_start = raw.rfind(b"\n", 0, start) + 1
        raise ValueError(
            f"line {raw.count(bytes([10]), 0, start) + 1} of {name} is not text in {encoding.upper()}: "
            f"byte {start - line_start + 1} of it is {raw[start : start + 1].hex() or 'missing'} (hexadecimal); "
            "save the file as UTF-8, or set task.encoding, for example to latin-1 or cp1252"
        ) from error
    require_without(text, "\x00", "a NUL character; it is not a text file", name)
    return text, digest


def require_without(text: str, character: str, words: str, name: str) -> None:
    """Refuse a text that contains a character.

    Args:
        text: Content of a file.
        character: What must not occur.
        words: Name of the character, and what to do.
        name: The file.

    Raises:
        ValueError: naming the line.
    """
    if character in text:
        raise ValueError(f"line {text.count(chr(10), 0, text.index(character)) + 1} of {name} contains {words}")


def _unpacked(raw: bytes, path: Path, name: str) -> bytes:
    """Return the bytes of a file without its compression."""
    module = _MODULES.get(path.suffix.lower())
    if module is None:
        return raw
    from importlib import import_module

    try:
        unpacked: bytes = import_module(module).decompress(raw)
    except Exception as error:  # each of the three modules has errors of its own
        raise ValueError(f"{name} is not a whole {path.suffix} file: {error}; copy the file again") from error
    return unpacked
