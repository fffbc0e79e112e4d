"""Commands on many runs: `sweep` and `work`; and what `resume`, `compare` and `show` do with the folder of a sweep."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rl_core.cli.cli import Call
from rl_core.cli.completion import component_names
from rl_core.cli.options import DEVICES, EPISODES, JSON, UNTIL, UserPath, WholeNumber, limit_threads
from rl_core.errors import RequestError, printable
from rl_core.plugins.containment import stdout_to_stderr
from rl_core.runs.signals import STOPPED

if TYPE_CHECKING:
    from rl_core.sweeps.coordinator import Crew
    from rl_core.sweeps.plan import Sweep

WORKERS = click.option("--workers", type=WholeNumber(1), help="Workers to start.  [default: one for each processor, at most 8]")
LAUNCHER = click.option(
    "--launcher", default="local", show_default=True, shell_complete=component_names("launcher"), help="What starts the workers."
)
LAUNCHER_SET = click.option("--launcher-set", multiple=True, metavar="KEY=VALUE", help="A setting of the launcher: partition=long.")


@click.command()
@click.argument("names", metavar="NAME...", nargs=-1, shell_complete=component_names())
@click.option("--task", shell_complete=component_names("task"), help="Name of the task.")
@click.option("--network", shell_complete=component_names("network"), help="Name of the network.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="A config field of every run.")
@click.option("--vary", "varied", multiple=True, metavar="KEY=A,B,...", help="A config field, task, network or budget, and its values.")
@click.option("--seeds", default="0", show_default=True, metavar="LIST", help="Seeds of each group: 0-9, or 0,3,7.")
@click.option("--recipe", "file", type=UserPath(), help="A recipe in YAML, TOML or JSON that all runs begin with.")
@click.option("--budget", type=WholeNumber(), help="How much to learn, in the agent's unit.")
@UNTIL
@click.option("--out", type=UserPath(), help="Folder of the sweep, a new one.  [default: below sweeps/]")
@click.option("--device", type=DEVICES, help="Where tensors are placed.  [default: auto]")
@click.option("--threads", type=WholeNumber(), help="Threads of the linear algebra of each run.  [default: 1]")
@click.option("--checkpoint-every", type=WholeNumber(), help="Distance of checkpoints, in the agent's unit.  [default: every 30 seconds]")
@click.option("--evaluate-every", type=WholeNumber(), help="Evaluate at each multiple of this progress, and keep the best checkpoint.")
@click.option("--evaluate-episodes", type=WholeNumber(), help="Episodes of each of these evaluations.  [default: 20]")
@click.option("--stop-at-target", is_flag=True, default=None, help="End a run when one of these evaluations reaches the task's target.")
@EPISODES
@WORKERS
@LAUNCHER
@LAUNCHER_SET
@click.option("--draw", is_flag=True, help="Draw the figures of each run as well; they cost about a second each.")
@click.option("--retries", type=WholeNumber(1), default=3, show_default=True, help="Attempts at a run that is killed, without progress.")
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), help="Longest time of one attempt at a run.")
@click.option("--memory", type=WholeNumber(1), help="Megabytes that a worker may allocate.")
@click.option("--detach", is_flag=True, help="Start the workers, and do not wait for them.")
@click.option("--dry-run", is_flag=True, help="Print the plan, and run nothing.")
@JSON
@click.pass_obj
def sweep(
    obj: Call,
    names: tuple[str, ...],
    overrides: tuple[str, ...],
    varied: tuple[str, ...],
    seeds: str,
    file: Path | None,
    out: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Learn many runs: every NAME with every combination of the varied settings and every seed, in one folder.

    A sweep that is stopped or killed goes on with `rl-core resume DIR`: what is finished is kept, what was cut is resumed. Workers on
    other machines that see the folder may join with `rl-core work DIR`.
    """
    from rl_core.runs import recipe
    from rl_core.sweeps import axes, plan

    if not names and file is None:
        raise RequestError("a sweep needs at least one NAME, or --recipe", "for example: rl-core sweep ppo --seeds 0-4")
    out = out or plan.unused_folder("sweeps", names or [file.stem if file else ""])
    terms = plan.Terms(**{name: options.pop(name) for name in ("episodes", "draw", "retries", "minutes", "memory")})
    steering = {name: options.pop(name) for name in ("until", "workers", "launcher", "launcher_set", "detach", "dry_run")}
    limit_threads(options["threads"] or recipe.Recipe.threads)
    numbers = axes.parse_seeds(seeds)
    variants = axes.variants(varied)
    plan.require_free(out)
    if steering["detach"] and steering["launcher"] == "local":
        steering["launcher_set"] += ("attached=false",)
    crew = crew_of(obj, steering, options["threads"])
    with stdout_to_stderr():
        values = None if file is None else recipe.read(file)
        groups = plan.groups_of(obj.catalogue(), names, variants, file=values, overrides=overrides, **options)
    if steering["dry_run"]:
        _print_plan(groups, numbers, as_json)
        return
    request = {"names": list(names), "set": list(overrides), "vary": list(varied), "seeds": seeds, "recipe": str(file) if file else None}
    request |= {name: value for name, value in options.items() if value is not None}
    made = plan.write(out, groups, numbers, terms, request)
    try:
        if steering["detach"]:
            crew.start(made.folder)
            click.echo(f"{len(crew.ids)} workers were started; see: rl-core show {out}", err=True)
            return
        click.echo(f"{len(groups)} groups of {len(numbers)} seeds: {len(made.runs):,} runs in {out}, {crew.count} workers", err=True)
        coordinate(made, crew, until=steering["until"], as_json=as_json)
    except RequestError:  # such as of a launcher that does not work here
        if not any(made.path(run).exists() for run in made.runs):
            shutil.rmtree(out)
        raise


