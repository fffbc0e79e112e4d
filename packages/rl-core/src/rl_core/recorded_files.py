"""The schemes `offline:<file>` and `minari:<id>`: transitions from files, and the environment that they were recorded in as the judge."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from gymnasium import spaces

from rl_core import config as configs
from rl_core import minari_data, recording
from rl_core.config import Doc, FilePath, configclass
from rl_core.errors import RequestError, RlError
from rl_core.offline import RecordedConfig, RecordedTask
from rl_core.recording import Recording
from rl_core.task import ControlTask, Predict


@configclass
class FileConfig(RecordedConfig):
    """The file of transitions, and the environment that judges what is learned from it."""

    path: Annotated[FilePath, Doc("the file, .npz, .parquet or .csv, as rl-core collect writes it")] = ""
    judge: Annotated[str, Doc("name of the task that judges; empty: the one that the file was recorded in")] = ""
    expert: Annotated[FilePath, Doc("folder of a run whose policy answers as the expert, for agents that ask one")] = ""

    def __post_init__(self) -> None:
        if not self.path:
            raise ValueError("path is empty; name the file after the colon: offline:expert.npz")


@configclass
class MinariConfig(RecordedConfig):
    """The data set of Minari, and the environment that judges what is learned from it."""

    id: Annotated[str, Doc("the data set's id, such as D4RL/door/human-v2, made or downloaded before")] = ""
    judge: Annotated[str, Doc("name of the task that judges; empty: the one that the data set was recorded in")] = ""
    expert: Annotated[FilePath, Doc("folder of a run whose policy answers as the expert, for agents that ask one")] = ""

    def __post_init__(self) -> None:
        if not self.id:
            raise ValueError("id is empty; name the data set after the colon: minari:D4RL/door/human-v2")


class OfflineFile(RecordedTask):
    """Transitions of a file of `rl-core collect`.

    Args:
        config: The file and the judge.
        state: The `state_dict` of the task that an agent learned from; `None` looks at the file.

    Raises:
        ValueError: if the file cannot be read, or does not fit the environment that judges.
    """

    Config: ClassVar[type] = FileConfig
    config: Any

    def __init__(self, config: Any, state: Mapping[str, Any] | None = None) -> None:
        super().__init__(config)
        self._state = dict(state) if state is not None else self._look()
        self._control = control_of(self._state["judge"], self._state["judge_config"])
        self.input_space, self.output_space = self._control.input_space, self._control.output_space
        self.target = self._control.target
        self.extras = (recording.PROBABILITY,) if self._state["has_probability"] else ()
        if state is None:
            self._require_fit(self.recording)

    def load(self) -> Recording:
        """Return the recording of the file."""
        return recording.read(Path(self.config.path))

    def digest(self) -> str:
        """Return the SHA-256 of the file; "" where it is missing."""
        path = Path(self.config.path)
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""

    def _look(self) -> dict[str, Any]:
        facts = self.recording.facts
        judge = self.config.judge or str(facts.get("task") or "")
        if not judge:
            raise ValueError(f"{self.name} does not say which task it was recorded in; name one with --set task.judge=CartPole-v1")
        settings = {} if self.config.judge else dict(facts.get("task_config") or {})
        has_probability = recording.PROBABILITY in self.recording.arrays
        return {"judge": judge, "judge_config": settings, "has_probability": has_probability, "digest": self.digest()}

    @property
    def name(self) -> str:
        """The file or the data set, for messages."""
        return str(self.config.path)

    def _require_fit(self, found: Recording) -> None:
        for part, space in (("obs", self.input_space), ("action", self.output_space)):
            array = found.arrays[part]
            shape = tuple(space.shape or ())
            if array.shape[1:] != shape:
                raise ValueError(
                    f"{part} of {self.name} has rows of shape {list(array.shape[1:])}, and task {self._state['judge']} has {list(shape)}; "
                    "name the right task with --set task.judge=NAME"
                )
            if isinstance(space, spaces.Discrete):
                outside = (array < space.start) | (array >= space.start + space.n)
                if outside.any():
                    row = int(np.flatnonzero(outside)[0])
                    raise ValueError(f"{part} of row {row} of {self.name} is {array[row]}, outside {space} of task {self._state['judge']}")
        for part, space in (("obs", self.input_space), ("final_obs", self.input_space), ("action", self.output_space)):
            found.arrays[part] = found.arrays[part].astype(space.dtype, copy=False)

    @classmethod
    def from_state(cls, config: Any, state: Mapping[str, Any]) -> OfflineFile:
        """Return the task of a run, which reads its file only to learn."""
        return cls(config, state)

    def state_dict(self) -> dict[str, Any]:
        """Return the judge and the digest of the file."""
        return dict(self._state)

    def data_change(self) -> str:
        """Return how the file differs from the one that the run learned from, or ""."""
        digest = self.digest()
        if not digest:
            return f"{self.name} is missing (if it was moved, set task_config.path in the run's recipe.yaml)"
        return "" if digest == self._state["digest"] else f"{self.name} has changed since the run learned from it"

    def traits(self) -> frozenset[str]:
        """Return the traits of every recording, with "expert" where the config names one."""
        return super().traits() | ({"expert"} if self.config.expert else set())

    def expert(self) -> Predict:
        """Return the policy of the run that the config names as the expert."""
        return self._expert

    @cached_property
    def _expert(self) -> Predict:
        from rl_core.plugins.catalogue import Catalogue
        from rl_core.runs.run import Run

        with Run.open(Path(self.config.expert), Catalogue.discover()) as run:
            return run.agent.predict

    def control(self) -> ControlTask:
        """Return the environment that the file was recorded in, or the judge that the config names."""
        return self._control


class MinariTask(OfflineFile):
    """Transitions of a data set of Minari."""

    Config: ClassVar[type] = MinariConfig

    def load(self) -> Recording:
        """Return the episodes of the data set."""
        return minari_data.read(self.config.id)

    def digest(self) -> str:
        """Return the SHA-256 of the rewards and actions."""
        arrays = self.recording.arrays
        return hashlib.sha256(arrays["reward"].tobytes() + np.ascontiguousarray(arrays["action"]).tobytes()).hexdigest()

    @property
    def name(self) -> str:
        """The data set, for messages."""
        return f"the data set {self.config.id}"


def control_of(name: str, settings: Mapping[str, Any]) -> ControlTask:
    """Return the control task of a name and some of its settings.

    Raises:
        ValueError: if no task has that name here, or it is not a control task.
    """
    from rl_core.plugins.catalogue import Catalogue

    try:
        entry = Catalogue.discover().find(name, "task")
        task_class = entry.load()
        config = configs.build(task_class.Config, {**entry.spec.config, **settings}, where=f"task {name}")
        task = (entry.make or task_class)(config)
    except RlError as error:
        raise RequestError(f"the task that judges, {name}, cannot be built: {error.message}", error.hint) from error
    if not isinstance(task, ControlTask):
        raise ValueError(f"task {name} is not an environment; name one that judges with --set task.judge=CartPole-v1")
    return task


def write_example(path: Path) -> None:
    """Write the transitions of a few episodes of CartPole with random actions."""
    from rl_core.seeds import Seeds

    arrays = recording.record(control_of("gym:CartPole-v1", {}), None, num_steps=200, seeds=Seeds(0))
    recording.write(Recording(arrays, {"task": "gym:CartPole-v1", "policy": "random"}), path)
