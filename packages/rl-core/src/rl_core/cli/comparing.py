"""The command `compare`, and the table of groups that a sweep prints as well."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from rl_core.cli.options import JSON, OutFile, UserPath
from rl_core.errors import RequestError


@click.command()
@click.argument("folders", metavar="RUN...", nargs=-1, required=True, type=UserPath())
@click.option(
    "--out", type=OutFile("", ".png", ".svg", ".pdf"), help="Where the picture goes.  [default: compare.png beside the first run]"
)
@JSON
def compare(folders: tuple[Path, ...], out: Path | None, as_json: bool) -> None:
    """Compare runs: means and interquartile means over seeds with 95 % intervals, the best first, as a table and a picture.

    A folder of a sweep stands for its finished runs. Over several tasks the methods are ranked by the interquartile mean of their
    normalised scores.
    """
    from rl_core.runs import compare as comparing

    runs = [run for folder in folders if not folder.is_file() for run in runs_of(folder)]
    if not runs:
        raise RequestError(f"{str(folders[0])!r} is a file, not a run folder", "name run folders, such as runs/*")
    for file in sorted(folder for folder in folders if folder.is_file()):
        click.echo(f"skipped {file}: it is a file, not a run folder", err=True)
    result = comparing.compare(runs, out or _default_picture(folders))
    if as_json:
        click.echo(json.dumps(result))
        return
    print_groups(result["groups"])
    if result["overall"]:
        print_overall(result["overall"])
    if result["partial"]:
        click.echo(result["partial"])
    click.echo(f"picture: {result['figure']}" if result["figure"] else f"no picture: {result['no_figure']}")


def print_groups(groups: Sequence[Mapping[str, Any]]) -> None:
    """Print a row for each group, task by task."""
    rows = [("", groups[0]["metric"], "95 % interval", "interquartile mean", "95 % interval", "runs", "seconds")]
    for group in groups:
        rows.append(
            (
                group["name"],
                f"{group['mean']:.4g}",
                _interval(group["interval"]),
                f"{group['interquartile_mean']:.4g}",
                _interval(group["interquartile_interval"]),
                str(len(group["scores"])),
                f"{group['seconds']:.1f}",
            )
        )
    _table(rows)


def print_overall(methods: Sequence[Mapping[str, Any]]) -> None:
    """Print the methods over all tasks, the best first."""
    click.echo(f"\nover {methods[0]['tasks']} tasks; 0 is the worst of these runs on a task, 1 the best")
    rows = [("", "interquartile mean", "95 % interval", "runs", "P(better than the next)")]
    for method in methods:
        chance = method["better_than_next"]
        rows.append(
            (
                method["name"],
                f"{method['interquartile_mean']:.3f}",
                _interval(method["interquartile_interval"]),
                str(method["runs"]),
                "" if chance is None else f"{chance:.2f}",
            )
        )
    _table(rows)


def runs_of(folder: Path) -> list[Path]:
    """Return the finished runs of a sweep, or the folder itself if it is not one."""
    from rl_core.sweeps import plan, states

    if not plan.is_sweep(folder):
        return [folder]
    sweep = plan.read(folder)
    done = [sweep.path(run) for run in sweep.runs if (states.result_of(sweep.path(run)) or {}).get("score") is not None]
    if not done:
        raise RequestError(f"no run of the sweep {str(folder)!r} has a score yet", f"finish it first: rl-core resume {folder}")
    if len(done) < len(sweep.runs):
        click.echo(
            f"{folder}: {len(sweep.runs) - len(done):,} of {len(sweep.runs):,} runs have no score; see: rl-core show {folder}", err=True
        )
    return done


def _default_picture(folders: Sequence[Path]) -> Path | None:
    """Return where the picture of a sweep goes; `None` for runs."""
    from rl_core.sweeps import plan

    return folders[0] / "compare.png" if plan.is_sweep(folders[0]) else None


def _interval(interval: Sequence[float] | None) -> str:
    return f"{interval[0]:.4g} to {interval[1]:.4g}" if interval else "needs 2 runs"


def _table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
