"""Figures of explanations: bars or pixels of importance, a tree, and maps over two numbers of an observation."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium import spaces

from rl_core.figure import new_figure

GRID = 80  # points of a map's side
LEAVES_SHOWN = 3  # levels of a tree that are drawn


def importance(about: Any, values: np.ndarray, path: Path, title: str, words: str) -> None:
    """Write how much each number of an observation [I] matters as bars, or each pixel [H, W, C] as a picture beside a mean observation."""
    if about.is_image:
        figure = new_figure(8.0, 4.0)
        for number, (array, name) in enumerate(((about.obs.mean(axis=0).mean(axis=-1), "mean observation"), (values.mean(axis=-1), words))):
            axes = figure.add_subplot(1, 2, number + 1)
            shown = axes.imshow(array, cmap="gray" if number == 0 else "magma")
            axes.set_title(name, fontsize=9)
            axes.set_xlabel("column [pixels]")
            axes.set_ylabel("row [pixels]")
            figure.colorbar(shown, ax=axes, shrink=0.8)
    else:
        figure = new_figure(7.0, 1.2 + 0.35 * min(len(about.names), 40))
        axes = figure.add_subplot(1, 1, 1)
        order = np.argsort(-values.ravel())[:40][::-1]
        axes.barh([about.names[index] for index in order], values.ravel()[order], color="C0")
        axes.set_xlabel(words)
        axes.set_ylabel("number of an observation")
        axes.grid(alpha=0.25, axis="x")
    figure.suptitle(title, fontsize=11)
    figure.savefig(path, dpi=120)


def tree(made: Any, names: list[str], path: Path, title: str) -> None:
    """Write the first levels of a decision tree."""
    plot_tree = import_module("sklearn.tree").plot_tree
    figure = new_figure(16.0, 6.0)
    axes = figure.add_subplot(1, 1, 1)
    plot_tree(made, feature_names=names, max_depth=LEAVES_SHOWN, filled=True, impurity=False, fontsize=7, ax=axes, proportion=True)
    figure.suptitle(f"{title} (the first {LEAVES_SHOWN + 1} levels; all of it: tree.txt)", fontsize=11)
    figure.savefig(path, dpi=120)


def maps(about: Any, pair: tuple[int, int], path: Path, title: str) -> None:
    """Write the answer and the largest output over two numbers of an observation, the others at their medians, with what was visited."""
    low, high = np.quantile(about.obs[:, list(pair)], [0.01, 0.99], axis=0)
    margin = np.maximum(0.3 * (high - low), 1e-3)
    sides = [np.linspace(low[side] - margin[side], high[side] + margin[side], GRID) for side in range(2)]
    across, up = np.meshgrid(*sides)
    obs = np.repeat(np.median(about.obs, axis=0)[None], GRID * GRID, axis=0).astype(about.obs.dtype)
    obs[:, pair[0]], obs[:, pair[1]] = across.ravel(), up.ravel()
    answers = np.asarray(about.predict(obs)).reshape(GRID, GRID, -1)[..., 0]
    with torch.no_grad():
        outputs = about.outputs(about.tensor(obs)).cpu().numpy()
    is_discrete = isinstance(about.task.output_space, spaces.Discrete)
    panels: list[tuple[np.ndarray, str, str]] = [(answers, "action" if about.control is not None else "answer", "coolwarm")]
    if is_discrete:
        top = np.sort(outputs, axis=1)
        panels.append((top[:, -1].reshape(GRID, GRID), "largest output (Q or logit)", "viridis"))
        panels.append(((top[:, -1] - top[:, -2]).reshape(GRID, GRID), "its lead over the next", "magma"))
    figure = new_figure(4.6 * len(panels), 4.2)
    for number, (values, name, colours) in enumerate(panels):
        axes = figure.add_subplot(1, len(panels), number + 1)
        shown = axes.pcolormesh(sides[0], sides[1], values, cmap=colours, shading="auto")
        axes.plot(about.obs[:, pair[0]], about.obs[:, pair[1]], "k.", markersize=1.5, alpha=0.4)
        axes.set_xlim(sides[0][0], sides[0][-1])
        axes.set_ylim(sides[1][0], sides[1][-1])
        axes.set_title(name, fontsize=9)
        axes.set_xlabel(about.names[pair[0]])
        axes.set_ylabel(about.names[pair[1]])
        figure.colorbar(shown, ax=axes, shrink=0.85)
    figure.suptitle(f"{title}: over two numbers, the others at their medians; dots were visited", fontsize=10)
    figure.savefig(path, dpi=120)
