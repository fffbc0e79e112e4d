"""Checks of what an agent does: it learns, it answers, and it works with every task that it says it fits."""

from __future__ import annotations

import inspect
import json
import math
import sys
import traceback
from collections.abc import Callable, Collection
from typing import Any

import numpy as np

from rl_core import batches, metric_names
from rl_core.agent import Agent
from rl_core.api import Spec
from rl_core.conformance import inputs, probes, steps
from rl_core.conformance.subjects import AgentSubject
from rl_core.conformance.verdict import Fault, Skipped, in_words
from rl_core.errors import RequestError, RlError
from rl_core.plugins.catalogue import fits
from rl_core.seeds import Seeds
from rl_core.task import Task

OTHER_TASKS = 3  # of the catalogue that an agent must learn on, or must refuse
PROBES = 2  # of the kit's own tasks that it must learn on
STEPS_TO_MOVE = 5  # within so many steps, every parameter moves


def reports_finite_metrics(subject: AgentSubject) -> None:
    """Check that each step reports finite numbers under names of the common vocabulary, and leaves out what is not known yet."""
    for number, step in enumerate(subject.reference.steps, start=1):
        for name, value in step.metrics.items():
            if not isinstance(name, str):
                raise Fault(f"step {number} reports under the name {name!r}; the names of metrics are texts")
            known = metric_names.common(name)
            if known != name:
                raise Fault(f"step {number} reports {name!r}; call it {known!r}, so that runs of other agents can be compared with it")
            if isinstance(value, bool) or not isinstance(value, int | float | np.floating | np.integer):
                raise Fault(f"step {number} reports {name!r} as a {type(value).__name__}; a metric is a number: float(value)")
            if not math.isfinite(value):
                raise Fault(f"step {number} reports {name!r} = {value}; leave out what is not known, and fix what diverges")


def raises_its_progress(subject: AgentSubject) -> None:
    """Check that each step raises `progress`, a whole number in the unit of the spec."""
    for number, step in enumerate(subject.reference.steps, start=1):
        if isinstance(step.progress, bool) or not isinstance(step.progress, int):
            raise Fault(f"after step {number} progress is {step.progress!r}, a {type(step.progress).__name__}; it must be an int")


def moves_every_parameter(subject: AgentSubject) -> None:
    """Check that every trainable parameter that `parameters()` names has changed within five steps."""
    with subject.run() as run:
        before = {name: np.array(value) for name, value in run.agent.parameters().items()}
        if not before:
            raise Skipped("parameters() names none")
        still = set(before)
        for _ in steps.go(run, STEPS_TO_MOVE):
            after = run.agent.parameters()
            if set(after) != set(before):
                odd = sorted(set(after) ^ set(before))
                raise Fault(f"parameters() names {odd[0]!r} only before or only after a step; the names must stay")
            still = {name for name in still if np.array_equal(before[name], after[name], equal_nan=True)}
            if not still:
                return
    raise Fault(
        f"{len(still)} of {len(before)} parameters never moved, {sorted(still)[0]!r} among them; give them to the optimiser, use them in "
        "the loss, or leave what is not trained out of parameters()"
    )


def predicts_without_traces(subject: AgentSubject) -> None:
    """Check that predicting and evaluating leave the agent's state and the inputs unchanged, and the same inputs get the same answers."""
    traces = subject.traces
    if not batches.equal(traces.given, traces.kept):
        raise Fault("predict writes into its inputs; work on a copy")
    if not batches.equal(*traces.answers):
        raise Fault("predict answers the same inputs differently the second time; it is greedy, and draws nothing")
    steps.require_equal(traces.after, traces.before, "predicting and evaluating moved the state", "compute answers from copies")


def answers_each_input_alone(subject: AgentSubject) -> None:
    """Check that an input gets the same answer alone and in a batch, up to rounding."""
    agent = subject.trained.agent
    given = inputs.batch(agent.task, 5)
    together: Any = batches.apply(agent.predict(given), np.array)
    for index in range(batches.count(given)):
        alone = batches.to_arrays(batches.apply(agent.predict(batches.take(given, np.array([index]))), np.array))
        for path, array in batches.to_arrays(batches.take(together, np.array([index]))).items():
            other = alone[path]
            if path.endswith("texts"):  # as wide as the longest text of the batch
                array, other = (np.trim_zeros(codes.ravel(), "b") for codes in (array, other))
            same = array.shape == other.shape and (
                np.allclose(other, array, rtol=1e-3, atol=1e-5) if array.dtype.kind == "f" else np.array_equal(other, array)
            )
            if not same:
                raise Fault(
                    f"input {index} gets the answer {batches.plain(together, index)!r} in a batch, and another one alone; an answer "
                    "must not depend on the other inputs of its batch"
                )


def answers_in_the_output_space(subject: AgentSubject) -> None:
    """Check that answers to B inputs are B members of the task's output space, and `answer` gives data that JSON can hold."""
    agent = subject.trained.agent
    given = inputs.batch(agent.task, 5)
    answers = agent.predict(given)
    if batches.count(answers) != batches.count(given):
        raise Fault(f"predict gives {batches.count(answers)} answers to {batches.count(given)} inputs")
    problem = inputs.members(agent.task.output_space, answers)
    if problem:
        raise Fault(f"predict answers outside the output space: {problem}")
    one = batches.plain(given, 0)
    try:
        json.dumps(agent.answer(one if isinstance(one, str) else json.dumps(one)))
    except TypeError as error:
        raise Fault(f"answer gives what JSON cannot hold: {error}; turn arrays into lists") from error