@click.command()
@click.argument("folder", metavar="DIR", type=UserPath())
@UNTIL
@click.option("--workers", type=WholeNumber(1), default=1, show_default=True, help="Processes that work.")
@click.option("--cpus", hidden=True, default="", help="Processors that this worker may use: 0,1.")
@click.option("--parent", hidden=True, type=int, help="End with this process.")
@JSON
@click.pass_obj
def work(obj: Call, folder: Path, until: int | None, workers: int, cpus: str, parent: int | None, as_json: bool) -> None:
    """Learn the runs of a sweep that no other worker has, until none is left.

    Any number of workers may share a folder, on any number of machines. Exit status: 0 when nothing is left, 1 when runs failed or the
    disk is full, 2 when this machine lacks what a run needs, 3 when it was stopped, 4 when it was silent for so long that another
    worker took its run over.
    """
    from rl_core.launchers import death
    from rl_core.sweeps import plan, tuning, tuning_run
    from rl_core.sweeps.worker import Assignment, Worker

    if parent is not None and parent != os.getpid():
        death.end_with_parent(parent, signal.SIGTERM)
    if cpus and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, [int(cpu) for cpu in cpus.split(",")])
    if tuning.is_tuning(folder):
        raise SystemExit(tuning_run.follow(folder, say, obj.disabled))
    found = plan.read(folder)
    if workers > 1:
        crew = crew_of(obj, {"workers": workers, "launcher": "local", "launcher_set": (), "until": until}, found.threads)
        crew.start(found.folder)
        while not crew.is_gone():
            time.sleep(0.2)
        status = 0
    else:
        status = Worker(Assignment(found, until), say, obj.disabled).work()
    if as_json:
        click.echo(json.dumps({"sweep": str(folder), "status": status}))
    raise SystemExit(status)


def resume_sweep(obj: Call, folder: Path, *, until: int | None, as_json: bool, retry_failed: bool, **steering: Any) -> None:
    """Continue a sweep; `retry_failed` has the failed runs tried once more."""
    from rl_core.sweeps import plan, states

    found = plan.read(folder)
    if retry_failed:
        for run in found.runs:
            (found.path(run) / states.FAILURE).unlink(missing_ok=True)
    crew = crew_of(obj, {"launcher_set": (), **steering, "until": until}, found.threads)
    coordinate(found, crew, until=until, as_json=as_json)


