"""The figures of a supervised run: each where the task and the module have something to draw."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from gymnasium import spaces
from torch import nn

from dl_nets.figures import answers, insides, plane
from dl_nets.figures.sample import Sample, Trained, test_sample
from rl_core.network import OwnLoss
from rl_core.task import DataTask

WATCHED = 64  # test inputs whose activations are measured
CURVE = 5  # numbers of an answer that make it a curve


def draw(folder: Path, trained: Trained) -> None:
    """Write the figures that fit what was learned into a folder.

    Args:
        folder: Of the run's figures.
        trained: A supervised agent.

    Raises:
        ValueError: after all others were drawn, if a figure could not be; the text names it. The run itself is complete.
    """
    task: DataTask = trained.task
    sample = test_sample(trained)
    figures = _of_answers(trained, sample) if sample is not None else {}
    inputs = sample.inputs[:WATCHED] if sample is not None else task.read("test", np.arange(min(WATCHED, task.num_examples("test"))))[0]
    if isinstance(inputs, np.ndarray) and len(inputs) and inputs.dtype.kind != "U":
        figures |= _of_insides(trained.module, inputs, task.input_space.shape or ())
    failures = []
    for name, make in figures.items():
        try:
            make(folder / name)
        except Exception as error:  # a stranger's module may meet a hook with anything
            failures.append(f"{name} ({type(error).__name__}: {error})")
    if failures:
        raise ValueError("; ".join(failures))


def _of_answers(trained: Trained, sample: Sample) -> dict[str, Callable[[Path], None]]:
    """Return the figures of the answers by the names of their files."""
    space, shape = trained.task.output_space, trained.task.input_space.shape or ()
    figures: dict[str, Callable[[Path], None]] = {}
    if isinstance(space, spaces.Discrete):
        start = int(space.start)
        names = trained.task.class_names or tuple(map(str, range(start, start + int(space.n))))
        figures["confusion.png"] = lambda path: answers.confusion(path, sample, names, start)
        figures["worst-examples.png"] = lambda path: answers.worst(path, sample, names, start)
    elif space.shape is not None and len(space.shape) <= 1:
        is_curve = bool(space.shape) and space.shape[0] >= CURVE
        figures["answers.png"] = lambda path: (answers.curves if is_curve else answers.numbers)(path, sample)
    if shape == (2,) and isinstance(trained.task.input_space, spaces.Box):
        figures["boundary.png"] = lambda path: plane.boundary(path, trained, sample)
    return figures


def _of_insides(module: nn.Module, inputs: np.ndarray, shape: tuple[int, ...]) -> dict[str, Callable[[Path], None]]:
    """Return the figures of the module by the names of their files."""
    figures: dict[str, Callable[[Path], None]] = {"first-layer.png": lambda path: insides.filters(path, module, shape)}
    if not isinstance(module, OwnLoss):  # what its forward pass takes is its own affair
        figures["feature-maps.png"] = lambda path: insides.feature_maps(path, module, inputs)
        figures["activations.png"] = lambda path: insides.activations(path, module, inputs)
        figures["attention.png"] = lambda path: insides.attention(path, module, inputs)
    return figures
