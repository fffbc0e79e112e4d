"""Steps of a run and the bytes of their checkpoints, so that two runs can be compared to the last bit."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rl_core import batches
from rl_core.conformance import inputs
from rl_core.conformance.verdict import Fault
from rl_core.runs import checkpoint
from rl_core.task import ControlTask
from rl_core.threads import limited_threads

if TYPE_CHECKING:
    from rl_core.conformance.subjects import AgentSubject
    from rl_core.runs.run import Run

CUT = 3  # steps after which a run is cut, to be continued; it is also cut after the first and before the last
EPISODES = 2  # of an evaluation
TRAINED_STEPS = 2  # of the run that several checks ask
MOST_STEPS = 25  # of the reference run, while no episode has ended
EPISODE_METRICS = frozenset({"episode_return", "episode_length", "episodes"})  # reported by a step in which an episode ended


@dataclass(frozen=True)
class Step:
    """The result of one step of a run.

    Attributes:
        progress: How far the agent was after it.
        metrics: What `step` returned.
        files: Bytes of the checkpoint's files, by name.
    """

    progress: int
    metrics: Mapping[str, float]
    files: Mapping[str, bytes]

    def state(self) -> Any:
        """Return the state in the checkpoint without its arrays."""
        return json.loads(self.files[checkpoint.STATE])["state"]

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays in the checkpoint by path."""
        import safetensors.numpy

        return safetensors.numpy.load(self.files[checkpoint.ARRAYS])


@dataclass(frozen=True)
class Reference:
    """An undisturbed run.

    Attributes:
        steps: All of its steps.
        cuts: Copies of its folder on the way, by the number of steps taken: after one, after `CUT`, and before the last.
    """

    steps: list[Step]
    cuts: dict[int, Path]


@dataclass(frozen=True)
class Traces:
    """The results of two predictions and an evaluation of a trained agent, and its state before and after them.

    Attributes:
        given: The inputs as they are after the first prediction.
        kept: A copy of them from before.
        answers: What each of the two predictions gave.
        scores: What the evaluation gave.
        before: The state before.
        after: The state after.
    """

    given: Any
    kept: Any
    answers: tuple[Any, Any]
    scores: Mapping[str, float]
    before: Step
    after: Step


def take(run: Run, count: int) -> Iterator[Step]:
    """Yield up to `count` steps of a run, fewer if it is done, with the threads of its recipe; nothing is written.

    Raises:
        Fault: if a step does not raise the agent's progress.
    """
    for metrics in go(run, count):
        yield Step(run.agent.progress, metrics, files_of(run))


def go(run: Run, count: int) -> Iterator[Mapping[str, float]]:
    """Take up to `count` steps of a run, and yield the metrics of each; see `take`."""
    for _ in range(count):
        agent = run.agent
        if agent.finished or agent.progress >= run.budget:
            return
        before = agent.progress
        with limited_threads(run.recipe.threads):
            metrics = agent.step()
        if not agent.progress > before:
            raise Fault(f"a step left progress at {agent.progress}; every step must raise it, or the run never ends: add to self.progress")
        yield metrics


def save(run: Run, folder: Path | None = None) -> Path:
    """Write a checkpoint of a run as it is now, with everything that the run's own checkpoints hold; return its path.

    Args:
        run: The run.
        folder: Where to; `None`: among the run's own checkpoints.
    """
    return checkpoint.save(folder or run.folder / "checkpoints", run.agent.progress, _state(run))


def files_of(run: Run) -> dict[str, bytes]:
    """Return the bytes of the files that a checkpoint of a run would have now, by name."""
    return checkpoint.contents(run.agent.progress, _state(run)) or read(save(run))


def _state(run: Run) -> dict[str, Any]:
    agent = run.agent
    return {"agent": agent.state_dict(), "seeds": run.seeds.state_dict(), "finished": agent.finished, "budget": run.budget}


def read(path: Path) -> dict[str, bytes]:
    """Return the bytes of a checkpoint's files by name."""
    return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


