"""The idx format of arrays, in which MNIST and its descendants are published; raw or compressed with gzip.

A file holds two zero bytes, the code of a type, the number of axes, the length of each axis as a big-endian uint32, and the numbers.

Source: LeCun, Cortes and Burges, *The MNIST database of handwritten digits*, 1998, "file formats".
"""

from __future__ import annotations

import gzip
import hashlib
import math
import struct
import zlib
from functools import cached_property
from pathlib import Path

import numpy as np

from dl_nets.tasks.text_files import shown

MOST_BYTES = 2**34  # of the numbers of a file
_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_GZIP = b"\x1f\x8b"


class IdxFile:
    """An array in a file: its header is read at once, its numbers at the first use. A raw file is mapped into memory, not read.

    Args:
        path: The file.
        num_axes: Number of axes that it must have.

    Attributes:
        name: The file, as messages show it.
        shape: Lengths of the axes.
        dtype: Type of the numbers.

    Raises:
        ValueError: for a file that is not of this format, or is shorter or longer than its header says; the text names the place.
    """

    def __init__(self, path: Path, num_axes: int) -> None:
        self.name, self._path = shown(path), path
        try:
            with path.open("rb") as file:
                self._is_compressed = file.read(2) == _GZIP
            with gzip.open(path) if self._is_compressed else path.open("rb") as file:
                header = file.read(4 + 4 * num_axes)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{self.name} cannot be read: {getattr(error, 'strerror', None) or error}") from error
        if len(header) < 4 or header[:2] != b"\0\0" or header[2] not in _TYPES:
            raise ValueError(
                f"{self.name} is not an idx file: it begins with the bytes {header[:4].hex(' ') or '(none)'}; expected 00 00, a type "
                f"(08 for bytes), and the number of axes, {num_axes:02d}"
            )
        if header[3] != num_axes:
            raise ValueError(f"byte 4 of {self.name} says that it has {header[3]} axes; expected {num_axes}")
        if len(header) < 4 + 4 * num_axes:
            raise ValueError(f"{self.name} ends after byte {len(header)}, in its header of {4 + 4 * num_axes} bytes; copy the file again")
        self.shape = tuple(struct.unpack(f">{num_axes}I", header[4:]))
        self.dtype = np.dtype(_TYPES[header[2]])
        self._start = len(header)
        self._num_bytes = math.prod(self.shape) * self.dtype.itemsize
        if self._num_bytes > MOST_BYTES:
            raise ValueError(f"the header of {self.name} says {' x '.join(map(str, self.shape))} numbers; expected at most 16 GiB")
        if not self._is_compressed:
            self._require_size(path.stat().st_size)
        elif self._size_in_trailer() != (self._start + self._num_bytes) % 2**32:
            len(self.array)  # several members, or cut off: reading tells which

    @cached_property
    def array(self) -> np.ndarray:
        """The numbers, of the file's shape and type."""
        if not self._is_compressed:
            return np.memmap(self._path, self.dtype, "r", self._start, self.shape)
        try:
            with gzip.open(self._path) as file:
                data = file.read(self._start + self._num_bytes + 1)
        except EOFError as error:
            raise ValueError(f"{self.name} is cut off: the compressed data ends too early; copy the file again") from error
        except (OSError, zlib.error) as error:
            raise ValueError(f"{self.name} is damaged: {error}; copy the file again") from error
        self._require_size(len(data))
        return np.frombuffer(data, self.dtype, offset=self._start).reshape(self.shape)

    def digest(self) -> str:
        """Return the SHA-256 of the bytes of the file."""
        with self._path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def _require_size(self, size: int) -> None:
        """Refuse a file whose size, in bytes without compression, is not what its header says."""
        wanted = self._start + self._num_bytes
        shape = " x ".join(map(str, self.shape))
        if size < wanted:
            raise ValueError(
                f"{self.name} ends after byte {size:,}; its header says {shape} numbers, {wanted:,} bytes; copy the file again"
            )
        if size > wanted:
            raise ValueError(f"{self.name} goes on after byte {wanted:,}, where its {shape} numbers end; expected an idx file of that size")

    def _size_in_trailer(self) -> int:
        """Return the size that a gzip file states at its end, modulo 2^32."""
        with self._path.open("rb") as file:
            file.seek(-4, 2)
            return int.from_bytes(file.read(4), "little")


def write_idx(path: Path, array: np.ndarray) -> None:
    """Write an array to a file, compressed if its name ends with .gz; the same array always gives the same bytes."""
    code = next(code for code, name in _TYPES.items() if np.dtype(name) == array.dtype.newbyteorder(">"))
    data = struct.pack(f">2xBB{array.ndim}I", code, array.ndim, *array.shape) + array.astype(_TYPES[code]).tobytes()
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
