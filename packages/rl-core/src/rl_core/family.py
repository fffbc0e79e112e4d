"""Families of control tasks, for agents that learn to learn."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from rl_core.envs import Envs, Transition
from rl_core.task import ControlTask, Predict, Task

if TYPE_CHECKING:
    from rl_core.seeds import Seeds

Split = Literal["train", "test"]


class TaskFamily(Task):
    """A distribution of control tasks with the same spaces; its traits hold "family".

    An agent learns on tasks that it draws from the split "train", and is judged on tasks of the split "test", of which it has seen
    none. An agent that adapts to each test task overrides `Agent.evaluate`, and asks `draw` or `tasks` itself. A family that is a
    `ControlTask` as well has the trait "control" too: its `envs` play a task drawn anew in every episode, for agents that do not adapt.

    Attributes:
        num_test_tasks: How many test tasks an evaluation draws.
    """

    kind: ClassVar[str] = "family"
    metric = "mean return"
    num_test_tasks: int = 20

    @abstractmethod
    def draw(self, seeds: Seeds, split: Split) -> ControlTask:
        """Return a task whose every choice comes from `seeds`: the same seeds and split give an equal `config`.

        No task of "test" is a task of "train": the two splits differ in the configs that can be drawn.
        """

    def tasks(self, num_tasks: int, copies: int, seeds: Seeds, split: Split) -> Envs:
        """Return environments of tasks that are drawn now and do not change: environment i plays task i // copies.

        Each call draws further tasks of the stream `tasks` of `seeds`. Override it where many tasks can be stepped at once.
        """
        base = seeds.numpy("tasks").integers(2**40, size=num_tasks)
        drawn = [self.draw(seeds.apart(f"task {number}"), split) for number in base]
        return SideBySide([task.envs(copies, seeds.child(f"environments of task {i}")) for i, task in enumerate(drawn)])

    def evaluate(self, predict: Predict, *, episodes: int, seeds: Seeds) -> dict[str, float]:
        """Return the mean over test tasks of the mean return, with the deviation between tasks; `episodes` are split over the tasks."""
        num_tasks = min(self.num_test_tasks, episodes)
        returns = []
        for number in range(num_tasks):
            branch = seeds.apart(f"test task {number}")
            task = self.draw(branch.apart("draw"), "test")
            returns.append(task.evaluate(predict, episodes=max(1, episodes // num_tasks), seeds=branch)[task.metric])
        return {"mean return": float(np.mean(returns)), "deviation of tasks": float(np.std(returns)), "tasks": float(num_tasks)}


class SideBySide(Envs):
    """Environments of several tasks, stepped one task after the other.

    Args:
        parts: Environments of each task, with the same spaces.
    """

    def __init__(self, parts: Sequence[Envs]) -> None:
        super().__init__(sum(part.num_envs for part in parts), parts[0].input_space, parts[0].output_space)
        self.parts = list(parts)

    def reset(self) -> np.ndarray:
        """Return first observations [N, ...]."""
        return np.concatenate([part.reset() for part in self.parts])

    def restart(self) -> np.ndarray:
        """Return first observations [N, ...] of new episodes."""
        self._return[:], self._length[:] = 0.0, 0
        return np.concatenate([part.restart() for part in self.parts])

    def step(self, actions: np.ndarray) -> Transition:
        """Take actions [N, ...]."""
        ends = np.cumsum([part.num_envs for part in self.parts])[:-1]
        steps = [part.step(rows) for part, rows in zip(self.parts, np.split(actions, ends), strict=True)]
        obs, reward, terminated, truncated, final_obs = (np.concatenate(column) for column in list(zip(*steps, strict=True))[:5])
        extras = {name: np.concatenate([step.extras[name] for step in steps]) for name in steps[0].extras}
        for part in self.parts:
            part.pop_episodes()
        self._count(reward, terminated | truncated)
        return Transition(obs, reward, terminated, truncated, final_obs, extras)

    def state_dict(self) -> dict[str, Any]:
        """Return the positions of all environments."""
        return {"parts": [part.state_dict() for part in self.parts], **self._counters()}

    def load_state_dict(self, state: Mapping[str, Any]) -> np.ndarray:
        """Restore `state` and return the current observations [N, ...]."""
        self._load_counters(state)
        return np.concatenate([part.load_state_dict(saved) for part, saved in zip(self.parts, state["parts"], strict=True)])
