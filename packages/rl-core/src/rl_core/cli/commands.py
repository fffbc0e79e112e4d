"""Commands that work on one run: run, resume, eval, predict, export.

Nothing heavy is imported before the number of threads is known: linear algebra libraries read it when they load.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rl_core.cli.completion import component_names
from rl_core.cli.options import (
    BEST,
    DEVICE,
    DEVICES,
    EPISODES,
    FOLDER,
    JSON,
    LOGGER,
    PROCESSES,
    RUN_EPISODES,
    UNTIL,
    NegativeNumbers,
    OutFile,
    UserPath,
    WholeNumber,
    limit_threads,
)
from rl_core.errors import RequestError, WorkError, printable
from rl_core.plugins.containment import stdout_to_stderr
from rl_core.runs.signals import STOPPED, termination_as_interrupt

if TYPE_CHECKING:
    from rl_core.plugins.catalogue import Catalogue
    from rl_core.runs.run import Run
    from rl_core.task import Task


@click.command()
@click.argument("name", required=False, shell_complete=component_names())
@click.option("--task", shell_complete=component_names("task"), help="Name of the task.")
@click.option("--network", shell_complete=component_names("network"), help="Name of the network.")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="A config field: learning_rate=0.001, network.hidden=[64,64], task.size=8.",
)
@click.option("--dry-run", is_flag=True, help="Print the complete recipe, and run nothing.")
@click.option("--recipe", "file", type=UserPath(), help="A recipe in YAML, TOML or JSON.")
@click.option("--seed", type=WholeNumber(), help="Seed of every random stream.  [default: 0]")
@click.option("--budget", type=WholeNumber(), help="How much to learn, in the agent's unit.")
@UNTIL
@click.option("--out", type=UserPath(), help="Folder of the run.  [default: a new one below runs/]")
@click.option("--device", type=DEVICES, help="Where tensors are placed.  [default: auto]")
@click.option("--threads", type=WholeNumber(), help="Threads of the linear algebra.  [default: 1]")
@click.option("--checkpoint-every", type=WholeNumber(), help="Distance of checkpoints, in the agent's unit.  [default: every 30 seconds]")
@click.option("--evaluate-every", type=WholeNumber(), help="Evaluate at each multiple of this progress, and keep the best checkpoint.")
@click.option("--evaluate-episodes", type=WholeNumber(), help="Episodes of each of these evaluations.  [default: 20]")
@click.option("--stop-at-target", is_flag=True, default=None, help="End when one of these evaluations reaches the task's target.")
@click.option("--from", "parent", type=UserPath(), help="A run, or a checkpoint of it, to start from: its weights and settings.")
@RUN_EPISODES
@LOGGER
@PROCESSES
@JSON
@click.pass_obj
def run(
    obj: Any,
    name: str | None,
    overrides: tuple[str, ...],
    file: Path | None,
    out: Path | None,
    until: int | None,
    dry_run: bool,
    loggers: tuple[str, ...],
    as_json: bool,
    parent: Path | None,
    processes: int,
    **options: Any,
) -> None:
    """Learn a task: NAME is an agent, a network or a task, and the rest takes its defaults."""
    from rl_core.runs import recipe

    values = recipe.RecipeFile() if file is None else recipe.read(file)
    catalogue = obj.catalogue()
    if parent is not None:
        from rl_core.runs import parent as parents

        saved = parents.checkpoint_of(parent)
        options["from_run"] = str(saved)
        if file is None:
            named = {"task": options["task"], "network": options["network"]}
            named |= {} if name is None else {catalogue.find(name).kind: name}
            values = parents.recipe_of(saved, named)
    limit_threads(options["threads"] or values.values.get("threads") or recipe.Recipe.threads)
    from rl_core.runs.run import Run

    with stdout_to_stderr():
        resolved = recipe.resolve(catalogue, name, file=values, overrides=overrides, **options)
    if dry_run:
        click.echo(json.dumps(resolved.recipe.to_dict()) if as_json else resolved.recipe.to_yaml(), nl=as_json)
        return
    with stdout_to_stderr():
        _add_loggers(catalogue, loggers)
        made = Run.create(resolved, catalogue, out)
    with made:
        _learn(made, as_json, until=until, processes=processes)


@click.command()
@FOLDER
@click.option("--budget", type=WholeNumber(), help="A new budget, in the agent's unit.")
@UNTIL
@click.option("--exact", is_flag=True, help="Refuse where versions, processor or linear algebra differ from the run's first.")
@click.option("--accept-changed-data", is_flag=True, help="Continue although the task's data changed since the checkpoint.")
@DEVICE
@click.option("--episodes", type=WholeNumber(1), help="Episodes of the evaluation of a control task.  [default: as in the run]")
@LOGGER
@PROCESSES
@click.option("--workers", type=WholeNumber(1), help="Of a sweep: workers to start.  [default: one for each processor, at most 8]")
@click.option("--launcher", default="local", show_default=True, help="Of a sweep: what starts the workers.")
@click.option("--retry-failed", is_flag=True, help="Of a sweep: try the failed runs again.")
@JSON
@click.pass_obj
def resume(
    obj: Any, folder: Path, until: int | None, episodes: int | None, loggers: tuple[str, ...], as_json: bool, **options: Any
) -> None:
    """Continue a run that was stopped or killed, from its newest whole checkpoint; or what is left of a sweep or a tuning."""
    processes = options.pop("processes")
    steering = {name: options.pop(name) for name in ("workers", "launcher", "retry_failed")}
    if options["exact"] and any((folder / name).is_file() for name in ("sweep.yaml", "tune.yaml")):
        raise RequestError(
            f"--exact is for one run, and {str(folder)!r} has many",
            "leave it out; manifest.json of each run names what differs from its beginning",
        )
    if (folder / "sweep.yaml").is_file():
        from rl_core.cli.sweeping import resume_sweep

        resume_sweep(obj, folder, until=until, as_json=as_json, **steering)
        return
    if (folder / "tune.yaml").is_file():
        from rl_core.cli.tuning import resume_tuning

        resume_tuning(obj, folder, as_json=as_json, workers=steering["workers"], launcher=steering["launcher"])
        return
    catalogue = obj.catalogue()
    with open_run(folder, catalogue, lock=True, **options) as opened:
        _add_loggers(catalogue, loggers)
        click.echo(f"continuing {folder} at {opened.agent.progress:,} of {opened.budget:,} {opened.spec.unit}", err=True)
        _learn(opened, as_json, until=until, episodes=episodes, processes=processes)


@click.command("eval")
@FOLDER
@click.option("--task", shell_complete=component_names("task"), help="Another task with the same spaces.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="A field of the task's config: task.size=8.")
@EPISODES
@click.option("--seed", type=WholeNumber(0), help="Seed of the evaluation.  [default: the run's]")
@click.option("--latency", is_flag=True, help="Also measure how long one decision takes.")
@click.option("--video", type=WholeNumber(1), help="Also write so many episodes as an animation, watch.webp in the run's folder.")
@BEST
@DEVICE
@JSON
@click.pass_obj
def evaluate(
    obj: Any,
    folder: Path,
    task: str | None,
    overrides: tuple[str, ...],
    as_json: bool,
    latency: bool,
    video: int | None,
    **options: Any,
) -> None:
    """Score what a run has learned, at its newest checkpoint or its best one."""
    with open_run(folder, obj.catalogue(), device=options.pop("device"), best=options.pop("best")) as opened:
        from rl_core.runs.latency import decision_times  # behind `open_run`, which limits the threads before numpy is imported
        from rl_core.seeds import Seeds

        _warn(opened)
        with stdout_to_stderr():
            if task is not None or overrides:
                opened.change_task(task or opened.task_name or "", overrides)
            metrics = opened.evaluate(**options)
            if latency:
                metrics = metrics | decision_times(opened.task, opened.agent.predictor(), seeds=Seeds(opened.recipe.seed))
            result = opened.summary(metrics)
            if video is not None:
                from rl_core.runs import watching

                watching.keep(watching.watch(opened, video, seed=options["seed"]), folder / "watch.webp", opened)
                click.echo(f"wrote {folder / 'watch.webp'}", err=True)
        _report(result, as_json)


@click.command(cls=NegativeNumbers)
@FOLDER
@click.argument("text", metavar="INPUT", required=False)
@click.option("--interactive", is_flag=True, help="Answer each line that is typed, until the input ends.")
@click.option("--probabilities", is_flag=True, help="Print the probability of each class as well.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="How texts are written: task.temperature=0.5. Repeatable.")
@click.option("--out", type=OutFile(".csv", ".jsonl", ".json", ".txt"), help="A file for the answers: .csv for a table, else JSON lines.")
@BEST
@DEVICE
@JSON
@click.pass_obj
def predict(
    obj: Any,
    folder: Path,
    text: str | None,
    interactive: bool,
    probabilities: bool,
    overrides: tuple[str, ...],
    out: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Answer an input, or each input of a file, with what a run has learned.

    INPUT is text or JSON, as the task reads it, or a file: rows.csv for a csv task, inputs.jsonl with one input in each line for any
    task. `-` reads one input from standard input. With --interactive every line of standard input is an input.
    """
    from rl_core.cli import answers

    if interactive == (text is not None):
        raise RequestError(
            "an input and --interactive were given together" if interactive else "expected an input to answer, got none",
            f"write: rl-core predict {folder} INPUT, or: rl-core predict {folder} --interactive",
        )
    with open_run(folder, obj.catalogue(), **options) as opened:
        _warn(opened)
        if overrides:
            from rl_core.writing import change_writing

            change_writing(opened.agent.task, overrides)
        if text is None:
            _converse(opened, probabilities, as_json)
            return
        text = sys.stdin.read() if text == "-" else text
        _require_unread(out, opened, answers.files_of(opened, text))
        with stdout_to_stderr():
            rows = answers.rows_of(opened, text, probabilities=probabilities)
        drawn = opened.folder / "predictions"
        if answers.is_file(opened, text) and drawn.is_dir():
            click.echo(f"drawn in {drawn}", err=True)
        if out is not None:
            answers.write(rows, out)
            click.echo(json.dumps({"run": str(folder), "answers": len(rows), "file": str(out)}) if as_json else f"wrote {out}")
        elif answers.is_file(opened, text):
            click.echo(json.dumps({"run": str(folder), "answers": rows}) if as_json else answers.as_csv(rows), nl=as_json)
        elif as_json:
            click.echo(json.dumps({"run": str(folder), **rows[0]}))
        else:
            answer = rows[0] if probabilities else rows[0]["answer"]
            click.echo(answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False))
        failed = [row for row in rows if "error" in row]
        if failed:
            for row in failed:
                click.echo(f"not answered: {row['error']}", err=True)
            raise RequestError(f"{len(failed)} of {len(rows)} inputs could not be answered, {failed[0]['file']!r} first", "see above")


