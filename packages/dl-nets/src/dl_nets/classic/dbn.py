"""A deep belief network: Boltzmann machines stacked one after the other, then fine-tuned as a classifier.

Source: Hinton, Osindero and Teh, *A fast learning algorithm for deep belief nets*, 2006, with the discriminative fine-tuning of Hinton and
Salakhutdinov, *Reducing the dimensionality of data with neural networks*, 2006. Departures: Adam in both phases, and dropout in the second
if asked for; the top layer's associative memory is left out, as the network only classifies.

Each machine learns the probabilities of the one below it (greedy, layer by layer). Then their weights are the first weights of a perceptron
with sigmoid units. All of it is learned by `supervised`: machines on tasks of features, the perceptron on the task itself. Progress counts
the examples of all phases.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from gymnasium import spaces
from torch import nn

from dl_nets.classic.features import flat_features
from dl_nets.classic.rbm import RBM, RBMConfig, RBMModule
from dl_nets.learning.export import FORMATS
from dl_nets.learning.supervised import Supervised, SupervisedConfig
from dl_nets.networks.mlp import MLP, MLPConfig
from rl_core.agent import Agent
from rl_core.batches import Batch
from rl_core.config import Count, Doc, Meta, NonNegative, Positive, configclass
from rl_core.task import DataTask, Task


@configclass
class DBNConfig:
    """Settings of both phases."""

    hidden: Annotated[tuple[Count, ...], Doc("units of each layer, from the inputs up")] = (256, 256)
    pretraining_epochs: Annotated[Count, Doc("epochs of each Boltzmann machine")] = 5
    pretraining_learning_rate: Annotated[Positive, Doc("step size of contrastive divergence at the start; it falls as a cosine")] = 1e-3
    steps: Annotated[Count, Doc("k, steps of Gibbs sampling")] = 1
    epochs: Annotated[Count, Doc("epochs of fine-tuning")] = 20
    learning_rate: Annotated[Positive, Doc("step size of fine-tuning at the start; it falls as a cosine")] = 1e-3
    weight_decay: Annotated[NonNegative, Doc("lambda of fine-tuning, pull of the weight matrices towards 0")] = 0.0
    dropout: Annotated[float, Meta(ge=0, lt=1), Doc("probability that a hidden unit is left out while fine-tuning")] = 0.0
    input_dropout: Annotated[float, Meta(ge=0, lt=1), Doc("probability that an input is left out while fine-tuning")] = 0.0
    batch_size: Annotated[Count, Doc("B, examples of one update in both phases")] = 64

    def __post_init__(self) -> None:
        if not self.hidden:
            raise ValueError("hidden is []; it must name at least one layer")


class HiddenFeatures(DataTask):
    """The inputs of a task as the probabilities of trained hidden units, each to be answered by itself; without a validation split.

    Args:
        source: The task.
        layers: Weights [H, D] and biases [H] of the trained machines, from the inputs up.
    """

    metric = "mean squared error"
    higher_is_better = False

    def __init__(self, source: DataTask, layers: list[Mapping[str, np.ndarray]]) -> None:
        super().__init__(None)
        self._source, self._layers = source, layers
        self._features = flat_features(source.input_space)
        given = source.input_space
        assert isinstance(given, spaces.Box)
        unit = bool(layers) or given.dtype == np.uint8 or bool((given.low == 0).all() and (given.high == 1).all())
        size = len(layers[-1]["bias"]) if layers else self._features.size
        bounds = (0.0, 1.0) if unit else (-np.inf, np.inf)
        self.input_space = self.output_space = spaces.Box(*bounds, (size,), np.float32)

    def num_examples(self, split: str) -> int:
        """Return how many examples the split has."""
        return 0 if split == "validation" else self._source.num_examples(split)

    def read(self, split: str, indices: np.ndarray) -> tuple[Batch, Batch]:
        """Return features [B, H] twice."""
        values = torch.from_numpy(self._features(self._source.read(split, indices)[0])).float()
        for layer in self._layers:
            values = torch.sigmoid(torch.addmm(torch.from_numpy(layer["bias"]), values, torch.from_numpy(layer["weight"]).T))
        return values.numpy(), values.numpy()


class DBN(Agent):
    """Agent that stacks Boltzmann machines and fine-tunes them. See `rl_core.agent.Agent` for the arguments."""

    Config: ClassVar[type] = DBNConfig
    config: DBNConfig
    task: DataTask
    headline = "loss"
    export_formats = FORMATS

    @classmethod
    def default_budget(cls, config: DBNConfig, task: Task) -> int | None:
        """Return the examples of all phases."""
        assert isinstance(task, DataTask)
        train = task.num_examples("train")
        return len(config.hidden) * config.pretraining_epochs * train + config.epochs * (train + task.num_examples("validation"))

    def setup(self) -> None:
        """Build the first machine."""
        self._phase_size = self.config.pretraining_epochs * self.task.num_examples("train")
        self._pretraining = len(self.config.hidden) * self._phase_size
        if self.budget <= self._pretraining:
            self.warnings.append(f"the budget ends before the fine-tuning, which begins at {self._pretraining:,} examples; leave it out")
        self.layers: list[Mapping[str, np.ndarray]] = []
        self.learner = self._learner()

    def step(self) -> dict[str, float]:
        """Learn from some batches, in the phase of the present layer, or of fine-tuning."""
        before = len(self.layers) * self._phase_size
        self.learner.progress = self.progress - before
        metrics = self.learner.step()
        self.progress = before + self.learner.progress
        layer = len(self.layers)
        if layer < len(self.config.hidden) and self.learner.progress >= self._phase_size:
            machine = self.learner.module
            assert isinstance(machine, RBMModule)
            arrays = (parameter.detach().numpy().copy() for parameter in (machine.weight, machine.hidden_bias))
            self.layers = [*self.layers, dict(zip(("weight", "bias"), arrays, strict=True))]
            self.learner = self._learner()
        names = {"loss": "free_energy_gap", "epoch": "pretraining_epoch"} if layer < len(self.config.hidden) else {}
        return {names.get(name, name): value for name, value in metrics.items()} | {"layer": float(layer)}

    def predict(self, inputs: Any) -> Any:
        """Return the likeliest classes [B]; before fine-tuning, those of the perceptron as it would begin."""
        return self._classifier().predict(inputs)

    def probabilities(self, inputs: Any) -> np.ndarray:
        """Return the softmax of the outputs [B, K]."""
        return self._classifier().probabilities(inputs)

    def answer(self, text: str) -> Any:
        """Return the class's name for one input as the task reads it."""
        return self._classifier().answer(text)

    def export(self, form: str, out: Path) -> dict[str, Any]:
        """Write the perceptron, in one of `export_formats`; see `dl_nets.learning.export`."""
        return self._classifier().export(form, out)

    def state_dict(self) -> dict[str, Any]:
        """Return the finished layers and the learner of the present phase."""
        return {"layers": [dict(layer) for layer in self.layers], "learner": self.learner.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.layers = [{name: np.array(value) for name, value in layer.items()} for layer in state["layers"]]
        self.learner = self._learner()
        self.learner.load_state_dict(state["learner"])

    def draw(self, folder: Path) -> None:
        """Draw what the learner of the present phase has to show."""
        self._classifier().draw(folder)

    def _classifier(self) -> Supervised:
        """Return the learner of the perceptron; before its phase a new one, with the layers that are finished."""
        return self.learner if len(self.layers) == len(self.config.hidden) else self._learner(last=True)

    def _learner(self, *, last: bool = False) -> Supervised:
        """Return the learner of the present phase, or of the last one, at its beginning."""
        config, index = self.config, len(self.layers)
        settings = partial(SupervisedConfig, batch_size=config.batch_size)
        seeds = self.seeds.child(f"layer {index}" if not last else "untrained")
        if index < len(config.hidden) and not last:
            pretraining = settings(learning_rate=config.pretraining_learning_rate, weight_decay=1e-4)
            network = RBM(RBMConfig(hidden=config.hidden[index], steps=config.steps))
            return Supervised(
                pretraining, HiddenFeatures(self.task, self.layers), network, seeds=seeds, budget=self._phase_size, device="cpu"
            )
        tuning = settings(learning_rate=config.learning_rate, weight_decay=config.weight_decay)
        perceptron = MLP(MLPConfig(hidden=config.hidden, activation="sigmoid", dropout=config.dropout, input_dropout=config.input_dropout))
        left = max(1, self.budget - self._pretraining)
        learner = Supervised(tuning, self.task, perceptron, seeds=self.seeds.apart("fine-tuning"), budget=left, device="cpu")
        linear = [module for module in learner.module.modules() if isinstance(module, nn.Linear)]
        with torch.no_grad():
            for layer, values in zip(linear, self.layers, strict=False):
                layer.weight.copy_(torch.from_numpy(values["weight"]))
                layer.bias.copy_(torch.from_numpy(values["bias"]))
        return learner
