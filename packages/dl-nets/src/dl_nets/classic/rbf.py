"""The radial basis function network: Gaussian units around centres that k-means finds, and a linear read-out.

Source: Moody and Darken, *Fast learning in networks of locally-tuned processing units*, 1989: centres by k-means, widths from the distances
between neighbouring centres, a linear read-out; Broomhead and Lowe 1988 for its solution by least squares. Departures: all units share one
width; the read-out is solved with a ridge; afterwards `supervised` may train the read-out, or everything, by gradient.

Progress counts examples: those of the iterations of k-means (Lloyd's, on a part of the training split), those that the read-out is solved
from, and those that `supervised` visits.

Letters: N examples, D features, H centres, K outputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from dl_nets.classic.features import flat_features
from dl_nets.learning.export import FORMATS
from dl_nets.learning.losses import NumberTargets
from dl_nets.learning.supervised import Supervised, SupervisedConfig
from dl_nets.networks.spaces import Features, output_size
from rl_core.agent import Agent
from rl_core.config import Count, Doc, NonNegative, Positive, Whole, configclass
from rl_core.network import Network
from rl_core.state import restore_state
from rl_core.task import DataTask, Task

STEP_OPERATIONS = 1e10  # of one step, at most
LOGIT = 10.0  # output for the class of an example that the read-out is solved for, so that the softmax is sure of it


@configclass
class RBFConfig:
    """Settings of the network and of its three phases."""

    centres: Annotated[Count, Doc("H, Gaussian units; at most as many as there are training examples")] = 100
    iterations: Annotated[Count, Doc("iterations of k-means")] = 10
    centre_examples: Annotated[Count, Doc("training examples that k-means sees, at most")] = 10_000
    width: Annotated[Positive, Doc("sigma of all units, in mean distances of a centre to its five nearest ones")] = 1.0
    ridge: Annotated[NonNegative, Doc("lambda, weight of the read-out's squared length in the least squares")] = 1e-3
    tuning: Annotated[Literal["none", "read-out", "all"], Doc("parameters that gradients train after the read-out was solved")] = "none"
    tuning_epochs: Annotated[Whole, Doc("epochs of this training")] = 5
    learning_rate: Annotated[Positive, Doc("alpha, its step size at the start, which falls as a cosine")] = 1e-3
    batch_size: Annotated[Count, Doc("B, examples of one update")] = 128


def squared_distances(inputs: Tensor, centres: Tensor) -> Tensor:
    """Return |x - c|^2 [B, H] of inputs [B, D] and centres [H, D], >= 0.

    >>> squared_distances(torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, 0.0], [3.0, 0.0]]))
    tensor([[25., 16.]])
    """
    squares = inputs.square().sum(1, keepdim=True) + centres.square().sum(1)
    return torch.addmm(squares, inputs, centres.T, alpha=-2.0).clamp_(min=0.0)


def mean_neighbour_distance(centres: Tensor, neighbours: int = 5) -> float:
    """Return the mean distance of a centre [H, D] to its nearest other ones; 1 for a single centre.

    >>> mean_neighbour_distance(torch.tensor([[0.0], [1.0], [3.0]]), neighbours=1)  # 1, 1 and 2
    1.3333333730697632
    """
    distances = squared_distances(centres, centres).sqrt().sort(dim=1).values[:, 1 : 1 + neighbours]
    mean = float(distances.mean()) if distances.numel() else 0.0
    return mean or 1.0


def solve_read_out(gram: np.ndarray, moments: np.ndarray, ridge: float) -> np.ndarray:
    """Return the weights [H + 1, K] that minimise |P W - Y|^2 + ridge |W|^2.

    Args:
        gram: P'P [H + 1, H + 1], P the units' outputs [N, H] and a column of ones.
        moments: P'Y [H + 1, K].
        ridge: lambda.

    y = 2 p through p = 1, 2:

    >>> p = np.array([[1.0, 1.0], [2.0, 1.0]])
    >>> solve_read_out(p.T @ p, p.T @ np.array([[2.0], [4.0]]), ridge=0.0).round(9).ravel() + 0.0
    array([2., 0.])
    """
    return np.asarray(np.linalg.lstsq(gram + ridge * np.eye(len(gram)), moments, rcond=None)[0])


class RadialLayers(nn.Module):
    """Module from inputs [B, ...] to outputs [B, K]: Gaussian units exp(-|x - c|^2 / (2 sigma^2)), then a linear layer.

    Args:
        features: From inputs to features [B, D].
        units: H.
        outputs: K.
    """

    def __init__(self, features: Features, units: int, outputs: int) -> None:
        super().__init__()
        self.features = features
        self.centres = nn.Parameter(torch.zeros(units, features.size))
        self.log_widths = nn.Parameter(torch.zeros(units))
        self.weight = nn.Parameter(torch.zeros(outputs, units))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def activations(self, inputs: Tensor) -> Tensor:
        """Return the units' outputs [B, H]."""
        squares = squared_distances(self.features(inputs), self.centres)
        return torch.exp(squares * (-0.5 * torch.exp(-2.0 * self.log_widths)))

    def forward(self, inputs: Tensor) -> Tensor:
        """Return outputs [B, K]."""
        return torch.addmm(self.bias, self.activations(inputs), self.weight.T)