def _require_unread(out: Path | None, run: Run, inputs: Iterable[Path] = ()) -> None:
    """Refuse to write over a file that is read: an input, or the data that the run learned from.

    Raises:
        RequestError: naming the file.
    """
    if out is None or not out.exists():
        return
    named = [str(run.recipe.task).partition(":")[2], *map(str, run.recipe.task_config.values())]
    read = [*inputs, *(Path(name) for name in named if name and os.path.exists(name))]  # noqa: PTH110 - pathlib's fails on a long text
    if any(path.exists() and (path.samefile(out) or (path.is_dir() and out.resolve().is_relative_to(path.resolve()))) for path in read):
        raise RequestError(f"{str(out)!r} is read here, and would be lost", "give another --out")


def _converse(run: Run, probabilities: bool, as_json: bool) -> None:
    """Answer each line of standard input; an input that cannot be answered is reported, and the next one is read."""
    from rl_core.cli import answers

    prompt = sys.stdin.isatty()
    while True:
        if prompt:
            click.echo("> ", nl=False, err=True)
        line = sys.stdin.readline()
        if not line:
            return
        if not line.strip():
            continue
        try:
            with stdout_to_stderr():
                (row,) = answers.rows_of(run, line.rstrip("\n"), probabilities=probabilities)
        except RequestError as error:
            click.echo(f"{error.message}; {error.hint}", err=True)
            continue
        answer = row if as_json or probabilities else row["answer"]
        click.echo(answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False))
        sys.stdout.flush()


