"""A network of spiking neurons, dense or convolutional, that any agent can use.

Sources: Neftci, Mostafa and Zenke, *Surrogate gradient learning in spiking neural networks*, 2019; see `neurons`. Departures: outputs are
the mean over time of membranes that do not fire, so that classes, numbers and values of states are all possible.

Letters: T time steps, B batch, K outputs.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, ClassVar

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from dl_nets.generative.noise import Noise
from dl_nets.networks.initialisation import conv2d, linear
from dl_nets.networks.spaces import Features, UnitScale, image_shape, output_size
from dl_nets.spiking.neurons import Coding, encoded, integrated, spikes_of
from rl_core.config import Count, Doc, Fraction, NonNegative, Positive, configclass
from rl_core.figure import new_figure
from rl_core.network import Network
from rl_core.task import DataTask


@configclass
class SpikingConfig:
    """Settings of the spiking network."""

    steps: Annotated[Count, Doc("T, time steps that an input is shown for")] = 10
    coding: Annotated[Coding, Doc("current: the input at every step; rate: random spikes; latency: one, early where bright")] = "current"
    channels: Annotated[tuple[Count, ...], Doc("filters of convolutions with stride 2 before the hidden layers; none for vectors")] = ()
    kernel: Annotated[Count, Doc("height and width of the filters")] = 3
    hidden: Annotated[tuple[Count, ...], Doc("neurons of each hidden layer")] = (128,)
    leak: Annotated[Fraction, Doc("beta, what stays of a membrane from step to step")] = 0.9
    threshold: Annotated[Positive, Doc("theta, membrane above which a neuron fires")] = 1.0
    slope: Annotated[Positive, Doc("k, steepness of the surrogate gradient 1 / (1 + k |u - theta|)^2")] = 5.0
    gain: Annotated[Positive, Doc("scale of the first weights")] = math.sqrt(2.0)
    bias: Annotated[NonNegative, Doc("first biases of hidden neurons are drawn from U(0, bias): they fire without input, too")] = 0.5


class SpikingLayers(nn.Module):
    """The module that `Spiking` builds.

    Args:
        config: As the network's.
        space: Of inputs.
        outputs: K.
        rng: Source of the weights.
    """

    def __init__(self, config: SpikingConfig, space: gymnasium.Space[Any], outputs: int, rng: np.random.Generator) -> None:
        super().__init__()
        self._config = config
        self.convolutions, self.layers = nn.ModuleList(), nn.ModuleList()
        self.scale: nn.Module
        if config.channels:
            height, width, before = image_shape(space, 2 ** len(config.channels))
            self.scale = UnitScale(space)
            for filters in config.channels:
                self.convolutions.append(
                    conv2d(before, filters, config.kernel, rng, stride=2, padding=config.kernel // 2, gain=config.gain)
                )
                padding = 2 * (config.kernel // 2)
                height, width, before = (height + padding - config.kernel) // 2 + 1, (width + padding - config.kernel) // 2 + 1, filters
            size = height * width * before
        else:
            self.scale = features = Features(space)
            size = features.size
        for units in config.hidden:
            self.layers.append(linear(size, units, rng, gain=config.gain))
            size = units
        for layer in [*self.convolutions, *self.layers]:
            with torch.no_grad():
                layer.bias.copy_(torch.from_numpy(rng.uniform(0.0, config.bias, len(layer.bias))))
        self.read_out = linear(size, outputs, rng)
        self.noise = Noise(rng)
        self._measured: dict[str, Tensor] = {}

    def forward(self, inputs: Tensor) -> Tensor:
        """Return outputs [B, K] of inputs [B, ...]."""
        spikes, layers = self._run(inputs)
        currents = self.read_out(spikes.flatten(2))
        with torch.no_grad():
            counts = [each.flatten(2).sum((0, 2)).mean() for each in layers]
            neurons = sum(math.prod(each.shape[2:]) for each in layers)
            total = torch.stack(counts).sum() if counts else inputs.new_zeros((), dtype=torch.float32)
            self._measured = {"spikes_per_input": total, "firing_rate": total / max(1, neurons * self._config.steps)}
        return integrated(currents, self._config.leak)

    def measures(self) -> dict[str, Tensor]:
        """Return the spikes of all hidden neurons for one of the last inputs, and the share of neurons that fire at a step."""
        return self._measured

    def spikes(self, inputs: Tensor) -> list[Tensor]:
        """Return the spikes [T, B, ...] of each layer for inputs [B, ...]."""
        return self._run(inputs)[1]

    def draw(self, folder: Path, task: DataTask) -> None:
        """Draw the spikes of each layer, and the membranes of the outputs, for one test input."""
        given = torch.from_numpy(np.asarray(task.read("test", np.arange(1))[0])).to(self.read_out.weight.device)
        layers = [layer[:, 0].flatten(1).cpu().numpy() for layer in self.spikes(given)]
        figure = new_figure(6.5, 2.0 * len(layers) + 2.2)
        for index, layer in enumerate(layers):
            axes = figure.add_subplot(len(layers) + 1, 1, index + 1)
            times, neurons = np.nonzero(layer)
            axes.scatter(times, neurons, s=2, color="black", marker="|" if layer.shape[1] < 200 else ".")
            axes.set(xlim=(-0.5, self._config.steps - 0.5), ylim=(-1, layer.shape[1]), ylabel="neuron")
            axes.set_title(f"layer {index + 1}: {int(layer.sum()):,} spikes of {layer.shape[1]:,} neurons", fontsize=9)
        axes = figure.add_subplot(len(layers) + 1, 1, len(layers) + 1)
        currents = self.read_out(self._run(given)[0].flatten(2))[:, 0].cpu()
        decays = self._config.leak ** np.arange(len(currents))[::-1]
        membranes = np.stack([decays[-time:] @ currents[:time].numpy() for time in range(1, len(currents) + 1)])
        for output in range(min(10, membranes.shape[1])):
            name = task.class_names[output] if output < len(task.class_names) else str(output)
            axes.plot(np.arange(len(membranes)), membranes[:, output], color=f"C{output}", label=name)
        axes.set(xlabel="time step", ylabel="membrane", xlim=(-0.5, self._config.steps - 0.5))
        axes.set_title("membranes of the outputs, which do not fire", fontsize=9)
        axes.legend(fontsize=7, ncols=2, loc="center left", bbox_to_anchor=(1.0, 0.5))
        figure.savefig(folder / "spikes.png", dpi=120)

    def _run(self, inputs: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return what the read-out sees [T, B, ...], and the spikes of each layer."""
        config, found = self._config, []
        values = self.scale(inputs)
        if config.channels:
            values = values.permute(0, 3, 1, 2)
        steady = config.coding == "current"  # until the first layer fires
        over_time = encoded(values, 1 if steady else config.steps, config.coding, self.noise)
        for layer in [*self.convolutions, *self.layers]:
            if isinstance(layer, nn.Conv2d):
                currents = layer(over_time.flatten(0, 1)).unflatten(0, over_time.shape[:2])
            else:
                currents = layer(over_time.flatten(2))
            if steady:
                currents, steady = currents.expand(config.steps, *currents.shape[1:]), False
            over_time = spikes_of(currents, config.leak, config.threshold, config.slope)
            found.append(over_time)
        return (over_time.expand(config.steps, *over_time.shape[1:]) if steady else over_time), found


class Spiking(Network):
    """Builder of spiking networks for inputs of any plain kind, and images."""

    Config: ClassVar[type] = SpikingConfig
    config: SpikingConfig

    def build(self, input_space: gymnasium.Space[Any], output_space: gymnasium.Space[Any], rng: np.random.Generator) -> SpikingLayers:
        """Build a network from inputs [B, ...] to outputs [B, K]."""
        coding = self.config.coding
        numbers = isinstance(input_space, spaces.Box) and input_space.dtype != np.uint8
        if coding != "current" and numbers and not ((input_space.low >= 0).all() and (input_space.high <= 1).all()):
            raise ValueError(f"coding is {coding!r}, and the inputs are {input_space}; spikes need numbers in [0, 1], set coding=current")
        return SpikingLayers(self.config, input_space, output_size(output_space), rng)
