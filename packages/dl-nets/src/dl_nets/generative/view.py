"""Views: tasks that are another data task seen from one side, such as its inputs without its labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
from gymnasium import spaces

from rl_core import config as configs
from rl_core.config import Doc, configclass
from rl_core.plugins.catalogue import Catalogue
from rl_core.task import DataTask, Task

BYTE = np.float32(255.0)


@configclass
class ViewConfig:
    """The task that is looked at."""

    task: Annotated[str, Doc("name of the data task: digits, mnist:data/mnist")] = ""
    settings: Annotated[Mapping[str, Any], Doc("fields of that task's config, by name")] = field(default_factory=dict)


class View(DataTask):
    """Base class of a view of a data task whose inputs are vectors, images or arrays of numbers; bytes are scaled to [0, 1].

    Args:
        config: Which task.
        state: The `state_dict` of the task of a trained agent; `None` looks at the data.

    Attributes:
        source: The task.
        space: Space of one of its inputs as numbers, float32.

    Raises:
        ValueError: if it is not a data task, or its inputs are not numbers.
    """

    config: ViewConfig

    def __init__(self, config: Any, state: Mapping[str, Any] | None = None) -> None:
        super().__init__(config)
        name = config.task
        if not name:
            raise ValueError("the task is not named; write it after the colon, such as reconstruct:digits or reconstruct:mnist:data/mnist")
        entry = Catalogue.discover().find(name, "task")
        made_of, fields = entry.load(), {**entry.spec.config, **config.settings} if state is None else dict(state["config"])
        inner = configs.with_absolute_paths(configs.build(made_of.Config, fields, where=f"task {name}"), lambda _: Path())
        source: Task = made_of.from_state(inner, state["task"]) if state and state["task"] else made_of(inner)
        if not isinstance(source, DataTask) or not isinstance(source.input_space, spaces.Box):
            raise ValueError(f"task {name} has the inputs {source.input_space}; expected a data task whose inputs are numbers")
        self.source, given = source, source.input_space
        self._bytes = given.dtype == np.uint8
        low, high = (0.0, 1.0) if self._bytes else (given.low.astype(np.float32), given.high.astype(np.float32))
        self.space = spaces.Box(low, high, given.shape, np.float32)

    @classmethod
    def from_state(cls, config: Any, state: Mapping[str, Any]) -> Self:
        """Return the task of a run, which reads its data only to learn or to be judged."""
        return cls(config, state)

    def state_dict(self) -> dict[str, Any]:
        """Return the config and the state of the task that is looked at."""
        return {"config": configs.to_plain(self.source.config), "task": self.source.state_dict()}

    def data_change(self) -> str:
        """Return how the data differs from that of the run, or ""."""
        return self.source.data_change()

    def accept_data(self) -> None:
        """Go on with the data as it is now."""
        self.source.accept_data()

    def num_examples(self, split: str) -> int:
        """Return how many examples the split has."""
        return self.source.num_examples(split)

    def numbers(self, split: str, indices: np.ndarray) -> np.ndarray:
        """Return the inputs of the source at `indices` [B] as numbers [B, ...], float32."""
        numbers = np.asarray(self.source.read(split, indices)[0]).astype(np.float32)
        return numbers / BYTE if self._bytes else numbers

    def classes(self, split: str, indices: np.ndarray) -> np.ndarray | None:
        """Return the classes [B] at `indices` [B] of the source, from 0; `None` where it does not ask for one class."""
        space = self.source.output_space
        if not isinstance(space, spaces.Discrete):
            return None
        return np.asarray(self.source.read(split, indices)[1]) - int(space.start)
