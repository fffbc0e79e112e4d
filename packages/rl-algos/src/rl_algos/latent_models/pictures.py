"""Pictures of what a latent model predicts without seeing, beside what happened.

Letters: H steps, B windows, W rows.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rl_algos.latent_models.world import OpenLoop, open_loop_ratio
from rl_algos.model_based.pictures import draw_compounding
from rl_core.figure import new_figure

MOST_NUMBERS, MOST_FRAMES = 4, 9  # panels of trajectories; columns of frames


def draw_dreams(predicted: OpenLoop, batch: Any, context: int, is_image: bool, folder: Path) -> None:
    """Write three pictures of predictions from a context on.

    Args:
        predicted: Of H steps.
        batch: `Windows` as tensors with scaled observations [W, B, ...]; W is `context` and H.
        context: Rows that were seen.
        is_image: Whether observations are pictures.
        folder: Where the pictures are written.
    """
    obs = batch.obs.cpu().numpy()
    moved = np.abs(np.diff(obs, axis=0)).reshape(len(obs) - 1, obs.shape[1], -1).sum(axis=(0, 2))
    window = int(moved.argmax())  # where most happens
    dreamt, real = predicted.obs[:, window].cpu().numpy(), obs[context:, window]
    if is_image:
        _draw_frames(dreamt, real, folder)
    else:
        _draw_trajectories(dreamt, real, folder)

    time, ratio = np.arange(1, len(dreamt) + 1), open_loop_ratio(predicted.obs, batch.obs, context).cpu().numpy()
    draw_compounding(ratio, f"Errors compound over the horizon ({batch.obs.shape[1]} stretches)", folder)
    figure = new_figure(5.0, 3.4)
    axes = figure.add_subplot(1, 1, 1)
    axes.plot(time, batch.reward[context:, window].cpu().numpy(), color="black", linestyle="--", label="real")
    axes.plot(time, predicted.reward[:, window].cpu().numpy(), label="predicted")
    axes.set_xlabel("steps since the last observation")
    axes.set_ylabel("reward of a step")
    axes.set_title("Rewards, predicted without seeing")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.25)
    figure.savefig(folder / "predicted_rewards.png", dpi=120)


def _draw_frames(dreamt: np.ndarray, real: np.ndarray, folder: Path) -> None:
    """Write the newest frames of real and imagined observations [H, height, width, channels], one above the other."""
    shown = np.unique(np.linspace(0, len(real) - 1, MOST_FRAMES).round().astype(int))
    is_colour = real.shape[3] == 3
    figure = new_figure(1.1 * len(shown) + 0.6, 2.9)
    for row, (name, frames) in enumerate((("real", real), ("imagined", dreamt))):
        for column, step in enumerate(shown):
            axes = figure.add_subplot(2, len(shown), row * len(shown) + column + 1)
            frame = np.clip(frames[step] + 0.5, 0.0, 1.0)
            axes.imshow(frame if is_colour else frame[..., -1], cmap=None if is_colour else "gray", vmin=0, vmax=1)
            axes.set_xticks([])
            axes.set_yticks([])
            if not row:
                axes.set_title(f"step {step + 1}", fontsize=8)
            if not column:
                axes.set_ylabel(name)
    figure.suptitle("Frames imagined without seeing, below the real ones")
    figure.savefig(folder / "imagined_frames.png", dpi=120)


def _draw_trajectories(dreamt: np.ndarray, real: np.ndarray, folder: Path) -> None:
    """Write the first numbers of real and imagined observations [H, D] over time."""
    size, time = min(MOST_NUMBERS, real.shape[1]), np.arange(1, len(real) + 1)
    figure = new_figure(3.2 * size, 3.0)
    for number in range(size):
        axes = figure.add_subplot(1, size, number + 1)
        axes.plot(time, real[:, number], color="black", linestyle="--", label="real")
        axes.plot(time, dreamt[:, number], label="imagined")
        axes.set_xlabel("steps since the last observation")
        axes.set_ylabel(f"observation {number}, in deviations")
        axes.grid(alpha=0.25)
    axes.legend(fontsize=8)
    figure.suptitle("Observations imagined without seeing, beside the real ones")
    figure.savefig(folder / "imagined_trajectory.png", dpi=120)
