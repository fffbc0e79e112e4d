"""Picture of which option ran where. Letters: S states, K options."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rl_core.figure import new_figure

COLUMNS = 4


def usage(task: Any, counts: np.ndarray, names: Sequence[str], path: Path, title: str) -> None:
    """Write a panel for each option with how often it ran in each state, as a share of the visits of the state.

    Args:
        task: A task with a layout.
        counts: Steps of each option in each state [K, S].
        names: Of the options.
        path: The file.
        title: Above the panels.
    """
    rows, columns = -(-len(counts) // COLUMNS), min(COLUMNS, len(counts))
    height, width = len(task.layout.rows), max(map(len, task.layout.rows))
    total = np.maximum(counts.sum(axis=0), 1)
    figure = new_figure(3.0 * columns + 0.8, 3.1 * rows + 0.5)
    panels, shown = [], None
    for number, (count, name) in enumerate(zip(counts, names, strict=True)):
        axes = figure.add_subplot(rows, columns, number + 1)
        share = np.full((height, width), np.nan)
        visited = counts.sum(axis=0) > 0
        cell = task.layout.cell[visited]
        share[cell[:, 0], cell[:, 1]] = (count / total)[visited]
        shown = axes.imshow(share, vmin=0.0, vmax=1.0, cmap="viridis")
        axes.set_facecolor("0.3")
        axes.set_title(f"{name}: {count.sum() / max(counts.sum(), 1):.0%} of the steps", fontsize=8)
        axes.set_xlabel("column", fontsize=7)
        axes.set_ylabel("row", fontsize=7)
        axes.tick_params(labelsize=6)
        panels.append(axes)
    figure.colorbar(shown, ax=panels, shrink=0.8, label="share of the visits to a cell")
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=120)
