"""Figures of the host: the learning curve of a run, and several runs side by side. matplotlib's global state is not changed."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import numpy as np

from rl_core.metric_names import common
from rl_core.statistics import bootstrap_band

SKIP = ("progress", "seconds")
MOST_IN_LEGEND = 20  # groups; more would cover the curves


def learning_curve(
    lines: Sequence[Mapping[str, float]],
    path: Path,
    *,
    title: str,
    unit: str,
    headline: str = "",
    metric: str = "",
    target: float | None = None,
    score: float | None = None,
) -> None:
    """Write a PNG with a panel for each metric of a run that changes, over its progress.

    While it learns an agent may explore, so the score of the trained agent, which does not, is marked at the end of its curve.

    Args:
        lines: The lines of `metrics.jsonl`.
        path: The file to write.
        title: Title above the panels.
        unit: Unit of progress.
        headline: The metric whose panel is first.
        metric: Name of the number that the task is judged by.
        target: Its target, a line in its panel; `None` where there is none.
        score: That number of the trained agent, a star in its panel; `None` where there is none.
    """
    drawn = panels(lines, headline)
    columns = min(3, max(1, len(drawn)))
    rows = max(1, -(-len(drawn) // columns))
    figure = new_figure(4.2 * columns, 2.8 * rows, layout=None)
    _arrange(figure, rows, columns)
    for index, (name, curves) in enumerate(drawn.items()):
        axes = figure.add_subplot(rows, columns, index + 1)
        for number, (label, curve) in enumerate(curves.items()):
            _draw_curve(axes, lines, curve, f"C{number}", label if len(curves) > 1 else "")
        judged = bool(metric) and common(name) == common(metric)
        if judged and target is not None:
            axes.axhline(target, color="0.3", linestyle="--", linewidth=1.0, label=f"target {target:g}")
        if judged and score is not None:
            axes.plot(lines[-1]["progress"], score, "*", color="C3", markersize=9, clip_on=False, label=f"trained: {score:.4g}")
        if len(curves) > 1 or axes.get_legend_handles_labels()[1]:
            axes.legend(fontsize=7)
        if spans_decades([line[curve] for curve in curves.values() for line in lines if curve in line]):
            axes.set_yscale("log")
            _label_decades(axes.yaxis)
        kind = next(iter(curves))
        axes.set_title(name if len(curves) > 1 or kind == "learning" else f"{name} ({kind})", fontsize=10)
        axes.set_xlabel(unit, fontsize=8)
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.25)
    figure.suptitle(title, fontsize=11)
    figure.savefig(path, dpi=120)


def comparison(
    tasks: Mapping[str, Mapping[str, Sequence[Sequence[Mapping[str, float]]]]],
    path: Path,
    *,
    metric: str,
    unit: str,
    targets: Mapping[str, float | None] | None = None,
    scores: Mapping[str, Mapping[str, float]] | None = None,
) -> None:
    """Write a PNG with a panel for each task and one curve a group: the mean over its runs, with its bootstrap interval of 95 %.

    Stars at the ends of the curves are the scores of the trained agents, which do not explore.

    Args:
        tasks: By the name of the task, the metrics' lines of each run by the name of the group.
        path: The file to write.
        metric: The metric to draw.
        unit: Unit of progress.
        targets: The score of each task that counts as solved, drawn as a dashed line.
        scores: The mean score of each group, by the name of the task.
    """
    columns = min(3, len(tasks))
    rows = -(-len(tasks) // columns)
    figure = new_figure(7.0 if columns == 1 else 5.0 * columns, 4.2 * rows)
    for place, (task, groups) in enumerate(tasks.items()):
        axes = figure.add_subplot(rows, columns, place + 1)
        for index, (name, runs) in enumerate(groups.items()):
            _draw_group(axes, runs, metric, name, f"C{index % 10}", "-" if index < 10 else "--")
            score = (scores or {}).get(task, {}).get(name)
            if score is not None:
                end = max(lines[-1]["progress"] for lines in runs if lines)
                axes.plot(end, score, "*", color=f"C{index % 10}", markersize=10, clip_on=False)
        target = (targets or {}).get(task)
        if target is not None:
            axes.axhline(target, color="black", linewidth=1.0, linestyle=":", label=f"target {target:g}")
        starred = ", stars: the trained agents" if scores else ""
        axes.set_title(f"{metric.replace('_', ' ')} on {task}{starred}", fontsize=10)
        axes.set_xlabel(unit)
        axes.set_ylabel(metric.replace("_", " "))
        axes.grid(alpha=0.25)
        if len(groups) <= MOST_IN_LEGEND:
            axes.legend(fontsize=8)
    figure.savefig(path, dpi=120)


def panels(lines: Sequence[Mapping[str, float]], headline: str = "") -> dict[str, dict[str, str]]:
    """Return the metrics that are drawn in each panel: a mapping of labels to names, by the name of the panel.

    `validation_x` and the evaluations while learning are drawn in the panel of what they measure. A metric that never changes has no
    panel.

    >>> panels([{"progress": n, "episode_return": n, "evaluation_mean_return": n, "n": 3} for n in (1, 2)])
    {'episode return': {'learning': 'episode_return', 'evaluation': 'evaluation_mean_return'}}
    """
    first: dict[str, float] = {}
    changing: dict[str, None] = {}
    for line in lines:
        for name, value in line.items():
            if first.setdefault(name, value) != value:
                changing[name] = None
    names = [name for name in metric_names(lines) if name != "epoch" and (name in changing or len(lines) < 2 or name == headline)]
    found: dict[str, dict[str, str]] = {}
    for name in sorted(names, key=lambda name: name != headline):
        measured, label = name, "learning"
        for kind in ("validation", "evaluation"):
            if name.startswith(f"{kind}_"):
                measured, label = name.removeprefix(f"{kind}_"), kind
        found.setdefault(common(measured).replace("_", " "), {})[label] = name
    return found


def spans_decades(values: Sequence[float]) -> bool:
    """Return whether values are better drawn on a logarithmic axis: all positive, and the middle ones three decades apart.

    >>> spans_decades([1e-4, 1e-3, 1.0]), spans_decades([0.0, 1.0]), spans_decades([1.0] * 99 + [1e5])
    (True, False, False)
    """
    array = np.asarray(values, dtype=float)
    if len(array) < 3 or not (array > 0).all() or not np.isfinite(array).all():
        return False
    low, high = np.quantile(array, [0.05, 0.95])
    return bool(high > 1000 * low)


def _draw_group(axes: Any, runs: Sequence[Sequence[Mapping[str, float]]], metric: str, name: str, colour: str, style: str) -> None:
    """Draw the mean of the curves of some runs, and the 95 % bootstrap interval of that mean."""
    curves = []
    for lines in runs:
        known = [(line["progress"], line[metric]) for line in lines if metric in line]
        if known:
            curves.append(_smoothed(*np.array(known, dtype=float).T))
    if not curves:
        return
    low, high = max(curve[0][0] for curve in curves), min(curve[0][-1] for curve in curves)
    grid = np.linspace(low, max(high, low), 200)
    values = np.array([np.interp(grid, *curve) for curve in curves])
    mean = values.mean(axis=0)
    axes.plot(grid, mean, color=colour, linestyle=style, label=f"{name} (n = {len(curves)})")
    if len(curves) > 1:
        axes.fill_between(grid, *bootstrap_band(values), color=colour, alpha=0.2, linewidth=0)


def metric_names(lines: Sequence[Mapping[str, float]]) -> list[str]:
    """Return the names of the metrics in the order in which they first appear."""
    return list(dict.fromkeys(name for line in lines for name in line if name not in SKIP))


def new_figure(width: float, height: float, layout: Literal["constrained"] | None = "constrained") -> Any:
    """Return an empty figure, with its size in inches, that is not registered with pyplot.

    Args:
        width: Inches.
        height: Inches.
        layout: "constrained" moves panels until no texts overlap, which takes longer than all the rest of a figure of many panels; `None`
            leaves them where they are put.

    The variable MPLBACKEND may name a backend that this environment lacks, as a notebook's kernel does; no figure of a run needs one.
    """
    _import_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout=layout)
    FigureCanvasAgg(figure)
    return figure


def _arrange(figure: Any, rows: int, columns: int) -> None:
    """Leave room for titles, labels and ticks around each panel of a regular grid."""
    width, height = figure.get_size_inches()
    left, right, top, bottom, gap_x, gap_y = 0.65, 0.15, 0.7, 0.5, 0.7, 0.75  # inches
    panel_x = (width - left - right - (columns - 1) * gap_x) / columns
    panel_y = (height - top - bottom - (rows - 1) * gap_y) / rows
    figure.subplots_adjust(left / width, bottom / height, 1 - right / width, 1 - top / height, gap_x / panel_x, gap_y / panel_y)


def _label_decades(axis: Any) -> None:
    """Write the ticks of a logarithmic axis as plain numbers: raised exponents take a parser that is slow to start."""
    from matplotlib.ticker import NullFormatter

    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def _import_matplotlib() -> None:
    """Import matplotlib as if MPLBACKEND were not set, then apply it as matplotlib does, if it names a backend of this environment."""
    if "matplotlib" in sys.modules:
        return
    named = os.environ.pop("MPLBACKEND", None)
    try:
        import matplotlib
    finally:
        if named is not None:
            os.environ["MPLBACKEND"] = named
    if named:
        with suppress(ValueError):
            matplotlib.rcParams["backend"] = named


def _draw_curve(axes: Any, lines: Sequence[Mapping[str, float]], name: str, colour: str, label: str) -> None:
    progress, values = np.array([(line["progress"], line[name]) for line in lines if name in line], dtype=float).T
    many = len(values) > 50
    marker = "" if many or label != "evaluation" else "."
    axes.plot(progress, values, linewidth=0.8, alpha=0.35 if many else 1.0, color=colour, label="" if many else label, marker=marker)
    if many:
        axes.plot(*_smoothed(progress, values), linewidth=1.6, color=colour, label=label)


def _smoothed(progress: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the running mean over a fiftieth of the curve."""
    width = max(1, len(values) // 50)
    kernel = np.ones(width) / width
    return np.convolve(progress, kernel, mode="valid"), np.convolve(values, kernel, mode="valid")
