"""The command watch-over: episodes of a run's policy under a controller that is trusted, in the world it was trained for or another one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from rl_core.cli.commands import open_run
from rl_core.cli.completion import component_names
from rl_core.cli.options import BEST, DEVICE, FOLDER, JSON, OutFolder, WholeNumber
from rl_core.errors import RequestError, WorkError
from rl_core.plugins.containment import stdout_to_stderr


@click.command("watch-over")
@FOLDER
@click.option(
    "--fallback",
    required=True,
    shell_complete=component_names("agent"),
    help="The trusted controller: an agent that learns nothing, or a RUN.",
)
@click.option("--authority", type=float, default=1.0, show_default=True, help="How far an action may differ, of half its range, in [0, 1].")
@click.option("--margin", type=float, default=1.5, show_default=True, help="Factor on the run's own distances that the alarm is set at.")
@click.option("--task", shell_complete=component_names("task"), help="Another task with the same spaces.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="A field of the task's config: task.climate=hot.")
@click.option("--seed", type=WholeNumber(0), help="Seed of the episodes.  [default: the run's]")
@click.option("--out", type=OutFolder(), help="Folder of log and picture.  [default: watched-over/ in the run's folder]")
@BEST
@DEVICE
@JSON
@click.pass_obj
def watch_over(obj: Any, folder: Path, fallback: str, authority: float, margin: float, as_json: bool, **options: Any) -> None:
    """Play 20 episodes of a run's policy, held by a controller that is trusted.

    The controller takes over where an observation is far from those that the policy meets in the world of its training, until 12 steps in
    a row were familiar. Elsewhere the policy acts, by at most --authority away from the controller. Writes log.csv and watched-over.png.
    """
    from rl_core.runs import watched_over as monitor
    from rl_core.seeds import Seeds
    from rl_core.task import ControlTask

    task, overrides, out = options.pop("task"), options.pop("overrides"), options.pop("out") or folder / "watched-over"
    seed = options.pop("seed")
    if not 0.0 <= authority <= 1.0:
        raise RequestError(f"--authority is {authority:g}; expected a share in [0, 1]", "write for example: --authority 0.3")
    if not margin > 0.0:
        raise RequestError(f"--margin is {margin:g}; expected a number above 0", "write for example: --margin 1.5")
    catalogue = obj.catalogue()
    with open_run(folder, catalogue, **options) as opened, stdout_to_stderr():
        if not isinstance(opened.task, ControlTask):
            raise RequestError(f"task {opened.task_name} has no episodes to watch over", "give a run of a control task")
        seeds = Seeds(opened.recipe.seed if seed is None else seed, ("watching over",))
        limits = monitor.Limits(authority=authority, margin=margin)
        try:
            trusted = _controller(catalogue, fallback, opened)
            familiar = monitor.familiar_with(opened.task, (opened.agent.predictor(), trusted), limits, seeds.apart("familiar"))
            if task is not None or overrides:
                opened.change_task(task or opened.task_name or "", overrides)
            seen = monitor.watched(opened.task, opened.agent.predictor(), trusted, familiar, limits, seeds=seeds.apart("episodes"))
        except ValueError as error:
            raise RequestError(f"the run cannot be watched over: {error}", "see: rl-core watch-over --help") from error
        try:
            out.mkdir(parents=True, exist_ok=True)
            monitor.write_log(seen, out / "log.csv")
            monitor.draw(seen, out / "watched-over.png", f"{opened.recipe.agent} on {opened.task_name}, with {fallback} to fall back on")
        except OSError as error:
            raise WorkError(f"{str(out)!r} cannot be written: {error.strerror or error}", "give another --out") from error
    result = seen.result()
    if as_json:
        click.echo(json.dumps({"run": str(folder), "folder": str(out), **result}))
        return
    for name, value in result.items():
        click.echo(f"{name}  {value:.4g}")
    click.echo(f"log and picture in {out}", err=True)


def _controller(catalogue: Any, name: str, opened: Any) -> Any:
    """Return the predictor of an agent that has learned nothing, or of a run."""
    from rl_core.runs.recipe import resolve
    from rl_core.seeds import Seeds

    if Path(name).is_dir():
        with open_run(Path(name), catalogue) as other:
            for part in ("input_space", "output_space"):
                if getattr(other.task, part) != getattr(opened.task, part):
                    raise RequestError(f"{name} was learned on {other.task_name}, with another {part}", "give a run of the same task")
            return other.agent.predictor()
    made = resolve(catalogue, name, task=opened.task_name)
    if made.recipe.network:
        raise RequestError(
            f"{name} has learned nothing, so it cannot be trusted with {opened.task_name}",
            f"give a run of it, or a controller such as pid: rl-core run {name} --task {opened.task_name} --out trusted",
        )
    return made.build_agent(Seeds(0)).predictor()
