"""An encoded corpus on disk: memory-mapped arrays whose lengths and checksums are verified when they are opened."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from nlp_embeddings.scratch import Scratch, exclusive

FORMAT = 3
_FILES = ("words.txt", "counts.bin", "ids.bin", "starts.bin")
_DIGEST_BYTES = 1 << 22


class DamagedCorpus(ValueError):
    """Files of an encoded corpus that are missing, cut short or changed."""


class Corpus:
    """An encoded corpus, memory-mapped.

    Args:
        folder: Folder that `encode` wrote.
        verify: Compare the files with their lengths and checksums.

    Raises:
        DamagedCorpus: if a file is missing, or does not have the length and checksum that it was written with.

    Attributes:
        ids: Word ids of the whole text [N], int32.
        starts: First word of each sentence in `ids` [S + 1], int64; the last entry is N.
        words: The vocabulary by id.
        counts: Occurrences by id [V], int64, never rising.
        fingerprint: Digest of all of it; equal for equal texts.
    """

    def __init__(self, folder: Path, *, verify: bool = True) -> None:
        self.folder = folder
        self.fingerprint = _verify(folder, contents=verify)
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
        """Yield every sentence as its words, the form that other libraries take as a corpus."""
        for start, end in zip(self.starts[:-1], self.starts[1:], strict=True):
            yield [self.words[index] for index in self.ids[start:end]]


@contextmanager
def new_corpus_folder(folder: Path) -> Iterator[Path]:
    """Give a temporary folder to write a corpus into; it takes the place of `folder` when the block ends without an error.

    Where another process has put a whole corpus there in the meantime, that one stays.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Scratch(".encoding-", folder.parent)
    try:
        yield scratch.path
        files = {name: _digest(scratch.path / name) for name in _FILES}
        (scratch.path / "corpus.json").write_text(json.dumps({"format": FORMAT, "files": files}), encoding="utf-8")
        if folder.exists():
            with Scratch(".encoding-old-", folder.parent) as old:
                folder.rename(old / "corpus")
        scratch.release()
        try:
            scratch.path.rename(folder)
        except OSError:
            shutil.rmtree(scratch.path, ignore_errors=True)
            if not folder.exists():
                raise
    except BaseException:
        scratch.close()
        raise


def cached_corpus(folder: Path, make: Callable[[], Corpus]) -> Corpus:
    """Return the corpus in a folder of the cache, made first if it is missing or damaged.

    Of several processes that ask for one corpus at once, one makes it and the others wait.

    Args:
        folder: The entry.
        make: Writes it, and returns it.
    """
    if (folder / "corpus.json").exists():
        try:
            return Corpus(folder)
        except DamagedCorpus:
            pass  # looked at again under the lock
    folder.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(folder.parent / f".{folder.name}.lock"):
        if folder.exists():
            try:
                return Corpus(folder)
            except DamagedCorpus as error:
                print(f"the cached corpus is damaged ({error}); encoding the text again", file=sys.stderr)
        return make()


def _verify(folder: Path, *, contents: bool) -> str:
    """Check the files of a corpus, with or without their contents, and return its fingerprint."""
    try:
        about = json.loads((folder / "corpus.json").read_text(encoding="utf-8"))
        form, files = about["format"], {name: (int(size), int(checksum)) for name, (size, checksum) in about["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedCorpus(f"{folder / 'corpus.json'} does not describe a corpus: {error}") from error
    if form != FORMAT or set(files) != set(_FILES):
        raise DamagedCorpus(f"{folder} has the format {form!r}; this version reads {FORMAT}")
    for name, expected in files.items() if contents else ():
        try:
            found = _digest(folder / name)
        except OSError as error:
            raise DamagedCorpus(f"{folder / name} cannot be read: {error.strerror or error}") from error
        if found != expected:
            raise DamagedCorpus(
                f"{folder / name} has {found[0]} bytes and checksum {found[1]}, written were {expected[0]} and {expected[1]}"
            )
    return hashlib.blake2b(json.dumps(sorted(files.items())).encode(), digest_size=12).hexdigest()


def _digest(path: Path) -> tuple[int, int]:
    """Return a file's length and checksum."""
    size, checksum = 0, 0
    with path.open("rb") as file:
        while block := file.read(_DIGEST_BYTES):
            size, checksum = size + len(block), zlib.crc32(block, checksum)
    return size, checksum


def file_checksum(path: Path) -> str:
    """Return a file's length and checksum as a text."""
    return " ".join(map(str, _digest(path)))
