"""Checkpoints: arrays in safetensors, the rest in JSON, written whole or not at all, and checked before they are believed.

A checkpoint is a folder `<progress>/` with `arrays.safetensors` and `state.json`. It is written under another name,
flushed to the disk and renamed, so a name that is a number always holds a whole checkpoint, unless something outside
damaged it: then its checksums say so. It holds no time and no path, so equal states have equal bytes. Nothing in a
checkpoint is executed, and no name in it ever becomes a path, but for the narrow ones of blocks.

A `Block` is an array too large to be written at every checkpoint. It has a file of its own, `blocks/<name>.safetensors`, which the
next checkpoint shares by a second name for the same file (a hard link; a copy where the disk knows none). So every checkpoint is
whole by itself, and the last one to go takes the file with it. What damages a shared file damages all that share it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

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
    """A checkpoint that must not be used; the text says which file and why."""


class Block(NamedTuple):
    """A part of a state that never changes under its name, such as a full stretch of a replay buffer.

    Attributes:
        name: Lower-case letters, digits and hyphens, at most 100; whoever meets it again in a run meets the same content.
        array: At least one number; from a loaded state it is a read-only map of the file.
    """

    name: str
    array: np.ndarray


def save(folder: Path, progress: int, state: Mapping[str, Any], keep: int = 3, previous: Path | None = None) -> Path:
    """Write `folder/<progress>`, then remove all but the newest `keep` checkpoints, and those beyond `progress`.

    There are some beyond it only where a run went back behind damaged ones; their steps are being taken again.

    Args:
        folder: The run's `checkpoints/`.
        progress: How far the agent is; the checkpoint's name.
        state: Nested dicts (text keys) and lists of arrays, blocks, text, numbers, booleans and None.
        keep: How many checkpoints stay.
        previous: A checkpoint of the same run that is known to be whole; its blocks are not written again.

    Raises:
        OSError: if it cannot be written; what was there before is untouched.
        TypeError: if the state holds something else than the above.
    """
    arrays: dict[str, np.ndarray] = {}
    blocks: dict[str, np.ndarray] = {}
    plain = _split(state, "", arrays, blocks)
    packed = safetensors.numpy.save(arrays)
    path = folder / str(progress)
    temporary = folder / f".{progress}.writing"
    try:
        make_folder(folder)
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        document = {"format": FORMAT, "progress": progress, "arrays": _fingerprint(packed), "state": plain}
        if blocks:
            document["blocks"] = _save_blocks(temporary / BLOCKS, blocks, previous)
        document["sha256"] = _digest(document)
        write_synced(temporary / ARRAYS, packed)
        write_synced(temporary / STATE, json.dumps(document, sort_keys=True, indent=1).encode())
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


def load(path: Path) -> dict[str, Any]:
    """The state in the checkpoint at `path`, arrays as NumPy arrays.

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
        raise BadCheckpoint(f"{ARRAYS} is no safetensors file: {error}") from error
    try:
        return _join(document["state"], arrays, blocks)
    except RecursionError as error:
        raise BadCheckpoint(f"{STATE} is nested too deeply") from error


def names(folder: Path) -> list[int]:
    """Progress of every checkpoint in `folder`, rising, damaged ones included."""
    if not folder.is_dir():
        return []
    return sorted(int(entry.name) for entry in folder.iterdir() if entry.name.isdecimal() and entry.is_dir())


def newest(folder: Path) -> tuple[int, dict[str, Any], list[str]]:
    """Progress and state of the newest checkpoint that is whole, and a sentence for each newer one that was passed over.

    Raises:
        BadCheckpoint: if there is none; its text names those that were refused.
    """
    refused: list[str] = []
    for progress in reversed(names(folder)):
        try:
            return progress, load(folder / str(progress)), refused
        except BadCheckpoint as error:
            refused.append(f"checkpoint {progress} was refused: {error}")
    raise BadCheckpoint("; ".join(refused) or "there is no checkpoint")


def make_folder(folder: Path) -> None:
    """Make a folder, and its parents, so that it outlasts a power cut."""
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        sync_folder(folder.parent)


