"""Checks of task families: that draws repeat, share their spaces, and keep training and test tasks apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rl_core.conformance.subjects import TaskSubject
from rl_core.conformance.verdict import Fault
from rl_core.family import Split, TaskFamily
from rl_core.seeds import Seeds
from rl_core.task import ControlTask

DRAWS = 20  # tasks of each split


def draws_tasks_of_one_kind(subject: TaskSubject) -> None:
    """Check that `draw` returns control tasks with the family's spaces; the same seeds draw an equal config, other seeds another one."""
    family = _family(subject)
    for split in ("train", "test"):
        first, again, *others = [_drawn(family, number, split) for number in (0, 0, *range(1, DRAWS))]
        if first.config != again.config:
            raise Fault(f"the same seeds draw {first.config} and {again.config}; draw every choice of a task from the seeds given")
        if all(task.config == first.config for task in others):
            raise Fault(f"{DRAWS} seeds draw the same {split} task {first.config}; a drawn task's config must hold what was drawn")
        for task in (first, *others):
            for role in ("input_space", "output_space"):
                if getattr(task, role) != getattr(family, role):
                    raise Fault(f"a {split} task has the {role} {getattr(task, role)}; the family says {getattr(family, role)}")


def keeps_test_tasks_apart(subject: TaskSubject) -> None:
    """Check that no task that is drawn for tests is among those drawn for training."""
    family = _family(subject)
    train, test = ([_drawn(family, number, split).config for number in range(DRAWS)] for split in ("train", "test"))
    shared = [config for config in test if config in train]
    if shared:
        raise Fault(f"{len(shared)} of {DRAWS} test tasks are training tasks, {shared[0]} among them; give each split its own configs")


def _family(subject: TaskSubject) -> TaskFamily:
    if not isinstance(subject.task, TaskFamily):
        raise Fault(f"its traits call it a family, but {type(subject.task).__name__} is not a rl_core.family.TaskFamily")
    return subject.task


def _drawn(family: TaskFamily, number: int, split: Split) -> ControlTask:
    task = family.draw(Seeds(number, ("family",)), split)
    if not isinstance(task, ControlTask):
        raise Fault(f"draw returns a {type(task).__name__}; expected a rl_core.task.ControlTask")
    return task


FAMILY: tuple[Callable[[Any], None], ...] = (draws_tasks_of_one_kind, keeps_test_tasks_apart)
