"""Checkpoints: whole or not at all, checked before they are believed, and never executed."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import resource
import shutil
import signal
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_core.runs import checkpoint
from rl_core.runs.checkpoint import ARRAYS, BLOCKS, STATE, BadCheckpoint, Block

STATE_OF_AN_AGENT = {
    "weights": np.arange(6.0).reshape(2, 3),
    "layers": [{"bias": np.float32([1, 2])}, {"bias": np.zeros((0, 4), np.int64)}],
    "flag": np.array(True),
    "count": np.int64(7),
    "ratio": np.float64(0.1),
    "name": "é\ud800\0",
    "empty": {},
    "nothing": None,
    "odd/key": np.uint8([255]),
    "infinite": float("inf"),
    "huge": 2**127,
}


def same(left: Any, right: Any) -> bool:
    """Equality that looks into arrays, and tells types apart."""
    if isinstance(left, np.ndarray):
        return (
            isinstance(right, np.ndarray) and left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes()
        )
    if isinstance(left, dict):
        return isinstance(right, dict) and list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    return type(left) is type(right) and left == right


def files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def rewrite(path: Path, change: Callable[[dict[str, Any]], None], arrays: bytes | None = None) -> None:
    """Alter a checkpoint as an attacker would, who makes all checksums right."""
    document = json.loads((path / STATE).read_text())
    if arrays is not None:
        (path / ARRAYS).write_bytes(arrays)
        document["arrays"] = {"bytes": len(arrays), "sha256": hashlib.sha256(arrays).hexdigest()}
    change(document)
    document.pop("sha256", None)
    document["sha256"] = checkpoint._digest(document)
    (path / STATE).write_text(json.dumps(document))


def test_what_was_saved_is_loaded_in_every_kind_and_bit(tmp_path: Path) -> None:
    state = {**STATE_OF_AN_AGENT, "transposed": np.arange(6.0).reshape(2, 3).T}
    loaded = checkpoint.load(checkpoint.save(tmp_path, 5, state))
    expected = {key: value.item() if isinstance(value, np.generic) else value for key, value in state.items()}
    assert same({key: expected[key] for key in sorted(expected)}, loaded)
    loaded["weights"] += 1  # it is the agent's own now


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text().filter(lambda key: key not in ("$array", "$block")), inner),
    )
)
@settings(derandomize=True, max_examples=40, deadline=None)
def test_every_plain_state_comes_back(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    folder = tmp_path_factory.mktemp("plain")
    assert checkpoint.load(checkpoint.save(folder, 1, {"state": value})) == {"state": value}


def test_equal_states_have_equal_bytes_whatever_the_order_of_their_keys(tmp_path: Path) -> None:
    turned = dict(reversed(STATE_OF_AN_AGENT.items()))
    left, right = checkpoint.save(tmp_path / "left", 1, STATE_OF_AN_AGENT), checkpoint.save(tmp_path / "right", 1, turned)
    assert files(left) == files(right)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"a": {1: 2}}, "the state at 'a' has keys"),
        ({"$array": 1}, "has keys"),
        ({"$block": 1}, "has keys"),
        ({"a": Block("../b", np.zeros(1))}, "the block at 'a' is called '../b'"),
        ({"a": Block("b", np.zeros(0))}, "has 0 numbers"),
        ({"a": Block("b", np.array(["x"]))}, "the array at 'a' has dtype <U1"),
        ({"a": Block("b", np.zeros(1)), "c": Block("b", np.zeros(1))}, "that is unique in the state"),
        ({"a": object()}, "the state at 'a' holds a object"),
        ({"a": {3}}, "holds a set"),
        ({"a": np.array(["x"])}, "the array at 'a' has dtype <U1"),
        ({"a": np.array([None])}, "dtype object"),
        ({"a": np.zeros(2, ">f8")}, "dtype >f8"),
        ({"a": np.zeros(2, np.complex128)}, "dtype complex128"),
        ({"a/b": np.zeros(1), "a": {"b": np.zeros(1)}}, "two arrays of the state have the path 'a/b'"),
    ],
)
def test_a_state_that_could_not_come_back_is_refused(tmp_path: Path, state: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        checkpoint.save(tmp_path, 1, state)
    assert not files(tmp_path)


def blocks_of(count: int) -> dict[str, Any]:
    """A state that grows by a block at a time."""
    return {"past": [Block(f"past-{index}", np.full((3, 2), index, np.float32)) for index in range(count)], "count": count}


def test_a_block_is_written_once_and_shared_by_later_checkpoints(tmp_path: Path) -> None:
    path = None
    for count in (1, 2, 3, 4, 5):
        path = checkpoint.save(tmp_path, count, blocks_of(count), previous=path)
    assert path is not None
    name = f"{BLOCKS}/past-0.safetensors"
    assert (path / name).samefile(tmp_path / "3" / name)
    assert (path / name).stat().st_nlink == 3  # checkpoints 1 and 2 are gone, and their names with them
    loaded = checkpoint.load(path)
    for given_, back in zip(blocks_of(5)["past"], loaded["past"], strict=True):
        assert back.name == given_.name
        assert same(np.asarray(back.array), given_.array)
        assert not back.array.flags.writeable
    assert files(path) == files(checkpoint.save(tmp_path / "alone", 5, blocks_of(5)))  # shared or not, the same bytes
    assert files(checkpoint.save(tmp_path, 6, loaded, previous=path)).keys() == files(path).keys()


def test_blocks_of_a_checkpoint_that_is_gone_are_written_again(tmp_path: Path) -> None:
    path = checkpoint.save(tmp_path, 1, blocks_of(2))
    shutil.rmtree(path / BLOCKS)
    assert checkpoint.load(checkpoint.save(tmp_path, 2, blocks_of(2), previous=path))["count"] == 2
    assert checkpoint.load(checkpoint.save(tmp_path, 3, blocks_of(2), previous=tmp_path / "none"))["count"] == 2


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda file: file.unlink(), "past-0.safetensors cannot be read: No such file"),
        (lambda file: file.write_bytes(file.read_bytes()[:-1]), "past-0.safetensors has .* bytes where .* were written"),
        (lambda file: file.write_bytes(file.read_bytes()[:-1] + b"!"), "past-0.safetensors does not have the checksum"),
        (lambda file: (file.unlink(), os.mkfifo(file)), "past-0.safetensors cannot be read"),
    ],
)
def test_a_damaged_block_is_refused_by_name(tmp_path: Path, harm: Callable[[Path], None], message: str) -> None:
    path = checkpoint.save(tmp_path, 1, blocks_of(2))
    harm(path / BLOCKS / "past-0.safetensors")
    with pytest.raises(BadCheckpoint, match=message):
        checkpoint.load(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("../1/arrays", b"", "names a block '../1/arrays'"),
        ("past-0", b"", "does not hold one array"),
        ("past-0", safetensors.numpy.save({"other": np.zeros(3)}), "does not hold one array"),
        ("past-0", struct.pack("<Q", 2**40) + b"{}", "does not hold one array"),
    ],
)
def test_a_forged_block_is_refused_though_its_checksums_are_right(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = checkpoint.save(tmp_path, 1, blocks_of(1))
    (path / BLOCKS / "past-0.safetensors").write_bytes(content)
    rewrite(path, lambda document: document.update(blocks={name: checkpoint._fingerprint(content)}))
    with pytest.raises(BadCheckpoint, match=message):
        checkpoint.load(path)


def test_a_reference_to_no_block_is_refused(tmp_path: Path) -> None:
    path = checkpoint.save(tmp_path, 1, blocks_of(1))
    rewrite(path, lambda document: document.update(blocks={}))
    with pytest.raises(BadCheckpoint, match="refers to a block 'past-0' that it does not list"):
        checkpoint.load(path)


def test_the_newest_three_stay_and_those_beyond_the_last_save_go(tmp_path: Path) -> None:
    for progress in (10, 20, 30, 40, 1000):
        checkpoint.save(tmp_path, progress, {})
    assert checkpoint.names(tmp_path) == [30, 40, 1000]
    (tmp_path / ".20.writing").mkdir()
    checkpoint.save(tmp_path, 50, {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["30", "40", "50"]


@pytest.mark.parametrize("name", [ARRAYS, STATE])
def test_a_flipped_bit_anywhere_is_noticed(tmp_path: Path, name: str) -> None:
    path = checkpoint.save(tmp_path, 1, STATE_OF_AN_AGENT)
    whole = (path / name).read_bytes()
    for place in range(0, len(whole), 7):
        torn = bytearray(whole)
        torn[place] ^= 1 << place % 8
        (path / name).write_bytes(torn)
        try:
            loaded = checkpoint.load(path)
        except BadCheckpoint:
            continue
        assert name == STATE, "an altered byte of the arrays was believed"
        (path / name).write_bytes(whole)  # white space between JSON's tokens may become other white space
        assert same(checkpoint.load(path), loaded)


@pytest.mark.parametrize("name", [ARRAYS, STATE])
def test_a_cut_at_any_length_is_noticed(tmp_path: Path, name: str) -> None:
    path = checkpoint.save(tmp_path, 1, STATE_OF_AN_AGENT)
    whole = (path / name).read_bytes()
    for length in (0, 1, 8, len(whole) // 2, len(whole) - 1):
        (path / name).write_bytes(whole[:length])
        with pytest.raises(BadCheckpoint, match=r"cut|altered"):
            checkpoint.load(path)
    (path / name).unlink()
    with pytest.raises(BadCheckpoint, match=f"{name} cannot be read: No such file"):
        checkpoint.load(path)


def test_a_damaged_checkpoint_is_named_and_the_one_before_it_is_used(tmp_path: Path) -> None:
    for progress in (1, 2, 3):
        checkpoint.save(tmp_path, progress, {"at": progress})
    (tmp_path / "3" / ARRAYS).write_bytes(b"")
    (tmp_path / "2").rename(tmp_path / "4")
    progress, state, refused = checkpoint.newest(tmp_path)
    assert (progress, state) == (1, {"at": 1})
    assert refused == [
        "checkpoint 4 was refused: state.json is of progress 2, but its folder is called '4'",
        "checkpoint 3 was refused: arrays.safetensors has 0 bytes where 16 were written: it was cut or altered",
    ]
    shutil.rmtree(tmp_path / "1")
    with pytest.raises(BadCheckpoint, match=r"checkpoint 4 was refused.*; checkpoint 3 was refused"):
        checkpoint.newest(tmp_path)


def kill_at(event: str, count: int, work: Callable[[], None]) -> None:
    """Do `work` in a child of this process, that is killed when it calls `event` of `os` for the given time."""
    child = os.fork()
    if child == 0:
        seen = 0
        original = getattr(os, event)

        def dying(*arguments: Any, **options: Any) -> Any:
            nonlocal seen
            seen += 1
            if seen == count:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*arguments, **options)

        setattr(os, event, dying)
        try:
            work()
        finally:
            os._exit(0)
    os.waitpid(child, 0)


@pytest.mark.parametrize("event", ["fsync", "rename", "mkdir", "rmdir", "unlink"])
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_a_kill_at_any_point_of_a_save_leaves_a_whole_newest_checkpoint(tmp_path: Path, event: str, count: int) -> None:
    for progress in (1, 2, 3):
        checkpoint.save(tmp_path, progress, {"at": progress, "array": np.full(5, progress)})
    kill_at(event, count, lambda: checkpoint.save(tmp_path, 4, {"at": 4, "array": np.full(5, 4)}))
    progress, state, refused = checkpoint.newest(tmp_path)
    assert progress in (3, 4)
    assert state["at"] == progress
    assert refused == []
    checkpoint.save(tmp_path, 5, {})
    assert len(checkpoint.names(tmp_path)) == len(list(tmp_path.iterdir())) == 3


def test_files_are_on_the_disk_before_the_name_that_promises_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def spy_fsync(handle: int) -> None:
        events.append(f"fsync {Path(f'/proc/self/fd/{handle}').readlink().name}")
        fsync(handle)

    def spy_rename(self: Path, target: Path) -> Path:
        events.append(f"rename {self.name} {target.name}")
        return rename(self, target)

    checkpoint.save(tmp_path, 1, {})
    monkeypatch.setattr(os, "fsync", spy_fsync)
    monkeypatch.setattr(Path, "rename", spy_rename)
    checkpoint.save(tmp_path, 2, {})
    assert events == [f"fsync {ARRAYS}", f"fsync {STATE}", "fsync .2.writing", "rename .2.writing 2", f"fsync {tmp_path.name}"]


def test_a_full_disk_loses_no_earlier_checkpoint(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small tmpfs; the next test limits the size of files instead")
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)], check=False, capture_output=True).returncode:
        pytest.skip("this system lets not even root mount a tmpfs; the next test limits the size of files instead")
    try:
        checkpoint.save(folder, 1, {"array": np.zeros(100)})
        with pytest.raises(OSError, match="No space left on device"):
            checkpoint.save(folder, 2, {"array": np.zeros(100_000)})
        assert [path.name for path in folder.iterdir()] == ["1"]
        assert checkpoint.newest(folder)[0] == 1
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_limit_of_file_sizes_loses_no_earlier_checkpoint(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, 1, {"array": np.zeros(100)})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            checkpoint.save(tmp_path, 2, {"array": np.zeros(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.name for path in tmp_path.iterdir()] == ["1"]
    assert checkpoint.newest(tmp_path)[0] == 1


class Evil:
    """Pickled, it makes a file when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return (Path.touch, (self.trace,))


