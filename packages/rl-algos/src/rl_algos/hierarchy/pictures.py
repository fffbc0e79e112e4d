"""Pictures of which option ran where, and of where goals led. Letters: S states, K options, T steps, E goals of an episode."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rl_core.figure import new_figure

COLUMNS = 4


class Course(NamedTuple):
    """An episode of a policy that sets goals.

    Attributes:
        places: First two numbers of the observations [T, 2].
        goals: Where goals were set, and the changes asked for there [E, 4].
    """

    places: np.ndarray
    goals: np.ndarray


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
        axes.set_xticks([])  # the panels are maps of one layout; numbers of rows and columns beside each take longer than all the rest
        axes.set_yticks([])
        panels.append(axes)
    figure.colorbar(shown, ax=panels, shrink=0.8, label="share of the visits to a cell")
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=120)


def draw_courses(courses: Sequence[Course], task: Any, path: Path, title: str) -> None:
    """Write a panel for each episode with its course, and an arrow for each goal from where it was set.

    Args:
        courses: The episodes.
        task: The task; its `walls` and `goal` are drawn if it has them.
        path: The file.
        title: Above the panels.
    """
    figure = new_figure(3.1 * len(courses) + 0.4, 3.8)
    first = None
    for number, course in enumerate(courses):
        axes = figure.add_subplot(1, len(courses), number + 1, sharex=first, sharey=first)
        first = first or axes
        for left, bottom, width, height in getattr(task, "walls", ()):
            axes.fill_between((left, left + width), bottom, bottom + height, color="0.6")
        if hasattr(task, "goal"):
            x, y, radius = task.goal
            turn = np.linspace(0.0, 2.0 * np.pi, 60)
            axes.plot(x + radius * np.cos(turn), y + radius * np.sin(turn), color="C2", label="to be reached")
        axes.plot(*course.places.T, color="C0", linewidth=1.0, marker=".", markersize=3, label="course")
        axes.plot(*course.places[0], color="C0", marker="o", markersize=6)
        arrows = course.goals.T
        axes.quiver(*arrows, angles="xy", scale_units="xy", scale=1.0, color="C1", width=0.008, label="goal: change asked for")
        axes.set_title(f"episode {number + 1}: {len(course.places) - 1} steps, {len(course.goals)} goals", fontsize=8)
        axes.set_xlabel("observation 0", fontsize=8)
        axes.set_ylabel("observation 1", fontsize=8)
        axes.tick_params(labelsize=7)
        axes.grid(alpha=0.25)
    axes.legend(fontsize=6, loc="best")
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=120)


def draw_directions(layout: Any, states: np.ndarray, towards: np.ndarray, path: Path, title: str) -> None:
    """Write the map of a layout with an arrow from each state to another.

    Args:
        layout: The layout.
        states: Where arrows begin [S].
        towards: Where they lead [S].
        path: The file.
        title: Above the map.
    """
    walls = np.array([[letter == "#" for letter in row] for row in layout.rows], dtype=float)
    goal = np.array([[letter == "G" for letter in row] for row in layout.rows])
    figure = new_figure(6.0, 5.6)
    axes = figure.add_subplot(1, 1, 1)
    axes.imshow(walls, cmap="Greys", vmin=0.0, vmax=2.0)
    row, column = layout.cell[states].T
    down, right = (layout.cell[towards] - layout.cell[states]).T
    most = max(float(np.hypot(down, right).max()), 1.0)
    axes.quiver(column, row, right / most, -down / most, np.hypot(down, right), cmap="viridis", scale=12.0, width=0.004, pivot="tail")
    if goal.any():
        axes.plot(*np.argwhere(goal)[0][::-1], marker="*", color="C3", markersize=16, linestyle="none", label="goal of the task")
        axes.legend(fontsize=7, loc="upper right")
    axes.set_title(f"{title} (the longest arrow: {most:.0f} cells)", fontsize=10)
    axes.set_xlabel("column")
    axes.set_ylabel("row")
    figure.savefig(path, dpi=120)
