"""The report of several runs, or of a sweep: scores, curves with bands, the score over each setting that varies, failures and cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rl_core.metric_names import common
from rl_core.report import page
from rl_core.report.curves import Curve, by_metric, chart, thinned
from rl_core.runs import metrics_log
from rl_core.statistics import bootstrap_band

LINES = 2_000  # of metrics that are read of each run; a chart shows fewer
MOST_CURVES = 10  # groups whose curves are drawn; more would cover each other
MOST_SCORES = 10  # of a group that are listed one by one


class Sweep(NamedTuple):
    """The facts of a sweep that its finished runs do not hold.

    Attributes:
        command: The command that goes on with it.
        left: Number of its runs without a score.
        request: The text of its file `sweep.yaml`.
        failures: Run, error and attempts of each run that failed.
    """

    command: str
    left: int
    request: str
    failures: Sequence[tuple[str, str, int]]


def comparison_report(compared: Mapping[str, Any], sweep: Sweep | None = None) -> str:
    """Return the report of a comparison as HTML.

    Args:
        compared: The result of `rl_core.runs.compare.compare`.
        sweep: Facts of the sweep that the runs are of; `None` where they are of none.
    """
    metric, groups = str(compared["metric"]), compared["groups"]
    count = sum(len(group["folders"]) for group in groups)
    results = {folder: page.document(Path(folder) / "result.json") for group in groups for folder in group["folders"]}
    title = f"{count:,} runs: {metric}"
    cost = sum(group["seconds"] * len(group["folders"]) for group in groups)
    body = [f"<h1>{escape(title)}</h1>", f"<p class='dim'>{cost:,.0f} seconds of runs in all</p>"]
    if sweep is not None and sweep.left:
        body.append(f"<p>{sweep.left:,} more runs have no score; go on with <code>{escape(sweep.command)}</code></p>")
    body.append(_scores(metric, groups))
    if compared["overall"]:
        body.append(_overall(compared["overall"]))
    if compared["partial"]:
        body.append(f"<p class='dim'>{escape(compared['partial'])}</p>")
    curves = [drawn for task in _tasks(groups) for drawn in _curves(metric, _of(task, groups), results)]
    if curves:
        said = "<p class='dim'>Means over runs; bands are their bootstrap intervals of 95 %.</p>"
        body.append(f"<h2>Learning</h2>{said}{_side_by_side(curves)}")
    axes = [drawn for name in _varied(groups) for drawn in _axis(name, metric, groups)]
    if axes:
        said = "<p class='dim'>All runs with a value; bands go from the least to the largest.</p>"
        body.append(f"<h2>Score over settings</h2>{said}{_side_by_side(axes)}")
    if sweep is not None and sweep.failures:
        body.append("<h2>Failed</h2>" + page.table(["run", "error", "attempts"], sweep.failures))
    rows = [(folder, page.number(result.get("score")), page.number(result.get("seconds"))) for folder, result in results.items()]
    body.append("<h2>Runs</h2>" + page.folded(f"{count:,} runs", page.table(["run", "score", "seconds"], rows)))
    if sweep is not None:
        body.append(page.folded("sweep.yaml", f"<pre>{escape(sweep.request)}</pre>"))
    return page.page(title, body)


def _scores(metric: str, groups: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for group in groups:
        scores = [f"{score:.4g}" for score in group["scores"]]
        listed = ", ".join(scores) if len(scores) <= MOST_SCORES else f"{min(group['scores']):.4g} to {max(group['scores']):.4g}"
        rows.append(
            (
                group["name"],
                f"{group['mean']:.4g}",
                _interval(group["interval"]),
                f"{group['interquartile_mean']:.4g}",
                _interval(group["interquartile_interval"]),
                len(scores),
                f"{group['seconds']:.1f}",
                listed,
            )
        )
    return page.table(["", metric, "95 % interval", "interquartile mean", "95 % interval", "runs", "seconds a run", "scores"], rows)


def _overall(methods: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        (
            method["name"],
            f"{method['interquartile_mean']:.3f}",
            _interval(method["interquartile_interval"]),
            method["runs"],
            "" if method["better_than_next"] is None else f"{method['better_than_next']:.2f}",
        )
        for method in methods
    ]
    head = ["", "interquartile mean", "95 % interval", "runs", "P(better than the next)"]
    return "<h2>Over all tasks</h2><p class='dim'>Scores from 0, the worst of a task, to 1, its best.</p>" + page.table(head, rows)


def _curves(metric: str, groups: Sequence[Mapping[str, Any]], results: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return charts of the evaluations and of the headlines of the best groups of a task."""
    groups = groups[:MOST_CURVES]
    own = [results[folder] for group in groups for folder in group["folders"]]
    units, targets = {str(result.get("unit", "progress")) for result in own}, {result.get("target") for result in own}
    lines = {folder: metrics_log.read(Path(folder), LINES) for group in groups for folder in group["folders"]}
    charts = []
    for name in dict.fromkeys(["evaluation_" + metric.replace(" ", "_"), *sorted(str(result.get("headline", "")) for result in own)]):
        curves = [curve for group in groups for curve in _band(group["name"], [lines[folder] for folder in group["folders"]], name)]
        if curves:
            aimed = len(targets) == 1 and common(name.removeprefix("evaluation_")) == common(metric)
            title = f"{name.replace('_', ' ')} on {groups[0]['task']}"
            charts.append(chart(curves, title=title, unit=", ".join(sorted(units)), target=next(iter(targets)) if aimed else None))
    return charts


