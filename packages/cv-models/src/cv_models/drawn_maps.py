"""Maps of weights drawn over pictures: where a network looks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dl_nets.learning.data import to_tensors
from rl_core.figure import new_figure
from rl_core.task import DataTask

SHOWN = 6  # pictures at most


def shown_examples(task: DataTask, device: torch.device) -> Tensor:
    """Return the first test images [B, H, W, C] of a task."""
    inputs: Tensor = to_tensors(task.read("test", np.arange(min(SHOWN, task.num_examples("test"))))[0], device)
    return inputs


def labelled(logits: Tensor, task: DataTask) -> list[str]:
    """Return a caption with the likeliest class of each image: of logits [B, K]."""
    names = task.class_names or tuple(map(str, range(logits.shape[1])))
    return [f"for {names[number]}" for number in logits.argmax(1).tolist()]


def draw_maps(inputs: Tensor, rows: Sequence[tuple[str, Tensor, Sequence[str]]], path: Path, title: str) -> None:
    """Write images in a row and maps [B, H, W] in [0, 1] over them in further rows.

    Args:
        inputs: Images [B, H, W, C], bytes or numbers in [0, 1].
        rows: Name, maps, and a caption for each map.
        path: The file to write.
        title: Title above them.
    """
    pictures = np.stack([coloured(picture) for picture in inputs.cpu().numpy()])
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
    label_axes(grid)
    figure.colorbar(shown, ax=grid[1:, :], label="weight, 0 to 1", fraction=0.03)
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=110)


def coloured(picture: np.ndarray) -> np.ndarray:
    """Return a picture [H, W, C], bytes or numbers in [0, 1], as [H, W, 3] in [0, 1]."""
    values = picture.astype(np.float64) / (255.0 if picture.dtype == np.uint8 else 1.0)
    return np.clip(np.broadcast_to(values[..., :3] if values.shape[2] >= 3 else values[..., :1], (*values.shape[:2], 3)), 0.0, 1.0)


def label_axes(grid: np.ndarray) -> None:
    """Label the outer axes of a grid of pictures."""
    for axes in grid.ravel():
        axes.tick_params(labelsize=5)
    for axes in grid[-1, :]:
        axes.set_xlabel("x, pixels", fontsize=6)
    for axes in grid[:, 0]:
        axes.set_ylabel("y, pixels", fontsize=6)
