"""Pictures of a process: its states on a grid, as text, as pixels and as a figure of values and policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

COLOURS = {
    "#": (64, 64, 72),  # wall
    "G": (88, 168, 104),  # goal
    "H": (72, 112, 176),  # hole
    "X": (192, 80, 77),  # obstacle or cliff
    "S": (240, 214, 140),  # start
    ".": (236, 236, 240),  # floor
}
AGENT = (120, 60, 160)
CELL = 24  # pixels


@dataclass(frozen=True, eq=False)
class Layout:
    """States on a grid.

    Attributes:
        rows: The map, a text for each row; its letters are those of `COLOURS`, any other is shown as floor.
        cell: (row, column) of each state [S, 2].
        arrows: (rows down, columns right) of each action [A, 2], empty where actions do not move.
        caption: Text for a state that the map alone does not tell, such as where Taxi's passenger is; empty for none [S].
    """

    rows: Sequence[str]
    cell: np.ndarray
    arrows: Sequence[tuple[float, float]] = ()
    caption: Sequence[str] = field(default=())

    @classmethod
    def strip(cls, num_states: int) -> Layout:
        """Return states without geography, in rows as long as they are many."""
        width = int(np.ceil(np.sqrt(num_states))) if num_states > 30 else num_states
        height = -(-num_states // width)
        rows = ["." * width] * (height - 1) + ["." * (num_states - width * (height - 1))]
        return cls(rows, np.stack(np.divmod(np.arange(num_states), width), axis=1))

    def text(self, state: int) -> str:
        """Return the map with `@` where the state is."""
        row, column = self.cell[state]
        lines = [line[:column] + "@" + line[column + 1 :] if index == row else line for index, line in enumerate(self.rows)]
        return "\n".join([*lines, *([self.caption[state]] if self.caption else [])])

    def image(self, state: int) -> np.ndarray:
        """Return pixels [H, W, 3], uint8."""
        picture = self._map()
        row, column = (int(number) * CELL for number in self.cell[state])
        quarter = CELL // 4
        picture[row + quarter : row + CELL - quarter, column + quarter : column + CELL - quarter] = AGENT
        return picture

    def draw(self, path: Path, values: np.ndarray, policy: np.ndarray | None = None, title: str = "") -> None:
        """Write a figure of values [S] as colours and of greedy actions [S] as arrows to `path`.

        Where several states share a cell (Taxi's passenger), the mean of their values is shown and no arrow.
        """
        from rl_core.figure import new_figure

        height, width = len(self.rows), max(map(len, self.rows))
        total, count = np.zeros((height, width)), np.zeros((height, width))
        np.add.at(total, tuple(self.cell.T), values)
        np.add.at(count, tuple(self.cell.T), 1)
        mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
        for row, line in enumerate(self.rows):
            for column, letter in enumerate(line):
                if letter == "#":
                    mean[row, column] = np.nan
        figure = new_figure(min(max(3.0, width * 0.6), 12.0) + 1.0, min(max(1.8, height * 0.6), 12.0) + 0.4)
        axes = figure.add_subplot()
        image = axes.imshow(mean, cmap="viridis")
        figure.colorbar(image, ax=axes, shrink=0.8, label="value")
        axes.set_facecolor("0.3")
        if policy is not None and self.arrows and count.max() == 1 and len(self.cell) <= 2_000:
            shown = np.isfinite(mean[tuple(self.cell.T)])
            down, right = np.array(self.arrows, dtype=float)[policy[shown]].T
            axes.quiver(self.cell[shown, 1], self.cell[shown, 0], right, -down, color="w", pivot="mid", scale=max(width, height) * 1.4)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_title(title)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=120)

    def _map(self) -> np.ndarray:
        height, width = len(self.rows), max(map(len, self.rows))
        cells = np.full((height, width, 3), COLOURS["."], dtype=np.uint8)
        for row, line in enumerate(self.rows):
            for column, letter in enumerate(line):
                cells[row, column] = COLOURS.get(letter, COLOURS["."])
        return cells.repeat(CELL, axis=0).repeat(CELL, axis=1)


def draw_values(task: Any, folder: Path, title: str, values: np.ndarray, policy: np.ndarray | None) -> None:
    """Write `values.png` of values [S] and actions [S] into `folder`, on tasks with the trait "mdp" or "layout"."""
    if task.traits() & {"mdp", "layout"}:
        task.layout.draw(folder / "values.png", values, policy, title)