def header(entries: object, size: int | None = None) -> bytes:
    """A safetensors file with this header and no data."""
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text) if size is None else size) + text


ATTACKS: dict[str, tuple[Callable[[Path, bytes], None], str]] = {
    "a pickle as the state": (lambda path, evil: (path / STATE).write_bytes(evil), "is not JSON"),
    "a pickle as the arrays": (lambda path, evil: rewrite(path, lambda document: None, evil), "is not a safetensors file"),
    "a header that claims 2**63 bytes": (
        lambda path, evil: rewrite(path, lambda document: None, header({}, 2**63)),
        "is not a safetensors file",
    ),
    "a header longer than the file": (
        lambda path, evil: rewrite(path, lambda document: None, header({}, 10**6)),
        "is not a safetensors file",
    ),
    "an array beyond the end of the file": (
        lambda path, evil: rewrite(
            path, lambda document: None, header({"a": {"dtype": "F64", "shape": [2**40], "data_offsets": [0, 2**43]}})
        ),
        "is not a safetensors file",
    ),
    "an array of a kind that NumPy lacks": (
        lambda path, evil: rewrite(
            path, lambda document: None, header({"a": {"dtype": "F8_E8M0", "shape": [1], "data_offsets": [0, 1]}}) + b"\0"
        ),
        "is not a safetensors file",
    ),
    "a reference up the tree": (
        lambda path, evil: rewrite(path, lambda document: document.update(state={"a": {"$array": "../../secret"}})),
        "refers to an array '../../secret' that arrays.safetensors does not have",
    ),
    "a reference to an absolute path": (
        lambda path, evil: rewrite(path, lambda document: document.update(state={"a": {"$array": "/etc/passwd"}})),
        "refers to an array '/etc/passwd'",
    ),
    "a reference that is a list": (
        lambda path, evil: rewrite(path, lambda document: document.update(state={"a": {"$array": ["a"]}})),
        r"refers to an array \['a'\]",
    ),
    "nesting too deep to read": (
        lambda path, evil: (path / STATE).write_text('{"a":' * 100_000 + "1" + "}" * 100_000),
        "is not JSON|nested too deeply",
    ),
    "nesting too deep to check": (
        lambda path, evil: (path / STATE).write_text(
            '{"format":1,"progress":1,"arrays":{},"sha256":"","state":' + "[" * 960 + "]" * 960 + "}"
        ),
        "is not JSON|nested too deeply|does not have the checksum",
    ),
    "another format": (lambda path, evil: rewrite(path, lambda document: document.update(format=9)), "has format 9; this version reads 1"),
    "a list": (lambda path, evil: (path / STATE).write_text("[]"), "was not written by a checkpoint"),
    "a progress up the tree": (
        lambda path, evil: rewrite(path, lambda document: document.update(progress="../1")),
        r"is of progress '\.\./1', but its folder is called '1'",
    ),
    "a link": (lambda path, evil: ((path / STATE).unlink(), (path / STATE).symlink_to("/dev/zero")), "is not an ordinary file"),
    "a pipe": (lambda path, evil: ((path / ARRAYS).unlink(), os.mkfifo(path / ARRAYS)), "is not an ordinary file"),
    "a folder": (lambda path, evil: ((path / ARRAYS).unlink(), (path / ARRAYS).mkdir()), "is not an ordinary file"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_evil_checkpoint_runs_nothing_and_is_refused_in_words(tmp_path: Path, attack: str) -> None:
    plant, message = ATTACKS[attack]
    trace = tmp_path / "trace"
    folder = tmp_path / "run" / "checkpoints"
    path = checkpoint.save(folder, 1, {"a": np.zeros(3)})
    plant(path, pickle.dumps(Evil(trace)))
    (path / "extra.pkl").write_bytes(pickle.dumps(Evil(trace)))
    with pytest.raises(BadCheckpoint, match=message):
        checkpoint.load(path)
    assert not trace.exists()
    assert [entry.name for entry in tmp_path.iterdir()] == ["run"]


def test_names_in_a_checkpoint_never_become_paths(tmp_path: Path) -> None:
    path = checkpoint.save(tmp_path / "run" / "checkpoints", 1, {})
    names = ["../escaped", "/tmp/escaped", "..\\escaped", "a\0b"]
    packed = safetensors.numpy.save({name: np.ones(1) for name in names})
    rewrite(path, lambda document: document.update(state={name: {"$array": name} for name in names}), packed)
    before = files(tmp_path)
    loaded = checkpoint.load(path)
    assert list(loaded) == names  # data, as any other
    assert files(tmp_path) == before


def test_the_planted_pickle_would_have_run(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Evil(tmp_path / "trace")))
    assert (tmp_path / "trace").exists()
