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
PLACES = {"S": "start", "G": "goal", "H": "hole", "X": "obstacle or cliff"}
DIRECTIONS = {(-1, 0): "up", (0, 1): "right", (1, 0): "down", (0, -1): "left"}
ENDS = "GH"  # letters of places where an episode ends
MOST_LETTERS = 900  # cells of a map above which no letters are written
MOST_CAPTIONS = 30  # states above which no captions are written
BEHIND_TEXT = {"facecolor": "black", "edgecolor": "none", "alpha": 0.45, "pad": 1.0}
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

    def action_names(self) -> tuple[str, ...]:
        """Return the directions that the actions move in; empty where some do not move in one of four, or two move alike.

        >>> Layout(["SG"], np.array([[0, 0], [0, 1]]), arrows=((0, -1), (0, 1))).action_names()
        ('left', 'right')
        """
        names = tuple(DIRECTIONS.get((int(down), int(right)), "") for down, right in self.arrows)
        return names if all(names) and len(set(names)) == len(names) else ()

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

        Letters mark the places of the map, and captions the states that have one. Where several states share a cell (Taxi's passenger),
        the mean of their values is shown and no arrow; a hole or a goal, where an episode ends, has none either.
        """
        from rl_core.figure import new_figure

        height, width = len(self.rows), max(map(len, self.rows))
        total, count = np.zeros((height, width)), np.zeros((height, width))
        np.add.at(total, tuple(self.cell.T), values)
        np.add.at(count, tuple(self.cell.T), 1)
        mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
        letters = np.array([list(line.ljust(width, ".")) for line in self.rows])
        mean[letters == "#"] = np.nan
        shared = count.max() > 1
        figure = new_figure(min(max(3.4, width * 0.6), 12.0) + 1.0, min(max(1.8, height * 0.6), 12.0) + 0.6)
        axes = figure.add_subplot()
        image = axes.imshow(mean, cmap="viridis")
        figure.colorbar(image, ax=axes, shrink=0.8, label=f"value, mean of {int(count.max())} states" if shared else "value")
        axes.set_facecolor("0.3")
        shown = np.isfinite(mean[tuple(self.cell.T)]) & ~np.isin(letters[tuple(self.cell.T)], list(ENDS))
        has_arrows = policy is not None and bool(self.arrows) and not shared and len(self.cell) <= 2_000 and bool(shown.any())
        if has_arrows and policy is not None:
            down, right = np.array(self.arrows, dtype=float)[policy[shown]].T
            axes.quiver(self.cell[shown, 1], self.cell[shown, 0], right, -down, color="w", pivot="mid", scale=max(width, height) * 1.4)
        named = self._write_letters(axes, letters) if letters.size <= MOST_LETTERS else []
        if self.caption and not shared and len(self.cell) <= MOST_CAPTIONS:
            for (row, column), text in zip(self.cell, self.caption, strict=True):
                axes.text(column, row, text.replace(" ", "\n"), ha="center", va="center", fontsize=7, color="w", bbox=BEHIND_TEXT)
        axes.set_xticks([])
        axes.set_yticks([])
        if named:
            axes.set_xlabel(", ".join(named), fontsize=8)
        axes.set_title(title + (",\nand the best action" if has_arrows else ""), fontsize=9)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=120)

    @staticmethod
    def _write_letters(axes: Any, letters: np.ndarray) -> list[str]:
        """Write the letters of places into the corners of their cells, and return what each stands for."""
        for letter in PLACES:
            for row, column in np.argwhere(letters == letter):
                axes.text(column - 0.36, row - 0.3, letter, ha="center", va="center", fontsize=8, color="w", bbox=BEHIND_TEXT)
        return [f"{letter}: {name}" for letter, name in PLACES.items() if (letters == letter).any()]

    def _map(self) -> np.ndarray:
        height, width = len(self.rows), max(map(len, self.rows))
        cells = np.full((height, width, 3), COLOURS["."], dtype=np.uint8)
        for row, line in enumerate(self.rows):
            for column, letter in enumerate(line):
                cells[row, column] = COLOURS.get(letter, COLOURS["."])
        return cells.repeat(CELL, axis=0).repeat(CELL, axis=1)


def draw_values(task: Any, folder: Path, title: str, values: np.ndarray, policy: np.ndarray | None) -> None:
    """Write `values.png` of values [S] and actions [S] into `folder`, on tasks with the trait "mdp" or "layout"; the title names values."""
    if task.traits() & {"mdp", "layout"}:
        task.layout.draw(folder / "values.png", values, policy, title)
