"""A tuning: batches of trials, each batch a sweep in the tuning's folder, with successive halving on request.

    DIR/tune.yaml       the request
        trials.jsonl    a line for each trial of the batches that are finished, in order
        batches/000/    a sweep: the trials of a batch are its groups
        confirm/        a sweep: the best settings and the defaults, on seeds that no trial saw
        now.json        the runs that workers are to learn at this moment
        best.yaml       the recipe of the best trial
        figures/        history and importance

Successive halving (Jamieson and Talwalkar, 2016) pauses all runs of a batch at a rung, and continues the best of them: the same runs,
with the budget, and so the schedules, unchanged. What remains at the end has the bytes of the run alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rl_core import documents
from rl_core.errors import RequestError, WorkError
from rl_core.plugins.catalogue import Catalogue
from rl_core.runs import files, recipe
from rl_core.sweeps import plan, proposals, space, states
from rl_core.sweeps.axes import Variant
from rl_core.sweeps.proposals import Trial

REQUEST = "tune.yaml"
TRIALS = "trials.jsonl"
NOW = "now.json"
FORMAT = 1


@dataclass(frozen=True)
class Tuning:
    """The request of a tuning.

    Attributes:
        folder: Its folder.
        name: The component that is tuned, as `rl-core run` takes it.
        options: Options of `rl-core run`.
        overrides: Texts of `--set` that all trials have in common.
        dimensions: What is searched.
        trials: Number of trials.
        batch: Trials that are proposed together.
        seeds: Seeds of every trial, the same for all.
        sampler: See `rl_core.sweeps.proposals`.
        seed: Seed of the sampler.
        halving: One of so many trials of a batch goes on from rung to rung; 1: all learn the whole budget.
        confirm: Seeds on which the best settings are judged beside the defaults.
        terms: What holds for every run.
        higher_is_better: Whether larger scores are better.
        metric: Name of the score.
    """

    folder: Path
    name: str
    options: dict[str, Any]
    overrides: tuple[str, ...]
    dimensions: tuple[space.Dimension, ...]
    trials: int
    batch: int
    seeds: tuple[int, ...]
    sampler: str
    seed: int
    halving: int
    confirm: tuple[int, ...]
    terms: plan.Terms
    higher_is_better: bool
    metric: str

    def rungs(self, budget: int) -> list[int]:
        """Return the progress at which the trials of a batch are compared; the last is the budget."""
        if self.halving == 1:
            return [budget]
        return [max(1, math.ceil(budget / self.halving**power)) for power in (2, 1)] + [budget]


def is_tuning(folder: Path) -> bool:
    """Return whether the folder is a tuning's."""
    return (folder / REQUEST).is_file()


def write(tuning: Tuning) -> None:
    """Write the request. The folder appears whole or not at all.

    Raises:
        RequestError: if the folder exists and is not empty.
        WorkError: if it cannot be written.
    """
    plan.require_free(tuning.folder)
    document = {"format": FORMAT, **asdict(tuning), "dimensions": space.to_document(tuning.dimensions)}
    del document["folder"]
    plain = json.loads(json.dumps(document))
    try:
        files.make_folder(tuning.folder / "batches")
        files.replace(tuning.folder / REQUEST, documents.dump_yaml(plain).encode())
    except OSError as error:
        raise WorkError(f"{str(tuning.folder)!r} cannot be written: {error.strerror or error}", "give another --out") from error


def read(folder: Path) -> Tuning:
    """Return the tuning in a folder.

    Raises:
        RequestError: if it is not a tuning's, or its request was altered.
    """
    if not is_tuning(folder):
        raise RequestError(f"{str(folder)!r} is not a tuning: it has no {REQUEST}", "give a folder that `rl-core tune --out` made")
    document = documents.read(folder / REQUEST)
    try:
        if document.pop("format") != FORMAT:
            raise ValueError("it is of another format")
        document["dimensions"] = tuple(space.parse(document["dimensions"], REQUEST))
        document["terms"] = plan.Terms(**document["terms"])
        lists = {name: tuple(document[name]) for name in ("overrides", "seeds", "confirm")}
        return Tuning(folder=folder, **{**document, **lists})
    except (KeyError, TypeError, ValueError) as error:
        raise RequestError(f"{str(folder / REQUEST)!r} was altered: {error}", "restore it, or begin another tuning") from error


def read_trials(folder: Path) -> list[Trial]:
    """Return the trials of the batches that are finished.

    Raises:
        RequestError: if the file was altered.
    """
    path = folder / TRIALS
    try:
        found = [Trial(**json.loads(line)) for line in files.read(path).splitlines()] if path.exists() else []
        if [trial.number for trial in found] != list(range(len(found))):
            raise ValueError("the trials are not in order")
        return found
    except (OSError, ValueError, TypeError) as error:
        raise RequestError(f"{str(path)!r} was altered: {error}", "restore it: the next proposals depend on every line") from error


def write_trials(folder: Path, trials: Sequence[Trial]) -> None:
    """Write the trials."""
    files.replace(folder / TRIALS, b"".join(json.dumps(asdict(trial)).encode() + b"\n" for trial in trials))


