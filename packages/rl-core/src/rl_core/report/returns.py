"""The returns of the episodes of an evaluation as SVG: a histogram, with the numbers in a table behind it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from rl_core.report.curves import BOTTOM, COLOURS, HEIGHT, LEFT, RIGHT, TOP, WIDTH, number, ticks

MOST_BARS = 25
TITLE = "returns of the episodes of the final evaluation"


def histogram(returns: Sequence[float], target: float | None = None) -> str:
    """Return a figure element with the number of episodes over their return.

    Args:
        returns: At least one.
        target: A return to draw a line at; `None` for no line.

    >>> "2 episodes from 0.5 to 1.5" in histogram([1.0, 1.0])
    True
    """
    values = np.asarray(returns, dtype=float)
    shown = values if target is None else np.append(values, target)
    low, high = float(shown.min()), float(shown.max())
    bars = min(MOST_BARS, max(5, round(2 * len(values) ** 0.5)))
    if high - low < bars and (values == np.round(values)).all():  # a bar for each whole number
        low, high = low - 0.5, high + 0.5
        bars = round(high - low)
    elif high == low:
        low, high = low - 0.5 * max(abs(low), 1.0), high + 0.5 * max(abs(high), 1.0)
    counts, edges = np.histogram(values, bars, (low, high))
    across = LEFT + (edges - low) / (high - low) * (WIDTH - LEFT - RIGHT)
    most, room = int(counts.max()), HEIGHT - BOTTOM - TOP - 8
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(TITLE)}">']
    for tick in ticks(0.0, float(most)):
        if tick == round(tick):
            y = HEIGHT - BOTTOM - tick / most * room
            parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
            parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{number(tick)}</text>')
    rows = []
    for count, left, right, begin, end in zip(counts, across, across[1:], edges, edges[1:], strict=False):
        if count:
            height = count / most * room
            text = f"{count} episode{'s' if count > 1 else ''} from {number(begin)} to {number(end)}"
            place = f'x="{left + 0.5:.1f}" y="{HEIGHT - BOTTOM - height:.1f}" width="{max(right - left - 1, 1):.1f}" height="{height:.1f}"'
            parts.append(f'<rect {place} fill="{COLOURS[0]}"><title>{text}</title></rect>')
            rows.append(f"<tr><td>{begin:.5g}</td><td>{end:.5g}</td><td>{count}</td></tr>")
    for tick in ticks(low, high, most=5):
        x = LEFT + (tick - low) / (high - low) * (WIDTH - LEFT - RIGHT)
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{number(tick)}</text>')
    parts.append(f'<text x="{(LEFT + WIDTH) / 2:.0f}" y="{HEIGHT - 3}" text-anchor="middle">return of an episode</text>')
    parts.append(f'<text x="{LEFT - 6}" y="{TOP}" text-anchor="end">episodes</text>')
    if target is not None:
        x = LEFT + (target - low) / (high - low) * (WIDTH - LEFT - RIGHT)
        side = "start" if x < (LEFT + WIDTH) / 2 else "end"
        parts.append(f'<line class="target" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        parts.append(f'<text x="{x + (4 if side == "start" else -4):.1f}" y="{TOP}" text-anchor="{side}">target {number(target)}</text>')
    quartiles = ", ".join(f"{name} {number(float(value))}" for name, value in zip(_NAMES, np.percentile(values, _PLACES), strict=True))
    table = f"<table><tr><th>from</th><th>to</th><th>episodes</th></tr>{''.join(rows)}</table>"
    behind = f"<details><summary>numbers</summary>{table}</details>"
    return f'<figure class="chart"><figcaption>{TITLE}</figcaption>{"".join(parts)}</svg><p class="dim">{quartiles}</p>{behind}</figure>'


_NAMES, _PLACES = ("least", "lower quartile", "median", "upper quartile", "most"), (0, 25, 50, 75, 100)
