"""The figure of a decision boundary, for tasks whose inputs are points of the plane."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from gymnasium import spaces

from dl_nets.figures.sample import Sample, Trained
from rl_core.figure import new_figure

POINTS = 160  # of the grid, on each side


def boundary(path: Path, trained: Trained, sample: Sample) -> None:
    """Write a PNG of the classes, or of the first number, that is answered everywhere in the plane, with the test points on it."""
    space = trained.task.output_space
    low, high = sample.inputs.min(axis=0), sample.inputs.max(axis=0)
    margin = 0.1 * np.maximum(high - low, 1e-9)
    axes_of = [np.linspace(a, b, POINTS) for a, b in zip(low - margin, high + margin, strict=True)]
    points = np.stack(np.meshgrid(*axes_of), axis=-1).reshape(-1, 2).astype(sample.inputs.dtype)
    figure = new_figure(5.6, 4.6)
    axes = figure.add_subplot()
    if isinstance(space, spaces.Discrete):
        names, start = trained.task.class_names or tuple(map(str, range(int(space.n)))), int(space.start)
        probabilities = _probabilities(trained, points)
        classes = probabilities.argmax(axis=1)
        if int(space.n) == 2:
            shades = axes.contourf(
                *axes_of, probabilities[:, 1].reshape(POINTS, POINTS), levels=np.linspace(0, 1, 21), cmap="RdBu", alpha=0.5
            )
            axes.contour(*axes_of, probabilities[:, 1].reshape(POINTS, POINTS), levels=[0.5], colors="black", linewidths=1.0)
            figure.colorbar(shades, label=f"probability of {names[1]}", ticks=[0, 0.25, 0.5, 0.75, 1])
            palette = ["#b2182b", "#2166ac"]
        else:
            palette = [f"C{number % 10}" for number in range(int(space.n))]
            axes.contourf(*axes_of, classes.reshape(POINTS, POINTS), levels=np.arange(-0.5, int(space.n)), colors=palette, alpha=0.25)
        for number in range(int(space.n)):
            mine = sample.inputs[sample.targets == number + start]
            axes.scatter(*mine.T, s=9, color=palette[number], edgecolors="white", linewidths=0.3, label=names[number])
        axes.legend(fontsize=8, title="true class", title_fontsize=8)
        right = float((sample.answers == sample.targets).mean())
        axes.set_title(f"decision boundary, {len(sample.targets):,} test points, {right:.1%} right", fontsize=9)
    else:
        answers = np.asarray(trained.predict(points), dtype=np.float64).reshape(len(points), -1)[:, 0]
        shades = axes.contourf(*axes_of, answers.reshape(POINTS, POINTS), levels=21)
        axes.scatter(*sample.inputs.T, c=sample.targets.reshape(len(sample.targets), -1)[:, 0], s=9, edgecolors="white", linewidths=0.3)
        figure.colorbar(shades, label="number that is answered")
        axes.set_title(f"answers, and {len(sample.targets):,} test points", fontsize=9)
    axes.set(xlabel="first input", ylabel="second input")
    figure.savefig(path, dpi=120)


def _probabilities(trained: Trained, points: np.ndarray) -> np.ndarray:
    try:
        return trained.probabilities(points)
    except NotImplementedError:
        space = trained.task.output_space
        return np.eye(int(space.n))[np.asarray(trained.predict(points)) - int(space.start)]
