"""Pictures of a learned model and of the search for a plan.

Letters: M particles, W windows, H steps, S numbers of an observation.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rl_algos.model_based.learned import open_loop, open_loop_ratio, scores
from rl_core.figure import new_figure

if TYPE_CHECKING:
    from rl_algos.model_based.mbpo import ModelSAC
    from rl_algos.model_based.pets import PETS

MOST_NUMBERS = 4  # panels of trajectories


def draw_model(agent: PETS | ModelSAC, folder: Path) -> None:
    """Write three pictures of an agent's model on its newest transitions, of which the last were learned from as well."""
    rows, model = agent.newest(), agent.model
    assert rows is not None
    assert model is not None
    steps, rng = agent.config.num_held_steps, agent.seeds.apart("figures").numpy("particles")
    predicted, real, first = open_loop(model, rows, steps, rng, 4 * agent.config.num_particles)
    window = int(np.abs(real - first[:, None]).sum(axis=(1, 2)).argmax())  # where most happens
    size = min(MOST_NUMBERS, model.num_numbers)
    figure = new_figure(3.2 * size, 3.0)
    time = np.arange(1, steps + 1)
    for number in range(size):
        axes = figure.add_subplot(1, size, number + 1)
        mean, std = predicted[:, window, :, number].mean(axis=0), predicted[:, window, :, number].std(axis=0)
        axes.fill_between(time, mean - 2 * std, mean + 2 * std, alpha=0.25, linewidth=0, label="mean +- 2 deviations")
        axes.plot(time, mean, label="predicted")
        axes.plot(time, real[window, :, number], color="black", linestyle="--", label="real")
        axes.set_xlabel("steps ahead")
        axes.set_ylabel(f"observation {number}")
        axes.grid(alpha=0.25)
    axes.legend(fontsize=8)
    figure.suptitle(f"{agent.config.model}: a predicted trajectory beside the real one")
    figure.savefig(folder / "predicted_trajectories.png", dpi=120)

    unseen = np.flatnonzero(agent.data.held_out[: agent.data.size])
    found = scores(model, agent.data.rows(unseen) if len(unseen) >= 10 else rows, rng)
    figure = new_figure(5.0, 3.4)
    axes = figure.add_subplot(1, 1, 1)
    shown, label = (
        (found.error / found.error.std(), "error / its deviation") if found.z is None else (found.z, "z-score of the next observation")
    )
    axes.hist(shown.ravel(), bins=np.linspace(-4, 4, 41), density=True, alpha=0.6, label=f"{label}, deviation {shown.std():.2f}")
    grid = np.linspace(-4, 4, 200)
    axes.plot(grid, np.exp(-(grid**2) / 2) / np.sqrt(2 * np.pi), color="black", label="target: the standard normal")
    axes.set_xlabel(label)
    axes.set_ylabel("density")
    axes.set_title(f"{agent.config.model}: calibration one step ahead, on held-out transitions", fontsize=10)
    axes.legend(fontsize=8)
    figure.savefig(folder / "calibration.png", dpi=120)

    ratio = open_loop_ratio(predicted, real, model.inputs.std[: model.num_numbers], first)
    draw_compounding(ratio, f"{agent.config.model}: errors compound over the horizon", folder)


def draw_compounding(ratio: np.ndarray, title: str, folder: Path) -> None:
    """Write a picture of errors [H] after each step of a prediction, as a ratio to those of repeating the last observation."""
    figure = new_figure(5.0, 3.4)
    axes = figure.add_subplot(1, 1, 1)
    axes.plot(np.arange(1, len(ratio) + 1), ratio, marker="o", markersize=3, label="the model")
    axes.axhline(1.0, color="black", linestyle="--", label="target: below repeating the last observation")
    axes.set_xlabel("steps ahead")
    axes.set_ylabel("error / error of repeating it")
    axes.set_ylim(bottom=0)
    axes.set_title(title, fontsize=10)
    axes.legend(fontsize=8)
    axes.grid(alpha=0.25)
    figure.savefig(folder / "compounding_error.png", dpi=120)


def draw_search(agent: PETS, folder: Path) -> None:
    """Write a picture of the predicted returns of the candidates over the iterations of one search."""
    if agent.model is not None and not agent.num_fits:
        return
    player = agent.planner(agent.seeds.apart("figures").numpy("candidates"))
    player.begin(np.ones(1, dtype=np.bool_))
    player.trace = []
    player(agent.obs[:1])
    if not all(np.isfinite(returns).any() for returns in player.trace):
        return
    finite = [returns[0][np.isfinite(returns[0])] for returns in player.trace]
    figure = new_figure(5.0, 3.4)
    axes = figure.add_subplot(1, 1, 1)
    iterations = np.arange(1, len(finite) + 1)
    for quantile, style in ((1.0, "-"), (0.9, "--"), (0.5, ":")):
        name = {1.0: "best", 0.9: "best tenth", 0.5: "median"}[quantile]
        axes.plot(iterations, [np.quantile(returns, quantile) for returns in finite], style, marker="o", markersize=3, label=name)
    axes.set_xlabel(f"iteration of {agent.config.optimiser}")
    axes.set_ylabel("predicted return of the candidates")
    axes.set_xticks(iterations)
    axes.set_title(f"The search for a plan of {agent.config.horizon} steps")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.25)
    figure.savefig(folder / "plan_search.png", dpi=120)
