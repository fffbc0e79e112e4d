"""LeNet-5, the convolutional network that read cheques.

Source: LeCun, Bottou, Bengio and Haffner, *Gradient-based learning applied to document recognition*, 1998, section II B. Departures: the
third layer sees all maps of the second, subsampling has no weights of its own, and the last layer is linear instead of radial basis
functions. Images smaller than 32 x 32 are padded in the middle of that size.

Letters: B batch, C channels, K outputs.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
from gymnasium import Space
from torch import Tensor, nn
from torch.nn import functional

from cv_models.layers import Standardise
from dl_nets.networks.initialisation import conv2d, linear
from dl_nets.networks.layers import Activation, activation
from dl_nets.networks.spaces import UnitScale, image_shape, output_size
from rl_core.config import Doc, configclass
from rl_core.network import Network

SIZE = 32  # pixels: height and width that the layers need at least


@configclass
class LeNetConfig:
    """Settings of LeNet-5."""

    activation: Annotated[Activation, Doc("behind each layer but the last; the paper's is tanh")] = "tanh"


class LeNet5(nn.Module):
    """The module that `LeNet` builds.

    Args:
        config: Settings of the network.
        space: Space of one image.
        num_outputs: K.
        rng: Source of the weights.
    """

    def __init__(self, config: LeNetConfig, space: Space[Any], num_outputs: int, rng: np.random.Generator) -> None:
        super().__init__()
        height, width, channels = image_shape(space)
        self.scale, self.standardise = UnitScale(space), Standardise(channels)
        rows, columns = max(0, SIZE - height), max(0, SIZE - width)
        self._border = (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)
        self.convolutions = nn.Sequential(
            conv2d(channels, 6, 5, rng, init="glorot"),
            activation(config.activation),
            nn.AvgPool2d(2),
            conv2d(6, 16, 5, rng, init="glorot"),
            activation(config.activation),
            nn.AvgPool2d(2),
        )
        sides = [((max(side, SIZE) - 4) // 2 - 4) // 2 for side in (height, width)]
        self.layers = nn.Sequential(
            linear(16 * sides[0] * sides[1], 120, rng, init="glorot"),
            activation(config.activation),
            linear(120, 84, rng, init="glorot"),
            activation(config.activation),
            linear(84, num_outputs, rng, init="glorot"),
        )

    def features(self, inputs: Tensor) -> Tensor:
        """Return the features [B, 16, H', W'] of images [B, H, W, C] behind the convolutions."""
        images = functional.pad(self.standardise(self.scale(inputs)), self._border, mode="replicate")
        features: Tensor = self.convolutions(images)
        return features

    def head(self, features: Tensor) -> Tensor:
        """Return outputs [B, K] of features [B, 16, H', W']."""
        outputs: Tensor = self.layers(features.flatten(1))
        return outputs

    def forward(self, inputs: Tensor) -> Tensor:
        """Return outputs [B, K] of images [B, H, W, C]."""
        return self.head(self.features(inputs))


class LeNet(Network):
    """Builder of LeNet-5 for images of any size."""

    Config: ClassVar[type] = LeNetConfig
    config: LeNetConfig

    def build(self, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator) -> LeNet5:
        """Build a network from images [B, H, W, C] to outputs [B, K].

        Raises:
            ValueError: unless the input is an image.
        """
        return LeNet5(self.config, input_space, output_size(output_space), rng)
