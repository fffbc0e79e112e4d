"""Steps of a run and the bytes that they leave, so that two runs can be compared to the last bit."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rl_core.conformance.verdict import Fault
from rl_core.runs import checkpoint

if TYPE_CHECKING:
    from rl_core.conformance.subjects import AgentSubject
    from rl_core.runs.run import Run

STEPS = 6  # of the run that others are compared with
CUT = 3  # steps after which a run is cut, to be continued; it is also cut after the first


@dataclass(frozen=True)
class Step:
    """What one step of a run left behind.

    Attributes:
        progress: How far the agent was after it.
        metrics: What `step` returned.
        files: Bytes of the checkpoint's files, by name.
    """

    progress: int
    metrics: Mapping[str, float]
    files: Mapping[str, bytes]

    def state(self) -> Any:
        """The state in the checkpoint without its arrays."""
        return json.loads(self.files[checkpoint.STATE])["state"]

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays in the checkpoint by path."""
        import safetensors.numpy

        return safetensors.numpy.load(self.files[checkpoint.ARRAYS])


@dataclass(frozen=True)
class Reference:
    """An undisturbed run.

    Attributes:
        steps: All of its steps.
        cuts: Copies of its folder on the way, by the number of steps taken: after one and after `CUT`, each before the last.
    """

    steps: list[Step]
    cuts: dict[int, Path]


def take(run: Run, count: int) -> Iterator[Step]:
    """Up to `count` steps of a run, fewer if it is done.

    Raises:
        Fault: if a step does not raise the agent's progress.
    """
    for _ in range(count):
        agent = run.agent
        if agent.finished or agent.progress >= run.budget:
            return
        before = agent.progress
        metrics = agent.step()
        if not agent.progress > before:
            raise Fault(f"a step left progress at {agent.progress}; every step must raise it, or the run never ends: add to self.progress")
        yield Step(agent.progress, metrics, read(save(run, run.folder / "checkpoints")))


def save(run: Run, folder: Path) -> Path:
    """A checkpoint of a run as it is now in `folder`, with all that the run's own checkpoints hold."""
    agent = run.agent
    state = {"agent": agent.state_dict(), "seeds": run.seeds.state_dict(), "finished": agent.finished, "budget": run.budget}
    return checkpoint.save(folder, agent.progress, state)


def read(path: Path) -> dict[str, bytes]:
    """Bytes of a checkpoint's files by name."""
    return {file.name: file.read_bytes() for file in sorted(path.iterdir())}


def record(subject: AgentSubject) -> Reference:
    """The reference run of an agent, seed 0, with copies of its folder as it was on the way."""
    taken: list[Step] = []
    cuts: dict[int, Path] = {}
    with subject.run() as run:
        for step in take(run, STEPS):
            taken.append(step)
            if len(taken) in (1, CUT):
                cuts[len(taken)] = copied(run.folder, subject)
    if not taken:
        raise Fault("the agent was finished, or its budget used up, before its first step; it must take at least one")
    cuts.pop(len(taken), None)
    return Reference(taken, cuts)


def copied(folder: Path, subject: AgentSubject) -> Path:
    """A copy of a run's folder."""
    return Path(shutil.copytree(folder, subject.folder() / "run"))


def require_equal(got: Step, wanted: Step, what: str, remedy: str) -> None:
    """Hold a step to another, to the last bit.

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
    """Where two states differ first, and how many more places differ; "" when their bytes are equal.

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
    """Plain values of a state by path; references to arrays are left out."""
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