def coordinate(found: Sweep, crew: Crew, *, until: int | None, as_json: bool) -> None:
    """Have workers learn what is left of a sweep, print its summary, and end with the exit status for it."""
    from rl_core.sweeps import coordinator

    began = time.monotonic()
    whole = coordinator.coordinate(found, crew, say, until=until)
    coordinator.clean(found)
    document = summarise(found, seconds=time.monotonic() - began)
    if as_json:
        click.echo(json.dumps(document))
    else:
        print_summary(document)
    if not whole:
        click.echo(f"stopped; continue with: rl-core resume {shlex.quote(str(found.folder))}", err=True)
        raise SystemExit(STOPPED)
    if document["counts"]["failed"]:
        raise SystemExit(1)


def summarise(found: Sweep, *, seconds: float) -> dict[str, Any]:
    """Return the JSON document of a sweep: its runs, and the groups of those that are done as `compare` has them."""
    from rl_core.runs import compare
    from rl_core.sweeps import coordinator, states

    done = [(run.group, result) for run in found.runs if (result := states.result_of(found.path(run))) is not None]
    groups = compare.rows([(label, result) for label, result in done if result["score"] is not None])
    return coordinator.summary(found, seconds=seconds, groups=groups)


def print_summary(document: dict[str, Any]) -> None:
    """Print the groups of a sweep, the runs that failed, and the counts of the states."""
    from rl_core.cli.comparing import print_groups

    if document["groups"]:
        print_groups(document["groups"])
    for run in document["runs"]:
        if run["error"] is not None:
            click.echo(f"{run['state']}: {run['folder']} at {run['progress']:,}: {printable(run['error'], 500)}")
    click.echo(", ".join(f"{count:,} {state}" for state, count in document["counts"].items() if count))


def show_sweep(folder: str, as_json: bool) -> None:
    """Print the state of a sweep; nothing is learned."""
    from rl_core.sweeps import plan

    document = summarise(plan.read(Path(folder)), seconds=0.0)
    click.echo(json.dumps(document)) if as_json else print_summary(document)


def crew_of(obj: Call, steering: dict[str, Any], threads: int | None) -> Crew:
    """Return the workers to start, with their launcher."""
    from rl_core import config
    from rl_core.launchers.launcher import Needs
    from rl_core.launchers.local import available
    from rl_core.sweeps.coordinator import Crew

    entry = obj.catalogue().find(steering["launcher"], "launcher")
    launcher_class = entry.load()
    values = config.parse_overrides(steering["launcher_set"])["agent"]
    sources = dict.fromkeys(values, "--launcher-set")
    settings = config.build(launcher_class.Config, {**entry.spec.config, **values}, where=f"launcher {entry.name}", sources=sources)
    count = steering["workers"] or max(1, min(8, len(available()) // (threads or 1)))
    arguments = () if steering["until"] is None else ("--until", str(steering["until"]))
    return Crew(launcher_class(settings), count, Needs(cpus=threads or 1), obj.disabled, arguments)


def _print_plan(groups: Any, seeds: list[int], as_json: bool) -> None:
    rows = [{"group": group.label, "recipe": group.recipe.to_dict()} for group in groups]
    if as_json:
        click.echo(json.dumps({"groups": rows, "seeds": seeds, "runs": len(rows) * len(seeds)}))
        return
    for group in groups:
        budget = f", budget {group.recipe.budget:,}"
        click.echo(f"{group.label}: {group.recipe.agent} on {group.recipe.task}{budget}")
    click.echo(f"{len(groups)} groups of {len(seeds)} seeds: {len(groups) * len(seeds):,} runs")


def say(text: str) -> None:
    """Print a sentence on standard error."""
    click.echo(printable(text, 4_000), err=True)