class RadialNetwork(Network):
    """Builder of networks of Gaussian units, whose parameters the agent sets."""

    Config: ClassVar[type] = RBFConfig
    config: RBFConfig

    def build(self, input_space: gymnasium.Space[Any], output_space: gymnasium.Space[Any], rng: np.random.Generator) -> RadialLayers:
        """Build one with all parameters at 0."""
        module = RadialLayers(Features(input_space), self.config.centres, output_size(output_space))
        if self.config.tuning == "read-out":
            module.centres.requires_grad_(False)
            module.log_widths.requires_grad_(False)
        return module


class RBFNetwork(Agent):
    """Agent that places centres, solves the read-out, and may train both. See `rl_core.agent.Agent` for the arguments."""

    Config: ClassVar[type] = RBFConfig
    config: RBFConfig
    task: DataTask
    headline = "mean_distance"
    export_formats = FORMATS
    state_fields = ("tuner", "sums", "counts", "gram", "moments", "distance")

    @classmethod
    def default_budget(cls, config: RBFConfig, task: Task) -> int | None:
        """Return the examples of all phases."""
        assert isinstance(task, DataTask)
        train, tuned = task.num_examples("train"), config.tuning_epochs if config.tuning != "none" else 0
        return config.iterations * min(train, config.centre_examples) + train + tuned * (train + task.num_examples("validation"))

    def setup(self) -> None:
        """Place the first centres on training examples.

        Raises:
            ValueError: if there are fewer training examples than centres.
        """
        config, task = self.config, self.task
        self._train = task.num_examples("train")
        if config.centres > self._train:
            raise ValueError(f"centres is {config.centres}, and there are {self._train} training examples; set fewer centres")
        self._rows_of_clustering = min(self._train, max(config.centre_examples, config.centres))
        self._clustered = config.iterations * self._rows_of_clustering  # progress at which k-means ends
        self._solved = self._clustered + self._train  # progress at which the read-out is solved
        if self.budget < self._solved:
            self.warnings.append(f"the budget ends before the read-out is solved, at {self._solved:,} examples; leave it out")
        settings = SupervisedConfig(learning_rate=config.learning_rate, batch_size=config.batch_size, weight_decay=0.0)
        left = max(1, self.budget - self._solved)
        self.tuner = Supervised(settings, task, RadialNetwork(config), seeds=self.seeds.child("tuning"), budget=left, device="cpu")
        self._features = flat_features(task.input_space)
        order = np.random.default_rng(self.seeds.integer("centres")).permutation(self._train)[: self._rows_of_clustering]
        self._order = order
        module = self._module
        with torch.no_grad():
            module.centres.copy_(self._inputs(order[: config.centres]))
        units, outputs = config.centres, module.bias.numel()
        self.sums, self.counts = np.zeros((units, self._features.size)), np.zeros(units)
        self.gram, self.moments = np.zeros((units + 1, units + 1)), np.zeros((units + 1, outputs))
        self.distance = 0.0  # sum of squared distances to the nearest centre, in this iteration so far

    def step(self) -> dict[str, float]:
        """Run a part of an iteration of k-means, read examples for the least squares, or train."""
        if self.progress < self._clustered:
            return self._cluster()
        if self.progress < self._solved:
            return self._accumulate()
        self.tuner.progress = self.progress - self._solved
        metrics = self.tuner.step()
        self.progress = self._solved + self.tuner.progress
        return metrics

    def predict(self, inputs: Any) -> Any:
        """Return the likeliest classes, or the expected numbers [B, ...]."""
        return self.tuner.predict(inputs)

    def probabilities(self, inputs: Any) -> np.ndarray:
        """Return the softmax of the outputs [B, K]."""
        return self.tuner.probabilities(inputs)

    def answer(self, text: str) -> Any:
        """Return the class's name, or the numbers, for one input as the task reads it."""
        return self.tuner.answer(text)

    def export(self, form: str, out: Path) -> dict[str, Any]:
        """Write the network, in one of `export_formats`; see `dl_nets.learning.export`."""
        return self.tuner.export(form, out)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        restore_state(self, ("sums", "counts", "gram", "moments", "distance"), state)
        self.tuner.load_state_dict(state["tuner"])

    def draw(self, folder: Path) -> None:
        """Draw the centres as images, where inputs are images."""
        shape: tuple[int, ...] = self.task.input_space.shape or ()
        if len(shape) == 3:
            from dl_nets.generative import pictures

            centres = self._module.centres.detach()[:100].reshape(-1, *shape).numpy()
            low, high = centres.min(), max(centres.max(), centres.min() + 1e-9)
            sheet = pictures.sheet((centres - low) / (high - low), 10)
            pictures.grids(folder / "centres.png", [sheet], [""], title=f"{len(centres)} of {self.config.centres} centres")
        self.tuner.draw(folder)

    @torch.no_grad()
    def _cluster(self) -> dict[str, float]:
        """Assign examples to their nearest centres; at the end of an iteration, move each centre to the mean of its examples."""
        position = self.progress % self._rows_of_clustering
        rows = self._order[position : position + self._examples_a_step]
        inputs = self._inputs(rows)
        nearest = squared_distances(inputs, self._module.centres).min(dim=1)
        sums = torch.zeros(self.sums.shape).index_add_(0, nearest.indices, inputs)
        self.sums += sums.numpy()
        self.counts += np.bincount(nearest.indices.numpy(), minlength=self.config.centres)
        self.distance += float(nearest.values.sum())
        self.progress += len(rows)
        if position + len(rows) < self._rows_of_clustering:
            return {}
        mean = self.sums / np.maximum(self.counts, 1.0)[:, None]
        own = torch.from_numpy((self.counts > 0).astype(np.float32))[:, None]  # a centre without examples stays where it is
        self._module.centres.copy_(own * torch.from_numpy(mean).float() + (1.0 - own) * self._module.centres)
        metrics = {"mean_distance": self.distance / self._rows_of_clustering, "empty_centres": float((self.counts == 0).sum())}
        self.sums[:], self.counts[:], self.distance = 0.0, 0.0, 0.0
        if self.progress >= self._clustered:
            width = self.config.width * mean_neighbour_distance(self._module.centres.detach())
            self._module.log_widths.fill_(float(np.log(width)))
        return metrics

    @torch.no_grad()
    def _accumulate(self) -> dict[str, float]:
        """Add examples to the normal equations; solve them behind the last one."""
        position = self.progress - self._clustered
        rows = np.arange(position, min(position + self._examples_a_step, self._train))
        given, targets = self.task.read("train", rows)
        units = self._module.activations(torch.from_numpy(self._features(given)).float())
        design = torch.cat([units, torch.ones(len(units), 1)], dim=1)
        wanted = torch.from_numpy(self._wanted(targets)).float()
        self.gram += (design.T @ design).double().numpy()
        self.moments += (design.T @ wanted).double().numpy()
        self.progress += len(rows)
        if self.progress < self._solved:
            return {}
        weights = torch.from_numpy(solve_read_out(self.gram, self.moments, self.config.ridge)).float()
        self._module.weight.copy_(weights[:-1].T)
        self._module.bias.copy_(weights[-1])
        self.finished = self.config.tuning == "none"
        return {"read_out_norm": float(weights.norm())}

    def _wanted(self, targets: Any) -> np.ndarray:
        """Return the outputs [B, K] that the read-out is solved for: one class of K, or standardised numbers."""
        space, targets = self.task.output_space, np.asarray(targets)
        if isinstance(space, spaces.Discrete):
            return LOGIT * np.eye(int(space.n))[targets - int(space.start)]
        rule = self.tuner._rule
        assert isinstance(rule, NumberTargets)
        mean, scale = (statistic.numpy() for statistic in rule.statistics)
        return ((targets - mean) / scale).reshape(len(targets), -1)

    def _inputs(self, rows: np.ndarray) -> Tensor:
        """Return features [B, D] of training examples."""
        return torch.from_numpy(self._features(self.task.read("train", rows)[0])).float()

    @property
    def _module(self) -> RadialLayers:
        module = self.tuner.module
        assert isinstance(module, RadialLayers)
        return module

    @property
    def _examples_a_step(self) -> int:
        operations = 2.0 * self.config.centres * (self._features.size + self.config.centres)
        return max(1, int(STEP_OPERATIONS / operations))
