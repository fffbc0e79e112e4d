"""The perceptron: threshold units that learn by Rosenblatt's rule, from their mistakes alone.

Source: Rosenblatt, *The perceptron: a probabilistic model for information storage and organization in the brain*, 1958; the bound on
mistakes is Novikoff, *On convergence proofs on perceptrons*, 1962. Departures: of K > 2 classes each has a unit of its own against the
rest, and the largest output answers. The averaged perceptron is Freund and Schapire, *Large margin classification using the perceptron
algorithm*, 1999.

A unit that has made M mistakes has |w|^2 <= M R^2, and where a plane separates the classes with the margin gamma it has w.w* >= M gamma:
so M <= (R / gamma)^2. Read backwards, M mistakes prove that the margin is at most R / sqrt(M), and weights that return to an earlier
value after a mistake prove that no plane separates the classes, since w.w* can only grow. The agent says which of the two it found.

Letters: N examples, D features, U units, K classes.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from gymnasium import spaces

from dl_nets.classic.features import flat_features
from dl_nets.fast.kernels import announced, kernel
from rl_core.agent import Agent
from rl_core.config import Count, Doc, Positive, configclass
from rl_core.figure import new_figure
from rl_core.seeds import Seeds
from rl_core.task import DataTask, Task

NUMBERS_A_STEP = 2**22  # of the inputs that one step reads, at most


@configclass
class PerceptronConfig:
    """Settings of the perceptron."""

    learning_rate: Annotated[Positive, Doc("eta, step size; from weights of 0 it only scales them")] = 1.0
    epochs: Annotated[Count, Doc("passes over the training split at most, where no budget is given")] = 100
    shuffle: Annotated[bool, Doc("whether each epoch has an order of its own; false: the order of the data")] = True
    averaged: Annotated[bool, Doc("whether the mean of all weights so far answers, instead of the last ones")] = False


@kernel
def rosenblatt(
    inputs: np.ndarray, signs: np.ndarray, weights: np.ndarray, lagged: np.ndarray, rate: float, seen: int, mistakes: np.ndarray
) -> None:
    """Run Rosenblatt's rule over examples in order: where s (w.x) <= 0, w <- w + eta s x. Changes `weights`, `lagged` and `mistakes`.

    Args:
        inputs: x [N, D], float64; the last feature is 1, for the threshold.
        signs: s [N, U], 1 where the unit should fire and -1 where not.
        weights: w [U, D], float64.
        lagged: Sum of each change times the number of examples before it [U, D]; see `averaged`.
        rate: eta.
        seen: Examples before these.
        mistakes: Of each unit so far [U], int64.

    >>> weights, lagged, mistakes = np.zeros((1, 2)), np.zeros((1, 2)), np.zeros(1, np.int64)
    >>> rosenblatt(np.array([[2.0, 1.0], [-1.0, 1.0]]), np.array([[1], [-1]], np.int8), weights, lagged, 1.0, 0, mistakes)
    >>> weights, mistakes  # a mistake at 0, then none: 2 * -1 + 1 * 1 is negative
    (array([[2., 1.]]), array([1]))
    """
    units, size = weights.shape
    for example in range(inputs.shape[0]):
        for unit in range(units):
            total = 0.0
            for feature in range(size):
                total += weights[unit, feature] * inputs[example, feature]
            if signs[example, unit] * total <= 0.0:
                change = rate * signs[example, unit]
                for feature in range(size):
                    weights[unit, feature] += change * inputs[example, feature]
                    lagged[unit, feature] += change * (seen + example) * inputs[example, feature]
                mistakes[unit] += 1


def averaged(weights: np.ndarray, lagged: np.ndarray, seen: int) -> np.ndarray:
    """Return the mean of the weights [U, D] after each of the examples seen: w - (sum of changes times the examples before them) / n.

    Weights 0, 2, 2, 2 after four examples have the mean 1.5; the change of 2 had one example before it:

    >>> averaged(np.array([[2.0]]), np.array([[2.0 * 1]]), seen=4)
    array([[1.5]])
    """
    return weights - lagged / max(seen, 1)


class Perceptron(Agent):
    """Agent that classifies by threshold units; a step runs over a part of the training split. See `rl_core.agent.Agent`."""

    Config: ClassVar[type] = PerceptronConfig
    config: PerceptronConfig
    task: DataTask
    headline = "mistakes"
    export_formats = ("onnx", "torch-export", "state-dict", "arrays")
    state_fields = ("weights", "lagged", "mistakes", "epoch_mistakes", "radius", "met", "returned")

    @classmethod
    def default_budget(cls, config: PerceptronConfig, task: Task) -> int | None:
        """Return the examples of `config.epochs` epochs."""
        assert isinstance(task, DataTask)
        return config.epochs * task.num_examples("train")

    def setup(self) -> None:
        """Build the units, with weights of 0."""
        space = self.task.output_space
        assert isinstance(space, spaces.Discrete)
        self._start, self._classes = int(space.start), int(space.n)
        self._features = flat_features(self.task.input_space)
        units = 1 if self._classes == 2 else self._classes
        self.weights = np.zeros((units, self._features.size + 1))
        self.lagged = np.zeros_like(self.weights)
        self.mistakes = np.zeros(units, dtype=np.int64)  # of each unit
        self.epoch_mistakes = 0  # of all units, in this epoch so far
        self.radius = 0.0  # R: length of the longest input, its 1 included
        self.met: list[str] = []  # digests of the weights after each epoch
        self.returned = False  # whether the weights were met before
        self.path = "fast: compiled loops"

    def step(self) -> dict[str, float]:
        """Learn from some examples; the run ends with an epoch without mistakes, or one whose weights were met before."""
        size = self.task.num_examples("train")
        epoch, position = divmod(self.progress, size)
        left = min(size - position, self.budget - self.progress, max(1, NUMBERS_A_STEP // self.weights.shape[1]))
        inputs, targets = self.task.read("train", self._order(epoch)[position : position + left])
        rows = self._rows(inputs)
        before = int(self.mistakes.sum())
        with announced("the perceptron's rule"):
            rosenblatt(rows, self._signs(targets), self.weights, self.lagged, self.config.learning_rate, self.progress, self.mistakes)
        made = int(self.mistakes.sum()) - before
        self.radius = max(self.radius, float(np.sqrt(np.square(rows).sum(axis=1).max())))
        self.epoch_mistakes += made
        self.progress += left
        metrics = {"mistakes": float(self.mistakes.sum()), "mistake_rate": made / left, "epoch": self.progress / size}
        if position + left == size:
            metrics["epoch_mistakes"] = float(self.epoch_mistakes)
            digest = hashlib.blake2b(self.weights.tobytes(), digest_size=8).hexdigest()
            self.returned = self.epoch_mistakes > 0 and digest in self.met
            self.finished = self.epoch_mistakes == 0 or self.returned
            self.met = [*self.met, digest]
            self.epoch_mistakes = 0
        return metrics

    def predict(self, inputs: Any) -> Any:
        """Return the class [B] with the largest output; of two classes, the second where the unit fires."""
        outputs = self._rows(inputs) @ self._answering.T
        return (outputs.argmax(axis=1) if self._classes > 2 else (outputs[:, 0] > 0).astype(np.int64)) + self._start

    def evaluate(self, *, episodes: int, seeds: Seeds) -> dict[str, float]:
        """Return the task's scores, and say whether the classes were separated."""
        if (verdict := self.verdict()) and verdict not in self.warnings:
            self.warnings.append(verdict)
        return super().evaluate(episodes=episodes, seeds=seeds)

    def verdict(self) -> str:
        """Return what the mistakes prove about the training split: "" where planes separate its classes."""
        most = int(self.mistakes.max())
        if (self.finished and not self.returned) or most == 0:
            return ""
        if self.returned:
            return (
                f"the training split is not separable: after {self.mistakes.sum():,} mistakes the weights were those of an earlier epoch; "
                "take a network with hidden units, such as mlp"
            )
        return (
            f"the training split was not separated: {most:,} mistakes of one unit prove that, if a plane separates the classes, its "
            f"margin is at most {self.radius / math.sqrt(most):.3g} beside inputs of length {self.radius:.3g}; learn longer, set "
            "averaged=true, or take network mlp"
        )

    def answer(self, text: str) -> Any:
        """Return the class's name for one input as the task reads it."""
        return self.task.describe(self.predict(self.task.parse(text)))[0]

    def export(self, form: str, out: Path) -> Mapping[str, Any] | None:
        """Write the units, in one of `export_formats`; see `dl_nets.learning.export`."""
        if form == "arrays":
            return super().export(form, out)
        from dl_nets.classic.threshold_units import exportable_units
        from dl_nets.learning.export import write

        return write(exportable_units(self._answering, self.task.input_space, self._start), form, out)

    def parameters(self) -> Mapping[str, np.ndarray]:
        """Return the weights [U, D]; the last of each unit is minus its threshold."""
        return {"weights": self.weights}

    def draw(self, folder: Path) -> None:
        """Draw the lines between classes of points in the plane, or the weights of each unit as an image."""
        shape: tuple[int, ...] = self.task.input_space.shape or ()
        if shape == (2,):
            self._draw_plane(folder / "boundary.png")
        elif len(shape) == 3 and shape[2] == 1:
            self._draw_weights(folder / "weights.png", (shape[0], shape[1]))

    def _draw_plane(self, path: Path) -> None:
        inputs, targets = self.task.read("train", np.arange(min(2000, self.task.num_examples("train"))))
        points, targets = np.asarray(inputs), np.asarray(targets)
        low, high = points.min(axis=0), points.max(axis=0)
        axes_of = [np.linspace(a - 0.1 * (b - a), b + 0.1 * (b - a), 300) for a, b in zip(low, high, strict=True)]
        grid = np.stack(np.meshgrid(*axes_of), axis=-1).reshape(-1, 2).astype(points.dtype)
        figure = new_figure(5.0, 4.4)
        axes = figure.add_subplot()
        axes.contourf(*axes_of, self.predict(grid).reshape(300, 300), levels=np.arange(-0.5, self._classes) + self._start, alpha=0.25)
        axes.scatter(points[:, 0], points[:, 1], c=targets, s=10, edgecolors="black", linewidths=0.3)
        axes.set(xlabel="first input", ylabel="second input", title=f"perceptron after {int(self.mistakes.sum()):,} mistakes")
        figure.savefig(path, dpi=120)

    def _draw_weights(self, path: Path, shape: tuple[int, int]) -> None:
        units = self._answering[:20, :-1].reshape(-1, *shape)
        columns = min(5, len(units))
        rows = -(-len(units) // columns)
        figure = new_figure(1.6 * columns, 1.8 * rows + 0.5)
        for index, unit in enumerate(units):
            axes = figure.add_subplot(rows, columns, index + 1)
            bound = max(1e-12, float(np.abs(unit).max()))
            axes.imshow(unit, cmap="RdBu", vmin=-bound, vmax=bound)
            axes.set_title(self.task.class_names[index] if self._classes > 2 and self.task.class_names else f"unit {index}", fontsize=8)
            axes.set_axis_off()
        figure.suptitle("weight of each pixel: blue for the class, red against it", fontsize=9)
        figure.savefig(path, dpi=120)

    @property
    def _answering(self) -> np.ndarray:
        """The weights that answer [U, D]."""
        return averaged(self.weights, self.lagged, self.progress) if self.config.averaged else self.weights

    def _rows(self, inputs: Any) -> np.ndarray:
        """Return inputs as features with a 1 behind them [B, D], float64."""
        features = self._features(inputs)
        return np.concatenate([features, np.ones((len(features), 1))], axis=1)

    def _signs(self, targets: Any) -> np.ndarray:
        """Return [B, U]: 1 where a unit should fire, and -1 where not."""
        classes = np.asarray(targets) - self._start
        fires = classes[:, None] == (np.arange(self._classes) if self._classes > 2 else np.ones(1))
        return np.where(fires, 1, -1).astype(np.int8)

    def _order(self, epoch: int) -> np.ndarray:
        """Return the order of an epoch [N], fixed by the seed and its number."""
        count = self.task.num_examples("train")
        return np.random.default_rng(self.seeds.integer("order", epoch)).permutation(count) if self.config.shuffle else np.arange(count)
