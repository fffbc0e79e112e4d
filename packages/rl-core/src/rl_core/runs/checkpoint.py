"""Checkpoints: arrays in safetensors, the rest in JSON, written whole or not at all, and verified before use.

A checkpoint is a folder `<progress>/` with `arrays.safetensors` and `state.json`. It is written under another name,
flushed to the disk and renamed, so a name that is a number always holds a whole checkpoint, unless something else
damaged it, which its checksums show. It holds no time and no path, so equal states have equal bytes. Nothing in a
checkpoint is executed, and no name in it becomes a path, except the restricted names of blocks.

A `Block` is an array too large to be written at every checkpoint. It has a file of its own, `blocks/<name>.safetensors`, which the
next checkpoint shares by a hard link (a copy on a file system without links). Every checkpoint is complete by itself, and a shared file
is deleted with the last checkpoint that links it; damage to it affects them all.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from rl_core.runs.files import make_folder, opened, read, sync_folder, write_synced

FORMAT = 1
ARRAYS = "arrays.safetensors"
STATE = "state.json"
BLOCKS = "blocks"
_REFERENCE = "$array"
_BLOCK_REFERENCE = "$block"
_BLOCK_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,98}[a-z0-9])?")
_DTYPES = {
    "BOOL": np.bool_, "U8": np.uint8, "I8": np.int8, "U16": np.uint16, "I16": np.int16, "F16": np.float16,
    "U32": np.uint32, "I32": np.int32, "F32": np.float32, "U64": np.uint64, "I64": np.int64, "F64": np.float64,
}  # fmt: skip


class BadCheckpoint(Exception):
    """A checkpoint that must not be used; the message names the file and the reason."""


class Block(NamedTuple):
    """A part of a state that never changes under its name, such as a full stretch of a replay buffer.

    Attributes:
        name: Lower-case letters, digits and hyphens, at most 100; within a run, a name always refers to the same content.
        array: At least one number; in a loaded state a read-only map of the file.
    """

    name: str
    array: np.ndarray


def save(folder: Path, progress: int, state: Mapping[str, Any], keep: int = 3, previous: Path | None = None) -> Path:
    """Write `folder/<progress>`, then remove all but the newest `keep` checkpoints, and those beyond `progress`.

    Checkpoints beyond it exist only after a run fell back behind damaged ones; their steps are being taken again.

    Args:
        folder: The run's `checkpoints/`.
        progress: How far the agent is; the checkpoint's name.
        state: Nested dicts (text keys) and lists of arrays, blocks, text, numbers, booleans and None.
        keep: Number of checkpoints that stay.
        previous: A checkpoint of the same run that is known to be whole; its blocks are not written again.

    Raises:
        OSError: if it cannot be written; earlier checkpoints are untouched.
        TypeError: if the state holds anything else.
    """
    document, packed, blocks = _packed(progress, state)
    path = folder / str(progress)
    temporary = folder / f".{progress}.writing"
    try:
        make_folder(folder)
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        if blocks:
            document["blocks"] = _save_blocks(temporary / BLOCKS, blocks, previous)
        write_synced(temporary / ARRAYS, packed)
        write_synced(temporary / STATE, _sealed(document))
        sync_folder(temporary)
        if path.exists():  # of the same progress: damaged, or with another budget
            replaced = folder / f".{progress}.replaced"
            shutil.rmtree(replaced, ignore_errors=True)
            path.rename(replaced)
        temporary.rename(path)
        sync_folder(folder)
    except OSError:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    _prune(folder, progress, keep)
    return path


def contents(progress: int, state: Mapping[str, Any]) -> dict[str, bytes] | None:
    """Return the bytes of the files that `save` would write, by name; `None` for a state with blocks, which have files of their own.

    Raises:
        TypeError: if the state holds what no checkpoint can.
    """
    document, packed, blocks = _packed(progress, state)
    return None if blocks else {ARRAYS: packed, STATE: _sealed(document)}


def _packed(progress: int, state: Mapping[str, Any]) -> tuple[dict[str, Any], bytes, dict[str, np.ndarray]]:
    """Return the JSON document of a state, its arrays in safetensors, and its blocks."""
    arrays: dict[str, np.ndarray] = {}
    blocks: dict[str, np.ndarray] = {}
    plain = _split(state, "", arrays, blocks)
    packed = safetensors.numpy.save(arrays)
    return {"format": FORMAT, "progress": progress, "arrays": _fingerprint(packed), "state": plain}, packed, blocks


def _sealed(document: dict[str, Any]) -> bytes:
    """Return a document as JSON with its own digest, which is added to it."""
    document["sha256"] = _digest(document)
    return json.dumps(document, sort_keys=True, indent=1).encode()


def keep(saved: Path, folder: Path) -> Path:
    """Put the checkpoint `saved` into `folder` as its only one, by links to the same files where the disk has them.

    Raises:
        OSError: if it cannot be written.
    """
    path, temporary = folder / saved.name, folder / f".{saved.name}.writing"
    make_folder(folder)
    shutil.rmtree(temporary, ignore_errors=True)
    shutil.copytree(saved, temporary, copy_function=_link)
    sync_folder(temporary)
    shutil.rmtree(path, ignore_errors=True)
    temporary.rename(path)
    sync_folder(folder)
    for other in folder.iterdir():
        if other.name != path.name and not other.is_symlink() and other.is_dir():
            shutil.rmtree(other, ignore_errors=True)
    return path


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # a disk without links
        shutil.copyfile(source, target)


def load(path: Path) -> dict[str, Any]:
    """Return the state in the checkpoint at `path`, arrays as NumPy arrays.

    Raises:
        BadCheckpoint: if a file is missing, torn, altered, or not what this format allows.
    """
    document = _read_document(path)
    packed = _read(path, ARRAYS)
    _require_same(ARRAYS, _fingerprint(packed), document["arrays"])
    blocks = _load_blocks(path, document.get("blocks", {}))
    try:
        arrays = safetensors.numpy.load(packed)
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, MemoryError) as error:
        raise BadCheckpoint(f"{ARRAYS} is not a safetensors file: {error}") from error
    try:
        joined: dict[str, Any] = _join(document["state"], dict(arrays), blocks)
        return joined
    except RecursionError as error:
        raise BadCheckpoint(f"{STATE} is nested too deeply") from error


def names(folder: Path) -> list[int]:
    """Return the progress of every checkpoint in `folder`, rising, damaged ones included."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return sorted(int(entry.name) for entry in entries if entry.name.isdecimal() and entry.is_dir(follow_symlinks=False))


