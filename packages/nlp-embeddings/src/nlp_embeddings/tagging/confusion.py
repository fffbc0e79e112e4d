"""The picture of which names were given for which."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

_SHOWN = 25  # names of the picture


def draw_confusion(
    true: np.ndarray, answered: np.ndarray, names: Sequence[str], path: Path, split: str, *, of: tuple[str, str] = ("tag", "words")
) -> None:
    """Draw the share of each true tag's words that got each tag, for the most frequent tags.

    Args:
        true: Numbers of the true tags [N].
        answered: Numbers of the tags given [N].
        names: Names by number.
        path: The file to write.
        split: Name of the split, for the title.
        of: Name of what is given, and of what it is given to.
    """
    from rl_core.figure import new_figure

    counts = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(counts, (true, answered), 1)
    shown = np.argsort(-counts.sum(axis=1), kind="stable")[:_SHOWN]
    shown = shown[counts.sum(axis=1)[shown] > 0]
    shares = counts[np.ix_(shown, shown)] / np.maximum(counts[shown].sum(axis=1, keepdims=True), 1)
    side = 2.5 + 0.32 * len(shown)
    figure = new_figure(side + 1, side)
    axes = figure.add_subplot(1, 1, 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    labels = [f"{names[tag]} ({counts[tag].sum():,})" for tag in shown]
    axes.set_xticks(range(len(shown)), [names[tag] for tag in shown], rotation=90, fontsize=8)
    axes.set_yticks(range(len(shown)), labels, fontsize=8)
    axes.set_xlabel(f"{of[0]} given")
    axes.set_ylabel(f"true {of[0]} ({of[1]})")
    axes.set_title(f"{of[0].capitalize()}s of the {split} {of[1]}: {np.mean(true == answered):.1%} right", fontsize=10)
    for row in range(len(shown)):
        for column in range(len(shown)):
            if shares[row, column] >= 0.02:
                colour = "white" if shares[row, column] > 0.6 else "black"
                axes.text(column, row, f"{100 * shares[row, column]:.0f}", ha="center", va="center", fontsize=6, color=colour)
    figure.colorbar(image, label=f"share of its {of[1]}", shrink=0.8)
    figure.savefig(path, dpi=120)
