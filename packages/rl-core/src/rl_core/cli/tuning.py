"""The command `tune`, and what `resume`, `work` and `show` do with the folder of a tuning."""

from __future__ import annotations

import json
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rl_core.cli.cli import Call
from rl_core.cli.completion import component_names
from rl_core.cli.options import DEVICES, EPISODES, JSON, UserPath, WholeNumber, limit_threads
from rl_core.cli.sweeping import LAUNCHER, LAUNCHER_SET, WORKERS, crew_of, say
from rl_core.errors import RequestError
from rl_core.plugins.containment import stdout_to_stderr
from rl_core.runs.signals import STOPPED

if TYPE_CHECKING:
    from rl_core.sweeps.coordinator import Crew
    from rl_core.sweeps.space import Dimension
    from rl_core.sweeps.tuning import Tuning


@click.command()
@click.argument("name", shell_complete=component_names())
@click.option("--task", shell_complete=component_names("task"), help="Name of the task.")
@click.option("--network", shell_complete=component_names("network"), help="Name of the network.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="A config field of every trial.")
@click.option("--space", "file", type=UserPath(), help="A YAML file of settings to search.  [default: the agent's own]")
@click.option("--range", "ranges", multiple=True, metavar="KEY=LOW:HIGH[:log]", help="A range to search.")
@click.option("--choice", "choices", multiple=True, metavar="KEY=A,B,...", help="Values to search.")
@click.option("--trials", type=WholeNumber(1), default=50, show_default=True, help="Combinations of settings to try.")
@click.option("--batch", type=WholeNumber(1), default=8, show_default=True, help="Trials that are proposed together.")
@click.option("--seeds", default="0-2", show_default=True, metavar="LIST", help="Seeds of every trial.")
@click.option("--sampler", type=click.Choice(["tpe", "random", "grid"]), default="tpe", show_default=True, help="Chooses the trials.")
@click.option("--sampler-seed", type=WholeNumber(0), default=0, show_default=True, help="Seed of the sampler.")
@click.option("--halving", type=WholeNumber(2), help="Pause all at a ninth and a third of the budget (for 3), and continue the best third.")
@click.option("--confirm", default="100-104", show_default=True, metavar="LIST", help="Seeds to judge the best on, beside the defaults.")
@click.option("--budget", type=WholeNumber(), help="How much to learn, in the agent's unit.")
@click.option("--evaluate-every", type=WholeNumber(), help="Evaluate at each multiple of this progress; a trial is worth the best of it.")
@click.option("--evaluate-episodes", type=WholeNumber(), help="Episodes of each of these evaluations.  [default: 20]")
@click.option("--out", type=UserPath(), help="Folder of the tuning, a new one.  [default: below tunings/]")
@click.option("--device", type=DEVICES, help="Where tensors are placed.  [default: auto]")
@click.option("--threads", type=WholeNumber(), help="Threads of the linear algebra of each run.  [default: 1]")
@EPISODES
@WORKERS
@LAUNCHER
@LAUNCHER_SET
@JSON
@click.pass_obj
def tune(
    obj: Call,
    name: str,
    overrides: tuple[str, ...],
    seeds: str,
    confirm: str,
    out: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Search for good settings of NAME: trials that a sampler proposes, each with the same seeds, and the best judged on other seeds.

    A tuning that is stopped or killed goes on with `rl-core resume DIR`, and proposes what it would have proposed.
    """
    from rl_core.runs import recipe
    from rl_core.sweeps import axes, plan, proposals, tuning

    steering = {key: options.pop(key) for key in ("workers", "launcher", "launcher_set")}
    search = {key: options.pop(key) for key in ("file", "ranges", "choices")}
    course = {key: options.pop(key) for key in ("trials", "batch", "sampler", "sampler_seed", "halving", "episodes")}
    limit_threads(options["threads"] or recipe.Recipe.threads)
    known, unseen = axes.parse_seeds(seeds), axes.parse_seeds(confirm)
    both = sorted(set(known) & set(unseen))
    if both:
        raise RequestError(f"--confirm names seed {both[0]}, which the trials use", "give seeds that no trial sees: --confirm 100-104")
    out = out or plan.unused_folder("tunings", [name])
    plan.require_free(out)
    catalogue = obj.catalogue()
    given = {key: value for key, value in options.items() if value is not None}
    with stdout_to_stderr():
        resolved = recipe.resolve(catalogue, name, overrides=overrides, **given)
        if "data" in resolved.task.spec.traits and not given.get("evaluate_every"):
            raise RequestError(
                f"task {resolved.recipe.task} is judged on its test split, which a tuning must not see",
                f"give --evaluate-every, in {resolved.agent.spec.unit}: trials are then judged on the validation split",
            )
        dimensions = _space(search, resolved.agent)
        for each in dimensions:  # a wrong key or value costs no trial
            for value in each.choices or (each.text(each.low), each.text(each.high)):
                recipe.resolve(catalogue, name, overrides=(*overrides, f"{each.key}={value}"), **given)
    made = tuning.Tuning(
        folder=out,
        name=name,
        options=given,
        overrides=overrides,
        dimensions=tuple(dimensions),
        trials=course["trials"],
        batch=course["batch"],
        seeds=tuple(known),
        sampler=course["sampler"],
        seed=course["sampler_seed"],
        halving=course["halving"] or 1,
        confirm=tuple(unseen),
        terms=plan.Terms(episodes=course["episodes"], score_paused=bool(course["halving"])),
        higher_is_better=resolved.built_task.higher_is_better,
        metric=resolved.built_task.metric,
    )
    crew = crew_of(obj, {**steering, "until": None}, options["threads"])
    if made.sampler != "grid":
        proposals.load_optuna()  # before anything is written
    tuning.write(made)
    said = ", ".join(each.key for each in dimensions)
    click.echo(f"{made.trials} trials of {len(known)} seeds over {said}, {crew.count} workers, in {out}", err=True)
    _conduct(obj, made, crew, as_json)


def resume_tuning(obj: Call, folder: Path, *, as_json: bool, **steering: Any) -> None:
    """Continue a tuning."""
    from rl_core.sweeps import tuning

    made = tuning.read(folder)
    threads = made.options.get("threads")
    limit_threads(threads or 1)
    _conduct(obj, made, crew_of(obj, {"launcher_set": (), **steering, "until": None}, threads), as_json)


def show_tuning(folder: str, as_json: bool) -> None:
    """Print the trials of a tuning so far."""
    from rl_core.sweeps import tuning, tuning_run

    document = tuning_run.summary(tuning.read(Path(folder)), seconds=0.0)
    click.echo(json.dumps(document)) if as_json else _print(document)


def _space(search: dict[str, Any], agent: Any) -> list[Dimension]:
    """Return what is searched: what the command line says, else the agent's own space."""
    from rl_core.sweeps import space

    found = [] if search["file"] is None else space.of_file(search["file"])
    found += [space.of_range(text) for text in search["ranges"]] + [space.of_choices(text) for text in search["choices"]]
    found = found or space.of_plugin(agent.spec.space, agent.name)
    keys = [each.key for each in found]
    if len(set(keys)) < len(keys):
        raise RequestError(f"{next(key for key in keys if keys.count(key) > 1)} is searched twice", "name each setting once")
    return found


def _conduct(obj: Call, made: Tuning, crew: Crew, as_json: bool) -> None:
    from rl_core.sweeps.tuning_run import TuningRun, summary

    began = time.monotonic()
    with stdout_to_stderr():
        whole = TuningRun(made, obj.catalogue(), crew, say).run()
        document = summary(made, seconds=time.monotonic() - began)
    click.echo(json.dumps(document)) if as_json else _print(document)
    if not whole:
        click.echo(f"stopped; continue with: rl-core resume {shlex.quote(str(made.folder))}", err=True)
        raise SystemExit(STOPPED)


def _print(document: dict[str, Any]) -> None:
    """Print the best trials, the importance of the settings, the confirmation and the preset."""
    done = [trial for trial in document["trials"] if trial["state"] == "done"]
    done.sort(key=lambda trial: (-trial["value"] if document["higher_is_better"] else trial["value"], trial["number"]))
    for trial in done[:5]:
        shown = ", ".join(f"{key}={value}" for key, value in trial["set"].items())
        click.echo(f"trial {trial['number']:>3}  {document['metric']} {trial['value']:.4g}  {shown}")
    lost = [f"{sum(trial['state'] == state for trial in document['trials'])} {state}" for state in ("cut", "failed")]
    click.echo(f"{len(document['trials'])} trials, {', '.join(lost)}")
    if document["importance"]:
        click.echo("importance: " + ", ".join(f"{key} {share:.2f}" for key, share in document["importance"].items()))
    confirmed = document["confirmed"]
    if confirmed:
        seeds = f"{len(confirmed['seeds'])} seeds that no trial saw"
        click.echo(f"on {seeds}: best {_mean(confirmed, '')}, defaults {_mean(confirmed, 'default_')}")
    if document["preset"]:
        click.echo(f"\n{document['preset']}", nl=False)


def _mean(confirmed: dict[str, Any], prefix: str) -> str:
    interval = confirmed[f"{prefix}interval"]
    return f"{confirmed[f'{prefix}mean']:.4g}" + (f" ({interval[0]:.4g} to {interval[1]:.4g})" if interval else "")
