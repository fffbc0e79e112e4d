"""Data sets of Minari: recordings written to and read from the folder where Minari keeps what was downloaded or made.

Source: O. Younis and others, "Minari", 2024, its format: an episode has one observation more than actions. Needs the extra
`rl-core[minari]`. Letters: T transitions.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import warnings
from importlib import import_module
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from rl_core.recording import PARTS, Recording, checked

NAME = re.compile(r"^(?:[\w-]+/)*[\w-]+-v\d+$")


def minari() -> Any:
    """Return the library.

    Raises:
        ValueError: if it is not installed.
    """
    try:
        return import_module("minari")
    except ImportError as error:
        raise ValueError("data sets of Minari need the library; install it with: pip install 'rl-core[minari]'") from error


def read(name: str) -> Recording:
    """Return a data set of Minari by its id, such as `D4RL/door/human-v2`; it was made here, or downloaded by `minari download`.

    Raises:
        ValueError: if it is not on this machine, or an episode does not have the parts of a recording.
    """
    library = minari()
    try:
        data = library.load_dataset(name)
    except Exception as error:
        raise ValueError(f"Minari has no data set {name!r} here ({error}); fetch it with: minari download {name}") from error
    columns: dict[str, list[np.ndarray]] = {part: [] for part in PARTS}
    for number, episode in enumerate(data.iterate_episodes()):
        if not isinstance(episode.observations, np.ndarray) or not isinstance(episode.actions, np.ndarray):
            raise ValueError(f"episode {number} of {name} has observations or actions that are not arrays")
        over = np.asarray(episode.terminations)
        cut = np.asarray(episode.truncations).copy()
        cut[-1] |= not over[-1]
        found = (episode.observations[:-1], episode.actions, episode.rewards, over, cut, episode.observations[1:])
        for part, array in zip(PARTS, found, strict=True):
            columns[part].append(np.asarray(array))
    arrays = {part: np.concatenate(column) for part, column in columns.items()}
    spec = data.spec.env_spec
    known = data.storage.metadata.get("rl_core")
    facts = json.loads(known) if known else {"task": spec.id if spec else "", "policy": data.storage.metadata.get("algorithm_name", "")}
    return checked(arrays, facts, f"the data set {name}")


def write(recording: Recording, name: str, input_space: gymnasium.Space[Any], output_space: gymnasium.Space[Any]) -> None:
    """Write a recording as a new data set of Minari.

    Args:
        recording: What to write.
        name: Id of the data set: `group/name-v0`.
        input_space: Of observations.
        output_space: Of actions.

    Raises:
        ValueError: if the id is not one of Minari's, or is taken.
    """
    if not NAME.match(name):
        raise ValueError(f"{name!r} is not an id of Minari; expected letters and a version, such as cartpole/expert-v0")
    library = minari()
    buffer_class = import_module("minari.data_collector").EpisodeBuffer
    arrays, bounds = recording.arrays, [*recording.starts.tolist(), len(recording.arrays["reward"])]
    episodes = []
    for number, (start, end) in enumerate(itertools.pairwise(bounds)):
        parts = {part: arrays[part][start:end] for part in PARTS}
        episodes.append(
            buffer_class(
                id=number,
                observations=np.concatenate((parts["obs"], parts["final_obs"][-1:])),
                actions=parts["action"].reshape(end - start, *(output_space.shape or ())),
                rewards=parts["reward"].astype(np.float64),
                terminations=parts["terminated"],
                truncations=parts["truncated"],
                infos=None,
            )
        )
    spec = gymnasium.spec(recording.facts["task"]) if recording.facts.get("task") in gymnasium.registry else None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of an author, an e-mail address and other facts that are not given
            data = library.create_dataset_from_buffers(
                dataset_id=name,
                buffer=episodes,
                env=spec,
                observation_space=_plain(input_space),
                action_space=_plain(output_space),
                algorithm_name=str(recording.facts.get("policy", "")),
            )
    except ValueError as error:
        raise ValueError(f"Minari refuses the data set {name!r}: {error}") from error
    with contextlib.suppress(AttributeError):
        data.storage.update_metadata({"rl_core": json.dumps(recording.facts)})


def _plain(space: gymnasium.Space[Any]) -> gymnasium.Space[Any]:
    """Return a space as Gymnasium's own class, which Minari writes to its metadata."""
    if isinstance(space, spaces.Box):
        return spaces.Box(space.low, space.high, dtype=space.dtype.type)
    return spaces.Discrete(int(space.n), start=int(space.start)) if isinstance(space, spaces.Discrete) else space
