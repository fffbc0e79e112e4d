"""The plan of a sweep: a folder with the request, the recipe of each group and a line for each run, written once.

    DIR/sweep.yaml      the request, versions, and the checksum of the plan
        plan.jsonl      a line a run: id, group, seed, folder, recipe of its group, sha256 of its own recipe
        recipes/        the resolved recipe of each group; the runs of a group differ in their seed
        runs/           the runs, each an ordinary run's folder
        claims/         a lease for each run that a worker learns; see `rl_core.sweeps.claims`
        workers/        what each worker did
        stop            exists: workers save and end
        summary.json    the end of it

The state of a run is never stored: `rl_core.sweeps.states` derives it from the run's own files.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rl_core import documents
from rl_core.errors import RequestError, WorkError
from rl_core.plugins.catalogue import Catalogue
from rl_core.runs import files, manifest, recipe
from rl_core.sweeps.axes import MOST_RUNS, Variant

FORMAT = 1
REQUEST = "sweep.yaml"
PLAN = "plan.jsonl"
LONGEST_NAME = 80  # of a folder that is named after its components


@dataclass(frozen=True)
class PlannedRun:
    """A line of the plan.

    Attributes:
        id: Number of the run, of as many digits as all have.
        group: The runs that differ only in their seed have one group: "ppo, clip_range=0.1".
        seed: Its seed.
        folder: Its folder, below that of the sweep.
        recipe: The file with the recipe of the group, below that of the sweep.
        sha256: Checksum of its `recipe.yaml`.
    """

    id: str
    group: str
    seed: int
    folder: str
    recipe: str
    sha256: str


@dataclass(frozen=True)
class Terms:
    """The terms that hold for every run of a sweep.

    Attributes:
        episodes: Episodes of the evaluation of a control task.
        draw: Whether the figures of each run are drawn.
        retries: Attempts without progress between them, after which a run that is killed counts as failed.
        minutes: Longest time that one attempt may take; `None` sets no limit.
        memory: Megabytes that a worker may allocate; `None` sets no limit.
        score_paused: Whether a run is evaluated where it pauses.
    """

    episodes: int = 100
    draw: bool = False
    retries: int = 3
    minutes: float | None = None
    memory: int | None = None
    score_paused: bool = False


@dataclass(frozen=True)
class Group:
    """The runs that differ only in their seed.

    Attributes:
        label: Its name.
        recipe: Its recipe, of whatever seed.
    """

    label: str
    recipe: recipe.Recipe


@dataclass(frozen=True)
class Sweep:
    """A planned sweep.

    Attributes:
        folder: Its folder.
        runs: The plan.
        terms: What holds for every run.
        threads: Threads of the linear algebra of its runs, the most of any.
    """

    folder: Path
    runs: tuple[PlannedRun, ...]
    terms: Terms
    threads: int = 1

    def path(self, run: PlannedRun) -> Path:
        """Return the folder of a run."""
        return self.folder / run.folder


def is_sweep(folder: Path) -> bool:
    """Return whether the folder is a sweep's."""
    return (folder / REQUEST).is_file()


def groups_of(
    catalogue: Catalogue,
    names: Sequence[str],
    variants: Sequence[Variant],
    *,
    file: recipe.RecipeFile | None = None,
    overrides: Sequence[str] = (),
    **options: Any,
) -> list[Group]:
    """Return the groups of every name with every variant; each is resolved, so that a mistake is found before the first run.

    Args:
        catalogue: The installed components.
        names: Agents, networks or tasks, as `rl-core run` takes them; empty where the recipe file names the agent.
        variants: Combinations of varied settings.
        file: A recipe file that all have in common.
        overrides: Texts of `--set` that all have in common.
        options: Options of `rl-core run` that all have in common.

    Raises:
        RequestError: if one of them cannot be run, naming it.
    """
    groups: list[Group] = []
    seen: dict[str, str] = {}
    for name in names or (None,):
        for variant in variants:
            label = ", ".join(filter(None, (name if len(names) > 1 or not variant.label else "", variant.label))) or "all"
            try:
                resolved = recipe.resolve(
                    catalogue, name, file=file, overrides=(*overrides, *variant.overrides), **{**options, **variant.options}
                )
            except RequestError as error:
                raise RequestError(f"{label}: {error.message}", error.hint) from error
            settings = replace(resolved.recipe, seed=0)
            twin = seen.setdefault(settings.to_yaml(), label)
            if twin is not label:
                raise RequestError(f"{label!r} and {twin!r} resolve to the same recipe", "leave one of them out")
            groups.append(Group(label, settings))
    return groups