def refuses_wrong_tasks(subject: AgentSubject) -> None:
    """Check that a task that does not fit is refused with a message before anything is built, and one that fits accepted or refused so."""
    spec = subject.entry.spec
    unfit = list(_one_task_per_traits(subject, fitting=False).items())
    for traits, name in unfit[:OTHER_TASKS]:
        try:
            subject.resolve(task=name)
        except RequestError:
            continue
        raise Fault(f"task {name} ({', '.join(sorted(traits))}) does not fit {spec.name}, and it was not refused")
    for task in _probes(subject):
        try:
            _built(subject, task)
        except (ValueError, RlError) as error:
            if not str(error).strip():
                raise Fault(f"a task with {', '.join(sorted(task.traits()))} is refused without a word") from error
        except Exception as error:
            raise Fault(
                f"its fits says that it takes a task with {', '.join(sorted(task.traits()))}, and it meets one (inputs {task.input_space}, "
                f"outputs {task.output_space}) with {type(error).__name__}: {error}; narrow fits, or raise a ValueError in words"
            ) from error


def learns_on_other_tasks(subject: AgentSubject) -> None:
    """Check that a step on up to three different tasks of the catalogue that fit, and on two of the kit's own, gives finite metrics."""
    others = _others(subject)
    for name in others:
        with subject.run(task=name) as run:
            _hold_step(run.agent, f"task {name}")
    tried = 0
    for task in _probes(subject):
        if tried == PROBES:
            break
        try:
            agent = _built(subject, task)
        except (ValueError, RlError):
            continue
        _hold_step(agent, f"a task with {', '.join(sorted(task.traits()))}")
        tried += 1
    if not others and not tried:
        raise Skipped("no other task that is installed fits it")


GRAPHS = ("onnx", "torch-export")  # formats that follow a network's computation


def exports_what_it_lists(subject: AgentSubject) -> None:
    """Check that each of the `export_formats` can be written and leaves a file; graphs, which take seconds, are left to tests."""
    formats = [form for form in subject.loaded.export_formats if form not in GRAPHS]
    if not formats:
        raise Skipped("it lists no export formats")
    for form in formats:
        out = subject.folder() / "exported"
        subject.trained.agent.export(form, out)
        if not out.exists():
            raise Fault(f"export({form!r}) leaves nothing at the path that it was given")


def _probes(subject: AgentSubject) -> list[Task]:
    """Return the kit's own tasks that the agent and its default network say they fit."""
    return [task for task in probes.tasks() if fits(task.traits(), subject.entry.spec.fits) and _network_fits(subject, task.traits())]


def _built(subject: AgentSubject, task: Task) -> Agent:
    """Build the tiny agent on one of the kit's own tasks."""
    resolved = subject.resolve()
    return resolved.agent_class(
        resolved.agent_config, task, subject.tiny_network(), seeds=Seeds(0), budget=resolved.recipe.budget, device="cpu"
    )


def _hold_step(agent: Agent, where: str) -> None:
    """Hold one step and a few answers of an agent on another task."""
    try:
        metrics = agent.step()
        problem = _outside(agent)
    except (Exception, SystemExit) as error:
        raise Fault(f"on {where}: {in_words(error)}") from error
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise Fault(f"on {where} it reports {name!r} = {value}")
    if problem:
        raise Fault(f"on {where} predict answers outside the output space: {problem}")


def _outside(agent: Agent) -> str:
    """Return why an agent's answers are outside the output space; "" if they are inside, or the agent reports that it cannot answer."""
    try:
        answers = agent.predict(inputs.batch(agent.task, 3))
    except ValueError as error:
        if traceback.extract_tb(error.__traceback__)[-1].filename == inspect.getfile(type(agent)):
            return ""
        raise
    return inputs.members(agent.task.output_space, answers)


def _one_task_per_traits(subject: AgentSubject, *, fitting: bool) -> dict[frozenset[str], str]:
    """Qualified names of usable tasks, the first of each set of traits, that fit the agent and its network, or not the agent."""
    spec: Spec = subject.entry.spec
    found: dict[frozenset[str], str] = {}
    entries = subject.catalogue.entries("task")
    for entry in sorted(entries, key=lambda entry: entry.spec.target.partition(".")[0] not in sys.modules):  # what is imported first
        if entry.missing or entry.problem:
            continue
        if fits(entry.spec.traits, spec.fits) == fitting and (not fitting or _network_fits(subject, entry.spec.traits)):  # type: ignore[attr-defined]
            found.setdefault(frozenset(entry.spec.traits), entry.qualified)
    return found


def _network_fits(subject: AgentSubject, traits: Collection[str]) -> bool:
    name = subject.entry.spec.network
    return name is None or fits(traits, subject.catalogue.find(name, "network").spec.fits)


def _others(subject: AgentSubject) -> list[str]:
    """Up to three tasks besides the default one: one of each further set of traits, then by name."""
    spec = subject.entry.spec
    default = subject.catalogue.find(spec.task, "task")
    first = [name for traits, name in _one_task_per_traits(subject, fitting=True).items() if traits != frozenset(default.spec.traits)]
    rest = [
        entry.qualified
        for entry in subject.catalogue.entries("task")
        if entry.qualified not in (*first, default.qualified)
        and not entry.missing
        and not entry.problem
        and fits(entry.spec.traits, spec.fits)
        and _network_fits(subject, entry.spec.traits)
    ]
    return [*first, *rest][:OTHER_TASKS]


AGENT: tuple[Callable[[Any], None], ...] = (
    raises_its_progress,
    reports_finite_metrics,
    moves_every_parameter,
    predicts_without_traces,
    answers_each_input_alone,
    answers_in_the_output_space,
    refuses_wrong_tasks,
    learns_on_other_tasks,
    exports_what_it_lists,
)
