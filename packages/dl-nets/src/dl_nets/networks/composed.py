"""The composed network: a convolutional encoder for each picture of an observation, and a perceptron on all parts together.

Source: encoders beside one another, whose outputs are joined, are common practice; for example V. Mnih and others,
*Asynchronous methods for deep reinforcement learning*, 2016, section 5.2.
Departures: none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from gymnasium import Space, spaces
from torch import Tensor, nn

from dl_nets.networks.cnn import CNN, CNNConfig
from dl_nets.networks.hidden import hidden_layers
from dl_nets.networks.initialisation import Init, linear
from dl_nets.networks.layers import Activation, activation
from dl_nets.networks.spaces import Features, output_size
from rl_core.config import Count, Doc, Positive, configclass
from rl_core.network import Network
from rl_core.structured import Structured

PICTURE = 8  # pixels: parts of less height or width are read as numbers


@configclass
class ComposedConfig:
    """Settings of the composed network."""

    channels: Annotated[tuple[Count, ...], Doc("filters of each convolution of a picture's encoder")] = (16, 32)
    picture_features: Annotated[Count, Doc("numbers that a picture is encoded as")] = 64
    hidden: Annotated[tuple[Count, ...], Doc("units of each hidden layer on all parts together")] = (64, 64)
    activation: Annotated[Activation, Doc("function behind each hidden layer")] = "tanh"
    init: Annotated[Init, Doc("how weights are drawn; biases start at 0, but are drawn too with uniform")] = "orthogonal"
    hidden_gain: Annotated[Positive, Doc("scale of the hidden layers' first weights")] = math.sqrt(2.0)
    output_gain: Annotated[Positive, Doc("scale of the last layer's first weights")] = 1.0
    layer_norm: Annotated[bool, Doc("whether each hidden layer is normalised before its activation")] = False
    batch_norm: ClassVar[bool] = False
    dropout: ClassVar[float] = 0.0


class Parts(nn.Module):
    """Layer from rows of several parts [B, D] to numbers [B, K]: pictures through encoders, all else as it is.

    Args:
        pictures: Place in a row, shape and encoder of each picture.
        rest: Places of all other numbers.
    """

    rest: Tensor

    def __init__(self, pictures: Sequence[tuple[slice, tuple[int, ...], nn.Module]], rest: np.ndarray) -> None:
        super().__init__()
        self._places = [(place, shape) for place, shape, _ in pictures]
        self.encoders = nn.ModuleList(encoder for _, _, encoder in pictures)
        self.register_buffer("rest", torch.from_numpy(rest), persistent=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return numbers [B, K] of rows [B, D]."""
        inputs = inputs.float()
        found = [inputs[:, self.rest]]
        for (place, shape), encoder in zip(self._places, self.encoders, strict=True):
            found.append(encoder(inputs[:, place].unflatten(1, shape)))
        return torch.cat(found, dim=1)


class Composed(Network):
    """Builder of networks for observations of several parts; on any other input it is a perceptron."""

    Config: ClassVar[type] = ComposedConfig
    config: ComposedConfig

    def build(self, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator) -> nn.Sequential:
        """Build a network from inputs [B, ...] to outputs [B, K]."""
        config = self.config
        features = Features(input_space)
        encoder: nn.Module = features
        size = features.size
        pictures = _pictures(input_space)
        if pictures:
            rest = np.ones(size, dtype=np.bool_)
            built = []
            encoded = spaces.Box(-np.inf, np.inf, (config.picture_features,), np.float32)
            cnn = CNN(CNNConfig(channels=config.channels, hidden=(), init=config.init))
            for place, shape in pictures:
                rest[place] = False
                picture = cnn.build(spaces.Box(-np.inf, np.inf, shape, np.float32), encoded, rng)
                built.append((place, shape, nn.Sequential(picture, activation("relu"))))
            encoder, size = Parts(built, np.flatnonzero(rest)), int(rest.sum()) + len(pictures) * config.picture_features
        layers = hidden_layers(size, config.hidden, config, rng)
        last = linear((size, *config.hidden)[-1], output_size(output_space), rng, init=config.init, gain=config.output_gain)
        return nn.Sequential(encoder, *layers, last)


def _pictures(space: Space[Any]) -> list[tuple[slice, tuple[int, ...]]]:
    """Return place and shape of the parts that are pictures [H, W, C] of 8 x 8 or more."""
    leaves = space.leaves if isinstance(space, Structured) else ()
    return [
        (leaf.part, leaf.space.shape)
        for leaf in leaves
        if isinstance(leaf.space, spaces.Box) and len(leaf.space.shape) == 3 and min(leaf.space.shape[:2]) >= PICTURE
    ]