def write(folder: Path, groups: Sequence[Group], seeds: Sequence[int], terms: Terms, request: dict[str, Any]) -> Sweep:
    """Write the plan of every group with every seed, and return it. The folder appears whole or not at all.

    Raises:
        RequestError: if the folder exists and is not empty, or there are too many runs.
        WorkError: if it cannot be written.
    """
    require_free(folder)
    if len(groups) * len(seeds) > MOST_RUNS:
        raise RequestError(f"{len(groups):,} groups of {len(seeds):,} seeds are more than {MOST_RUNS:,} runs", "give fewer seeds")
    runs = _runs(groups, seeds)
    plan = b"".join(json.dumps(asdict(run)).encode() + b"\n" for run in runs)
    threads = max(group.recipe.threads for group in groups)
    document = {
        "format": FORMAT,
        "request": request,
        "groups": [group.label for group in groups],
        "seeds": list(seeds),
        "runs": len(runs),
        "plan": hashlib.sha256(plan).hexdigest(),
        "terms": asdict(terms),
        "threads": threads,
        "versions": manifest.versions(["rl-core"]),
    }
    part = folder.resolve().parent / f".{folder.resolve().name}.planning"
    try:
        shutil.rmtree(part, ignore_errors=True)
        files.make_folder(part / "recipes")
        for index, group in enumerate(groups):
            files.write_synced(part / _recipe_name(index), group.recipe.to_yaml().encode())
        files.write_synced(part / PLAN, plan)
        files.write_synced(part / REQUEST, documents.dump_yaml(document).encode())
        for name in ("runs", "claims", "workers"):
            (part / name).mkdir()
        files.sync_folder(part)
        if folder.exists():
            folder.rmdir()
        part.rename(folder)
        files.sync_folder(folder.resolve().parent)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise WorkError(f"the plan of {str(folder)!r} cannot be written: {error.strerror or error}", "give another --out") from error
    return Sweep(folder, tuple(runs), terms, threads)


def require_free(folder: Path) -> None:
    """Check that a sweep can have the folder.

    Raises:
        RequestError: if it exists and is not empty.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        remedy = f"continue it with `rl-core resume {folder}`, or give another --out" if is_sweep(folder) else "give another --out"
        raise RequestError(f"{str(folder)!r} exists and is not empty", remedy)


def unused_folder(parent: str, names: Sequence[str]) -> Path:
    """Return the first of `parent/<names>`, `parent/<names>-2`, ... that does not exist.

    >>> unused_folder("no such folder", ["ppo", "gym:CartPole-v1"]).name
    'ppo-gym-CartPole-v1'
    """
    name = re.sub(r"[^\w.-]+", "-", "-".join(names)).strip("-.")[:LONGEST_NAME] or "unnamed"
    candidates = (Path(parent) / (name if count == 1 else f"{name}-{count}") for count in itertools.count(1))
    return next(folder for folder in candidates if not folder.exists())


def read(folder: Path) -> Sweep:
    """Return the sweep in a folder.

    Raises:
        RequestError: if it is not a sweep's, is of another format, or its plan was cut or altered.
    """
    path = folder / REQUEST
    if not path.is_file():
        raise RequestError(f"{str(folder)!r} is not a sweep: it has no {REQUEST}", "give a folder that `rl-core sweep --out` made")
    document = documents.read(path)
    if document.get("format") != FORMAT:
        raise RequestError(
            f"{str(path)!r} is of format {document.get('format')!r}; this rl-core reads {FORMAT}", "use the rl-core of its versions"
        )
    try:
        plan = files.read(folder / PLAN)
        if hashlib.sha256(plan).hexdigest() != document["plan"]:
            raise ValueError(f"it does not have the checksum of the {document['runs']:,} runs that were planned")
        runs = tuple(PlannedRun(**json.loads(line)) for line in plan.splitlines())
        if not all(_is_below(run) for run in runs):
            raise ValueError("it names a folder outside of the sweep")
        return Sweep(folder, runs, Terms(**document["terms"]), int(document["threads"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RequestError(
            f"{str(folder / PLAN)!r} was cut or altered: {error}",
            "restore the file, or plan the sweep again in another folder; its finished runs are whole",
        ) from error


def _runs(groups: Sequence[Group], seeds: Sequence[int]) -> list[PlannedRun]:
    """Return the lines of the plan: seed by seed, so that a sweep that is stopped has some runs of every group."""
    digits = max(4, len(str(len(groups) * len(seeds) - 1)))
    yaml_of = [group.recipe.to_yaml() for group in groups]
    runs: list[PlannedRun] = []
    for seed in seeds:
        for index, group in enumerate(groups):
            number = f"{len(runs):0{digits}d}"
            name = re.sub(r"[^A-Za-z0-9_.=]+", "-", group.label).strip("-.")[:80]
            runs.append(
                PlannedRun(
                    id=number,
                    group=group.label,
                    seed=seed,
                    folder=f"runs/{number}-{name}-seed{seed}",
                    recipe=_recipe_name(index),
                    sha256=hashlib.sha256(with_seed(yaml_of[index], seed).encode()).hexdigest(),
                )
            )
    return runs


def with_seed(text: str, seed: int) -> str:
    r"""Return the text of a recipe, as `Recipe.to_yaml` writes it, with another seed.

    >>> with_seed("task: plane\nseed: 0\nbudget: 3\n", 7)
    'task: plane\nseed: 7\nbudget: 3\n'
    """
    return re.sub(r"(?m)^seed: \d+$", f"seed: {seed}", text, count=1)


def _recipe_name(index: int) -> str:
    return f"recipes/{index:04d}.yaml"


def _is_below(run: PlannedRun) -> bool:
    names = (run.folder.removeprefix("runs/"), run.recipe.removeprefix("recipes/"), run.id)
    return (
        run.folder.startswith("runs/")
        and run.recipe.startswith("recipes/")
        and not any("/" in name or name in ("", ".", "..") for name in names)
    )
