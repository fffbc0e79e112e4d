"""The multilayer perceptron: linear layers with an activation between them.

Source: Rumelhart, Hinton and Williams, *Learning representations by back-propagating errors*, 1986. Departures: the activation
is a choice, and layer normalisation (Ba, Kiros and Hinton 2016) and dropout may stand behind each hidden layer.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar

import numpy as np
from gymnasium import Space
from torch import nn

from dl_nets.fast.bridge import Perceptron
from dl_nets.networks.initialisation import Init, linear
from dl_nets.networks.layers import Activation, Dropout, activation
from dl_nets.networks.spaces import Features, output_size
from rl_core.config import Count, Doc, Meta, Positive, configclass
from rl_core.network import Network


@configclass
class MLPConfig:
    """Settings of the multilayer perceptron."""

    hidden: Annotated[tuple[Count, ...], Doc("units of each hidden layer; () is a linear model")] = (64, 64)
    activation: Annotated[Activation, Doc("function behind each hidden layer")] = "tanh"
    init: Annotated[Init, Doc("how weights are drawn; biases start at 0, but are drawn too with uniform")] = "orthogonal"
    hidden_gain: Annotated[Positive, Doc("scale of the hidden layers' first weights")] = math.sqrt(2.0)
    output_gain: Annotated[Positive, Doc("scale of the last layer's first weights")] = 1.0
    layer_norm: Annotated[bool, Doc("whether each hidden layer is normalised before its activation")] = False
    dropout: Annotated[float, Meta(ge=0, lt=1), Doc("probability that a hidden unit is left out while training")] = 0.0
    fast: Annotated[bool, Doc("whether plain layers of tanh or relu are computed by BLAS and compiled loops on a CPU")] = True


class MLP(Network):
    """Builder of perceptrons for inputs of any plain space: one-hot for `Discrete`, flattened for `Box`."""

    Config: ClassVar[type] = MLPConfig
    config: MLPConfig

    def build(self, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator) -> Perceptron:
        """Build a perceptron from inputs [B, ...] to outputs [B, K]."""
        config, features = self.config, Features(input_space)
        layers: list[nn.Module] = []
        size = features.size
        for units in config.hidden:
            layers.append(linear(size, units, rng, init=config.init, gain=config.hidden_gain))
            if config.layer_norm:
                layers.append(nn.LayerNorm(units))
            layers.append(activation(config.activation))
            if config.dropout:
                layers.append(Dropout(config.dropout, rng))
            size = units
        layers.append(linear(size, output_size(output_space), rng, init=config.init, gain=config.output_gain))
        return Perceptron(features, nn.Sequential(*layers), fast=config.fast, vector_inputs=features.passes_on)
