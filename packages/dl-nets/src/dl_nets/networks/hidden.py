"""Hidden layers: linear layers, each with a normalisation, an activation and dropout where the config asks for them.

Sources: batch normalisation, Ioffe and Szegedy, *Batch normalization: accelerating deep network training*, 2015; layer normalisation,
Ba, Kiros and Hinton, *Layer normalization*, 2016; residual connections, He and others, *Deep residual learning*, 2016.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from torch import Tensor, nn
from torch.nn import functional

from dl_nets.networks.initialisation import Init, linear
from dl_nets.networks.layers import Activation, Dropout, activation


class HiddenConfig(Protocol):
    """The settings that hidden layers are built from: fields of the config of a network."""

    @property
    def activation(self) -> Activation:
        """Function behind each layer."""

    @property
    def init(self) -> Init:
        """Distribution of the first weights."""

    @property
    def hidden_gain(self) -> float:
        """Scale of the first weights."""

    @property
    def layer_norm(self) -> bool:
        """True where the units of each example are normalised."""

    @property
    def batch_norm(self) -> bool:
        """True where each unit is normalised over the batch."""

    @property
    def dropout(self) -> float:
        """Probability that a unit is left out."""


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation of the last axis, over all others; a batch of one vector is normalised by the running statistics.

    >>> import torch
    >>> BatchNorm(2)(torch.tensor([[[0.0, 5.0]], [[2.0, 5.0]]])).detach()[:, 0, 0].round(decimals=2).tolist()  # of -1 and 1 deviations
    [-1.0, 1.0]
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """Return outputs [..., D] of inputs [..., D]."""
        rows = inputs.reshape(-1, inputs.shape[-1])
        if self.training and len(rows) == 1:  # which has no deviation
            normed = functional.batch_norm(rows, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        else:
            normed = super().forward(rows)
        return normed.view(inputs.shape)


class Residual(nn.Sequential):
    """Layers whose outputs are added to their inputs.

    >>> import torch
    >>> Residual(nn.ReLU())(torch.tensor([1.0, -1.0]))
    tensor([ 2., -1.])
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """Return outputs [..., D] of inputs [..., D]."""
        added: Tensor = inputs + super().forward(inputs)
        return added


def hidden_layers(
    size: int, hidden: Sequence[int], config: HiddenConfig, rng: np.random.Generator, *, residual: bool = False
) -> list[nn.Module]:
    """Return the modules of hidden layers, in the order of their use.

    Args:
        size: Numbers of the inputs.
        hidden: Units of each layer.
        config: Settings of the layers.
        rng: Source of the first weights and of dropout.
        residual: Whether the inputs of a layer of as many units are added to its outputs.

    Raises:
        ValueError: if the config asks for two normalisations.
    """
    if config.layer_norm and config.batch_norm:
        raise ValueError("layer_norm and batch_norm are both true; a layer is normalised in one way at most")
    modules: list[nn.Module] = []
    for units in hidden:
        layer: list[nn.Module] = [linear(size, units, rng, init=config.init, gain=config.hidden_gain)]
        layer += [nn.LayerNorm(units)] if config.layer_norm else [BatchNorm(units)] if config.batch_norm else []
        layer.append(activation(config.activation))
        layer += [Dropout(config.dropout, rng)] if config.dropout else []
        modules += [Residual(*layer)] if residual and units == size else layer
        size = units
    return modules
