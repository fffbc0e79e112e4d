"""Curves as SVG: what shows without JavaScript, with the numbers in reach of a script that answers the mouse."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

import numpy as np

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 460, 240, 62, 34, 12, 12
MOST_POINTS = 300  # of a curve
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # Okabe and Ito's, told apart without red and green
DASHES = ("", "6 3", "2 2", "8 3 2 3", "1 3", "10 4")


class Curve(NamedTuple):
    """A line of a chart.

    Attributes:
        name: What the legend says.
        x: Progress [N].
        y: Values [N].
        band: Lower and upper bounds [2, N]; `None` where there are none.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    band: np.ndarray | None = None


def chart(curves: Sequence[Curve], *, title: str, unit: str, target: float | None = None) -> str:
    """Return a figure element with a chart of curves, and a table of their numbers behind it.

    Args:
        curves: At least one, each with a point.
        title: What is measured.
        unit: Unit of progress.
        target: A value to draw a line at; `None` for no line.
    """
    curves = [thinned(curve) for curve in curves]
    every = [curve.y for curve in curves] + [curve.band.ravel() for curve in curves if curve.band is not None]
    values = np.concatenate([*every, np.array([] if target is None else [target])])
    low, high = _range(values)
    first, last = _range(np.concatenate([curve.x for curve in curves]))

    def at(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        across = LEFT + (x - first) / (last - first) * (WIDTH - LEFT - RIGHT)
        down = HEIGHT - BOTTOM - (y - low) / (high - low) * (HEIGHT - BOTTOM - TOP)
        return np.stack([across, down], axis=1)

    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)} over {escape(unit)}">']
    for tick in ticks(low, high):
        y = at(np.array([first]), np.array([tick]))[0, 1]
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{number(tick)}</text>')
    for tick in ticks(first, last, most=5):
        x = at(np.array([tick]), np.array([low]))[0, 0]
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{number(tick)}</text>')
    parts.append(f'<text x="{(LEFT + WIDTH) / 2:.0f}" y="{HEIGHT - 3}" text-anchor="middle">{escape(unit)}</text>')
    if target is not None:
        y = at(np.array([first]), np.array([target]))[0, 1]
        parts.append(f'<line class="target" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{WIDTH - RIGHT}" y="{y - 4:.1f}" text-anchor="end">target {number(target)}</text>')
    for index, curve in enumerate(curves):
        colour, dash = COLOURS[index % len(COLOURS)], DASHES[index % len(DASHES)]
        if curve.band is not None:
            edge = np.concatenate([at(curve.x, curve.band[0]), at(curve.x, curve.band[1])[::-1]])
            parts.append(f'<polygon points="{_points(edge)}" fill="{colour}" opacity="0.18"/>')
        data = escape(json.dumps({"name": curve.name, "x": _rounded(curve.x), "y": _rounded(curve.y)}, separators=(",", ":")))
        parts.append(
            f'<polyline points="{_points(at(curve.x, curve.y))}" stroke="{colour}" stroke-dasharray="{dash}" data-curve="{data}"/>'
        )
        if len(curve.x) == 1:
            x, y = at(curve.x, curve.y)[0]
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>')
    parts.append("</svg>")
    legend = "".join(
        f'<li><svg viewBox="0 0 24 6"><line x1="0" y1="3" x2="24" y2="3" stroke="{COLOURS[index % len(COLOURS)]}" stroke-width="2" '
        f'stroke-dasharray="{DASHES[index % len(DASHES)]}"/></svg>{escape(curve.name)}</li>'
        for index, curve in enumerate(curves)
    )
    shown = f'<ul class="legend">{legend}</ul>' if len(curves) > 1 else ""
    caption = f"<figcaption>{escape(title)}</figcaption>"
    return f'<figure class="chart">{caption}{"".join(parts)}<output></output>{shown}{_numbers(curves, unit)}</figure>'


def thinned(curve: Curve, most: int = MOST_POINTS) -> Curve:
    """Return a curve of at most `most` points: the means of neighbouring ones.

    >>> thinned(Curve("a", np.arange(4.0), np.array([0.0, 2.0, 4.0, 6.0])), most=2)
    Curve(name='a', x=array([0.5, 2.5]), y=array([1., 5.]), band=None)
    """
    together = -(-len(curve.x) // most)
    if together == 1:
        return curve
    edges = np.arange(0, len(curve.x), together)
    counts = np.diff(np.append(edges, len(curve.x)))

    def mean(values: np.ndarray) -> np.ndarray:
        return np.add.reduceat(values, edges, axis=-1) / counts

    return Curve(curve.name, mean(curve.x), mean(curve.y), None if curve.band is None else mean(curve.band))


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Return round numbers within a range.

    >>> ticks(0.0, 500.0), ticks(-0.2, 0.3)
    ([0.0, 100.0, 200.0, 300.0, 400.0, 500.0], [-0.2, -0.1, 0.0, 0.1, 0.2, 0.3])
    """
    raw = (high - low) / most
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(size * unit for size in (1, 2, 5, 10) if size * unit >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(position * step, 12) for position in range(first, math.floor(high / step + 1e-9) + 1)]


def number(value: float) -> str:
    """Return a number in few characters.

    >>> number(20000.0), number(0.00031), number(12.5)
    ('20k', '0.00031', '12.5')
    """
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / min(size, 1e3 if letter == 'k' else size):.4g}{letter}"
    return f"{value:.4g}"


def by_metric(lines: Sequence[Mapping[str, float]], names: Mapping[str, str]) -> list[Curve]:
    """Return the curves of a panel: `names` maps what the legend says to the metric."""
    found = []
    for label, name in names.items():
        points = np.array([(line["progress"], line[name]) for line in lines if name in line and math.isfinite(line[name])], dtype=float)
        if len(points):
            found.append(Curve(label, points[:, 0], points[:, 1]))
    return found


def _numbers(curves: Sequence[Curve], unit: str) -> str:
    """Return a folded table with some twenty rows of each curve."""
    rows = []
    for curve in curves:
        for index in np.unique(np.linspace(0, len(curve.x) - 1, min(20, len(curve.x))).astype(int)):
            rows.append(f"<tr><td>{escape(curve.name)}</td><td>{curve.x[index]:,.0f}</td><td>{curve.y[index]:.5g}</td></tr>")
    head = f"<tr><th>curve</th><th>{escape(unit)}</th><th>value</th></tr>"
    return f"<details><summary>numbers</summary><table>{head}{''.join(rows)}</table></details>"


def _range(values: np.ndarray) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    return (low, high) if high > low else (low - 0.5 * max(abs(low), 1.0), high + 0.5 * max(abs(high), 1.0))


def _points(places: np.ndarray) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)


def _rounded(values: np.ndarray) -> list[float]:
    return [float(f"{value:.5g}") for value in values]
