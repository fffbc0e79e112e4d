"""Continual learning: stages one after another, with or without something against forgetting the earlier ones.

Sources: fine-tuning, which forgets: McCloskey and Cohen, *Catastrophic interference in connectionist networks*, 1989; elastic weight
consolidation: see `consolidation`; replay of a few examples of earlier stages: Chaudhry and others, *On tiny episodic memories in
continual learning*, 2019; the accuracy matrix and backward transfer: Lopez-Paz and Ranzato, *Gradient episodic memory for continual
learning*, 2017, (1) to (3). `joint` is not continual: it draws from all stages so far, and bounds what the others can reach.
Departures: examples are drawn with replacement; the memory of a stage is drawn evenly from it; a step of ewc is implicit in its springs.
Letters: B batch, S stages, P parameters.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from torch.nn import functional

from dl_nets.continual.consolidation import Springs, fisher_diagonal
from dl_nets.learning.export import FORMATS, exportable, write
from dl_nets.learning.losses import ClassTargets
from dl_nets.learning.optimisers import Optimiser
from rl_core.agent import Agent
from rl_core.config import Count, Doc, NonNegative, Positive, configclass
from rl_core.figure import new_figure
from rl_core.seeds import Seeds
from rl_core.task import DataTask, Task

AT_ONCE = 1_024  # examples answered together
UNKNOWN = -1.0  # an accuracy that was not measured yet


@configclass
class ContinualConfig:
    """Settings of learning stage after stage."""

    method: Annotated[Literal["fine-tuning", "ewc", "replay", "joint"], Doc("what is done against forgetting; joint keeps all data")] = (
        "ewc"
    )
    epochs: Annotated[Count, Doc("examples that a stage learns from, as a multiple of its training split, where no budget is given")] = 20
    batch_size: Annotated[Count, Doc("B, examples of one update")] = 64
    learning_rate: Annotated[Positive, Doc("alpha, step size of gradient descent")] = 0.1
    spring_weight: Annotated[NonNegative, Doc("lambda of ewc, weight of keeping old parameters")] = 100.0
    fisher_examples: Annotated[Count, Doc("examples of a stage that the Fisher information is estimated on")] = 500
    memory: Annotated[Count, Doc("examples of each earlier stage that replay keeps")] = 50
    step_updates: Annotated[Count, Doc("most updates of one step")] = 100


def backward_transfer(matrix: np.ndarray) -> float:
    """Return how much better early stages are at the end than just after they were learned: mean of R[S, j] - R[j, j] over j < S. (2)

    >>> round(backward_transfer(np.array([[0.9, 0.1], [0.6, 0.8]])), 2)
    -0.3
    """
    return float((matrix[-1, :-1] - np.diag(matrix)[:-1]).mean())


def forgetting(matrix: np.ndarray) -> float:
    """Return how much worse early stages are at the end than at their best: mean over j < S of max_i R[i, j] - R[S, j].

    >>> round(forgetting(np.array([[0.9, 0.1, 0.1], [0.6, 0.8, 0.2], [0.7, 0.9, 0.9]])), 2)  # 0.2 and 0
    0.1
    """
    return float((matrix[:, :-1].max(axis=0) - matrix[-1, :-1]).mean())


class Continual(Agent):
    """An agent that learns a task with stages, each for the same share of the budget, and never goes back.

    Attributes:
        matrix: Validation accuracy on each stage (columns) after each one was learned (rows) [S, S]; -1 where it is not known yet.
    """

    Config: ClassVar[type] = ContinualConfig
    headline = "accuracy_of_stages"
    export_formats = FORMATS
    state_fields = ("module", "optimiser", "springs", "matrix", "kept", "learned")
    learned_fields = ("module",)
    config: ContinualConfig
    task: Any
    network: Any

    @classmethod
    def default_budget(cls, config: ContinualConfig, task: Task) -> int | None:
        """Return the examples of `config.epochs` times the training split."""
        assert isinstance(task, DataTask)
        return config.epochs * task.num_examples("train")

    def setup(self) -> None:
        """Build the network.

        Raises:
            ValueError: if the task has no validation split.
        """
        config, task = self.config, self.task
        if not task.num_examples("validation"):
            raise ValueError("the task has no validation split, on which forgetting is measured; set task.validation_fraction=0.15")
        self.num_stages = int(task.num_stages)
        self.module: Any = self.network.build(task.input_space, task.output_space, self.seeds.numpy("network")).eval()
        self.optimiser = Optimiser("sgd", list(self.module.parameters()), learning_rate=config.learning_rate)
        self.springs = Springs(len(self.optimiser.flat.vector))
        self.matrix = np.full((self.num_stages, self.num_stages), UNKNOWN)
        self.kept = np.zeros((self.num_stages, config.memory), dtype=np.int64)  # the examples in memory
        self.learned = 0  # stages that are over
        self.draws, self.labels = self.seeds.numpy("batches"), self.seeds.numpy("labels")
        self.path = "torch: gradient descent, stage after stage"

    def step(self) -> dict[str, float]:
        """Take some updates within a stage; when it is over, measure the accuracy on every stage."""
        config, losses = self.config, []
        stage = self.learned
        end = self.budget if stage + 1 == self.num_stages else self.budget * (stage + 1) // self.num_stages
        for _ in range(config.step_updates):
            if self.progress >= end:
                break
            losses.append(self.update(self.batch(stage)))
            self.progress += config.batch_size
        metrics = {"loss": float(np.mean(losses))} if losses else {}
        if self.progress >= end:
            metrics |= self.end_of(stage)
        return {**metrics, "stage": float(stage + 1)}

    def batch(self, stage: int) -> np.ndarray:
        """Return training examples [B] to learn from in a stage: half of them from memory where the method has one."""
        size, count = self.config.batch_size, self.task.num_examples("train") // self.num_stages
        if self.config.method == "joint":
            return self.draws.integers(0, (stage + 1) * count, size=size)
        indices = self.draws.integers(stage * count, (stage + 1) * count, size=size)
        if self.config.method == "replay" and stage:
            old = self.kept[:stage].reshape(-1)
            indices[size // 2 :] = old[self.draws.integers(len(old), size=size - size // 2)]
        return indices

    def update(self, indices: np.ndarray) -> float:
        """Take a gradient step on training examples [B]; return their loss.

        The springs of ewc act on where the step leads, theta' = theta - alpha (g + lambda (F theta' - p)), so that stiff ones do not
        overshoot.
        """
        inputs, labels = self.task.read("train", indices)
        self.module.train()
        loss = functional.cross_entropy(self.module(torch.from_numpy(inputs)), torch.from_numpy(labels))
        self.module.eval()
        self.optimiser.zero_grad()
        loss.backward()
        if self.config.method == "ewc" and self.learned:
            flat = self.optimiser.flat
            weight, rate = self.config.spring_weight, self.config.learning_rate
            with torch.no_grad():
                moved = flat.vector - rate * (flat.gradient - weight * self.springs.pull)
                flat.vector.copy_(moved / (1.0 + rate * weight * self.springs.stiffness))
        else:
            self.optimiser.step()
        return loss.item()

    def end_of(self, stage: int) -> dict[str, float]:
        """Keep what the method needs of a stage, and measure the accuracy on every stage."""
        count = self.task.num_examples("train") // self.num_stages
        if self.config.method == "ewc":
            drawn = stage * count + self.draws.integers(count, size=self.config.fisher_examples)
            fisher = fisher_diagonal(self.module, torch.from_numpy(self.task.read("train", drawn)[0]), self.labels)
            self.springs.add(fisher, self.optimiser.flat.vector.detach())
        self.kept[stage] = stage * count + self.draws.integers(count, size=self.config.memory)
        self.matrix[stage] = self.accuracies("validation")
        self.learned += 1
        self.finished = self.learned == self.num_stages
        known = self.matrix[: self.learned, : self.learned]
        metrics = {"accuracy_of_stages": float(known[-1].mean()), "accuracy_of_newest": float(known[-1, -1])}
        return metrics | ({"backward_transfer": backward_transfer(known), "forgetting": forgetting(known)} if stage else {})

    def accuracies(self, split: str) -> np.ndarray:
        """Return the accuracy on each stage of a split [S]."""
        count = self.task.num_examples(split)
        right, stages = [], self.task.stage_of(split, np.arange(count))
        for start in range(0, count, AT_ONCE):
            inputs, labels = self.task.read(split, np.arange(start, min(start + AT_ONCE, count)))
            right.append(self.predict(inputs) == labels)
        found: np.ndarray = np.bincount(stages, np.concatenate(right), self.num_stages) / np.bincount(stages, minlength=self.num_stages)
        return found

    @torch.no_grad()
    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return the likeliest classes [B] of inputs [B, ...]."""
        likeliest: np.ndarray = self.module(torch.from_numpy(np.asarray(inputs, dtype=np.float32))).argmax(dim=1).numpy()
        return likeliest

    def evaluate(self, *, episodes: int, seeds: Seeds) -> dict[str, float]:
        """Return the accuracy on the test split, over all stages and on each, and how much was forgotten of the validation split."""
        scores = super().evaluate(episodes=episodes, seeds=seeds)
        scores |= {f"accuracy of stage {stage + 1}": float(found) for stage, found in enumerate(self.accuracies("test"))}
        if self.learned == self.num_stages:
            scores |= {"backward transfer": backward_transfer(self.matrix), "forgetting": forgetting(self.matrix)}
        return scores

    def parameters(self) -> dict[str, np.ndarray]:
        """Return every trainable parameter by name, as it is now."""
        return {name: value.detach().numpy().copy() for name, value in self.module.named_parameters()}

    def export(self, form: str, out: Path) -> dict[str, Any]:
        """Write the network, in one of `export_formats`; see `dl_nets.learning.export`."""
        return write(exportable(self.module, ClassTargets(self.task.output_space), self.task.input_space), form, out)

    def draw(self, folder: Path) -> None:
        """Draw the accuracy matrix."""
        if self.learned:
            draw_matrix(self.matrix[: self.learned], self.config.method, folder / "accuracy_matrix.png")


