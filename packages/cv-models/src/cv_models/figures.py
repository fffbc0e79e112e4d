"""Figures of runs on pictures: varied training pictures before a run, and where networks look behind it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cv_models.classify.grad_cam import grad_cam
from cv_models.tasks.judges import confusion
from cv_models.tasks.overlays import draw_confusion
from dl_nets.learning.data import to_tensors
from rl_core.api import RunView
from rl_core.figure import new_figure
from rl_core.task import DataTask

SHOWN = 6  # pictures at most
EPOCHS = 4  # whose variations are drawn
LOOKED_AT = 2000  # test pictures that the confusion matrix counts
MOST_CLASSES = 30  # of a confusion matrix


def shown_examples(task: DataTask, device: torch.device) -> Tensor:
    """Return the first test images [B, H, W, C] of a task."""
    inputs: Tensor = to_tensors(task.read("test", np.arange(min(SHOWN, task.num_examples("test"))))[0], device)
    return inputs


def labelled(logits: Tensor, task: DataTask) -> list[str]:
    """Return a caption with the likeliest class of each image: of logits [B, K]."""
    names = task.class_names or tuple(map(str, range(logits.shape[1])))
    return [f"for {names[number]}" for number in logits.argmax(1).tolist()]


def draw_classifier(run: RunView) -> None:
    """Write the confusion matrix of a run's classifier and, if it has convolutions, which places speak for its answers."""
    module, task = getattr(run.agent, "module", None), run.agent.task
    if 1 < len(task.class_names) <= MOST_CLASSES:
        inputs, targets = task.read("test", np.arange(min(LOOKED_AT, task.num_examples("test"))))
        start = int(task.output_space.start)
        table = confusion(np.asarray(run.agent.predict(inputs)) - start, targets - start, len(task.class_names))
        shares = table / np.maximum(table.sum(1, keepdims=True), 1)
        draw_confusion(shares, task.class_names, run.folder / "figures" / "confusion.png", "share of pictures")
    if not isinstance(module, nn.Module) or not any(isinstance(child, nn.Conv2d) for child in module.modules()):
        return
    inputs = shown_examples(task, next(module.parameters()).device)
    maps, classes = grad_cam(module, inputs)
    names = task.class_names or tuple(map(str, range(int(classes.max()) + 1)))
    words = [f"for {names[number]}" for number in classes.tolist()]
    draw_maps(inputs, [("Grad-CAM", maps, words)], run.folder / "figures" / "grad-cam.png", "evidence for the answer, Grad-CAM")


def draw_maps(inputs: Tensor, rows: Sequence[tuple[str, Tensor, Sequence[str]]], path: Path, title: str) -> None:
    """Write images in a row and maps [B, H, W] in [0, 1] over them in further rows.

    Args:
        inputs: Images [B, H, W, C], bytes or numbers in [0, 1].
        rows: Name, maps, and a caption for each map.
        path: The file to write.
        title: Title above them.
    """
    pictures = np.stack([_coloured(picture) for picture in inputs.cpu().numpy()])
    figure = new_figure(1.9 * len(pictures) + 1.0, 2.1 * (1 + len(rows)) + 0.4)
    grid = figure.subplots(1 + len(rows), len(pictures), squeeze=False)
    shown = None
    for column, picture in enumerate(pictures):
        grid[0, column].imshow(picture, interpolation="nearest")
        grid[0, column].set_title("picture" if column == 0 else "", fontsize=8)
        for axes, (name, maps, words) in zip(grid[1:, column], rows, strict=True):
            axes.imshow(picture.mean(2), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            shown = axes.imshow(maps[column].cpu().numpy(), cmap="inferno", vmin=0, vmax=1, alpha=0.6, interpolation="nearest")
            axes.set_title(f"{name} {words[column]}" if column == 0 else words[column], fontsize=8)
    _label(grid)
    figure.colorbar(shown, ax=grid[1:, :], label="weight, 0 to 1", fraction=0.03)
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=110)


def draw_varied(run: RunView) -> None:
    """Write some training pictures with their labels, and beside each its variations in the first epochs."""
    task = run.agent.task
    indices = np.arange(min(SHOWN, task.num_examples("train")))
    readings = [("as it is", *task.read("train", indices))]
    for epoch in range(EPOCHS):
        seed = run.agent.seeds.integer("augmentation", epoch)
        readings.append((f"epoch {epoch + 1}", *task.read_augmented(indices, seed=seed, progress=0.0)))
    folder = run.folder / "figures"
    folder.mkdir(exist_ok=True)
    figure = new_figure(1.9 * len(readings) + 0.4, 1.9 * len(indices) + 0.5)
    grid = figure.subplots(len(indices), len(readings), squeeze=False)
    for column, (name, pictures, targets) in enumerate(readings):
        for row, picture in enumerate(np.asarray(pictures)):
            pixels, words = _with_target(task, picture, targets, row)
            grid[row, column].imshow(pixels, interpolation="nearest")
            grid[row, column].set_title(f"{name}{words}", fontsize=8)
    _label(grid)
    figure.suptitle(f"training pictures of {run.recipe.task} as they are varied", fontsize=10)
    figure.savefig(folder / "augmented.png", dpi=110)


def _with_target(task: DataTask, picture: np.ndarray, targets: Any, row: int) -> tuple[np.ndarray, str]:
    """Return a picture with its target drawn in, and words for its class."""
    from cv_models.tasks import box_drawing, overlays

    coloured = (_coloured(picture) * 255).astype(np.uint8)
    if isinstance(targets, dict):
        one: dict[str, Any] = {name: part[row] for name, part in targets.items()}
        return box_drawing.drawn(coloured, one, task.class_names, words=False), ""
    if np.ndim(targets) == 3:
        return overlays.overlay(coloured, targets[row], len(task.class_names)), ""
    return coloured, f", {task.class_names[int(targets[row])]}" if task.class_names else ""


def _coloured(picture: np.ndarray) -> np.ndarray:
    """Return a picture [H, W, C], bytes or numbers in [0, 1], as [H, W, 3] in [0, 1]."""
    values = picture.astype(np.float64) / (255.0 if picture.dtype == np.uint8 else 1.0)
    return np.clip(np.broadcast_to(values[..., :3] if values.shape[2] >= 3 else values[..., :1], (*values.shape[:2], 3)), 0.0, 1.0)


def _label(grid: np.ndarray) -> None:
    for axes in grid.ravel():
        axes.tick_params(labelsize=5)
    for axes in grid[-1, :]:
        axes.set_xlabel("x, pixels", fontsize=6)
    for axes in grid[:, 0]:
        axes.set_ylabel("y, pixels", fontsize=6)
