"""Figures of what happens inside a module: first filters, feature maps, attention, and the numbers that each layer gives.

Layers are watched by torch's hooks while some test inputs go through; the module stays as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from dl_nets.figures.grid import as_picture, grid, show
from rl_core.figure import new_figure

MOST_FILTERS = 64
MOST_LAYERS = 24  # of the figure of activations
MOST_MAPS = 6, 8  # layers and channels of the figure of feature maps
MOST_ATTENTIONS = 6, 4  # layers and heads of the figure of attention
_GIVES_NUMBERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d, nn.LayerNorm, nn.GroupNorm, nn.Embedding, _NormBase)


def filters(path: Path, module: nn.Module, shape: tuple[int, ...]) -> None:
    """Write a PNG of the weights from the pixels of an image [H, W, C] to the units of the first layer, where it is a plain one.

    Convolutions, and linear layers of all pixels, are drawn; weights of three channels as colours, of others their mean.
    """
    first = next((part for part in module.modules() if isinstance(part, nn.Conv2d | nn.Linear)), None)
    if first is None or len(shape) != 3:
        return
    weights = first.weight.detach().float().cpu().numpy()
    height, width, channels = shape
    if isinstance(first, nn.Conv2d) and min(first.kernel_size) >= 2:
        pictures = weights.transpose(0, 2, 3, 1)[:MOST_FILTERS]  # [F, k, k, C]
    elif isinstance(first, nn.Linear) and weights.shape[1] == height * width * channels:
        pictures = weights.reshape(-1, height, width, channels)[:MOST_FILTERS]
    else:
        return
    colourful = pictures.shape[3] == 3
    drawn = [_scaled(one) if colourful else one.mean(axis=2) for one in pictures]
    words = "grey is 0" if colourful else "blue: positive, red: negative"
    title = f"weights of {len(drawn)} of {len(weights)} first units\n{words}"
    grid(
        path,
        drawn,
        (),
        title=title,
        columns=min(16, max(8, len(drawn) // 4)),
        side=0.62,
        colours="RdBu",
        centred=not colourful,
    )


def feature_maps(path: Path, module: nn.Module, inputs: np.ndarray) -> None:
    """Write a PNG of the strongest channels of each convolution, for the first of images or the first frame of clips."""
    found = {name: part for name, part in module.named_modules() if isinstance(part, nn.Conv2d)}
    if not found:
        return
    names = [list(found)[place] for place in np.unique(np.linspace(0, len(found) - 1, min(MOST_MAPS[0], len(found))).astype(int))]
    maps: dict[str, np.ndarray] = {}

    def keep(name: str) -> Callable[..., None]:
        def hook(part: nn.Module, arguments: Any, output: Tensor) -> None:
            if output.ndim == 4 and name not in maps:
                maps[name] = output[0].detach().float().cpu().numpy()  # [C, H, W]

        return hook

    with watching({found[name]: keep(name) for name in names}):
        _forward(module, inputs[:1])
    names = [name for name in names if name in maps]
    if not names:
        return
    columns = 1 + max(min(MOST_MAPS[1], len(maps[name])) for name in names)
    figure = new_figure(1.15 * columns, 1.3 * len(names) + 0.4)
    for row, name in enumerate(names):
        strongest = np.argsort(-maps[name].std(axis=(1, 2)), kind="stable")[: MOST_MAPS[1]]
        axes = figure.add_subplot(len(names), columns, row * columns + 1)
        if row == 0:
            show(axes, as_picture(inputs[0]))
            axes.set_title("input", fontsize=7, pad=2)
        else:
            axes.set_axis_off()
        for column, channel in enumerate(strongest):
            axes = figure.add_subplot(len(names), columns, row * columns + column + 2)
            show(axes, maps[name][channel], colours="viridis")
            size = "x".join(map(str, maps[name].shape[1:]))
            axes.set_title(f"{name}\n{size}, {channel}" if column == 0 else f"\n{channel}", fontsize=6, pad=2)
    figure.suptitle("feature maps of the first test image: the strongest channels of each convolution", fontsize=9)
    figure.savefig(path, dpi=120)


def activations(path: Path, module: nn.Module, inputs: np.ndarray) -> None:
    """Write a PNG of mean and deviation of the numbers that each layer gives for `inputs` [N, ...], and the share that is 0."""
    seen: dict[str, tuple[float, float, float]] = {}
    names = {part: name for name, part in module.named_modules() if name and _counts(part)}

    def hook(part: nn.Module, arguments: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.is_floating_point() and output.numel() > 1 and names[part] not in seen:
            numbers = output.detach().float()
            seen[names[part]] = float(numbers.mean()), float(numbers.std()), float((numbers == 0).float().mean())

    with watching(dict.fromkeys(names, hook)):
        _forward(module, inputs)
    if len(seen) < 2:
        return
    layers = list(seen)[:MOST_LAYERS]
    mean, deviation, zeros = np.array([seen[name] for name in layers]).T
    figure = new_figure(8.4, 0.24 * len(layers) + 1.2)
    places = np.arange(len(layers))[::-1]
    labels = [f"{name} ({type(dict(module.named_modules())[name]).__name__})" for name in layers]
    left, right = figure.add_subplot(1, 2, 1), figure.add_subplot(1, 2, 2)
    left.errorbar(mean, places, xerr=deviation, fmt="o", capsize=2, markersize=3)
    left.axvline(0.0, color="grey", linewidth=0.6)
    left.set_yticks(places, labels, fontsize=7)
    left.set_xlabel("mean and deviation of a layer's numbers", fontsize=8)
    right.barh(places, 100.0 * zeros, height=0.7)
    right.set_yticks(places, [""] * len(layers))
    right.set(xlim=(0, 100))
    right.set_xlabel("share of numbers that are 0, %", fontsize=8)
    figure.suptitle(f"activations of {len(inputs)} test inputs", fontsize=9)
    figure.savefig(path, dpi=120)


def attention(path: Path, module: nn.Module, inputs: np.ndarray) -> None:
    """Write a PNG of the weights with which the steps of the first of `inputs` [N, ...] read each other, by layer and head.

    A part of the module takes part if it has a method `attention_weights`, which takes the arguments of its `forward` and returns
    weights [B, heads, T, S].
    """
    found: dict[nn.Module, str] = {part: name for name, part in module.named_modules() if hasattr(part, "attention_weights")}
    if not found:
        return
    weights: dict[str, np.ndarray] = {}

    def hook(part: Any, arguments: Any, keywords: Any) -> None:
        if found[part] not in weights:
            weights[found[part]] = part.attention_weights(*arguments, **keywords)[0].detach().float().cpu().numpy()  # [heads, T, S]

    handles = [part.register_forward_pre_hook(hook, with_kwargs=True) for part in found]
    try:
        _forward(module, inputs[:1])
    finally:
        for handle in handles:
            handle.remove()
    names = list(weights)[: MOST_ATTENTIONS[0]]
    if not names:
        return
    columns = max(min(MOST_ATTENTIONS[1], len(weights[name])) for name in names)
    figure = new_figure(max(4.8, 2.0 * columns + 0.6), 2.0 * len(names) + 0.5)
    for row, name in enumerate(names):
        for head, picture in enumerate(weights[name][: MOST_ATTENTIONS[1]]):
            axes = figure.add_subplot(len(names), columns, row * columns + head + 1)
            axes.imshow(picture, cmap="magma", vmin=0.0, interpolation="nearest", aspect="auto")
            axes.set_title(f"{name}, head {head + 1}", fontsize=7, pad=2)
            axes.set_xlabel("step that is read", fontsize=6)
            axes.set_ylabel("step that reads", fontsize=6)
            axes.tick_params(labelsize=5)
    figure.suptitle("attention of the first test input: each row sums to 1, bright is more", fontsize=9)
    figure.savefig(path, dpi=120)


@contextmanager
def watching(hooks: dict[nn.Module, Callable[..., None]]) -> Iterator[None]:
    """Call a hook after each forward pass of a part of a module, within a block."""
    handles = [part.register_forward_hook(hook) for part, hook in hooks.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _counts(part: nn.Module) -> bool:
    """Return whether a layer's numbers are drawn: weighted layers, normalisations, and activations, which have no parts of their own."""
    if isinstance(part, _GIVES_NUMBERS):
        return True
    return type(part).__module__.startswith("torch.nn.modules.activation")


@torch.no_grad()
def _forward(module: nn.Module, inputs: np.ndarray) -> None:
    was_training = module.training
    module.eval()
    try:
        module(torch.as_tensor(inputs, device=next(module.parameters()).device))
    finally:
        module.train(was_training)


def _scaled(weights: np.ndarray) -> np.ndarray:
    """Return weights [k, k, 3] as colours in [0, 1], 0 in the middle."""
    bound = max(1e-12, float(np.abs(weights).max()))
    return 0.5 + 0.5 * weights / bound
