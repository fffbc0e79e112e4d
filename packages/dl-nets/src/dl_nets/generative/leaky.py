"""A perceptron with leaky rectifiers, the usual body of both players of an adversarial network on vectors and small images.

Sources: Maas, Hannun and Ng, *Rectifier nonlinearities improve neural network acoustic models*, 2013; batch normalisation: Ioffe and
Szegedy 2015. Departures: the last layer's outputs are left as they are; a tanh, where one is wanted, is the learner's.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from dl_nets.generative.conditions import parts_of, shares, split
from dl_nets.networks.initialisation import Init, linear
from dl_nets.networks.layers import Dropout
from dl_nets.networks.spaces import Features, output_size
from rl_core.config import Count, Doc, Meta, NonNegative, configclass
from rl_core.network import Network


@configclass
class LeakyMLPConfig:
    """Settings of the leaky perceptron."""

    hidden: Annotated[tuple[Count, ...], Doc("units of each hidden layer")] = (128, 128, 128)
    slope: Annotated[NonNegative, Doc("of the rectifiers below 0")] = 0.2
    batch_norm: Annotated[bool, Doc("whether each hidden layer but the first is normalised over the batch before its rectifier")] = False
    dropout: Annotated[float, Meta(ge=0, lt=1), Doc("probability that a hidden unit is left out while training")] = 0.0
    init: Annotated[Init, Doc("how weights are drawn; biases start at 0, but are drawn too with uniform")] = "uniform"


class LeakyLayers(nn.Module):
    """The module that `LeakyMLP` builds: features, beside them the class where inputs have one, then layers."""

    def __init__(self, features: Features, classes: int, layers: nn.Sequential) -> None:
        super().__init__()
        self.features, self.layers = features, layers
        self._classes = classes

    def forward(self, inputs: Any) -> Tensor:
        """Return outputs [B, K] of inputs [B, ...]."""
        numbers, labels = split(inputs)
        features = self.features(numbers)
        if labels is not None:
            features = torch.cat([features, shares(labels, self._classes)], dim=1)
        outputs: Tensor = self.layers(features)
        return outputs


class LeakyMLP(Network):
    """Builder of perceptrons with leaky rectifiers, for inputs of any plain space."""

    Config: ClassVar[type] = LeakyMLPConfig
    config: LeakyMLPConfig

    def build(self, input_space: gymnasium.Space[Any], output_space: gymnasium.Space[Any], rng: np.random.Generator) -> LeakyLayers:
        """Build a perceptron from inputs [B, ...] to outputs [B, K]."""
        config = self.config
        numbers, classes = parts_of(input_space) if isinstance(input_space, spaces.Dict) else (input_space, 0)
        features = Features(numbers)
        gain = math.sqrt(2.0 / (1.0 + config.slope**2)) if config.init != "uniform" else 1.0
        layers: list[nn.Module] = []
        size = features.size + classes
        for index, units in enumerate(config.hidden):
            layers.append(linear(size, units, rng, init=config.init, gain=gain))
            if config.batch_norm and index:
                layers.append(nn.BatchNorm1d(units))
            layers.append(nn.LeakyReLU(config.slope))
            if config.dropout:
                layers.append(Dropout(config.dropout, rng))
            size = units
        layers.append(linear(size, output_size(output_space), rng, init=config.init))
        return LeakyLayers(features, classes, nn.Sequential(*layers))
