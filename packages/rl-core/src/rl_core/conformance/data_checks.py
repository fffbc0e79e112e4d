"""Checks of data tasks: their splits, how they are read, and whether a right answer counts as right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rl_core.conformance import inputs
from rl_core.conformance.subjects import TaskSubject
from rl_core.conformance.verdict import Fault, Skipped
from rl_core.task import DataTask

SPLITS = ("train", "validation", "test")
LOOKED_AT = 2000  # examples of a split that are compared with those of another one
SHARED = 0.1  # share of a split that may stand in another one: real collections hold doubles


def has_splits_apart(subject: TaskSubject) -> None:
    """There are examples to learn from and to be judged by, and no split holds the examples of another."""
    task = _data(subject)
    sizes = {split: task.num_examples(split) for split in SPLITS}
    for split in ("train", "test"):
        if sizes[split] < 1:
            raise Fault(f"the {split} split has {sizes[split]} examples; it needs at least one")
    seen: dict[str, set[bytes]] = {}
    for split, size in sizes.items():
        given, targets = task.read(split, np.arange(min(size, LOOKED_AT)))
        rows = {
            np.ascontiguousarray(row).tobytes() + np.ascontiguousarray(target).tobytes() for row, target in zip(given, targets, strict=True)
        }
        for other, others in seen.items():
            shared = len(rows & others)
            if shared > SHARED * min(len(rows), len(others)):
                raise Fault(f"{shared} examples of the {split} split also stand in {other}; what is judged must not have been learned")
        seen[split] = rows


def reads_by_index(subject: TaskSubject) -> None:
    """`read` gives the examples at the indices asked for: in any order, any number, repeated, and the same each time."""
    task, fresh = _data(subject), subject.fresh()
    for split in SPLITS:
        size = task.num_examples(split)
        if not size:
            continue
        indices = np.random.default_rng(0).integers(0, size, 6)
        indices[-1] = indices[0]
        given, targets = task.read(split, indices)
        if len(given) != len(indices) or len(targets) != len(indices):
            raise Fault(f"{len(indices)} indices of {split} give {len(given)} inputs and {len(targets)} targets; give one of each an index")
        for position, index in enumerate(indices):
            one = task.read(split, np.array([index]))
            if not (np.array_equal(one[0][0], given[position]) and np.array_equal(one[1][0], targets[position])):
                raise Fault(f"example {index} of {split} is another one when read alone; an index must always mean the same example")
        for what, source in (("read again", task), ("read from a task built anew", fresh)):
            again = source.read(split, indices)  # type: ignore[attr-defined]
            if not all(np.array_equal(got, wanted) for got, wanted in zip(again, (given, targets), strict=True)):
                raise Fault(f"the same indices of {split} {what} give other examples; fix the order by a seed in the config")


def keeps_its_examples_to_its_spaces(subject: TaskSubject) -> None:
    """Inputs lie in the input space, targets in the output space."""
    task = _data(subject)
    for split in SPLITS:
        given, targets = task.read(split, np.arange(min(task.num_examples(split), 50)))
        for name, space, rows in (("input", task.input_space, given), ("target", task.output_space, targets)):
            problem = inputs.members(space, rows)
            if problem:
                raise Fault(f"the {name}s of {split} are outside the {name if name == 'input' else 'output'} space: {problem}")


def scores_right_answers_best(subject: TaskSubject) -> None:
    """The targets themselves, given as answers, score at least as well as random answers, and reach the target if there is one."""
    task = _data(subject)
    targets = task.read("test", np.arange(min(task.num_examples("test"), LOOKED_AT)))[1]
    right = task.score(targets, targets)[task.metric]
    wrong = task.score(inputs.samples(task.output_space, len(targets), np.random.default_rng(0)), targets)[task.metric]
    better = right >= wrong if task.higher_is_better else right <= wrong
    if not better:
        raise Fault(
            f"right answers score {right:g} and random ones {wrong:g}, while higher_is_better is {task.higher_is_better}; mend one of them"
        )
    if task.reached(right) is False:
        raise Fault(f"right answers score {right:g}, which does not reach the target {task.target:g}; the target cannot be met")


def _data(subject: TaskSubject) -> DataTask:
    if not isinstance(subject.task, DataTask):
        raise Skipped(f"its traits call it a data task, but {type(subject.task).__name__} reads in a way of its own")
    return subject.task


DATA: tuple[Callable[[Any], None], ...] = (
    has_splits_apart,
    reads_by_index,
    keeps_its_examples_to_its_spaces,
    scores_right_answers_best,
)
