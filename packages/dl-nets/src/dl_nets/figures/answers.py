"""Figures of answers to test examples: the confusion of classes, the worst examples, and numbers beside the true ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dl_nets.figures.grid import as_picture, grid
from dl_nets.figures.sample import Sample
from rl_core.figure import new_figure

MOST_CLASSES = 50  # with more of them, no confusion is drawn
WITH_COUNTS = 15  # classes up to which the counts are written
WORST = 24


def confusion(path: Path, sample: Sample, names: Sequence[str], start: int = 0) -> None:
    """Write a PNG of how often each class (row) is answered with each other (column), as shares of the row.

    Args:
        path: The file to write.
        sample: Test examples with classes as answers.
        names: Names of the classes.
        start: Number of the first class.
    """
    size = len(names)
    if not 2 <= size <= MOST_CLASSES:
        return
    counts = confusion_counts(sample.targets - start, sample.answers - start, size)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = max(3.4, 0.36 * size + 1.4)
    figure = new_figure(side + 0.9, side)
    axes = figure.add_subplot()
    image = axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    font = 8 if size <= 20 else 5
    axes.set_xticks(range(size), [_short(name) for name in names], rotation=90 if max(map(len, names)) > 3 else 0, fontsize=font)
    axes.set_yticks(range(size), [_short(name) for name in names], fontsize=font)
    for row, column in np.argwhere(counts) if size <= WITH_COUNTS else ():
        colour = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, f"{counts[row, column]}", ha="center", va="center", fontsize=7, color=colour)
    right = float(np.trace(counts) / max(1, counts.sum()))
    axes.set(xlabel="answer", ylabel="true class")
    axes.set_title(f"{counts.sum():,} test examples, {right:.1%} right", fontsize=9)
    figure.colorbar(image, label="share of the true class", shrink=0.8)
    figure.savefig(path, dpi=120)


def confusion_counts(targets: np.ndarray, answers: np.ndarray, size: int) -> np.ndarray:
    """Return how often class i [N] was answered with class j [N], [size, size].

    >>> confusion_counts(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    return np.bincount(targets * size + answers, minlength=size * size).reshape(size, size)


def worst(path: Path, sample: Sample, names: Sequence[str], start: int = 0) -> None:
    """Write a PNG of the images [N, H, W, C] whose true class got the smallest probability, the worst first."""
    if sample.probabilities is None or sample.inputs.ndim != 4:
        return
    rows = np.arange(len(sample.targets))
    order = sample.probabilities[rows, sample.targets - start].argsort(kind="stable")[:WORST]
    titles = []
    for row in order:
        true, given = int(sample.targets[row]) - start, int(sample.answers[row]) - start
        said = f"{_short(names[given])} for {_short(names[true])}" if given != true else f"{_short(names[true])}, right"
        titles.append(f"{said}\np = {sample.probabilities[row, true]:.2g}")
    wrong = int((sample.answers != sample.targets).sum())
    title = f"the worst of {len(rows):,} test images ({wrong} wrong): answer for true class, p of the true class"
    grid(path, [as_picture(sample.inputs[row]) for row in order], titles, title=title, columns=8, side=1.0)


def numbers(path: Path, sample: Sample, unit: str = "") -> None:
    """Write a PNG of predicted numbers [N] or [N, K] over the true ones, with the line on which both are equal."""
    targets, answers = sample.targets.reshape(len(sample.targets), -1), sample.answers.reshape(len(sample.answers), -1)
    count = min(6, targets.shape[1])
    columns = min(3, count)
    figure = new_figure(3.6 * columns, 3.4 * -(-count // columns))
    for index in range(count):
        axes = figure.add_subplot(-(-count // columns), columns, index + 1)
        true, predicted = targets[:, index], answers[:, index]
        axes.scatter(true, predicted, s=6, alpha=0.5)
        ends = [float(min(true.min(), predicted.min())), float(max(true.max(), predicted.max()))]
        axes.plot(ends, ends, color="black", linewidth=0.8)
        axes.set_xlabel(f"true{unit}", fontsize=8)
        axes.set_ylabel(f"predicted{unit}", fontsize=8)
        axes.tick_params(labelsize=7)
        axes.set_title(f"number {index + 1} of {targets.shape[1]}" if targets.shape[1] > 1 else f"{len(true):,} test examples", fontsize=9)
    figure.savefig(path, dpi=120)


def curves(path: Path, sample: Sample) -> None:
    """Write a PNG of some answers that are curves [N, T], beside the true ones."""
    places = np.linspace(0, len(sample.targets) - 1, min(6, len(sample.targets))).astype(int)
    figure = new_figure(10.2, 2.4 * -(-len(places) // 3))
    for index, row in enumerate(places):
        axes = figure.add_subplot(-(-len(places) // 3), 3, index + 1)
        steps = np.arange(1, sample.targets.shape[1] + 1)
        axes.plot(steps, sample.targets[row], color="C0", marker=".", label="true")
        axes.plot(steps, sample.answers[row], color="C1", marker=".", label="predicted")
        axes.set_title(f"test example {row + 1}", fontsize=8)
        axes.set_xlabel("place of the number", fontsize=8)
        axes.set_ylabel("value", fontsize=8)
        axes.tick_params(labelsize=7)
        if not index:
            axes.legend(fontsize=7)
    figure.savefig(path, dpi=120)


def _short(name: str) -> str:
    return name if len(name) <= 14 else name[:13] + "…"
