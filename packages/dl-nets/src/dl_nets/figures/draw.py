"""The figures of a supervised run: each where the task and the module have something to draw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from gymnasium import spaces

from dl_nets.figures import answers, insides, plane
from dl_nets.figures.sample import Trained, test_sample
from rl_core.network import OwnLoss
from rl_core.task import DataTask

WATCHED = 64  # test inputs whose activations are measured


def draw(folder: Path, trained: Trained) -> None:
    """Write the figures that fit what was learned into a folder.

    Args:
        folder: Of the run's figures.
        trained: A supervised agent.
    """
    task: DataTask = trained.task
    space, shape = task.output_space, task.input_space.shape or ()
    sample = test_sample(trained)
    if sample is not None:
        if isinstance(space, spaces.Discrete):
            names = task.class_names or tuple(map(str, range(int(space.start), int(space.start + space.n))))
            answers.confusion(folder / "confusion.png", sample, names, int(space.start))
            answers.worst(folder / "worst-examples.png", sample, names, int(space.start))
        elif space.shape and len(space.shape) <= 1 and space.shape[0] >= 5:
            answers.curves(folder / "answers.png", sample)
        elif space.shape is not None and len(space.shape) <= 1:
            answers.numbers(folder / "answers.png", sample)
        if shape == (2,):
            plane.boundary(folder / "boundary.png", trained, sample)
    inputs = sample.inputs[:WATCHED] if sample is not None else task.read("test", np.arange(min(WATCHED, task.num_examples("test"))))[0]
    if not isinstance(inputs, np.ndarray) or not len(inputs) or inputs.dtype.kind == "U":
        return
    module = trained.module
    insides.filters(folder / "first-layer.png", module, shape)
    if isinstance(module, OwnLoss):
        return  # what its forward pass takes is its own affair
    insides.feature_maps(folder / "feature-maps.png", module, inputs)
    insides.activations(folder / "activations.png", module, inputs)
    insides.attention(folder / "attention.png", module, inputs)
