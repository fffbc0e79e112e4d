"""Checks of an agent's state: that it is reproduced, saved and continued to the last bit, and that nothing else is touched."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from rl_core.conformance import elsewhere, steps
from rl_core.conformance.subjects import AgentSubject
from rl_core.conformance.verdict import Fault, Skipped
from rl_core.runs import checkpoint
from rl_core.seeds import Seeds

_DRAW = "draw every random number from self.seeds, and keep nothing in globals, class attributes or sets"
_SAVE = "put everything that changes while learning into state_dict, and take all of it back in load_state_dict"


def reproduces_from_its_seed(subject: AgentSubject) -> None:
    """Check that two agents of one seed, stepped in turns with one of another seed, give the same metrics and state to the last bit."""
    reference = subject.reference.steps
    again, _ = subject.twins
    for number, (step, wanted) in enumerate(zip(again, reference, strict=False), start=1):
        steps.require_equal(step, wanted, f"two agents of seed 0 part in step {number}", _DRAW)
    if len(again) != len(reference):
        raise Fault(f"of two agents of seed 0 one took {len(reference)} steps and the other {len(again)}; {_DRAW}")


def depends_on_its_seed(subject: AgentSubject) -> None:
    """Check that another seed gives another state, unless the agent draws no random numbers or is declared deterministic."""
    _, other = subject.twins
    for step, wanted in zip(other, subject.reference.steps, strict=False):
        if steps.first_difference(step, wanted, "agent") or step.metrics != wanted.metrics or step.progress != wanted.progress:
            return
    with _generators_made() as made, subject.run(seed=1) as run:
        for _ in steps.go(run, steps.CUT):
            pass
        streams = run.seeds.state_dict()
    unused = [path for path, state in streams.items() if _fresh(path, run.recipe.seed) == state]
    if len(unused) == len(streams) == len(made):
        raise Skipped("it draws no random numbers")
    texts = (*subject.entry.spec.tags, subject.loaded.__doc__ or "", sys.modules[subject.loaded.__module__].__doc__ or "")
    if "deterministic" in " ".join(texts).lower():
        raise Skipped("it says that it is deterministic")
    raise Fault(
        f"seeds 0 and 1 gave the same state after {len(other)} steps, although random numbers are drawn; draw them all from self.seeds, "
        'or say in the spec that the result does not depend on them: tags=("deterministic",)'
    )


def resumes_to_the_last_bit(subject: AgentSubject) -> None:
    """Check that a run that is stopped after its first, third or last step but one and resumed ends with the bytes of an unbroken run.

    The third step's copy goes to the end. The first step's is held only up to there: what it lost, it lost as the other one did.
    """
    reference = subject.reference
    if not reference.cuts:
        raise Skipped("it learns all in one step, so there is nothing to continue")
    for cut, folder in reference.cuts.items():
        run, number = subject.open(steps.copied(folder, subject)), cut
        end = steps.CUT + 1 if cut == 1 and steps.CUT in reference.cuts else len(reference.steps)
        for step in steps.take(run, end - cut):
            steps.require_equal(step, reference.steps[number], f"continued after step {cut}, step {number + 1} differs", _SAVE)
            number += 1
        if number < end:
            raise Fault(f"continued after step {cut}, it stopped after step {number} of {len(reference.steps)}; {_SAVE}")


def repeats_in_another_process(subject: AgentSubject) -> None:
    """Check that a process with another folder, hash seed, number of processors and clock repeats and continues a run exactly."""
    reference = subject.reference
    disabled = tuple(row.package for row in subject.catalogue.plugins if row.status == "disabled")
    with subject.run() as run:
        anew = run.folder
    _hold_elsewhere(anew, len(reference.steps), reference.steps[-1], "begun in another process", disabled)
    if reference.cuts:
        cut = max(reference.cuts)  # to continue from earlier steps repeats what the run begun there does, and costs as much
        folder, rest = steps.copied(reference.cuts[cut], subject), len(reference.steps) - cut
        _hold_elsewhere(folder, rest, reference.steps[-1], f"continued after step {cut} in another process", disabled)


def evaluates_alike_when_loaded(subject: AgentSubject) -> None:
    """Check that an agent loaded from its checkpoint gets exactly the scores of the live one, all finite, and the task's metric."""
    live, metric = subject.traces.scores, subject.trained.task.metric
    loaded = subject.open(steps.copied(subject.trained.folder, subject)).evaluate(episodes=steps.EPISODES)
    if metric not in live:
        raise Fault(f"evaluate gives {sorted(live)}, without the task's metric {metric!r}")
    for name, value in live.items():
        if not np.isfinite(value):
            raise Fault(f"evaluate gives {name!r} = {value}; the numbers that judge an agent are finite")
    if live != loaded:
        name = next(name for name in live if live[name] != loaded.get(name))
        raise Fault(f"evaluate gives {name!r} = {live[name]!r}, and after loading the checkpoint {loaded.get(name)!r}; {_SAVE}")


