"""Checks of any task: its traits, its spaces, its score, and how it reads what a user types."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np

from rl_core import batches
from rl_core.conformance import inputs
from rl_core.conformance.agent_state_checks import leaves_the_generators_alone, leaves_the_process_alone
from rl_core.conformance.subjects import TaskSubject
from rl_core.conformance.verdict import Fault
from rl_core.runs import checkpoint
from rl_core.seeds import Seeds
from rl_core.task import DataTask

_NONSENSE = ("", "{", "[1, ", "null", "[]", "[[[[[[1]]]]]]", '"text"', '{"no such key": 1}', "[1e999]", "NaN", "\x00", "[" * 2000)


def has_the_traits_of_its_spec(subject: TaskSubject) -> None:
    """Check that the built task offers exactly the traits of its spec, and a scheme's task at least those."""
    told, built = set(subject.entry.spec.traits), set(subject.task.traits())
    missing, extra = sorted(told - built), sorted(built - told)
    if missing or (extra and subject.entry.scheme is None):
        parts = [f"the spec says {', '.join(missing)}, which the task does not offer"] if missing else []
        parts += [f"the task offers {', '.join(extra)}, which the spec does not say"] if extra else []
        raise Fault(f"{'; '.join(parts)}; the task's traits are {tuple(sorted(built))}")
    if subject.task.kind not in built:
        raise Fault(f"its kind {subject.task.kind!r} is not among its traits {tuple(sorted(built))}")


def says_how_it_is_judged(subject: TaskSubject) -> None:
    """Check that it has Gymnasium spaces, a metric with a name, a finite target or none, and a direction."""
    task = subject.task
    for role in ("input_space", "output_space"):
        if not isinstance(getattr(task, role, None), gymnasium.Space):
            raise Fault(f"{role} is {getattr(task, role, None)!r}; it must be a Gymnasium space")
    if not isinstance(getattr(task, "metric", None), str) or not task.metric:
        raise Fault(f"metric is {getattr(task, 'metric', None)!r}; it must be the name of the number that the task is judged by")
    if task.target is not None and (isinstance(task.target, bool) or not math.isfinite(task.target)):
        raise Fault(f"target is {task.target!r}; it must be a finite number, or None")
    if not isinstance(task.higher_is_better, bool):
        raise Fault(f"higher_is_better is {task.higher_is_better!r}; it must be True or False")


def scores_repeatably(subject: TaskSubject) -> None:
    """Check that random answers get finite scores, the metric among them, and the same scores again, also in a newly built task."""
    first = _judge(subject.task)
    if subject.task.metric not in first:
        raise Fault(f"evaluate gives {sorted(first)}, without its metric {subject.task.metric!r}")
    for name, value in first.items():
        if not isinstance(name, str) or isinstance(value, bool) or not isinstance(value, int | float | np.number):
            raise Fault(f"evaluate gives {name!r} = {value!r}; scores are numbers by name")
        if not math.isfinite(value):
            raise Fault(f"evaluate gives {name!r} = {value} for random answers; a score is finite, whatever is answered")
    for what, task in (("judged again", subject.task), ("judged by a task built anew", subject.fresh())):
        again = _judge(task)
        if again != first:
            name = next(name for name in first if first[name] != again.get(name))
            raise Fault(f"the same answers {what} get {name!r} = {again.get(name)!r}, not {first[name]!r}; draw from the seeds given alone")


def reads_what_is_typed(subject: TaskSubject) -> None:
    """Check that `parse` turns an input written as JSON into a batch of one, and refuses what it cannot read with a ValueError in words."""
    task = subject.task
    for text in _NONSENSE:
        try:
            task.parse(text)
        except ValueError as error:
            if not str(error).strip():
                raise Fault(f"parse refuses {text[:20]!r} without a word; say what it takes") from error
        except Exception as error:
            raise Fault(
                f"parse meets {text[:20]!r} with {type(error).__name__}: {error}; it must raise a ValueError that says what it takes"
            ) from error
    given = inputs.batch(task, 1)
    if isinstance(given, np.ndarray) and given.dtype.kind in "UO":
        return
    text = json.dumps(batches.plain(given, 0))
    try:
        read = task.parse(text)
    except ValueError:
        if type(task).parse is _default_parse():
            raise
        return  # a task with a way of its own to be written
    if batches.count(read) != 1:
        raise Fault(f"parse makes {batches.count(read)} inputs of one; it gives a batch of one [1, ...]")


def returns_from_its_state(subject: TaskSubject) -> None:
    """Check that a task with a `state_dict` is restored from a checkpoint with the same spaces, class names, scores and test examples."""
    task = subject.fresh()
    state = task.state_dict()
    if not state:
        return
    folder = subject.folder()
    checkpoint.save(folder, 0, {"task": state})
    restored = type(task).from_state(task.config, checkpoint.load(folder / "0")["task"])
    for name in ("input_space", "output_space", "class_names", "metric"):
        if getattr(restored, name) != getattr(task, name):
            raise Fault(f"{name} is {getattr(restored, name)} after from_state, not {getattr(task, name)}; keep it in state_dict")
    change = restored.data_change()
    if change:
        raise Fault(f"data_change says {change!r} of data that did not change")
    if isinstance(task, DataTask) and isinstance(restored, DataTask):
        indices = np.arange(min(task.num_examples("test"), 50))
        for what, before, after in zip(("inputs", "targets"), task.read("test", indices), restored.read("test", indices), strict=True):
            if not batches.equal(before, after):
                raise Fault(f"the {what} of test differ after from_state; keep all that they depend on in state_dict")
    if _judge(restored) != _judge(task):
        raise Fault("the same answers score differently after from_state; keep all that the score depends on in state_dict")


def _default_parse() -> Any:
    from rl_core.task import Task

    return Task.parse


def _judge(task: Any) -> dict[str, float]:
    return dict(task.evaluate(inputs.RandomAnswers(task.output_space), episodes=2, seeds=Seeds(0, ("conformance",))))


TASK: tuple[Callable[[Any], None], ...] = (
    says_how_it_is_judged,
    has_the_traits_of_its_spec,
    scores_repeatably,
    reads_what_is_typed,
    returns_from_its_state,
    leaves_the_process_alone,
    leaves_the_generators_alone,
)
