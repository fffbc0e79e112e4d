"""The command collect: transitions of a run's policy, or of random actions, as a file that the tasks `offline:` and `minari:` read."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from rl_core.cli.commands import open_run
from rl_core.cli.completion import component_names
from rl_core.cli.options import JSON, OutFile, UserPath, WholeNumber
from rl_core.errors import RequestError, WorkError
from rl_core.plugins.catalogue import Catalogue, fits
from rl_core.plugins.containment import stdout_to_stderr

if TYPE_CHECKING:
    from rl_core.task import Task

MINARI = "minari:"


class RunOrTask(UserPath):
    """The folder of a run, or the name of a task."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Complete tasks, files and folders."""
        return component_names("task")(ctx, param, incomplete) or super().shell_complete(ctx, param, incomplete)


class RecordingFile(OutFile):
    """A file of a recording, or the name of a data set of Minari; refused before anything is played."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the text as it is given."""
        if value and not str(value).startswith(MINARI):
            from rl_core.recording import ENDINGS

            path = super().convert(value, param, ctx)
            if path.suffix not in ENDINGS:
                self.fail(f"{value} ends with {path.suffix!r}; expected {', '.join(ENDINGS)}, or {MINARI}NAME", param, ctx)
        return value


@click.command()
@click.argument("source", metavar="RUN|TASK", type=RunOrTask())
@click.option(
    "--out",
    type=RecordingFile(),
    default="",
    help="The file: .npz, .parquet, .csv, or minari:NAME-v0.  [default: recording.npz in the run's folder]",
)
@click.option("--steps", type=WholeNumber(1), default=20_000, show_default=True, help="Transitions at least; the last episodes are ended.")
@click.option("--random", "share", type=float, default=0.0, show_default=True, help="Probability of a random action.")
@click.option("--seed", type=WholeNumber(0), default=0, show_default=True, help="Seed of the episodes and of the random actions.")
@JSON
@click.pass_obj
def collect(obj: Any, source: Path, out: str, steps: int, share: float, seed: int, as_json: bool) -> None:
    """Write the transitions that a run's policy meets, to learn from without the environment.

    RUN is the folder of a run of a control task, whose newest policy is played. TASK is the name of a control task, whose actions are
    then random. A policy of medium quality is that of a run that was paused: `rl-core run dqn --until 10000`.
    """
    from rl_core import recording
    from rl_core.runs.recipe import build_task
    from rl_core.seeds import Seeds
    from rl_core.task import ControlTask

    if not 0.0 <= share <= 1.0:
        raise RequestError(f"--random is {share:g}; expected a probability in [0, 1]", "write for example: --random 0.1")
    where = out or str((source if source.exists() else Path()) / "recording.npz")
    catalogue = obj.catalogue()
    seeds = Seeds(seed).apart("collect")
    if source.exists():
        with open_run(source, catalogue) as opened, stdout_to_stderr():
            task, name, settings = opened.task, opened.recipe.task, dict(opened.recipe.task_config)
            predict, policy = opened.agent.predictor(), f"{opened.recipe.agent} after {opened.agent.progress:,} {opened.spec.unit}"
            arrays = _recorded(recording.record, task, predict, steps, share, seeds) if isinstance(task, ControlTask) else None
    else:
        with stdout_to_stderr():
            task, name, settings, policy = build_task(catalogue, str(source)), str(source), {}, "random"
            share = 1.0
            arrays = _recorded(recording.record, task, None, steps, share, seeds) if isinstance(task, ControlTask) else None
    if arrays is None:
        raise RequestError(f"task {name} is not an environment that can be played", "see: rl-core list --kind task")
    facts = {"task": name, "task_config": settings, "policy": policy, "random_share": share, "seed": seed}
    made = recording.Recording(arrays, facts)
    try:
        if where.startswith(MINARI):
            from rl_core import minari_data

            minari_data.write(made, where.removeprefix(MINARI), task.input_space, task.output_space)
        else:
            recording.write(made, Path(where))
    except OSError as error:
        raise WorkError(f"{where!r} cannot be written: {error.strerror or error}", "give another --out") from error
    except ValueError as error:
        raise RequestError(str(error), "give another --out") from error
    returns = made.returns()
    result = {"file": where, "transitions": len(arrays["reward"]), "episodes": len(returns), "mean_return": float(returns.mean())}
    if as_json:
        click.echo(json.dumps(result))
        return
    click.echo(f"wrote {where}: {result['transitions']:,} transitions in {len(returns):,} episodes, mean return {returns.mean():.1f}")
    task_name = where if where.startswith(MINARI) else f"offline:{where}"
    judge = f" --set task.judge={name}" if where.endswith(".csv") else ""  # the file does not say where it was recorded
    fitting = _offline_agents(catalogue, task)
    if fitting:
        agent = "iql" if "iql" in fitting else fitting[0]
        click.echo(f"learn from it with: rl-core run {agent} --task {shlex.quote(task_name)}{judge}", err=True)


def _offline_agents(catalogue: Catalogue, task: Task) -> list[str]:
    """Return the installed agents that learn from transitions of this task."""
    traits = {*(trait for trait in task.traits() if trait.endswith(("-input", "-output"))), "offline"}
    return [entry.name for entry in catalogue.entries("agent") if entry.status == "ready" and fits(traits, entry.spec.fits)]


def _recorded(record: Any, task: Any, predict: Any, steps: int, share: float, seeds: Any) -> Any:
    try:
        arrays = record(task, predict, num_steps=steps, random_share=share, seeds=seeds)
    except ValueError as error:
        raise RequestError(f"the transitions cannot be recorded: {error}", "see: rl-core list --kind task") from error
    return {name: array for name, array in arrays.items() if name != "legal"}