def newest(folder: Path) -> tuple[int, dict[str, Any], list[str]]:
    """Return progress and state of the newest checkpoint that is whole, and a sentence for each newer one that was refused.

    Raises:
        BadCheckpoint: if there is none; the message names those that were refused.
    """
    refused: list[str] = []
    for progress in reversed(names(folder)):
        try:
            return progress, load(folder / str(progress)), refused
        except BadCheckpoint as error:
            refused.append(f"checkpoint {progress} was refused: {error}")
    raise BadCheckpoint("; ".join(refused) or "the folder has no checkpoint")


def _fingerprint(data: bytes) -> dict[str, Any]:
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def _require_size(name: str, size: int, stated: Mapping[str, Any]) -> None:
    if size != stated.get("bytes"):
        raise BadCheckpoint(f"{name} has {size} bytes where {stated.get('bytes')} were written: it was cut or altered")


def _require_same(name: str, found: Mapping[str, Any], stated: Mapping[str, Any]) -> None:
    _require_size(name, found["bytes"], stated)
    if found["sha256"] != stated.get("sha256"):
        raise BadCheckpoint(f"{name} does not have the checksum it was written with: it was altered")


def _save_blocks(folder: Path, blocks: Mapping[str, np.ndarray], previous: Path | None) -> dict[str, Any]:
    """Put every block into `folder`, shared with `previous` where that has it, and return the fingerprints by name."""
    folder.mkdir()
    known: Mapping[str, Any] = {}
    if previous is not None:
        with suppress(BadCheckpoint):
            known = _read_document(previous).get("blocks", {})
    stated = {}
    for name, array in blocks.items():
        file = folder / f"{name}.safetensors"
        if previous is not None and name in known:
            with suppress(OSError):  # a disk without links, or with too many of them: the block is written
                os.link(previous / BLOCKS / file.name, file)
                stated[name] = known[name]
                continue
        packed = safetensors.numpy.save({"array": array})
        write_synced(file, packed)
        stated[name] = _fingerprint(packed)
    sync_folder(folder)
    return stated


