"""A small convolutional network for images of any size, down to boards of games; and, with strides, the one that plays Atari games.

Source: LeCun et al., *Gradient-based learning applied to document recognition*, 1998, section II. Departures: 3 x 3 kernels,
ReLU and max pooling; the remains of a large image are averaged down to 4 x 4, so that the linear layers do not grow with it, unless
strides or pools are named.
With kernels 8, 4, 3 and strides 4, 2, 1: Mnih et al., *Human-level control through deep reinforcement learning*, 2015, methods.

Letters: B batch, H height, W width, C channels, K outputs.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from gymnasium import Space
from torch import Tensor, nn

from dl_nets.networks.hidden import BatchNorm
from dl_nets.networks.initialisation import Init, conv2d, linear
from dl_nets.networks.layers import Activation, Dropout, activation
from dl_nets.networks.spaces import UnitScale, image_shape, output_size
from rl_core.config import Count, Doc, Meta, Positive, Whole, configclass
from rl_core.network import Network

POOLED = 4  # pixels: height and width that the linear layers see at most


@configclass
class CNNConfig:
    """Settings of the convolutional network; one number in kernels, strides, padding or pools holds for all convolutions."""

    channels: Annotated[tuple[Count, ...], Doc("filters of each convolution")] = (32, 64)
    kernels: Annotated[tuple[Count, ...], Doc("height and width of each convolution's filters; none for 3")] = ()
    strides: Annotated[tuple[Count, ...], Doc("pixels between places of each convolution's filters; none for 1")] = ()
    padding: Annotated[
        tuple[Whole, ...], Doc("zeros around the image in front of each convolution; none: half of a kernel, or 0 where strides are named")
    ] = ()
    pooling: Annotated[Literal["max", "average"], Doc("what pooling takes of a square")] = "max"
    pools: Annotated[
        tuple[Count, ...],
        Doc("side of the squares that are pooled behind each convolution, 1 for none; none: 2 behind all but the last without strides"),
    ] = ()
    hidden: Annotated[tuple[Count, ...], Doc("units of each linear layer behind the convolutions")] = (128,)
    activation: Annotated[Activation, Doc("function behind each convolution and hidden layer")] = "relu"
    init: Annotated[Init, Doc("how weights are drawn; biases start at 0, but are drawn too with uniform")] = "orthogonal"
    hidden_gain: Annotated[Positive, Doc("scale of all first weights but the last layer's")] = math.sqrt(2.0)
    output_gain: Annotated[Positive, Doc("scale of the last layer's first weights")] = 1.0
    batch_norm: Annotated[bool, Doc("whether each convolution and hidden layer is normalised over the batch before its activation")] = False
    dropout: Annotated[float, Meta(ge=0, lt=1), Doc("probability that a unit in front of a linear layer is left out while training")] = 0.0

    def __post_init__(self) -> None:
        if not self.channels:
            raise ValueError("channels is []; it must name at least one convolution")
        for name in ("kernels", "strides", "padding", "pools"):
            named = getattr(self, name)
            if len(named) not in (0, 1, len(self.channels)):
                raise ValueError(
                    f"channels is {list(self.channels)} and {name} {list(named)}; it must name one for each of the "
                    f"{len(self.channels)} convolutions, one for all, or none"
                )

    @property
    def layers(self) -> list[tuple[int, int, int, int, int]]:
        """Filters, kernel, stride, padding and pool of each convolution; one number that is named holds for all.

        >>> CNNConfig().layers
        [(32, 3, 1, 1, 2), (64, 3, 1, 1, 1)]
        >>> CNNConfig(channels=(8, 8, 8), pools=(1,)).layers
        [(8, 3, 1, 1, 1), (8, 3, 1, 1, 1), (8, 3, 1, 1, 1)]
        >>> CNNConfig(channels=(32,), kernels=(8,), strides=(4,)).layers
        [(32, 8, 4, 0, 1)]
        """
        count = len(self.channels)
        kernels, strides, padding, pools = (
            named * count if len(named) == 1 else named for named in (self.kernels, self.strides, self.padding, self.pools)
        )
        kernels, strides = kernels or (3,) * count, strides or (1,) * count
        padding = padding or tuple(0 if self.strides else kernel // 2 for kernel in kernels)
        pools = pools or tuple(1 if self.strides or index + 1 == count else 2 for index in range(count))
        return list(zip(self.channels, kernels, strides, padding, pools, strict=True))


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
        height, width, channels = image_shape(input_space)
        convolutions: list[nn.Module] = []
        for filters, kernel, stride, padding, pool in config.layers:
            convolutions.append(
                conv2d(channels, filters, kernel, rng, stride=stride, padding=padding, init=config.init, gain=config.hidden_gain)
            )
            convolutions += [nn.BatchNorm2d(filters)] if config.batch_norm else []
            convolutions.append(activation(config.activation))
            if pool > 1:
                convolutions.append(nn.MaxPool2d(pool) if config.pooling == "max" else nn.AvgPool2d(pool))
            height, width = (((side + 2 * padding - kernel) // stride + 1) // pool for side in (height, width))
            if min(height, width) < 1:
                raise ValueError(_too_small(input_space, config))
            channels = filters
        if not config.strides and not config.pools:
            if max(height, width) > POOLED:  # smaller ones it would pass on as they are, for a tenth of an update of a small network
                convolutions.append(nn.AdaptiveAvgPool2d((min(height, POOLED), min(width, POOLED))))
            height, width = min(height, POOLED), min(width, POOLED)

        layers: list[nn.Module] = []
        size = height * width * channels
        for units in config.hidden:
            layers += [Dropout(config.dropout, rng)] if config.dropout else []
            layers.append(linear(size, units, rng, init=config.init, gain=config.hidden_gain))
            layers += [BatchNorm(units)] if config.batch_norm else []
            layers.append(activation(config.activation))
            size = units
        layers += [Dropout(config.dropout, rng)] if config.dropout else []
        layers.append(linear(size, output_size(output_space), rng, init=config.init, gain=config.output_gain))
        return ConvolutionalLayers(UnitScale(input_space), nn.Sequential(*convolutions), nn.Sequential(*layers))


def _too_small(space: Space[Any], config: CNNConfig) -> str:
    """Return the error message for images that are too small for the convolutions."""
    height, width, _ = image_shape(space)
    least = 1
    for _, kernel, stride, padding, pool in reversed(config.layers):
        least = (least * pool - 1) * stride + kernel - 2 * padding
    described = "; ".join(f"kernel {kernel}, stride {stride}, pool {pool}" for _, kernel, stride, _, pool in config.layers)
    return f"the image is {height} x {width}; {len(config.layers)} convolutions ({described}) need {least} x {least}"
