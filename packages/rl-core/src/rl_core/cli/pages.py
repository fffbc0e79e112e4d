"""Commands that show runs: watch, report, export-metrics."""

from __future__ import annotations

import csv
import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rl_core.cli.commands import open_run
from rl_core.cli.options import BEST, DEVICE, FOLDER, JSON, OutFile, UserPath, WholeNumber
from rl_core.errors import RequestError, WorkError
from rl_core.plugins.containment import stdout_to_stderr

if TYPE_CHECKING:
    from rl_core.report.comparison_page import Sweep


@click.command()
@FOLDER
@click.option("--episodes", type=WholeNumber(1), default=1, show_default=True, help="Episodes to show, one after the other.")
@click.option("--out", type=OutFile(), help="The file: .webp or .gif.  [default: watch.webp in the run's folder]")
@click.option("--seed", type=WholeNumber(0), help="Seed of the episodes.  [default: the run's]")
@click.option("--human", is_flag=True, help="Open a window instead of writing a file.")
@BEST
@DEVICE
@JSON
@click.pass_obj
def watch(obj: Any, folder: Path, episodes: int, out: Path | None, seed: int | None, human: bool, as_json: bool, **options: Any) -> None:
    """Show what a run has learned: episodes of its policy, as an animation or in a window."""
    from rl_core.runs import watching

    out = out or folder / "watch.webp"
    if out.suffix.lower() not in watching.SUFFIXES:
        raise RequestError(f"{str(out)!r} does not end in .webp or .gif", "write for example: --out episode.webp")
    with open_run(folder, obj.catalogue(), **options) as opened, stdout_to_stderr():
        played = watching.watch(opened, episodes, seed=seed, human=human)
        if not human:
            watching.keep(played, out, opened)
    shown = [{"return": episode.return_, "length": episode.length} for episode in played]
    if as_json:
        click.echo(json.dumps({"run": str(folder), "file": None if human else str(out), "episodes": shown}))
        return
    for episode in played:
        click.echo(f"return {episode.return_:.4g} in {episode.length:,} steps")
    if not human:
        click.echo(f"wrote {out}")


@click.command()
@click.argument("folders", metavar="RUN...", nargs=-1, required=True, type=UserPath())
@click.option(
    "--out", type=OutFile(".html", ".htm"), help="The file.  [default: report.html in the folder, or beside the first of several runs]"
)
@JSON
def report(folders: tuple[Path, ...], out: Path | None, as_json: bool) -> None:
    """Write a report of a run, of several side by side, or of a sweep, as one HTML file that needs no network.

    A folder of a sweep stands for its finished runs.
    """
    from rl_core.report import comparison_page, run_page
    from rl_core.sweeps import plan

    sweep = plan.is_sweep(folders[0]) and len(folders) == 1
    if len(folders) == 1 and not sweep:
        run_page.require_run(folders[0])
        text, out = run_page.run_report(folders[0]), out or folders[0] / "report.html"
    else:
        from rl_core.cli.comparing import runs_of
        from rl_core.runs.compare import compare

        runs = [run for folder in folders for run in runs_of(folder)]
        for run in runs:
            run_page.require_run(run)
        out = out or (folders[0] if sweep else folders[0].parent) / "report.html"
        compared = compare(runs, draw=False)
        text = comparison_page.comparison_report(compared, _facts(folders[0]) if sweep else None)
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise WorkError(f"{str(out)!r} cannot be written: {error.strerror or error}", "give another --out") from error
    click.echo(json.dumps({"file": str(out), "bytes": len(text.encode())}) if as_json else f"wrote {out}")


def _facts(folder: Path) -> Sweep:
    """Return what the report of a sweep says besides its finished runs."""
    from rl_core.report.comparison_page import Sweep
    from rl_core.sweeps import plan, states

    sweep = plan.read(folder)
    left = [run for run in sweep.runs if (states.result_of(sweep.path(run)) or {}).get("score") is None]
    failures = [(run.folder, states.failure_of(sweep.path(run))) for run in left]
    return Sweep(
        command=f"rl-core resume {shlex.quote(str(folder))}",
        left=len(left),
        request=(folder / plan.REQUEST).read_text(encoding="utf-8"),
        failures=[(name, failure.error, failure.attempts) for name, failure in failures if failure is not None],
    )


@click.command("export-metrics")
@FOLDER
@click.option("--out", type=OutFile(".csv", ".tsv", ".txt"), help="The table.  [default: metrics.csv in the run's folder]")
@JSON
def export_metrics(folder: Path, out: Path | None, as_json: bool) -> None:
    """Write the metrics of a run as a table in CSV: a row for each step, a column for each metric.

    In Python: pandas.read_json("RUN/metrics.jsonl", lines=True)
    """
    from rl_core.figure import metric_names
    from rl_core.runs import metrics_log, recipe

    recipe.path_in(folder)
    lines = metrics_log.read(folder)
    if not lines:
        raise RequestError(f"the run in {str(folder)!r} has no metrics yet", "let it learn first: rl-core resume")
    out = out or folder / "metrics.csv"
    columns = [*metrics_log.RESERVED, *metric_names(lines)]
    try:
        with out.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(lines)
    except OSError as error:
        raise WorkError(f"{str(out)!r} cannot be written: {error.strerror or error}", "give another --out") from error
    document = {"run": str(folder), "file": str(out), "rows": len(lines), "columns": columns}
    click.echo(json.dumps(document) if as_json else f"wrote {out}: {len(lines):,} rows, {len(columns)} columns")
