"""Recordings: transitions that a policy met in an environment, as arrays and as files.

A recording has the arrays of `rl_core.offline.PARTS`, one row a transition, the episodes one after the other, each whole. A recording of
Discrete actions may also have `probability`, with which the policy that was recorded took each action; estimates by importance sampling
need it. Its facts say where it was made: the task and its settings, the policy, the share of random actions, the seed.

| written as | read by |
|---|---|
| `.npz`, arrays that NumPy saves, the facts as JSON | NumPy alone |
| `.parquet`, a table with the facts among its metadata; needs the extra `rl-core[parquet]` | pandas, polars, DuckDB |
| `.csv`, see `rl_core.recorded_csv`; without the facts | everything, and logs of others are read |
| a data set of Minari; needs the extra `rl-core[minari]` | Minari, d3rlpy, TorchRL |

Letters: T transitions.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces

from rl_core.recorded_csv import read_csv, write_csv
from rl_core.seeds import Seeds
from rl_core.task import ControlTask, Predict, PredictAllowed, PredictByChance, PredictWithMemory

PARTS = ("obs", "action", "reward", "terminated", "truncated", "final_obs")
"""Names of the arrays of transitions; see `rl_core.envs.Transition`."""
PROBABILITY = "probability"
ENDINGS = (".npz", ".parquet", ".csv")
"""Endings of the files that recordings are written to."""
STEPS_OF_A_LANE = 1_000  # transitions from which on another environment is stepped beside
MOST_LANES = 16


class Recording(NamedTuple):
    """Transitions, episode by episode.

    Attributes:
        arrays: `PARTS` by name, each [T, ...], and `probability` [T] where it is known.
        facts: What is known of their origin, as plain JSON: `task`, `task_config`, `policy`, `random_share`, `seed`.
    """

    arrays: dict[str, np.ndarray]
    facts: dict[str, Any]

    @property
    def starts(self) -> np.ndarray:
        """Index of the first transition of each episode."""
        over = self.arrays["terminated"] | self.arrays["truncated"]
        return np.concatenate(([0], np.flatnonzero(over[:-1]) + 1))

    def returns(self) -> np.ndarray:
        """Return the undiscounted return of each episode.

        >>> flags = np.array([False, True, True])
        >>> zeros = np.zeros(3)
        >>> parts = {"reward": np.array([1.0, 2.0, 5.0]), "terminated": flags, "truncated": ~flags & False}
        >>> Recording(parts, {}).returns().tolist()
        [3.0, 5.0]
        """
        returns: np.ndarray = np.add.reduceat(self.arrays["reward"].astype(np.float64), self.starts)
        return returns


def record(
    task: ControlTask, predict: Predict | None, *, num_steps: int, random_share: float = 0.0, seeds: Seeds, num_lanes: int = 0
) -> dict[str, np.ndarray]:
    """Play a policy and return its transitions, whole episodes, `num_steps` of them or the few more that end the last episodes.

    Args:
        task: The environment.
        predict: The policy; `None` for actions drawn evenly.
        num_steps: Fewest transitions, at least 1.
        random_share: Probability that an action is drawn evenly instead.
        seeds: Source of every random number.
        num_lanes: Environments stepped together; 0 chooses.

    Returns:
        Arrays by name, as `Recording.arrays` has them, and `legal` [T, A], the allowed actions, where the task has the extra.
    """
    num_lanes = num_lanes or max(1, min(MOST_LANES, num_steps // STEPS_OF_A_LANE))
    envs, rng = task.envs(num_lanes, seeds.child("recording")), seeds.numpy("random actions")
    memory = predict if isinstance(predict, PredictWithMemory) else None
    masked = predict if isinstance(predict, PredictAllowed) else None
    obs, rows, goes_on = envs.reset(), [], np.ones(num_lanes, dtype=np.bool_)
    if memory is not None:
        memory.begin(np.ones(num_lanes, dtype=np.bool_))
    quota, taken = -(-num_steps // num_lanes), 0
    while goes_on.any():
        legal = envs.extras().get("legal")
        if masked is not None and legal is not None:
            masked.allow(legal)
        random = _random_actions(task.output_space, num_lanes, rng, legal)
        greedy = random if predict is None else np.asarray(predict(obs))
        is_random = np.full(num_lanes, True) if predict is None else rng.random(num_lanes) < random_share
        action = np.where(is_random.reshape(-1, *[1] * (random.ndim - 1)), random, greedy).astype(random.dtype)
        after = envs.step(action)
        row = (obs, action, after.reward, after.terminated, after.truncated, after.final_obs)
        chosen = predict.chance_of(action) if isinstance(predict, PredictByChance) else action == greedy
        share = 1.0 if predict is None else random_share
        allowed = () if legal is None else (legal.copy(),)
        rows.append((*row, _probability(task.output_space, action, chosen, share, legal), *allowed, goes_on))
        over, taken = after.terminated | after.truncated, taken + 1
        if memory is not None:
            memory.begin(over)
        goes_on = goes_on & ~(over & (taken >= quota))
        obs = after.obs
    envs.close()
    columns = [np.stack(column) for column in zip(*rows, strict=True)]
    keep = columns.pop().T  # [lanes, steps]
    names = (*PARTS, PROBABILITY, "legal")[: len(columns)]
    arrays = {name: np.swapaxes(column, 0, 1)[keep] for name, column in zip(names, columns, strict=True)}
    if not isinstance(task.output_space, spaces.Discrete):
        del arrays[PROBABILITY]
    return arrays


def _random_actions(space: Any, count: int, rng: np.random.Generator, legal: np.ndarray | None) -> np.ndarray:
    """Return actions drawn evenly, of those that are allowed [N, A]."""
    if isinstance(space, spaces.Discrete):
        if legal is not None:
            allowed: np.ndarray = int(space.start) + np.where(legal, rng.random(legal.shape), -1.0).argmax(axis=1)
            return allowed
        return rng.integers(int(space.start), int(space.start) + int(space.n), count)
    if not isinstance(space, spaces.Box):
        raise ValueError(f"actions are {space}; recordings are made of actions of a Discrete or a Box")
    low, high = np.where(np.isfinite(space.low), space.low, -1.0), np.where(np.isfinite(space.high), space.high, 1.0)
    drawn: np.ndarray = (low + (high - low) * rng.random((count, *space.shape))).astype(space.dtype)
    return drawn


def _probability(space: Any, action: np.ndarray, chosen: np.ndarray, share: float, legal: np.ndarray | None) -> np.ndarray:
    """Return the probability of each action [N], drawn evenly with probability `share`, and else by a policy that has it with `chosen`."""
    if not isinstance(space, spaces.Discrete):
        return np.zeros(len(action), dtype=np.float32)
    even = 1.0 / int(space.n) if legal is None else legal[np.arange(len(action)), action - int(space.start)] / legal.sum(axis=1)
    probability: np.ndarray = (share * even + (1.0 - share) * chosen).astype(np.float32)
    return probability


def write(recording: Recording, path: Path) -> None:
    """Write a recording to a file, which appears when it is whole; its suffix, .npz, .parquet or .csv, says how.

    Raises:
        ValueError: for another suffix.
        OSError: if the disk refuses.
    """
    if path.suffix not in ENDINGS:
        raise ValueError(f"{path} ends with {path.suffix!r}; expected {', '.join(ENDINGS)}, or minari:NAME")
    part = path.with_name(f".{path.name}.part")
    try:
        if path.suffix == ".npz":
            with part.open("wb") as file:
                arrays: dict[str, Any] = {"facts": np.array(json.dumps(recording.facts)), **recording.arrays}
                np.savez_compressed(file, **arrays)
        elif path.suffix == ".csv":
            write_csv(recording.arrays, part)
        else:
            _write_parquet(recording, part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def read(path: Path) -> Recording:
    """Return the recording of a file.

    Raises:
        ValueError: if the file is missing, damaged, or lacks a part; the text names the file and the part.
    """
    if not path.is_file():
        raise ValueError(f"file {str(path)!r} not found; make one with: rl-core collect RUN --out {path.name}")
    if path.suffix == ".csv":
        return checked(read_csv(path), {}, str(path))
    arrays, facts = _read_parquet(path) if path.suffix == ".parquet" else _read_npz(path)
    return checked(arrays, facts, str(path))


def checked(arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any], name: str) -> Recording:
    """Return a recording whose arrays were held against each other.

    Raises:
        ValueError: if one is missing, has another length than the others, or has numbers that are not finite.
    """
    missing = [part for part in PARTS if part not in arrays]
    if missing:
        raise ValueError(f"{name} has no array {missing[0]!r}; a recording has {', '.join(PARTS)}")
    count = len(arrays["reward"])
    kept = {part: np.asarray(arrays[part]) for part in (*PARTS, PROBABILITY) if part in arrays}
    for part, array in kept.items():
        if array.dtype.kind not in "biuf" or len(array) != count or not count:
            raise ValueError(f"array {part} of {name} is {array.dtype}{list(array.shape)}; expected a row for each of {count} transitions")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            row = int(np.argwhere(~np.isfinite(array))[0][0])
            raise ValueError(f"row {row} of array {part} of {name} is not finite")
    for part, dtype in (("reward", np.float32), ("terminated", np.bool_), ("truncated", np.bool_)):
        kept[part] = kept[part].astype(dtype)
    kept["truncated"][-1] |= not kept["terminated"][-1]  # a file may end within an episode
    return Recording(kept, dict(facts))


def _read_npz(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    try:
        with np.load(path, allow_pickle=False) as file:
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise ValueError(f"{path} holds one array; expected a recording as rl-core collect writes it")
            arrays = {name: file[name] for name in file.files}
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError) as error:
        raise ValueError(f"{path} is not a whole .npz file: {error}; copy it again, or record it again") from error
    except ValueError as error:
        if "pickle" not in str(error):
            raise
        raise ValueError(f"{path} is not an .npz file of numbers; expected a recording as rl-core collect writes it") from error
    try:
        facts = json.loads(str(arrays.pop("facts"))) if "facts" in arrays else {}
    except ValueError as error:
        raise ValueError(f"the facts of {path} are not JSON: {error}") from error
    return arrays, facts if isinstance(facts, dict) else {}


def _parquet() -> Any:
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as error:
        raise ValueError("parquet files need pyarrow; install it with: pip install 'rl-core[parquet]', or take .npz") from error


def _write_parquet(recording: Recording, path: Path) -> None:
    arrow, parquet = _parquet()
    columns, shapes = {}, {}
    for name, array in recording.arrays.items():
        shapes[name] = list(array.shape[1:])
        flat = arrow.array(array.reshape(-1))
        columns[name] = flat if array.ndim == 1 else arrow.FixedSizeListArray.from_arrays(flat, int(np.prod(array.shape[1:])))
    metadata = {"rl_core": json.dumps({"facts": recording.facts, "shapes": shapes})}
    parquet.write_table(arrow.table(columns).replace_schema_metadata(metadata), path)


def _read_parquet(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    arrow, parquet = _parquet()
    try:
        table = parquet.read_table(path).combine_chunks()
    except (OSError, arrow.ArrowException) as error:
        raise ValueError(f"{path} is not a whole parquet file: {error}") from error
    about = json.loads((table.schema.metadata or {}).get(b"rl_core", b"{}"))
    arrays = {}
    for name in table.column_names:
        column = table.column(name).combine_chunks()
        values = column.flatten() if hasattr(column.type, "list_size") else column
        flat = values.to_numpy(zero_copy_only=False)
        arrays[name] = flat.reshape(len(table), *about.get("shapes", {}).get(name, [-1] if flat.size != len(table) else []))
    return arrays, about.get("facts", {})