def _load_blocks(path: Path, stated: Any) -> dict[str, Block]:
    """Return the blocks by name, each a map of its verified file."""
    if not isinstance(stated, dict):
        raise BadCheckpoint(f"{STATE} was not written by a checkpoint")
    blocks = {}
    for name, fingerprint in stated.items():
        if not _BLOCK_NAME.fullmatch(name) or not isinstance(fingerprint, dict):
            raise BadCheckpoint(f"{STATE} names a block {name!r}; a block's name has only lower-case letters, digits and hyphens")
        file, shown = path / BLOCKS / f"{name}.safetensors", f"{BLOCKS}/{name}.safetensors"
        try:
            with open(opened(file, os.O_RDONLY), "rb") as stream:  # noqa: PTH123 - a descriptor has no path
                size = os.fstat(stream.fileno()).st_size
                _require_size(shown, size, fingerprint)
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            _require_same(shown, {"bytes": size, "sha256": digest}, fingerprint)
            with safetensors.safe_open(file, framework="numpy") as content_of:
                content = content_of.get_slice("array")
                shape, dtype = tuple(content.get_shape()), np.dtype(_DTYPES[content.get_dtype()])
            start = size - int(np.prod(shape, dtype=np.int64)) * dtype.itemsize  # its only array ends with the file
            blocks[name] = Block(name, np.memmap(file, dtype=dtype, mode="r", offset=start, shape=shape))
        except (SafetensorError, KeyError, ValueError) as error:
            raise BadCheckpoint(f"{shown} does not hold one array: {error}") from error
        except OSError as error:
            raise BadCheckpoint(f"{shown} cannot be read: {error.strerror or error}") from error
    return blocks


def _prune(folder: Path, progress: int, keep: int) -> None:
    """Remove older checkpoints, those beyond `progress`, and the leftovers of interrupted saves."""
    known = names(folder)
    older = [name for name in known if name <= progress][:-keep]
    beyond = [name for name in known if name > progress]
    torn = [*folder.glob(".*.writing"), *folder.glob(".*.replaced")]
    for path in [*(folder / str(name) for name in (*older, *beyond)), *torn]:
        shutil.rmtree(path, ignore_errors=True)


def _read(path: Path, name: str) -> bytes:
    """Return the content of a file of the checkpoint; a link, a pipe or a device in its place is not opened."""
    try:
        return read(path / name, _memory())
    except (OSError, MemoryError) as error:
        raise BadCheckpoint(f"{name} cannot be read: {getattr(error, 'strerror', None) or error or 'out of memory'}") from error


