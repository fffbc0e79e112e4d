"""The pictures of a tuning: the values of its trials in order, and the importance of its settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from rl_core import figure
from rl_core.runs import files
from rl_core.sweeps.proposals import Trial
from rl_core.sweeps.tuning import Tuning


def draw(made: Tuning, trials: Sequence[Trial], importance: Mapping[str, float], folder: Path) -> None:
    """Write `history.png`, and `importance.png` if the importance of the settings is known."""
    if not trials:
        return
    files.make_folder(folder)
    _history(made, trials, folder / "history.png")
    if importance:
        _importance(importance, len([trial for trial in trials if trial.state == "done"]), folder / "importance.png")


def _history(made: Tuning, trials: Sequence[Trial], path: Path) -> None:
    picture = figure.new_figure(7.0, 4.2)
    axes = picture.add_subplot(1, 1, 1)
    looks = (("done", "o", "C0", "learned its budget"), ("cut", "v", "C7", "cut at a rung"), ("failed", "x", "C3", "failed"))
    for state, marker, colour, label in looks:
        shown = [(trial.number, trial.value) for trial in trials if trial.state == state and trial.value is not None]
        if shown:
            axes.scatter(*np.array(shown, dtype=float).T, marker=marker, color=colour, s=28, label=label)
    done = [(trial.number, trial.value) for trial in trials if trial.state == "done" and trial.value is not None]
    if done:
        numbers, values = np.array(done, dtype=float).T
        best = (np.maximum if made.higher_is_better else np.minimum).accumulate(values)
        axes.step([*numbers, len(trials) - 1], [*best, best[-1]], where="post", color="C0", linewidth=1.2, label="best so far")
    axes.set_title(f"Trials of {made.name}, {len(made.seeds)} seeds each", fontsize=10)
    axes.set_xlabel("trial")
    axes.set_ylabel(made.metric)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8)
    picture.savefig(path, dpi=120)


def _importance(importance: Mapping[str, float], count: int, path: Path) -> None:
    picture = figure.new_figure(6.0, 1.2 + 0.35 * len(importance))
    axes = picture.add_subplot(1, 1, 1)
    names = list(importance)[::-1]
    axes.barh(names, [importance[name] for name in names], color="C0")
    axes.set_xlim(0.0, 1.0)
    axes.set_title(f"Importance of the settings, PED-ANOVA of {count} trials", fontsize=10)
    axes.set_xlabel("share")
    axes.grid(alpha=0.25, axis="x")
    picture.savefig(path, dpi=120)
