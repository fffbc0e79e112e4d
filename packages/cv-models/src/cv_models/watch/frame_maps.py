"""Attention to the frames of clips, drawn word by word."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from rl_core.task import DataTask

CLIPS = 3  # test clips that are drawn


class AttendsToFrames(Protocol):
    """A captioner with attention to the frames of a clip."""

    length: int

    def answers(self, inputs: Tensor) -> Tensor:
        """Return captions [B, R T] of clips."""

    def attention(self, inputs: Tensor, captions: Tensor) -> Tensor:
        """Return the share [B, T, frames] of each frame at each token of captions [B, T]."""


def draw_frame_attention(module: AttendsToFrames, path: Path, task: DataTask) -> None:
    """Write a PNG: the frames of some test clips, and below them the share of each frame in each word of the caption.

    Args:
        module: A captioner on the device that its parameters are on.
        path: The file to write.
        task: A task of captions of clips.
    """
    from rl_core.figure import new_figure

    clips = np.asarray(task.read("test", np.arange(min(CLIPS, task.num_examples("test"))))[0])
    device = next(iter(getattr(module, "parameters")())).device  # noqa: B009 - a module, seen through the protocol
    inputs = torch.from_numpy(clips).to(device)
    captions = module.answers(inputs)[:, : module.length]
    shares = module.attention(inputs, captions).cpu().numpy()
    texts = [str(text).split() for text in task.describe(captions.cpu().numpy())]
    figure = new_figure(10.0, 2.9 * len(clips))
    figure.suptitle("share of each frame in what each word was written from", fontsize=10)
    grid = figure.subplots(2 * len(clips), 1, squeeze=False, height_ratios=[1, 2] * len(clips))[:, 0]
    for number, (clip, share, text) in enumerate(zip(clips, shares, texts, strict=True)):
        above, below = grid[2 * number], grid[2 * number + 1]
        if clip.ndim == 4:
            above.imshow(np.concatenate([np.broadcast_to(frame, (*frame.shape[:2], 3)) for frame in clip], axis=1))
        above.axis("off")
        drawn = below.imshow(share[: len(text)], cmap="magma", aspect="auto", vmin=0.0, vmax=1.0)
        below.set_yticks(range(len(text)), text, fontsize=8)
        below.set_xlabel("frame", fontsize=8)
        below.tick_params(labelsize=7)
        figure.colorbar(drawn, ax=below, label="share", shrink=0.8)
    figure.savefig(path, dpi=110)
