"""Figures of runs on pictures: varied training pictures before a run, and where networks look behind it."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import nn

from cv_models.classify.grad_cam import grad_cam
from cv_models.drawn_maps import SHOWN, coloured, draw_maps, label_axes, shown_examples
from cv_models.tasks.judges import confusion
from cv_models.tasks.overlays import draw_confusion
from rl_core.api import RunView
from rl_core.figure import new_figure
from rl_core.task import DataTask

EPOCHS = 4  # whose variations are drawn
LOOKED_AT = 2000  # test pictures that the confusion matrix counts
MOST_CLASSES = 30  # of a confusion matrix


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
    label_axes(grid)
    figure.suptitle(f"training pictures of {run.recipe.task} as they are varied", fontsize=10)
    figure.savefig(folder / "augmented.png", dpi=110)


def _with_target(task: DataTask, picture: np.ndarray, targets: Any, row: int) -> tuple[np.ndarray, str]:
    """Return a picture with its target drawn in, and words for its class."""
    from cv_models.tasks import box_drawing, overlays

    pixels = (coloured(picture) * 255).astype(np.uint8)
    if isinstance(targets, dict):
        one: dict[str, Any] = {name: part[row] for name, part in targets.items()}
        return box_drawing.drawn(pixels, one, task.class_names, words=False), ""
    if np.ndim(targets) == 3:
        return overlays.overlay(pixels, targets[row], len(task.class_names)), ""
    return pixels, f", {task.class_names[int(targets[row])]}" if task.class_names else ""