def next_batch(tuning: Tuning, trials: Sequence[Trial]) -> list[Trial]:
    """Return the trials of the next batch; none when all were made."""
    batch = max((trial.batch for trial in trials), default=-1) + 1
    points = proposals.propose(
        tuning.dimensions,
        trials,
        min(tuning.batch, tuning.trials - len(trials)),
        sampler=tuning.sampler,
        seed=tuning.seed,
        batch=batch,
        higher_is_better=tuning.higher_is_better,
    )
    return [
        Trial(len(trials) + place, batch, {each.key: each.text(point[each.key]) for each in tuning.dimensions}, point, list(tuning.seeds))
        for place, point in enumerate(points)
    ]


def plan_batch(tuning: Tuning, catalogue: Catalogue, batch: Sequence[Trial]) -> tuple[plan.Sweep | None, dict[int, str]]:
    """Return the sweep of a batch, planned or read, with the label of each trial; one whose settings are refused has none."""
    folder = tuning.folder / "batches" / f"{batch[0].batch:03d}"
    groups: list[plan.Group] = []
    labels: dict[int, str] = {}
    for trial in batch:
        variant = Variant(tuple(f"{key}={value}" for key, value in trial.set.items()))
        try:
            (group,) = plan.groups_of(catalogue, [tuning.name], [variant], overrides=tuning.overrides, **tuning.options)
        except RequestError:
            continue
        twin = next((other.label for other in groups if other.recipe == group.recipe), None)
        labels[trial.number] = twin or f"trial {trial.number}"
        if twin is None:
            groups.append(replace(group, label=labels[trial.number]))
    if not groups:
        return None, labels
    if plan.is_sweep(folder):
        return plan.read(folder), labels
    return plan.write(folder, groups, tuning.seeds, tuning.terms, {"trials": [trial.number for trial in batch]}), labels


def plan_confirmation(tuning: Tuning, catalogue: Catalogue, best: Trial) -> plan.Sweep:
    """Return the sweep of the best settings and the defaults, on seeds that no trial saw."""
    folder = tuning.folder / "confirm"
    if plan.is_sweep(folder):
        return plan.read(folder)
    chosen = Variant(tuple(f"{key}={value}" for key, value in best.set.items()))
    groups = plan.groups_of(catalogue, [tuning.name], [chosen], overrides=tuning.overrides, **tuning.options)
    groups = [replace(groups[0], label="best")]
    (defaults,) = plan.groups_of(catalogue, [tuning.name], [Variant()], overrides=tuning.overrides, **tuning.options)
    if defaults.recipe != groups[0].recipe:
        groups.append(replace(defaults, label="defaults"))
    return plan.write(folder, groups, tuning.confirm, replace(tuning.terms, score_paused=False), {"best": best.number})


def scores_of(sweep: plan.Sweep, label: str | None, until: int) -> list[float | None]:
    """Return the score of each seed of a group, at the end or where it was paused; null for a run that has none."""
    return [states.score_at(sweep.path(run), until) for run in sweep.runs if run.group == label]


def judged(trial: Trial, scores: list[float | None], *, rung: int, state: str) -> Trial:
    """Return a trial with its scores; without a value if a seed failed."""
    whole = [score for score in scores if score is not None]
    value = sum(whole) / len(whole) if whole and len(whole) == len(trial.seeds) else None
    return replace(
        trial, scores=scores or [None] * len(trial.seeds), value=value, rung=rung, state=state if value is not None else "failed"
    )


def survivors(batch: Sequence[Trial], halving: int, *, higher_is_better: bool) -> list[int]:
    """Return the numbers of the trials that go on: one of `halving`, rounded up, the best first; of equal ones the first."""
    ranked = [trial for trial in batch if trial.value is not None]
    ranked.sort(key=lambda trial: (-trial.value if higher_is_better else trial.value, trial.number))  # type: ignore[operator]
    return [trial.number for trial in ranked[: math.ceil(len(ranked) / halving)]]


def with_worst(trials: Sequence[Trial], batch: Sequence[Trial], *, higher_is_better: bool) -> list[Trial]:
    """Return a batch in which a trial that failed is worth the worst value so far, if there is one."""
    known = [trial.value for trial in (*trials, *batch) if trial.value is not None]
    if not known:
        return list(batch)
    worst = min(known) if higher_is_better else max(known)
    return [replace(trial, value=worst) if trial.value is None else trial for trial in batch]


def best_of(trials: Sequence[Trial], *, higher_is_better: bool) -> Trial | None:
    """Return the best trial that learned the whole budget; of equal ones the first."""
    done = [trial for trial in trials if trial.state == "done" and trial.value is not None]
    return min(done, key=lambda trial: (-trial.value if higher_is_better else trial.value, trial.number), default=None)  # type: ignore[operator]


def as_preset(best: recipe.Recipe, chosen: Trial) -> str:
    """Return the settings of a trial as a preset of its task."""
    values: dict[str, Any] = {"budget": best.budget}
    for key in chosen.set:
        scope, dot, field = key.partition(".")
        name = "config" if not dot or scope == "agent" else f"{scope}_config"
        source: Any = getattr(best, name)
        values.setdefault(name, {})[field if dot else key] = source[field if dot else key]
    return documents.dump_yaml({best.task: json.loads(json.dumps(values))})
