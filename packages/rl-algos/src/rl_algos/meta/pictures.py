"""Pictures of adaptation: returns over the amount of data of a test task, and paths before and after.

Letters: M tasks, T steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from rl_core.figure import new_figure


def draw_adaptation(returns: np.ndarray, folder: Path, unit: str, target: float | None = None) -> None:
    """Write `adaptation.png`: mean returns of test tasks [amounts, M] over the amount of data that the agent has seen of them.

    Args:
        returns: After 0, 1, ... of the unit.
        folder: Where to write.
        unit: Label of the amounts.
        target: A return to mark.
    """
    figure = new_figure(5.4, 3.6)
    axes = figure.add_subplot(1, 1, 1)
    amounts, few = np.arange(len(returns)), returns.shape[1] <= 40
    if few:
        axes.plot(amounts, returns, color="0.75", linewidth=0.7)
    mean, error = returns.mean(axis=1), 1.96 * returns.std(axis=1) / np.sqrt(returns.shape[1])
    axes.errorbar(amounts, mean, error, marker="o", capsize=3, label=f"mean of {returns.shape[1]} test tasks, 95 % interval")
    if target is not None:
        axes.axhline(target, color="black", linestyle="--", label=f"target: {target:g}")
    axes.set_xticks(amounts if len(amounts) <= 12 else amounts[:: len(amounts) // 10])
    axes.set_xlabel(unit)
    axes.set_ylabel("return of an episode")
    axes.set_title("Adaptation to tasks not seen in training" + ("; grey: each task" if few else ""), fontsize=10)
    axes.legend(fontsize=8)
    axes.grid(alpha=0.25)
    figure.savefig(folder / "adaptation.png", dpi=120)


def draw_paths(paths: Mapping[str, np.ndarray], goals: np.ndarray | None, folder: Path) -> None:
    """Write `paths.png`: paths in the plane, a panel for each amount of data.

    Args:
        paths: Points [T, M, 2] by name; NaN after the end of an episode.
        goals: [M, 2], or `None` where the tasks have none.
        folder: Where to write.
    """
    figure = new_figure(3.4 * len(paths), 3.6)
    first = None
    for index, (name, points) in enumerate(paths.items()):
        axes = figure.add_subplot(1, len(paths), index + 1, sharex=first, sharey=first)
        first = first or axes
        for task in range(points.shape[1]):
            axes.plot(*points[:, task].T, color=f"C{task}", linewidth=1.0)
            axes.plot(*points[0, task], marker="o", color=f"C{task}", markersize=4)
            if goals is not None:
                axes.plot(*goals[task], marker="*", color=f"C{task}", markersize=12, markeredgecolor="black")
        axes.set_title(name, fontsize=10)
        axes.set_xlabel("x")
        axes.set_ylabel("y")
        axes.set_aspect("equal", adjustable="box")
        axes.grid(alpha=0.25)
    figure.suptitle("Paths on test tasks; a dot is the start, a star the goal", fontsize=10)
    figure.savefig(folder / "paths.png", dpi=120)


def draw_rewards(reward: np.ndarray, counts: np.ndarray, folder: Path) -> None:
    """Write `rewards.png`: the mean reward of test tasks over the steps of a trial.

    Args:
        reward: [T, M].
        counts: Whether a step belongs to the trial [T, M].
        folder: Where to write.
    """
    known = counts.sum(axis=1) > 0
    mean = (reward * counts).sum(axis=1)[known] / counts.sum(axis=1)[known]
    figure = new_figure(5.4, 3.6)
    axes = figure.add_subplot(1, 1, 1)
    axes.plot(np.arange(1, len(mean) + 1), mean, marker="o" if len(mean) <= 20 else None, label=f"mean of {reward.shape[1]} test tasks")
    axes.set_xlabel("step of the trial")
    axes.set_ylabel("reward of a step")
    axes.set_title("Reward over the steps of a trial, on tasks not seen in training", fontsize=10)
    axes.legend(fontsize=8)
    axes.grid(alpha=0.25)
    figure.savefig(folder / "rewards.png", dpi=120)