def _memory() -> int:
    """Return the bytes of this machine's memory: a larger file cannot be a checkpoint of it, whatever holes it consists of."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 1 << 40


def _read_document(path: Path) -> dict[str, Any]:
    text = _read(path, STATE)
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadCheckpoint(f"{STATE} is not JSON: it was cut or altered, or is another kind of file") from error
    if not isinstance(document, dict) or not isinstance(document.get("arrays"), dict) or "state" not in document:
        raise BadCheckpoint(f"{STATE} was not written by a checkpoint")
    if document.get("format") != FORMAT:
        raise BadCheckpoint(f"{STATE} has format {document.get('format')!r}; this version reads {FORMAT}")
    stated = document.pop("sha256", None)
    try:
        found = _digest(document)
    except RecursionError as error:
        raise BadCheckpoint(f"{STATE} is nested too deeply") from error
    if stated != found:
        raise BadCheckpoint(f"{STATE} does not have the checksum it was written with: it was altered")
    if str(document.get("progress")) != path.name:
        raise BadCheckpoint(f"{STATE} is of progress {document.get('progress')!r}, but its folder is called {path.name!r}")
    return document


def _digest(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _split(value: Any, path: str, arrays: dict[str, np.ndarray], blocks: dict[str, np.ndarray]) -> Any:
    """Return the plain part of `value`, with references in place of its arrays and blocks, which are added to `arrays` and `blocks`."""
    if value is None or (isinstance(value, str | bool | int | float) and not isinstance(value, np.generic)):
        return value
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value) or _REFERENCE in value or _BLOCK_REFERENCE in value:
            raise TypeError(
                f"the state at {path or 'its root'!r} has keys {list(value)[:5]}; "
                f"a state's keys are texts other than {_REFERENCE!r} and {_BLOCK_REFERENCE!r}"
            )
        return {key: _split(item, f"{path}/{key}" if path else key, arrays, blocks) for key, item in value.items()}
    if isinstance(value, Block):
        if not _BLOCK_NAME.fullmatch(value.name) or value.name in blocks or not value.array.size:
            raise TypeError(
                f"the block at {path!r} is called {value.name!r} and has {value.array.size} numbers; expected at least one number, and a "
                "name of lower-case letters, digits and hyphens that is unique in the state"
            )
        blocks[value.name] = _storable(value.array, path)
        return {_BLOCK_REFERENCE: value.name}
    if isinstance(value, list | tuple):
        return [_split(item, f"{path}/{index}" if path else str(index), arrays, blocks) for index, item in enumerate(value)]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        if path in arrays:
            raise TypeError(f"two arrays of the state have the path {path!r}")
        arrays[path] = _storable(value, path)
        return {_REFERENCE: path}
    raise TypeError(
        f"the state at {path!r} holds a {type(value).__name__}; it may hold arrays, texts, numbers, booleans, None, dicts and lists"
    )


def _storable(array: np.ndarray, path: str) -> np.ndarray:
    """Return the array as safetensors takes it: rows one after the other."""
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8 or not array.dtype.isnative:
        raise TypeError(f"the array at {path!r} has dtype {array.dtype}; a state's arrays are of booleans, integers or floats to 64 bits")
    return array if array.flags.c_contiguous else array.copy(order="C")


def _join(value: Any, arrays: dict[str, np.ndarray], blocks: dict[str, Block]) -> Any:
    """Return a state with its arrays and blocks in place of the references.

    Each is taken once, as `_split` writes it: an altered state could otherwise ask for the same gigabytes a thousand times.
    """
    if isinstance(value, dict):
        if set(value) == {_BLOCK_REFERENCE}:
            if not isinstance(value[_BLOCK_REFERENCE], str) or value[_BLOCK_REFERENCE] not in blocks:
                raise BadCheckpoint(f"{STATE} refers to a block {value[_BLOCK_REFERENCE]!r} that it does not list, or twice")
            return blocks.pop(value[_BLOCK_REFERENCE])
        if set(value) == {_REFERENCE}:
            if not isinstance(value[_REFERENCE], str) or value[_REFERENCE] not in arrays:
                raise BadCheckpoint(f"{STATE} refers to an array {value[_REFERENCE]!r} that {ARRAYS} does not have, or twice")
            return arrays.pop(value[_REFERENCE]).copy()  # writable, and aligned as any new array
        return {key: _join(item, arrays, blocks) for key, item in value.items()}
    if isinstance(value, list):
        return [_join(item, arrays, blocks) for item in value]
    return value