def write_synced(path: Path, data: bytes) -> None:
    """Write a file and wait until the disk has it."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def replace(path: Path, data: bytes) -> None:
    """Put `data` at `path` in one step: a reader finds the old file or the new one, never a part."""
    temporary = path.with_name(f".{path.name}.writing")
    write_synced(temporary, data)
    temporary.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Wait until the disk has the folder's names; nothing where the system cannot."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _fingerprint(data: bytes) -> dict[str, Any]:
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def _require_same(name: str, found: Mapping[str, Any], stated: Mapping[str, Any]) -> None:
    if found["bytes"] != stated.get("bytes"):
        raise BadCheckpoint(f"{name} has {found['bytes']} bytes where {stated.get('bytes')} were written: it was cut or altered")
    if found["sha256"] != stated.get("sha256"):
        raise BadCheckpoint(f"{name} does not have the checksum it was written with: it was altered")


def _save_blocks(folder: Path, blocks: Mapping[str, np.ndarray], previous: Path | None) -> dict[str, Any]:
    """Fingerprints by name, after putting every block into `folder`: shared with `previous` where that has it."""
    folder.mkdir()
    known: Mapping[str, Any] = {}
    if previous is not None:
        with suppress(BadCheckpoint):
            known = _read_document(previous).get("blocks", {})
    stated = {}
    for name, array in blocks.items():
        file = folder / f"{name}.safetensors"
        if previous is not None and name in known:
            with suppress(OSError):  # a disk without links, or with too many of them: then it is written
                os.link(previous / BLOCKS / file.name, file)
                stated[name] = known[name]
                continue
        packed = safetensors.numpy.save({"array": array})
        write_synced(file, packed)
        stated[name] = _fingerprint(packed)
    sync_folder(folder)
    return stated


def _load_blocks(path: Path, stated: Any) -> dict[str, Block]:
    """Blocks by name, each a map of its checked file."""
    if not isinstance(stated, dict):
        raise BadCheckpoint(f"{STATE} is not a checkpoint's")
    blocks = {}
    for name, fingerprint in stated.items():
        if not _BLOCK_NAME.fullmatch(name) or not isinstance(fingerprint, dict):
            raise BadCheckpoint(f"{STATE} names a block {name!r}; a block's name has lower-case letters, digits and hyphens alone")
        file, shown = path / BLOCKS / f"{name}.safetensors", f"{BLOCKS}/{name}.safetensors"
        _require_ordinary(file, shown)
        try:
            with file.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            _require_same(shown, {"bytes": file.stat().st_size, "sha256": digest}, fingerprint)
            with safetensors.safe_open(file, framework="numpy") as opened:
                content = opened.get_slice("array")
                shape, dtype = tuple(content.get_shape()), np.dtype(_DTYPES[content.get_dtype()])
            start = file.stat().st_size - int(np.prod(shape, dtype=np.int64)) * dtype.itemsize  # its only array ends with the file
            blocks[name] = Block(name, np.memmap(file, dtype=dtype, mode="r", offset=start, shape=shape))
        except (SafetensorError, KeyError, ValueError) as error:
            raise BadCheckpoint(f"{shown} does not hold one array: {error}") from error
        except OSError as error:
            raise BadCheckpoint(f"{shown} cannot be read: {error.strerror or error}") from error
    return blocks


def _prune(folder: Path, progress: int, keep: int) -> None:
    """Remove older checkpoints, those beyond `progress`, and what an interrupted save left."""
    known = names(folder)
    older = [name for name in known if name <= progress][:-keep]
    beyond = [name for name in known if name > progress]
    torn = [*folder.glob(".*.writing"), *folder.glob(".*.replaced")]
    for path in [*(folder / str(name) for name in (*older, *beyond)), *torn]:
        shutil.rmtree(path, ignore_errors=True)


def _read(path: Path, name: str) -> bytes:
    """The content of a file of the checkpoint; a link, a pipe or a device in its place is not opened."""
    _require_ordinary(path / name, name)
    try:
        return (path / name).read_bytes()
    except OSError as error:
        raise BadCheckpoint(f"{name} cannot be read: {error.strerror or error}") from error


def _require_ordinary(file: Path, shown: str) -> None:
    try:
        if not stat.S_ISREG(file.lstat().st_mode):
            raise BadCheckpoint(f"{shown} is no ordinary file")
    except OSError as error:
        raise BadCheckpoint(f"{shown} cannot be read: {error.strerror or error}") from error


def _read_document(path: Path) -> dict[str, Any]:
    text = _read(path, STATE)
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadCheckpoint(f"{STATE} is no JSON: it was cut, or altered, or is another kind of file") from error
    if not isinstance(document, dict) or not isinstance(document.get("arrays"), dict) or "state" not in document:
        raise BadCheckpoint(f"{STATE} is not a checkpoint's")
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
    """The plain part of `value`; its arrays go to `arrays` under their path, its blocks to `blocks`, and leave references behind."""
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
                f"the block at {path!r} is called {value.name!r} and has {value.array.size} numbers; a block has some, and a name of "
                "lower-case letters, digits and hyphens that no other of the state has"
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
    """The array as safetensors takes it: rows one after the other."""
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8 or not array.dtype.isnative:
        raise TypeError(f"the array at {path!r} has dtype {array.dtype}; a state's arrays are of booleans, integers or floats to 64 bits")
    return array if array.flags.c_contiguous else array.copy(order="C")


def _join(value: Any, arrays: Mapping[str, np.ndarray], blocks: Mapping[str, Block]) -> Any:
    if isinstance(value, dict):
        if set(value) == {_BLOCK_REFERENCE}:
            if not isinstance(value[_BLOCK_REFERENCE], str) or value[_BLOCK_REFERENCE] not in blocks:
                raise BadCheckpoint(f"{STATE} refers to a block {value[_BLOCK_REFERENCE]!r} that it does not list")
            return blocks[value[_BLOCK_REFERENCE]]
        if set(value) == {_REFERENCE}:
            if not isinstance(value[_REFERENCE], str) or value[_REFERENCE] not in arrays:
                raise BadCheckpoint(f"{STATE} refers to an array {value[_REFERENCE]!r} that {ARRAYS} does not have")
            return arrays[value[_REFERENCE]].copy()  # writable, and aligned as any new array
        return {key: _join(item, arrays, blocks) for key, item in value.items()}
    if isinstance(value, list):
        return [_join(item, arrays, blocks) for item in value]
    return value
