"""Attention drawn over pictures, word by word."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from rl_core.task import DataTask

PICTURES = 3  # test pictures that are drawn
COLUMNS = 12  # words that are drawn at most


class Attends(Protocol):
    """A captioner with attention to the places of a picture."""

    length: int

    def answers(self, inputs: Tensor) -> Tensor:
        """Return captions [B, R T] of pictures."""

    def attention(self, inputs: Tensor, captions: Tensor) -> Tensor:
        """Return the share [B, T, rows, columns] of each place at each token of captions [B, T]."""


def draw_attention(module: Attends, path: Path, task: DataTask) -> None:
    """Write a PNG: a row for each of some test pictures, with the places that each word of its caption was written from.

    Args:
        module: A captioner on the device that its parameters are on.
        path: The file to write.
        task: A task of captions.
    """
    from rl_core.figure import new_figure

    pictures = np.asarray(task.read("test", np.arange(min(PICTURES, task.num_examples("test"))))[0])
    device = next(iter(getattr(module, "parameters")())).device  # noqa: B009 - a module, seen through the protocol
    inputs = torch.from_numpy(pictures).to(device)
    captions = module.answers(inputs)[:, : module.length]
    shares = module.attention(inputs, captions).cpu().numpy()
    texts = [str(text).split() for text in task.describe(captions.cpu().numpy())]
    columns = 1 + min(COLUMNS, max(len(text) for text in texts))
    figure = new_figure(1.25 * columns, 1.6 * len(pictures) + 0.7)
    figure.suptitle("share of each place in what each word was written from; the brightest of each map is its largest share", fontsize=10)
    grid = figure.subplots(len(pictures), columns, squeeze=False)
    for axes, picture, share, text in zip(grid, pictures, shares, texts, strict=True):
        for place in axes:
            place.axis("off")
        _show(axes[0], picture, "picture")
        for place, word, each in zip(axes[1:], text, share, strict=False):
            _show(place, picture, f"{word}\n{each.max():.2f}")
            extent = (-0.5, picture.shape[1] - 0.5, picture.shape[0] - 0.5, -0.5)
            place.imshow(each, cmap="magma", alpha=0.6, extent=extent, interpolation="bilinear", vmin=0.0)
    figure.savefig(path, dpi=110)


def _show(axes: Any, picture: np.ndarray, title: str) -> None:
    axes.imshow(np.broadcast_to(picture, (*picture.shape[:2], 3)), interpolation="nearest")
    axes.set_title(title, fontsize=8)