def saves_without_pickle(subject: AgentSubject) -> None:
    """Check that neither saving nor loading uses pickle or a similar format, and a checkpoint is its two plain files."""
    with subject.run() as run:
        for step in steps.take(run, 1):
            saved = steps.save(run)
            odd = sorted(set(step.files) - {checkpoint.STATE, checkpoint.ARRAYS})
            if odd:
                raise Fault(f"the checkpoint holds {', '.join(odd)} besides {checkpoint.STATE} and {checkpoint.ARRAYS}")
            for path, array in step.arrays().items():
                if _is_pickle(array):
                    raise Fault(f"the array {path!r} of the state is a pickle; save its parts as plain arrays and numbers")
        with _pickle_refused():
            run.agent.state_dict()
            run.agent.load_state_dict(checkpoint.load(saved)["agent"])


def leaves_the_process_alone(subject: Any) -> None:
    """Check that building, training, predicting and saving change no setting of the process, its libraries or its working directory."""
    if subject.remains["settings"]:
        raise Fault(f"it changed {'; '.join(subject.remains['settings'])}; change it only within a `with` block, or leave it to the user")


def leaves_the_generators_alone(subject: Any) -> None:
    """Check that the global random generators (random, NumPy, torch, CUDA) have the same state afterwards as before."""
    if subject.remains["generators"]:
        raise Fault(f"it moved {', '.join(subject.remains['generators'])}; draw from the generators that it is given (seeds, rng)")


def _hold_elsewhere(folder: Path, count: int, wanted: steps.Step, what: str, disabled: tuple[str, ...]) -> None:
    elsewhere.advance(folder, count, disabled)
    found = checkpoint.names(folder / "checkpoints")
    path = folder / "checkpoints" / str(found[-1] if found else 0)
    files = steps.read(path) if found else {}
    steps.require_equal(steps.Step(found[-1] if found else 0, wanted.metrics, files), wanted, f"{what}, the run differs", _DRAW)


def _is_pickle(array: np.ndarray) -> bool:
    """Return whether bytes begin and end as every pickle since protocol 2 does."""
    if array.dtype.kind not in "ui" or array.dtype.itemsize != 1 or array.size < 4:
        return False
    data = array.tobytes()
    return data[0] == 0x80 and 2 <= data[1] <= pickle.HIGHEST_PROTOCOL and data[-1:] == pickle.STOP


def _fresh(path: str, seed: int) -> Any:
    """Return the state of a stream from which nothing was drawn."""
    *branch, name = path.split("/")
    seeds = Seeds(seed, tuple(branch))
    seeds.numpy(name)
    return seeds.state_dict()[path]


@contextmanager
def _generators_made() -> Iterator[list[str]]:
    """Inside, the making of NumPy generators is noted, also of those that an agent makes for itself."""
    made: list[str] = []
    originals = {name: getattr(np.random, name) for name in ("default_rng", "PCG64")}

    def noted(name: str) -> Callable[..., Any]:
        def make(*args: Any, **kwargs: Any) -> Any:
            made.append(name)
            return originals[name](*args, **kwargs)

        return make

    try:
        for name in originals:
            setattr(np.random, name, noted(name))
        yield made
    finally:
        for name, original in originals.items():
            setattr(np.random, name, original)


@contextmanager
def _pickle_refused() -> Iterator[None]:
    """Raise a fault at every use of pickle inside the block, except numba's, which stores compiled code."""
    patched: list[tuple[Any, str, Any]] = []

    def refuse(module: Any, name: str) -> None:
        original = getattr(module, name, None)
        if original is None:
            return

        def refused(*args: Any, **kwargs: Any) -> Any:
            caller = sys._getframe(1).f_globals.get("__name__", "")
            if caller.startswith("numba."):
                return original(*args, **kwargs)
            raise Fault(
                f"{caller} calls {module.__name__}.{name} to save or load; a state is nested dicts and lists of arrays and plain values"
            )

        patched.append((module, name, original))
        setattr(module, name, refused)

    try:
        for module_name in ("pickle", "marshal", "torch", "joblib", "dill", "cloudpickle"):
            module = sys.modules.get(module_name)
            for name in ("dump", "dumps", "load", "loads") if module_name != "torch" else ("save", "load"):
                if module is not None:
                    refuse(module, name)
        yield
    finally:
        for module, name, original in patched:
            setattr(module, name, original)


AGENT: tuple[Callable[[Any], None], ...] = (
    reproduces_from_its_seed,
    depends_on_its_seed,
    resumes_to_the_last_bit,
    repeats_in_another_process,
    evaluates_alike_when_loaded,
    saves_without_pickle,
    leaves_the_process_alone,
    leaves_the_generators_alone,
)
