"""The multilayer perceptron: linear layers with an activation between them.

Source: Rumelhart, Hinton and Williams, *Learning representations by back-propagating errors*, 1986. Departures: the activation
is a choice, and so are normalisation, residual connections and dropout; see `hidden`.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar

import numpy as np
from gymnasium import Space
from torch import nn

from dl_nets.fast.bridge import Perceptron
from dl_nets.networks.hidden import hidden_layers
from dl_nets.networks.initialisation import Init, linear
from dl_nets.networks.layers import Activation, Dropout
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
    batch_norm: Annotated[bool, Doc("whether each hidden unit is normalised over the batch before its activation")] = False
    residual: Annotated[bool, Doc("whether a hidden layer of as many units as its inputs adds them to its outputs")] = False
    dropout: Annotated[float, Meta(ge=0, lt=1), Doc("probability that a hidden unit is left out while training")] = 0.0
    input_dropout: Annotated[float, Meta(ge=0, lt=1), Doc("probability that an input is left out while training")] = 0.0
    fast: Annotated[bool, Doc("whether plain layers of tanh or relu are computed by BLAS and compiled loops on a CPU")] = True

    def __post_init__(self) -> None:
        if self.layer_norm and self.batch_norm:
            raise ValueError("layer_norm and batch_norm are both true; a layer is normalised in one way at most")


class MLP(Network):
    """Builder of perceptrons for inputs of any plain space: one-hot for `Discrete`, flattened for `Box`."""

    Config: ClassVar[type] = MLPConfig
    config: MLPConfig

    def build(self, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator) -> Perceptron:
        """Build a perceptron from inputs [B, ...] to outputs [B, K]."""
        config, features = self.config, Features(input_space)
        layers = hidden_layers(features.size, config.hidden, config, rng, residual=config.residual)
        size = (features.size, *config.hidden)[-1]
        layers.append(linear(size, output_size(output_space), rng, init=config.init, gain=config.output_gain))
        if config.input_dropout:
            layers.insert(0, Dropout(config.input_dropout, rng))
        return Perceptron(
            features, nn.Sequential(*layers), fast=config.fast, vector_inputs=features.passes_on, float_inputs=features.only_flattens
        )
