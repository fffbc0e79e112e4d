"""Figures of the host: the learning curve of a run, and several runs side by side. matplotlib's global state is not changed."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

SKIP = ("progress", "seconds")


def learning_curve(lines: Sequence[Mapping[str, float]], path: Path, *, title: str, unit: str, headline: str = "") -> None:
    """Write a PNG with a panel for each metric of a run, over its progress; `validation_x` is drawn in the panel of `x`.

    Args:
        lines: The lines of `metrics.jsonl`.
        path: The file to write.
        title: Title above the panels.
        unit: Unit of progress.
        headline: The metric whose panel is first.
    """
    known_names = [name for name in metric_names(lines) if name != "epoch"]  # progress in another unit
    names = sorted(
        (name for name in known_names if name.removeprefix("validation_") not in known_names or not name.startswith("validation_")),
        key=lambda name: name != headline,
    )
    columns = min(3, max(1, len(names)))
    rows = max(1, -(-len(names) // columns))
    figure = new_figure(4.2 * columns, 2.8 * rows)
    for index, name in enumerate(names):
        axes = figure.add_subplot(rows, columns, index + 1)
        validation = f"validation_{name}"
        _draw_curve(axes, lines, name, "C0", "training" if validation in known_names else "")
        if validation in known_names:
            _draw_curve(axes, lines, validation, "C1", "validation")
            axes.legend(fontsize=7)
        axes.set_title(name, fontsize=10)
        axes.set_xlabel(unit, fontsize=8)
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.25)
    figure.suptitle(title, fontsize=11)
    figure.savefig(path, dpi=120)


def comparison(groups: Mapping[str, Sequence[Sequence[Mapping[str, float]]]], path: Path, *, metric: str, unit: str) -> None:
    """Write a PNG with one curve a group: the mean over its runs, and the 95 % interval of that mean.

    Args:
        groups: The metrics' lines of each run, by the name of the group.
        path: The file to write.
        metric: The metric to draw.
        unit: Unit of progress.
    """
    figure = new_figure(7.0, 4.2)
    axes = figure.add_subplot(1, 1, 1)
    for index, (name, runs) in enumerate(groups.items()):
        curves = []
        for lines in runs:
            known = [(line["progress"], line[metric]) for line in lines if metric in line]
            if known:
                curves.append(_smoothed(*np.array(known, dtype=float).T))
        if not curves:
            continue
        low, high = max(curve[0][0] for curve in curves), min(curve[0][-1] for curve in curves)
        grid = np.linspace(low, max(high, low), 200)
        values = np.array([np.interp(grid, *curve) for curve in curves])
        mean = values.mean(axis=0)
        axes.plot(grid, mean, color=f"C{index}", label=f"{name} (n = {len(curves)})")
        if len(curves) > 1:
            half = student_t95(len(curves) - 1) * values.std(axis=0, ddof=1) / np.sqrt(len(curves))
            axes.fill_between(grid, mean - half, mean + half, color=f"C{index}", alpha=0.2, linewidth=0)
    axes.set_xlabel(unit)
    axes.set_ylabel(metric)
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=120)


def metric_names(lines: Sequence[Mapping[str, float]]) -> list[str]:
    """Return the names of the metrics in the order in which they first appear."""
    return list(dict.fromkeys(name for line in lines for name in line if name not in SKIP))


def student_t95(degrees: int) -> float:
    """Return the two-sided 95 % quantile of Student's t: the interval of a mean of n values is +- t(n-1) s / sqrt(n).

    scipy is not a dependency of this package. Computed by bisection from the series for the distribution function (Abramowitz and Stegun
    1964, 26.7.3 and 26.7.4).

    >>> round(student_t95(1), 3), round(student_t95(4), 3), round(student_t95(9), 3)
    (12.706, 2.776, 2.262)
    """
    low, high = 0.0, 13.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _t_inside(middle, degrees) < 0.95 else (low, middle)
    return (low + high) / 2


def new_figure(width: float, height: float) -> Any:
    """Return an empty figure, with its size in inches, that is not registered with pyplot.

    The variable MPLBACKEND may name a backend that this environment lacks, as a notebook's kernel does; no figure of a run needs one.
    """
    _import_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


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


def _t_inside(t: float, degrees: int) -> float:
    """Return the probability that |T| <= t."""
    theta = np.arctan2(t, np.sqrt(degrees))
    cos, sin = np.cos(theta), np.sin(theta)
    term, total = 1.0, 0.0
    if degrees % 2:
        term = cos
        for k in range(1, (degrees - 1) // 2 + 1):
            total += term
            term *= cos * cos * (2 * k) / (2 * k + 1)
        return float(2 / np.pi * (theta + sin * total))
    for k in range(degrees // 2):
        total += term
        term *= cos * cos * (2 * k + 1) / (2 * k + 2)
    return float(sin * total)


def _draw_curve(axes: Any, lines: Sequence[Mapping[str, float]], name: str, colour: str, label: str) -> None:
    progress, values = np.array([(line["progress"], line[name]) for line in lines if name in line], dtype=float).T
    many = len(values) > 50
    axes.plot(progress, values, linewidth=0.8, alpha=0.35 if many else 1.0, color=colour, label="" if many else label)
    if many:
        axes.plot(*_smoothed(progress, values), linewidth=1.6, color=colour, label=label)


def _smoothed(progress: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the running mean over a fiftieth of the curve."""
    width = max(1, len(values) // 50)
    kernel = np.ones(width) / width
    return np.convolve(progress, kernel, mode="valid"), np.convolve(values, kernel, mode="valid")
