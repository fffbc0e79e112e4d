"""Pictures of an episode of a task that does not draw itself: what was observed, what was done, and the return, up to each step.

Letters: T steps, D numbers of an observation or of an action.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces

from rl_core.figure import new_figure
from rl_core.task import ControlTask

WIDTH, PANEL, DPI = 4.8, 1.25, 100  # inches, inches for each panel, pixels for each inch
MOST_LINES = 6  # in a panel; more numbers are shown as colours
MOST_NAMES = 16  # at an axis
PALE = 0.88  # share of white over steps that are yet to come


class Rows(NamedTuple):
    """The numbers of a panel.

    Attributes:
        title: What they are.
        values: [T, D].
        names: Of each number, D; empty for none.
        is_choice: Whether they are whole numbers that stand for something.
        choices: The names of what they stand for, in order, from `start` on; empty where they have none.
        start: The first choice.
    """

    title: str
    values: np.ndarray
    names: tuple[str, ...] = ()
    is_choice: bool = False
    choices: tuple[str, ...] = ()
    start: int = 0


def frames(task: ControlTask, name: str, obs: np.ndarray, actions: np.ndarray, rewards: np.ndarray, *, most: int = 100) -> list[np.ndarray]:
    """Return a picture [H, W, 3], uint8, for each step of an episode, which shows the episode up to there.

    Args:
        task: The task, for the names of its numbers.
        name: What the title calls it.
        obs: Observations [T, ...].
        actions: Actions [T, ...].
        rewards: [T].
        most: Pictures at most; of a longer episode every second, third, ... step is shown.
    """
    panels = [panel for panel in (_observed(task, obs), _done(task, actions)) if panel is not None]
    panels.append(Rows("return so far", np.cumsum(rewards)[:, None]))
    height = 0.75 + PANEL * len(panels)
    figure = new_figure(WIDTH, height, layout="constrained")
    figure.set_dpi(DPI)
    figure.suptitle(f"{name}: an episode of {len(rewards):,} step{'s' if len(rewards) != 1 else ''}", fontsize=9)
    drawn = [figure.add_subplot(len(panels), 1, number + 1) for number in range(len(panels))]
    for axes, rows in zip(drawn, panels, strict=True):
        _draw(axes, rows)
    drawn[-1].set_xlabel("step", fontsize=7)
    figure.canvas.draw()
    whole = np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()
    return _revealed(whole, drawn, range(0, len(rewards), -(-len(rewards) // most)))


def _observed(task: ControlTask, obs: np.ndarray) -> Rows | None:
    space = task.input_space
    if isinstance(space, spaces.Discrete):
        return None if space.n == 1 else Rows("state", obs[:, None], is_choice=True)
    if not isinstance(obs, np.ndarray) or obs.dtype.kind not in "biuf":
        return None
    return Rows("observation", obs.reshape(len(obs), -1), task.input_names)


def _done(task: ControlTask, actions: np.ndarray) -> Rows:
    space, flat = task.output_space, actions.reshape(len(actions), -1)
    if isinstance(space, spaces.Discrete):
        return Rows("action", flat, (), True, tuple(task.class_names), int(space.start))
    return Rows("action", flat, task.output_names, not isinstance(space, spaces.Box))


def _draw(axes: Any, rows: Rows) -> None:
    from matplotlib.ticker import MaxNLocator

    values, steps = rows.values.astype(np.float64), np.arange(len(rows.values))
    count = values.shape[1]
    if count > MOST_LINES:
        axes.imshow(values.T, aspect="auto", interpolation="nearest", extent=(-0.5, len(values) - 0.5, count - 0.5, -0.5), cmap="viridis")
        bar = axes.figure.colorbar(axes.images[0], ax=axes, pad=0.01)
        bar.ax.tick_params(labelsize=5)
        if len(rows.names) == count <= MOST_NAMES:
            axes.set_yticks(range(count), rows.names, fontsize=4.5)
        else:
            axes.set_ylabel("number", fontsize=7)
    else:
        for column in range(count):
            style = {"linewidth": 1.0} if not rows.is_choice else {"marker": ".", "linewidth": 0.4 * (len(steps) <= 60), "markersize": 3}
            axes.plot(steps, values[:, column], label=rows.names[column] if len(rows.names) == count else f"number {column}", **style)
        if rows.is_choice:
            axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        if 0 < len(rows.choices) <= MOST_NAMES:
            axes.set_yticks(range(rows.start, rows.start + len(rows.choices)), rows.choices)
            axes.set_ylim(rows.start - 0.5, rows.start + len(rows.choices) - 0.5)
    if 1 < count <= MOST_LINES:
        axes.legend(fontsize=5, loc="upper left", ncols=3, framealpha=0.6)
    only = rows.names[0] if len(rows.names) == count == 1 else ""
    axes.set_title(f"{rows.title}: {only}" if only else rows.title, fontsize=7, pad=2)
    axes.tick_params(axis="x", labelsize=6)
    axes.tick_params(axis="y", labelsize=min(6, 30 / max(5, len(rows.choices)) + 1) if count <= MOST_LINES else 4.5)
    axes.set_xlim(-0.5, max(len(values) - 0.5, 0.5))
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))


def _revealed(whole: np.ndarray, drawn: list[Any], steps: range) -> list[np.ndarray]:
    """Return the picture for each of these steps: steps beyond it are pale, and a line marks it."""
    height = len(whole)
    pale = (whole * (1.0 - PALE) + 255.0 * PALE).astype(np.uint8)
    boxes = [(axes.get_window_extent(), axes.transData) for axes in drawn]
    found = []
    for step in steps:
        frame = whole.copy()
        for box, transform in boxes:
            rows = slice(height - int(box.y1) + 2, height - int(np.ceil(box.y0)) - 1)
            place, end = int(transform.transform((step, 0.0))[0]), int(box.x1) - 1
            frame[rows, place + 2 : end] = pale[rows, place + 2 : end]
            frame[rows, min(place, end)] = (200, 60, 60)
        found.append(frame)
    return found
