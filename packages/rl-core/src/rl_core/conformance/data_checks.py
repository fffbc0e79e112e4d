"""Checks of data tasks: their splits, how they are read, and whether a right answer counts as right."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from rl_core import batches
from rl_core.batches import Batch
from rl_core.conformance import inputs
from rl_core.conformance.subjects import TaskSubject
from rl_core.conformance.verdict import Fault, Skipped
from rl_core.offline import PARTS, TransitionTask
from rl_core.task import DataTask

SPLITS = ("train", "validation", "test")
LOOKED_AT = 2000  # examples of a split that are compared with those of another one
SHARED = 0.1  # share of a split that may occur in another one: real collections hold duplicates
SAME_RESULT = 1e-6  # relative difference of a metric when the same answers are judged in other batches


def reads_plain_batches(subject: TaskSubject) -> None:
    """Check that `read` returns arrays, ragged rows or dicts of them, never objects, with one input and one target for each index."""
    task = _data(subject)
    for split, indices in _some(task, 6):
        for name, batch in zip(("inputs", "targets"), task.read(split, indices), strict=True):
            if problem := batches.problem(batch):
                raise Fault(f"the {name} of {split}: {problem}")
            if batches.count(batch) != len(indices):
                raise Fault(f"{len(indices)} indices of {split} give {batches.count(batch)} {name}; return one for each index")
            if not batches.equal(batches.from_arrays(batches.to_arrays(batch)), batch):
                raise Fault(f"the {name} of {split} change when they are saved as plain arrays; use plain dtypes")


def has_splits_apart(subject: TaskSubject) -> None:
    """Check that there are examples to learn from and to be judged by, and no split holds the examples of another."""
    task = _data(subject)
    sizes = {split: task.num_examples(split) for split in SPLITS}
    for split in ("train", "test"):
        if sizes[split] < 1:
            raise Fault(f"the {split} split has {sizes[split]} examples; it needs at least one")
    seen: dict[str, set[bytes]] = {}
    for split, size in sizes.items():
        rows = set(_fingerprints(task.read(split, np.arange(min(size, LOOKED_AT))))) if size else set()
        for other, others in seen.items():
            shared = len(rows & others)
            if shared > SHARED * min(len(rows), len(others)):
                raise Fault(f"{shared} examples of the {split} split are also in {other}; an agent must not be judged by what it learned")
        seen[split] = rows


def reads_by_index(subject: TaskSubject) -> None:
    """Check that `read` gives the examples at the indices asked for: in any order, any number, repeated, and the same each time."""
    task, fresh = _data(subject), subject.fresh()
    assert isinstance(fresh, DataTask)
    for split, indices in _some(task, 6):
        given = task.read(split, indices)
        if any(batches.count(batch) != len(indices) for batch in given):
            raise Fault(f"{len(indices)} indices of {split} give {[batches.count(batch) for batch in given]} inputs and targets")
        for position, index in enumerate(indices):
            alone = task.read(split, np.array([index]))
            if not _same(alone, tuple(batches.take(batch, np.array([position])) for batch in given)):
                raise Fault(f"example {index} of {split} is a different one when read alone; an index must always mean the same example")
        for what, source in (("read again", task), ("read from a newly built task", fresh)):
            if not _same(source.read(split, indices), given):
                raise Fault(f"the same indices of {split} {what} give other examples; fix the order by a seed in the config")


def keeps_its_examples_to_its_spaces(subject: TaskSubject) -> None:
    """Check that inputs are members of the input space, targets of the output space."""
    task = _data(subject)
    for split in SPLITS:
        given, targets = task.read(split, np.arange(min(task.num_examples(split), 50)))
        for name, space, rows in (("input", task.example_space, given), ("target", task.output_space, targets)):
            if isinstance(task, TransitionTask) and name == "input":
                rows = _without_extras(task, split, rows)
            problem = inputs.members(space, rows)
            if problem:
                raise Fault(f"the {name}s of {split} are outside the {'input' if name == 'input' else 'output'} space: {problem}")


def scores_right_answers_best(subject: TaskSubject) -> None:
    """Check that the targets, given as answers, score at least as well as random answers, and reach the target score, if any."""
    task = _judged(subject)
    targets = task.read("test", np.arange(min(task.num_examples("test"), LOOKED_AT)))[1]
    random = inputs.samples(task.output_space, batches.count(targets), np.random.default_rng(0))
    right, wrong = (_result(task, answers, targets, 1)[task.metric] for answers in (targets, random))
    better = right >= wrong if task.higher_is_better else right <= wrong
    if not better:
        raise Fault(
            f"right answers score {right:g} and random ones {wrong:g}, while higher_is_better is {task.higher_is_better}; "
            "change one of them"
        )
    if task.reached(right) is False:
        raise Fault(f"right answers score {right:g}, which does not reach the target {task.target:g}; the target cannot be met")


def judges_in_any_batches(subject: TaskSubject) -> None:
    """Check that the same answers get the same metrics in one batch and in several unequal ones, independently of earlier evaluations."""
    task = _judged(subject)
    targets = task.read("test", np.arange(min(task.num_examples("test"), LOOKED_AT)))[1]
    answers = inputs.samples(task.output_space, batches.count(targets), np.random.default_rng(0))
    whole = _result(task, answers, targets, 1)
    if task.metric not in whole:
        raise Fault(f"the judge gives {sorted(whole)}, without the metric {task.metric!r}")
    for parts in (2, 3):
        split = _result(task, answers, targets, parts)
        for name, value in whole.items():
            if name not in split or not math.isclose(value, split[name], rel_tol=SAME_RESULT, abs_tol=SAME_RESULT):
                raise Fault(
                    f"the same answers judged in {parts} batches get {name!r} = {split.get(name)!r}, in one batch {value!r}; add up counts "
                    "in `add`, divide in `result`, and return a new judge from each call of `judge`"
                )


def holds_transitions(subject: TaskSubject) -> None:
    """Check that offline examples are dicts of the parts of a transition and the extras, with bool flags and finite float32 rewards."""
    task = _data(subject)
    if not isinstance(task, TransitionTask):
        raise Fault(f"its traits call it offline data, but {type(task).__name__} is not a rl_core.offline.TransitionTask")
    for split, indices in _some(task, 50):
        given, targets = task.read(split, indices)
        _without_extras(task, split, given)
        assert isinstance(given, dict)
        for name, dtype in (("reward", np.float32), ("terminated", np.bool_), ("truncated", np.bool_)):
            if given[name].dtype != dtype or given[name].shape != (len(indices),):
                array = given[name]
                raise Fault(f"{name} of {split} is {array.dtype}{list(array.shape)}; expected {np.dtype(dtype)}[{len(indices)}]")
        if not np.isfinite(given["reward"]).all():
            raise Fault(f"a reward of {split} is not finite")
        if not batches.equal(given["action"], targets):
            raise Fault(f"the targets of {split} are not the recorded actions; return inputs['action'] as targets")


def _without_extras(task: TransitionTask, split: str, rows: Any) -> Any:
    wanted = {*PARTS, *task.extras}
    if not isinstance(rows, dict) or set(rows) != wanted:
        parts = ", ".join(sorted(rows)) if isinstance(rows, dict) else type(rows).__name__
        raise Fault(f"the inputs of {split} are {parts}; a transition has the parts {', '.join(sorted(wanted))}")
    return {name: rows[name] for name in PARTS}


def _some(task: DataTask, count: int) -> Iterator[tuple[str, np.ndarray]]:
    """Yield each split with examples, and random indices of it, one of them twice."""
    for split in SPLITS:
        if size := task.num_examples(split):
            indices = np.random.default_rng(0).integers(0, size, count)
            indices[-1] = indices[0]
            yield split, indices


def _same(got: tuple[Batch, ...], wanted: tuple[Batch, ...]) -> bool:
    return all(batches.equal(one, other) for one, other in zip(got, wanted, strict=True))


def _fingerprints(examples: tuple[Batch, ...]) -> Iterator[bytes]:
    """Yield a digest of each example, input and target together."""
    for index in range(batches.count(examples[0])):
        digest = hashlib.blake2b(digest_size=16)
        for batch in examples:
            for path, array in batches.to_arrays(batches.take(batch, np.array([index]))).items():
                digest.update(path.encode() + np.ascontiguousarray(array).tobytes())
        yield digest.digest()


def _result(task: DataTask, answers: Batch, targets: Batch, parts: int) -> dict[str, float]:
    """Return what a judge says of answers that it is given in some batches of unlike size."""
    judge, size = task.judge(), batches.count(targets)
    bounds = [0, *(size * part // (parts + part) for part in range(1, parts)), size]
    for start, end in itertools.pairwise(bounds):
        if end > start:
            judge.add(batches.take(answers, slice(start, end)), batches.take(targets, slice(start, end)))
    return judge.result()


def _data(subject: TaskSubject) -> DataTask:
    if not isinstance(subject.task, DataTask):
        raise Skipped(f"its traits call it a data task, but {type(subject.task).__name__} reads in a way of its own")
    return subject.task


def _judged(subject: TaskSubject) -> DataTask:
    task = _data(subject)
    if isinstance(task, TransitionTask):
        raise Skipped("the environment judges what is learned from transitions")
    return task


DATA: tuple[Callable[[Any], None], ...] = (
    reads_plain_batches,
    has_splits_apart,
    reads_by_index,
    keeps_its_examples_to_its_spaces,
    scores_right_answers_best,
    judges_in_any_batches,
)
OFFLINE: tuple[Callable[[Any], None], ...] = (holds_transitions,)
