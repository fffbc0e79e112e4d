"""Checkpoints: arrays in safetensors, the rest in JSON, written whole or not at all, and checked before they are believed.

A checkpoint is a folder `<progress>/` with `arrays.safetensors` and `state.json`. It is written under another name,
flushed to the disk and renamed, so a name that is a number always holds a whole checkpoint, unless something outside
damaged it: then its checksums say so. It holds no time and no path, so equal states have equal bytes. Nothing in a
checkpoint is executed, and no name in it ever becomes a path.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

FORMAT = 1
ARRAYS = "arrays.safetensors"
STATE = "state.json"
_REFERENCE = "$array"


class BadCheckpoint(Exception):
    """A checkpoint that must not be used; the text says which file and why."""


def save(folder: Path, progress: int, state: Mapping[str, Any], keep: int = 3) -> Path:
    """Write `folder/<progress>`, then remove all but the newest `keep` checkpoints, and those beyond `progress`.

    There are some beyond it only where a run went back behind damaged ones; their steps are being taken again.

    Args:
        folder: The run's `checkpoints/`.
        progress: How far the agent is; the checkpoint's name.
        state: Nested dicts (text keys) and lists of arrays, text, numbers, booleans and None.
        keep: How many checkpoints stay.

    Raises:
        OSError: if it cannot be written; what was there before is untouched.
        TypeError: if the state holds something else than the above.
    """
    arrays: dict[str, np.ndarray] = {}
    plain = _split(state, "", arrays)
    packed = safetensors.numpy.save(arrays)
    document = {
        "format": FORMAT,
        "progress": progress,
        "arrays": {"bytes": len(packed), "sha256": hashlib.sha256(packed).hexdigest()},
        "state": plain,
    }
    document["sha256"] = _digest(document)
    text = json.dumps(document, sort_keys=True, indent=1).encode()
    path = folder / str(progress)
    temporary = folder / f".{progress}.writing"
    try:
        make_folder(folder)
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        write_synced(temporary / ARRAYS, packed)
        write_synced(temporary / STATE, text)
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
    stated = document["arrays"]
    if len(packed) != stated.get("bytes"):
        raise BadCheckpoint(f"{ARRAYS} has {len(packed)} bytes where {stated.get('bytes')} were written: it was cut or altered")
    if hashlib.sha256(packed).hexdigest() != stated.get("sha256"):
        raise BadCheckpoint(f"{ARRAYS} does not have the checksum it was written with: it was altered")
    try:
        arrays = safetensors.numpy.load(packed)
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, MemoryError) as error:
        raise BadCheckpoint(f"{ARRAYS} is no safetensors file: {error}") from error
    try:
        return _join(document["state"], arrays)
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
    try:
        if not stat.S_ISREG((path / name).lstat().st_mode):
            raise BadCheckpoint(f"{name} is no ordinary file")
        return (path / name).read_bytes()
    except OSError as error:
        raise BadCheckpoint(f"{name} cannot be read: {error.strerror or error}") from error


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


def _split(value: Any, path: str, arrays: dict[str, np.ndarray]) -> Any:
    """The plain part of `value`; its arrays go to `arrays` under their path and leave a reference behind."""
    if value is None or (isinstance(value, str | bool | int | float) and not isinstance(value, np.generic)):
        return value
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value) or _REFERENCE in value:
            raise TypeError(
                f"the state at {path or 'its root'!r} has keys {list(value)[:5]}; a state's keys are texts other than {_REFERENCE!r}"
            )
        return {key: _split(item, f"{path}/{key}" if path else key, arrays) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_split(item, f"{path}/{index}" if path else str(index), arrays) for index, item in enumerate(value)]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "biuf" or value.dtype.itemsize > 8 or not value.dtype.isnative:
            raise TypeError(
                f"the array at {path!r} has dtype {value.dtype}; a state's arrays are of booleans, integers or floats to 64 bits"
            )
        if path in arrays:
            raise TypeError(f"two arrays of the state have the path {path!r}")
        arrays[path] = value if value.flags.c_contiguous else value.copy(order="C")
        return {_REFERENCE: path}
    raise TypeError(
        f"the state at {path!r} holds a {type(value).__name__}; it may hold arrays, texts, numbers, booleans, None, dicts and lists"
    )


def _join(value: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    if isinstance(value, dict):
        if set(value) == {_REFERENCE}:
            if not isinstance(value[_REFERENCE], str) or value[_REFERENCE] not in arrays:
                raise BadCheckpoint(f"{STATE} refers to an array {value[_REFERENCE]!r} that {ARRAYS} does not have")
            return arrays[value[_REFERENCE]].copy()  # writable, and aligned as any new array
        return {key: _join(item, arrays) for key, item in value.items()}
    if isinstance(value, list):
        return [_join(item, arrays) for item in value]
    return value