def follow(run: Run) -> Traces:
    """Let a trained agent predict twice and be evaluated over `EPISODES` episodes.

    Args:
        run: Where it was trained.
    """
    given = inputs.batch(run.task, 5)
    kept = batches.apply(given, np.copy)
    before = Step(run.agent.progress, {}, files_of(run))
    first = batches.apply(run.agent.predict(given), np.array)
    seen = batches.apply(given, np.copy)
    second = batches.apply(run.agent.predict(given), np.array)
    scores = run.evaluate(episodes=EPISODES)
    return Traces(seen, kept, (first, second), scores, before, Step(run.agent.progress, {}, files_of(run)))


def record(subject: AgentSubject) -> Reference:
    """Return the reference run of an agent, seed 0, with copies of its folder as it was on the way."""
    taken: list[Step] = []
    with subject.run() as run:
        awaits_an_end = isinstance(run.task, ControlTask)
        for step in take(run, max(subject.steps, MOST_STEPS)):
            taken.append(step)
            awaits_an_end = awaits_an_end and not EPISODE_METRICS & step.metrics.keys()
            if len(taken) >= subject.steps and not awaits_an_end:
                break
        cuts = {cut: _cut(run, taken[cut - 1], subject) for cut in sorted({1, CUT, len(taken) - 1}) if 0 < cut < len(taken)}
    if not taken:
        raise Fault("the agent was finished, or its budget used up, before its first step; it must take at least one")
    return Reference(taken, cuts)


def _cut(run: Run, step: Step, subject: AgentSubject) -> Path:
    """Return a copy of a run's folder as a process that was killed after a step leaves it."""
    folder = copied(run.folder, subject)
    for name, data in step.files.items():
        path = folder / "checkpoints" / str(step.progress) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def copied(folder: Path, subject: AgentSubject) -> Path:
    """Copy a run's folder; return the copy."""
    return Path(shutil.copytree(folder, subject.folder() / "run"))


def require_equal(got: Step, wanted: Step, what: str, remedy: str) -> None:
    """Check that a step equals another to the last bit.

    Raises:
        Fault: naming the metric or the place in the state where the two differ first.
    """
    if got.progress != wanted.progress:
        raise Fault(f"{what}: progress is {got.progress}, not {wanted.progress}; {remedy}")
    place = first_difference(got, wanted)
    if place:
        raise Fault(f"{what}: they differ at {place}; {remedy}")
    names = sorted({*got.metrics, *wanted.metrics})
    for name in names:
        values = [step.metrics.get(name) for step in (got, wanted)]
        if values[0] != values[1] and not all(value != value for value in values):  # NaN is another check's fault
            raise Fault(f"{what}: metric {name!r} is {values[0]!r}, not {values[1]!r}; {remedy}")


def first_difference(one: Step, other: Step, below: str = "") -> str:
    """Return where two states differ first, and how many more places differ; "" when their bytes are equal.

    Args:
        one: A step.
        other: Another one.
        below: Look only at this part of the state.
    """
    if one.files == other.files:
        return ""
    leaves = [{**dict(_leaves(step.state(), "")), **step.arrays()} for step in (one, other)]
    paths = sorted(path for path in {*leaves[0], *leaves[1]} if path.startswith(below))
    places = [path for path in paths if not _same(leaves[0].get(path), leaves[1].get(path))]
    if not places:
        return "" if below else "the order of the state's keys"
    return f"{places[0]} (and {len(places) - 1} more)" if len(places) > 1 else places[0]


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield the plain values of a state by path; references to arrays are left out."""
    if isinstance(value, dict) and set(value) != {"$array"}:
        for key, item in value.items():
            yield from _leaves(item, f"{path}/{key}" if path else key)
    elif isinstance(value, list):
        yield f"{path}/length", len(value)
        for index, item in enumerate(value):
            yield from _leaves(item, f"{path}/{index}")
    elif not isinstance(value, dict):
        yield path, value


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    return type(one) is type(other) and one == other