def _band(name: str, runs: Sequence[Sequence[Mapping[str, float]]], metric: str) -> list[Curve]:
    """Return the mean of a metric over runs, with the interval of that mean where there are several; empty where none has it."""
    curves = [thinned(curve) for lines in runs for curve in by_metric(lines, {name: metric})]
    if not curves:
        return []
    low, high = max(curve.x[0] for curve in curves), min(curve.x[-1] for curve in curves)
    grid = np.linspace(low, max(high, low), 150) if high > low else np.array([low])
    values = np.array([np.interp(grid, curve.x, curve.y) for curve in curves])
    if len(curves) == 1:
        return [Curve(name, grid, values[0])]
    return [Curve(f"{name} (n = {len(curves)})", grid, values.mean(axis=0), bootstrap_band(values))]


def _axis(name: str, metric: str, groups: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a chart of the scores over the values of a setting where those are numbers, in logarithms over decades; else a table."""
    of_value: dict[tuple[str, str], list[float]] = {}
    for group in groups:
        if name in group["settings"]:
            of_value.setdefault((group["task"], group["settings"][name]), []).extend(group["scores"])
    numbers = {value: _as_number(value) for _, value in of_value}
    if any(number is None for number in numbers.values()):
        rows = [(task, value, f"{np.mean(scores):.4g}", len(scores)) for (task, value), scores in of_value.items()]
        return [f"<figure><figcaption>{escape(name)}</figcaption>{page.table(['task', 'value', metric, 'runs'], rows)}</figure>"]
    positive = [number for number in numbers.values() if number is not None and number > 0]
    decades = len(positive) == len(numbers) and max(positive) >= 10 * min(positive)
    curves = []
    for task in _tasks(groups):
        found = sorted((float(numbers[value] or 0.0), scores) for (of, value), scores in of_value.items() if of == task)
        if found:
            x = np.array([number for number, _ in found])
            x = np.log10(x) if decades else x
            y, least, most = (np.array([fold(scores) for _, scores in found]) for fold in (np.mean, np.min, np.max))
            curves.append(Curve(task, x, y, np.stack([least, most])))
    return [chart(curves, title=f"{metric} over {name}", unit=f"log10 of {name}" if decades else name)] if curves else []


def _as_number(value: str) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None


def _tasks(groups: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(str(group["task"]) for group in groups))


def _of(task: str, groups: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [group for group in groups if group["task"] == task]


def _varied(groups: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for group in groups for name in group["settings"]))


def _interval(interval: Sequence[float] | None) -> str:
    return f"{interval[0]:.4g} to {interval[1]:.4g}" if interval else "needs 2 runs"


def _side_by_side(charts: Sequence[str]) -> str:
    return f"<div class='charts'>{''.join(charts)}</div>"