@click.command()
@FOLDER
@click.option("--format", "form", required=True, help="One of the formats that the agent writes: onnx, torch-export, state-dict, arrays.")
@click.option("--out", type=OutFile(), help="The file to write.  [default: exported.* in the run's folder]")
@BEST
@DEVICE
@JSON
@click.pass_obj
def export(obj: Any, folder: Path, form: str, out: Path | None, as_json: bool, **options: Any) -> None:
    """Write what a run has learned in a format that other programs read.

    The file appears when it is whole. A graph (onnx, torch-export) takes the task's inputs and gives its answers, or greedy actions; what
    its inputs and outputs are is printed, and written beside it with the ending .json.
    """
    with open_run(folder, obj.catalogue(), **options) as opened:
        formats = opened.agent.export_formats
        if form not in formats:
            hint = (
                f"its formats are: {', '.join(formats)}"
                if formats
                else f"agent {opened.recipe.agent} has no weights to write; what it keeps is safetensors and JSON in {folder}/checkpoints, "
                f"and in Python rl_core.load({str(folder)!r}) answers"
            )
            raise RequestError(f"agent {opened.recipe.agent} cannot export the format {form!r}", hint)
        from safetensors import SafetensorError

        _require_unread(out, opened)
        out = out or folder / f"exported{_SUFFIXES.get(form, f'.{form}')}"
        part = out.with_name(f".{out.name}.part")
        try:
            with stdout_to_stderr():
                about = opened.agent.export(form, part)
                part.replace(out)
                if about:
                    about = _with_encoding(about, opened.task)
                    out.with_name(f"{out.name}.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
        except (OSError, SafetensorError) as error:  # what safetensors raises where it cannot write
            reason = getattr(error, "strerror", None) or error
            raise WorkError(f"{str(out)!r} cannot be written: {reason}", "give another --out") from error
        except ValueError as error:
            raise RequestError(str(error), f"its formats are: {', '.join(formats)}") from error
        finally:
            part.unlink(missing_ok=True)
        if as_json:
            click.echo(json.dumps({"run": str(folder), "format": form, "file": str(out), "about": about and dict(about)}))
            return
        click.echo(f"wrote {out}" + (f", and what it holds to {out.name}.json" if about else ""))
        for kind in ("inputs", "outputs"):
            for name, each in (about or {}).get(kind, {}).items():
                words = f": {each['is']}" if "is" in each else ""
                click.echo(f"  {kind[:-1]} {name}, {each['type']} [{', '.join(map(str, each['shape']))}]{words}")
        if "task" in (about or {}):
            click.echo(f'  names, scales and classes of the task are under "task" in {out.name}.json')


def _with_encoding(about: Mapping[str, Any], task: Task) -> dict[str, Any]:
    """Return what a file holds, with the parts of the task's state that JSON holds: how its inputs are encoded."""
    encoding = {}
    for name, value in task.state_dict().items():
        with suppress(TypeError):  # arrays, such as the data itself
            encoding[name] = json.loads(json.dumps(value))
    if not encoding:
        return dict(about)
    known = {name: {"is": 'as the task encodes them, see "task"', **each} for name, each in about.get("inputs", {}).items()}
    return {**about, **({"inputs": known} if known else {}), "task": encoding}


_SUFFIXES = {"onnx": ".onnx", "torch-export": ".pt2", "state-dict": ".safetensors", "arrays": ".safetensors"}


def open_run(folder: Path, catalogue: Catalogue, **options: Any) -> Run:
    """Open the run in a folder with `Run.open`, after the number of threads is set to that of its recipe."""
    from rl_core.runs import recipe

    limit_threads(recipe.read(recipe.path_in(folder)).values.get("threads") or recipe.Recipe.threads)
    from rl_core.runs.run import Run

    with stdout_to_stderr():
        return Run.open(folder, catalogue, **options)


def _learn(made: Run, as_json: bool, *, until: int | None, episodes: int | None = None, processes: int) -> None:
    from rl_core.runs.run import Paused, Stopped

    _warn(made)
    if made.agent.path:
        click.echo(f"path: {made.agent.path}", err=True)
    try:
        with stdout_to_stderr(), termination_as_interrupt():
            result = made.learn(until=until, episodes=episodes, processes=processes)
    except Stopped as stopped:
        text, status = str(stopped), 0 if isinstance(stopped, Paused) else STOPPED
    except KeyboardInterrupt:
        text, status = f"stopped immediately; continue from the last checkpoint with: {made.command('resume')}", STOPPED
    else:
        text, status = "", 0
    if text:
        click.echo(text, err=True)
        if as_json:
            click.echo(json.dumps({"stopped": True, "run": str(made.folder), "progress": made.saved_progress, "unit": made.spec.unit}))
        raise SystemExit(status)
    _warn(made, caveat=False)
    _report(result, as_json)


def _add_loggers(catalogue: Catalogue, names: tuple[str, ...]) -> None:
    for name in names:
        catalogue.register(catalogue.find(name, "logger").load()(), name)


def _report(result: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(result))
        return
    verdict = "" if result["target"] is None else f" (target {result['target']:g}: {'reached' if result['reached'] else 'not reached'})"
    network = f", network {result['network']}" if result["network"] else ""
    click.echo(f"{result['agent']} on {result['task']}{network}, seed {result['seed']}")
    click.echo(f"  {result['metric']}  {_number(result['score'])}{verdict}")
    for name, value in result["metrics"].items():
        if name != result["metric"]:
            click.echo(f"  {name}  {_number(value)}")
    best = result["best"]
    if best is not None:
        click.echo(f"  best evaluation  {_number(best['score'])} at {best['progress']:,} {result['unit']}, kept in {best['checkpoint']}")
    click.echo(f"  {result['progress']:,} {result['unit']} in {result['seconds']:.1f} s")
    click.echo(f"  {result['run']}")


def _number(value: float | None) -> str:
    return "not a finite number" if value is None else f"{value:.4g}"


def _warn(opened: Run, *, caveat: bool = True) -> None:
    """Print the warnings that have not been printed yet, and the task's caveat."""
    text = opened.task.caveat() if caveat else ""
    for sentence in [*opened.warnings, *([text] if text else [])]:
        click.echo(f"warning: {printable(sentence)}", err=True)
    opened.warnings.clear()
