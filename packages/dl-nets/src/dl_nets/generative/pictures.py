"""Pictures of what was learned from inputs alone: rows and grids of images, and codes in the plane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rl_core.figure import new_figure


def sheet(images: np.ndarray, columns: int) -> np.ndarray:
    """Return images [N, H, W, C], numbers in [0, 1], side by side in one [R (H + 1), columns (W + 1), C], with white lines between.

    >>> sheet(np.zeros((3, 2, 2, 1)), columns=2)[:3, :, 0]
    array([[0., 0., 1., 0., 0., 1.],
           [0., 0., 1., 0., 0., 1.],
           [1., 1., 1., 1., 1., 1.]])
    """
    images = np.pad(images, ((0, -len(images) % columns), (0, 1), (0, 1), (0, 0)), constant_values=1.0)
    count, height, width, channels = images.shape
    grid = images.reshape(count // columns, columns, height, width, channels).transpose(0, 2, 1, 3, 4)
    return grid.reshape(-1, columns * width, channels)


def rows(path: Path, images: Mapping[str, Any], *, title: str) -> None:
    """Write a PNG with a named row of images [N, H, W, C], numbers in [0, 1], for each item."""
    parts = {name: np.asarray(row.cpu() if hasattr(row, "cpu") else row) for name, row in images.items()}
    count, height, width, _ = next(iter(parts.values())).shape
    figure = new_figure(0.8 * count + 1.2, 0.8 * len(parts) * height / width + 0.6)
    axes = figure.add_subplot()
    show(axes, sheet(np.concatenate(list(parts.values())), count))
    axes.set_yticks([(index + 0.5) * (height + 1) - 1.0 for index in range(len(parts))], list(parts), fontsize=9)
    axes.tick_params(left=False)
    axes.set_title(title, fontsize=10)
    figure.savefig(path, dpi=120)


def grids(path: Path, sheets: Sequence[np.ndarray], titles: Sequence[str], *, title: str) -> None:
    """Write a PNG with sheets of images [H, W, C] side by side, each with its title."""
    columns = min(4, len(sheets))
    rows = -(-len(sheets) // columns)
    height, width = sheets[0].shape[:2]
    figure = new_figure(max(4.5, 2.6 * columns), 2.6 * rows * height / width + 0.35 * rows + 0.4)
    for index, (image, name) in enumerate(zip(sheets, titles, strict=True)):
        axes = figure.add_subplot(rows, columns, index + 1)
        show(axes, image)
        axes.set_title(name, fontsize=9)
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=120)


def anomalies(path: Path, inputs: Any, reconstructions: Any, scores: Any, bound: float) -> None:
    """Write a PNG of the least and the most anomalous images, their reconstructions, and where they differ.

    Args:
        path: The file to write.
        inputs: Images [N, H, W, C], numbers in [0, 1].
        reconstructions: [N, H, W, C].
        scores: Of each image [N]; one above the bound is anomalous.
        bound: The threshold.
    """
    given, made, found = (np.asarray(batch.cpu() if hasattr(batch, "cpu") else batch) for batch in (inputs, reconstructions, scores))
    order = np.argsort(found)
    chosen = np.concatenate([order[:4], order[-6:]]) if len(order) >= 10 else order
    error = np.square(given[chosen] - made[chosen]).mean(axis=3, keepdims=True)
    where = np.repeat(error / max(float(error.max()), 1e-12), given.shape[3], axis=3)
    title = f"scores {found[chosen[0]]:.4f} to {found[chosen[-1]]:.4f}, above {bound:.4f} anomalous: {float((found > bound).mean()):.0%}"
    rows(path, {"input": given[chosen], "reconstruction": made[chosen], "error": where}, title=title)


def codes(path: Path, points: np.ndarray, classes: np.ndarray | None, names: Sequence[str]) -> None:
    """Write a PNG of codes [N, C] in the plane, coloured by class [N]; of more than two numbers, the first two principal components."""
    plane, unit = points.astype(np.float64), ["first number of the code", "second number of the code"]
    if plane.shape[1] == 1:
        plane = np.concatenate([plane, np.zeros_like(plane)], axis=1)
    elif plane.shape[1] > 2:
        centred = plane - plane.mean(axis=0)
        plane = centred @ np.linalg.svd(centred, full_matrices=False)[2][:2].T
        unit = ["first principal component of the code", "second principal component of the code"]
    figure = new_figure(5.6, 4.6)
    axes = figure.add_subplot()
    if classes is None:
        axes.scatter(plane[:, 0], plane[:, 1], s=5, alpha=0.6)
    else:
        for index in np.unique(classes)[:20]:
            mine = plane[classes == index]
            name = names[int(index)] if int(index) < len(names) else str(index)
            axes.scatter(mine[:, 0], mine[:, 1], s=5, alpha=0.6, color=f"C{int(index) % 10}", label=name)
        axes.legend(markerscale=2, fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
    axes.set(xlabel=unit[0], ylabel=unit[1], title=f"codes of {len(plane):,} test inputs")
    figure.savefig(path, dpi=120)


def show(axes: Any, image: np.ndarray) -> None:
    """Show an image [H, W, C] of numbers in [0, 1] on axes without ticks."""
    flat = np.clip(image, 0.0, 1.0)
    axes.imshow(flat[..., 0] if flat.shape[2] != 3 else flat, cmap="gray", vmin=0.0, vmax=1.0, interpolation="nearest")
    axes.set(xticks=[], yticks=[])


def snapshots(path: Path, kept: Sequence[Mapping[str, Any]], real: Any) -> None:
    """Write a PNG of what was generated from the same noise at several times: sheets of images, or points of the plane.

    Args:
        path: The file to write.
        kept: Each with "progress" and "outputs" [N, ...].
        real: Some real examples [M, ...], beside the last ones.
    """
    titles = [f"after {each['progress']:,} examples" for each in kept]
    real = np.asarray(real)
    if real.ndim == 4:
        sheets = [sheet(np.asarray(each["outputs"]), 8) for each in kept]
        grids(path, [*sheets, sheet(real[:64], 8)], [*titles, "real examples"], title="generated from the same noise")
        return
    if real.shape[1] < 2:
        return
    columns = min(4, len(kept))
    lines = -(-len(kept) // columns)
    figure = new_figure(2.8 * columns, 2.8 * lines)
    for index, (each, name) in enumerate(zip(kept, titles, strict=True)):
        axes = figure.add_subplot(lines, columns, index + 1)
        axes.scatter(real[:, 0], real[:, 1], s=12, color="C7", label="real")
        axes.scatter(each["outputs"][:, 0], each["outputs"][:, 1], s=5, color="C3", label="generated")
        axes.set_title(name, fontsize=9)
        axes.set(xlabel="first number", ylabel="second number")
        if index == 0:
            axes.legend(fontsize=7)
    figure.savefig(path, dpi=120)