def draw_matrix(matrix: np.ndarray, method: str, path: Path) -> None:
    """Write the accuracies on each stage after each one was learned [stages learned, S]."""
    rows, columns = matrix.shape
    figure = new_figure(1.6 + 0.75 * columns, 1.5 + 0.6 * rows)
    axes = figure.add_subplot(1, 1, 1)
    image = axes.imshow(matrix, vmin=0.0, vmax=1.0, cmap="viridis", aspect="auto")
    if columns <= 12:
        for row in range(rows):
            for column in range(columns):
                light = matrix[row, column] < 0.6
                shown = f"{100 * matrix[row, column]:.0f}"
                axes.text(column, row, shown, ha="center", va="center", fontsize=8, color="white" if light else "black")
    ticks = range(0, columns, max(1, columns // 12))
    axes.set_xticks(list(ticks), [str(tick + 1) for tick in ticks])
    ticks = range(0, rows, max(1, rows // 12))
    axes.set_yticks(list(ticks), [str(tick + 1) for tick in ticks])
    axes.set_xlabel("stage that is judged")
    axes.set_ylabel("stages learned so far")
    axes.set_title(f"{method}: validation accuracy, %", fontsize=10)
    figure.colorbar(image, ax=axes, label="share of right answers")
    figure.savefig(path, dpi=120)
