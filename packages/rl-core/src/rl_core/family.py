"""Families of control tasks, for agents that learn to learn."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from rl_core.task import ControlTask, Predict, Task

if TYPE_CHECKING:
    from rl_core.seeds import Seeds

Split = Literal["train", "test"]


class TaskFamily(Task):
    """A distribution of control tasks with the same spaces; its traits hold "family".

    An agent learns on tasks that it draws from the split "train", and is judged on tasks of the split "test", of which it has seen
    none. An agent that adapts to each test task overrides `Agent.evaluate`, and asks `draw` itself.

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

    def evaluate(self, predict: Predict, *, episodes: int, seeds: Seeds) -> dict[str, float]:
        """Return the mean over test tasks of the mean return, with the deviation between tasks; `episodes` are split over the tasks."""
        num_tasks = min(self.num_test_tasks, episodes)
        returns = []
        for number in range(num_tasks):
            branch = seeds.apart(f"test task {number}")
            task = self.draw(branch.apart("draw"), "test")
            returns.append(task.evaluate(predict, episodes=max(1, episodes // num_tasks), seeds=branch)[task.metric])
        return {"mean return": float(np.mean(returns)), "deviation of tasks": float(np.std(returns)), "tasks": float(num_tasks)}
