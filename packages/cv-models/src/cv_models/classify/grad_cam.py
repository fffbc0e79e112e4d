"""Where a classifier looks: Grad-CAM of convolutional networks, and attention roll-out of transformers, drawn over pictures.

Source: Selvaraju et al., *Grad-CAM: visual explanations from deep networks via gradient-based localization*, 2017, equations 1 and 2;
Abnar and Zuidema, *Quantifying attention flow in transformers*, 2020, section 3.

Letters: B batch, C channels, H W features or image, T tokens, h heads.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

SHOWN = 6  # pictures at most


def grad_cam(module: nn.Module, inputs: Tensor, classes: Tensor | None = None, layer: nn.Module | None = None) -> tuple[Tensor, Tensor]:
    """Return which places speak for a class: relu(sum_c a_c A_c), a_c the mean of the score's gradient over the map A_c (1, 2).

    Args:
        module: Any classifier from images [B, H, W, C] to logits [B, K].
        inputs: Images.
        classes: Class of each image whose evidence is asked for [B]; by default the likeliest.
        layer: Layer whose maps [B, C, H', W'] are read; by default the last convolution.

    Returns:
        Evidence [B, H, W] in [0, 1], interpolated to the size of the images, and the classes [B].

    Raises:
        ValueError: if the module has no convolution.
    """
    found = layer or next((child for child in reversed(list(module.modules())) if isinstance(child, nn.Conv2d)), None)
    if found is None:
        raise ValueError("the network has no convolution whose maps could be read")
    kept: list[Tensor] = []

    def keep(_: nn.Module, __: Any, output: Tensor) -> Tensor:
        kept.append(output)
        return output.clone()  # a layer that overwrites its input would overwrite the kept maps

    was_training = module.training
    module.eval()
    handle = found.register_forward_hook(keep)
    try:
        with torch.enable_grad():
            logits = module(inputs)
            chosen = logits.argmax(1) if classes is None else classes
            score = logits.gather(1, chosen[:, None]).sum()
            gradient = torch.autograd.grad(score, kept[0])[0]
    finally:
        handle.remove()
        module.train(was_training)
    maps = functional.relu((gradient.mean((2, 3), keepdim=True) * kept[0].detach()).sum(1, keepdim=True))
    maps = functional.interpolate(maps, tuple(inputs.shape[1:3]), mode="bilinear", align_corners=False)[:, 0]
    return maps / maps.amax((1, 2), keepdim=True).clamp(min=1e-12), chosen.detach()


def rollout(attention: Sequence[Tensor]) -> Tensor:
    """Return how much each token of the input enters the first token of the output [B, T]: the product of (A + I) / 2, A a mean over heads.

    Args:
        attention: Weights [B, h, T, T] of each layer, rows that sum to 1.

    One layer whose first token looks at the second alone:

    >>> rollout([torch.tensor([[[[0.0, 1.0], [0.0, 1.0]]]])]).tolist()
    [[0.5, 0.5]]
    """
    flow = torch.eye(attention[0].shape[-1])[None]
    for weights in attention:
        mean = weights.mean(1)
        flow = (mean + torch.eye(mean.shape[-1])) / 2 @ flow
    return flow[:, 0]


def draw_grad_cam(module: nn.Module, inputs: Tensor, class_names: Sequence[str], path: Path) -> None:
    """Write images, and over each the evidence for its likeliest class."""
    maps, classes = grad_cam(module, inputs[:SHOWN])
    words = [f"for {class_names[int(number)]}" if class_names else f"for class {int(number)}" for number in classes]
    draw_maps(inputs[:SHOWN], [("Grad-CAM", maps, words)], path, "evidence for the answer, Grad-CAM")


def draw_maps(inputs: Tensor, rows: Sequence[tuple[str, Tensor, Sequence[str]]], path: Path, title: str) -> None:
    """Write images in a row and maps [B, H, W] in [0, 1] over them in further rows.

    Args:
        inputs: Images [B, H, W, C], bytes or numbers in [0, 1].
        rows: Name, maps, and a caption for each map.
        path: The file to write.
        title: Title above them.
    """
    from rl_core.figure import new_figure

    pictures = inputs.cpu().numpy().astype(np.float64) / (255.0 if inputs.dtype == torch.uint8 else 1.0)
    pictures = np.clip(np.broadcast_to(pictures[..., :3], (*pictures.shape[:3], 3)), 0.0, 1.0)
    figure = new_figure(1.9 * len(pictures) + 0.8, 2.1 * (1 + len(rows)) + 0.4)
    grid = figure.subplots(1 + len(rows), len(pictures), squeeze=False)
    for column, picture in enumerate(pictures):
        grid[0, column].imshow(picture, interpolation="nearest")
        grid[0, column].set_title("picture" if column == 0 else "", fontsize=8)
        for axes, (name, maps, words) in zip(grid[1:, column], rows, strict=True):
            axes.imshow(picture.mean(2), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            shown = axes.imshow(maps[column].cpu().numpy(), cmap="inferno", vmin=0, vmax=1, alpha=0.6, interpolation="nearest")
            axes.set_title(f"{name} {words[column]}" if column == 0 else words[column], fontsize=8)
    for axes in grid.ravel():
        axes.set_xlabel("x, pixels", fontsize=6)
        axes.tick_params(labelsize=5)
    for axes in grid[:, 0]:
        axes.set_ylabel("y, pixels", fontsize=6)
    figure.colorbar(shown, ax=grid[1:, :], label="share of the largest weight", fraction=0.03)
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=110)
