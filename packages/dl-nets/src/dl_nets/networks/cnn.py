"""A small convolutional network for images of any size from 8 x 8; and, with strides, the one that plays Atari games.

Source: LeCun et al., *Gradient-based learning applied to document recognition*, 1998, section II. Departures: 3 x 3 kernels,
ReLU and max pooling; the remains of a large image are averaged down to 4 x 4, so that the linear layers do not grow with it.
With kernels 8, 4, 3 and strides 4, 2, 1: Mnih et al., *Human-level control through deep reinforcement learning*, 2015, methods.

Letters: B batch, H height, W width, C channels, K outputs.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar

import numpy as np
from gymnasium import Space
from torch import Tensor, nn

from dl_nets.networks.initialisation import Init, conv2d, linear
from dl_nets.networks.layers import Activation, Dropout, activation
from dl_nets.networks.spaces import UnitScale, image_shape, output_size
from rl_core.config import Count, Doc, Meta, Positive, configclass
from rl_core.network import Network

LEAST = 8  # pixels: the smallest height and width
POOLED = 4  # pixels: height and width that the linear layers see at most


@configclass
class CNNConfig:
    """Settings of the convolutional network."""

    channels: Annotated[tuple[Count, ...], Doc("filters of each convolution")] = (32, 64)
    kernels: Annotated[tuple[Count, ...], Doc("height and width of each convolution's filters; none for 3, with a border of zeros")] = ()
    strides: Annotated[
        tuple[Count, ...], Doc("pixels between places of each filter; none to halve by maxima before all but the first")
    ] = ()
    hidden: Annotated[tuple[Count, ...], Doc("units of each linear layer behind the convolutions")] = (128,)
    activation: Annotated[Activation, Doc("function behind each convolution and hidden layer")] = "relu"
    init: Annotated[Init, Doc("how weights are drawn; biases start at 0, but are drawn too with uniform")] = "orthogonal"
    hidden_gain: Annotated[Positive, Doc("scale of all first weights but the last layer's")] = math.sqrt(2.0)
    output_gain: Annotated[Positive, Doc("scale of the last layer's first weights")] = 1.0
    batch_norm: Annotated[bool, Doc("whether each convolution is normalised over the batch before its activation")] = False
    dropout: Annotated[float, Meta(ge=0, lt=1), Doc("probability that a unit in front of a linear layer is left out while training")] = 0.0

    def __post_init__(self) -> None:
        if not self.channels:
            raise ValueError("channels is []; it must name at least one convolution")
        if (self.kernels or self.strides) and not len(self.kernels) == len(self.strides) == len(self.channels):
            raise ValueError(
                f"channels, kernels and strides are {list(self.channels)}, {list(self.kernels)} and {list(self.strides)}; they must name "
                "as many convolutions, or leave out both kernels and strides"
            )


class ConvolutionalLayers(nn.Module):
    """The module that `CNN` builds: `convolutions` on the image, then `layers` on their outputs."""

    def __init__(self, scale: UnitScale, convolutions: nn.Sequential, layers: nn.Sequential) -> None:
        super().__init__()
        self.scale = scale
        self.convolutions = convolutions
        self.layers = layers

    def forward(self, inputs: Tensor) -> Tensor:
        """Return outputs [B, K] of images [B, H, W, C]."""
        images = self.scale(inputs).permute(0, 3, 1, 2)  # [B, C, H, W] by strides alone: torch's channels-last layout
        outputs: Tensor = self.layers(self.convolutions(images).flatten(1))
        return outputs


class CNN(Network):
    """Builder of convolutional networks for images [H, W, C], bytes or numbers."""

    Config: ClassVar[type] = CNNConfig
    config: CNNConfig

    def build(self, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator) -> ConvolutionalLayers:
        """Build a network from images [B, H, W, C] to outputs [B, K]."""
        config = self.config
        height, width, channels = image_shape(input_space, LEAST)
        convolutions: list[nn.Module] = []
        for index, filters in enumerate(config.channels):
            kernel, stride = (config.kernels[index], config.strides[index]) if config.strides else (3, 1)
            if index and not config.strides:
                convolutions.append(nn.MaxPool2d(2))
                height, width = height // 2, width // 2
            padding = 0 if config.strides else 1
            height, width = ((side + 2 * padding - kernel) // stride + 1 for side in (height, width))
            if min(height, width) < 1:
                raise ValueError(_too_small(input_space, config))
            convolutions.append(
                conv2d(channels, filters, kernel, rng, stride=stride, padding=padding, init=config.init, gain=config.hidden_gain)
            )
            if config.batch_norm:
                convolutions.append(nn.BatchNorm2d(filters))
            convolutions.append(activation(config.activation))
            channels = filters
        if not config.strides:
            height, width = min(height, POOLED), min(width, POOLED)
            convolutions.append(nn.AdaptiveAvgPool2d((height, width)))

        layers: list[nn.Module] = []
        size = height * width * channels
        for units in config.hidden:
            layers += [Dropout(config.dropout, rng)] if config.dropout else []
            layers += [linear(size, units, rng, init=config.init, gain=config.hidden_gain), activation(config.activation)]
            size = units
        layers += [Dropout(config.dropout, rng)] if config.dropout else []
        layers.append(linear(size, output_size(output_space), rng, init=config.init, gain=config.output_gain))
        return ConvolutionalLayers(UnitScale(input_space), nn.Sequential(*convolutions), nn.Sequential(*layers))


def _too_small(space: Space[Any], config: CNNConfig) -> str:
    """Return the error message for images that are too small for the convolutions."""
    height, width, _ = image_shape(space)
    if not config.strides:
        return (
            f"channels names {len(config.channels)} convolutions, and each but the first halves the image; "
            f"{height} x {width} allows at most {min(height, width).bit_length()}"
        )
    least = 1
    for kernel, stride in zip(reversed(config.kernels), reversed(config.strides), strict=True):
        least = (least - 1) * stride + kernel
    return f"the image is {height} x {width}; kernels {list(config.kernels)} with strides {list(config.strides)} need {least} x {least}"
