"""Residual networks, plain or with attention in each block, under torchvision's names.

Source: He et al., *Deep residual learning for image recognition*, 2016, section 3 and table 1. The bottleneck's stride is in its 3 x 3
convolution, as torchvision's. With attention: Hu, Shen and Sun, *Squeeze-and-excitation networks*, 2018, and Woo et al., *CBAM*, 2018, a
block behind the last normalisation of each residual branch. Departures: a stem of one 3 x 3 convolution for small images, as He et al.
use on CIFAR-10 (section 4.2), and a depth of 10 with one block a stage.

Letters: B batch, C channels, K outputs, H W image.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, cast

import numpy as np
from gymnasium import Space
from torch import Tensor, nn

from cv_models.classify.attention import CBAM, SqueezeExcitation
from cv_models.layers import Standardise, conv, laid_out
from cv_models.weights import load_weights
from dl_nets.networks.initialisation import linear
from dl_nets.networks.layers import Dropout
from dl_nets.networks.spaces import UnitScale, image_shape, output_size
from rl_core.config import Count, Doc, FilePath, Meta, configclass
from rl_core.network import Network

SMALL = 64  # pixels: images with a smaller side get the small stem
STAGES = {10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
EXPANSION = 4  # a bottleneck gives four times its filters

Attention = Literal["none", "squeeze-excitation", "cbam"]


@configclass
class ResNetConfig:
    """Settings of the residual network. ResNet-50 on large images is depth 50, width 64."""

    depth: Annotated[Literal[10, 18, 34, 50, 101, 152], Doc("layers with weights; from 50 on, blocks are bottlenecks")] = 18
    width: Annotated[Count, Doc("filters of the first stage; each further stage has twice as many")] = 64
    stem: Annotated[
        Literal["auto", "small", "large"],
        Doc("large: 7 x 7 and pooling; small: 3 x 3; auto: large from 64 pixels on"),
    ] = "auto"
    attention: Annotated[Attention, Doc("none, squeeze-excitation or cbam: attention in each block")] = "none"
    attention_reduction: Annotated[Count, Doc("r, channels for each unit inside a channel attention")] = 16
    dropout: Annotated[float, Meta(ge=0, lt=1), Doc("probability of dropping a feature in front of the last layer in training")] = 0.0
    weights: Annotated[FilePath, Doc('local file of weights, .safetensors or torchvision\'s .pth; "" draws them')] = ""


class Block(nn.Module):
    """A residual block: relu(shortcut(x) + attention(branch(x))).

    Args:
        channels_in: C of the input.
        filters: Filters of the branch.
        stride: Step of the branch's 3 x 3 convolution; the first one's in a basic block.
        config: Settings of the network.
        rng: Source of the weights.
    """

    def __init__(self, channels_in: int, filters: int, stride: int, config: ResNetConfig, rng: np.random.Generator) -> None:
        super().__init__()
        self.bottleneck = config.depth >= 50
        channels = filters * EXPANSION if self.bottleneck else filters
        if self.bottleneck:
            self.conv1, self.bn1 = conv(channels_in, filters, 1, rng), nn.BatchNorm2d(filters)
            self.conv2, self.bn2 = conv(filters, filters, 3, rng, stride=stride), nn.BatchNorm2d(filters)
            self.conv3, self.bn3 = conv(filters, channels, 1, rng), nn.BatchNorm2d(channels)
        else:
            self.conv1, self.bn1 = conv(channels_in, filters, 3, rng, stride=stride), nn.BatchNorm2d(filters)
            self.conv2, self.bn2 = conv(filters, filters, 3, rng), nn.BatchNorm2d(filters)
        self.attention = _attention(config, channels, rng)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Sequential | None = None
        if stride > 1 or channels_in != channels:
            self.downsample = nn.Sequential(conv(channels_in, channels, 1, rng, stride=stride), nn.BatchNorm2d(channels))

    def forward(self, features: Tensor) -> Tensor:
        """Return features [B, C, H, W] of features, at the block's stride."""
        branch = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(features)))))
        if self.bottleneck:
            branch = self.bn3(self.conv3(self.relu(branch)))
        shortcut = features if self.downsample is None else self.downsample(features)
        return cast(Tensor, self.relu(self.attention(branch) + shortcut))


class ResidualNetwork(nn.Module):
    """The module that `ResNet` builds; its parameters have torchvision's names.

    Args:
        config: Settings of the network.
        space: Space of one image.
        num_outputs: K.
        rng: Source of the weights.
    """

    def __init__(self, config: ResNetConfig, space: Space[Any], num_outputs: int, rng: np.random.Generator) -> None:
        super().__init__()
        height, width, channels = image_shape(space)
        large = config.stem == "large" or (config.stem == "auto" and min(height, width) >= SMALL)
        self.scale, self.standardise = UnitScale(space), Standardise(channels)
        self.conv1 = conv(channels, config.width, 7 if large else 3, rng, stride=2 if large else 1)
        self.bn1, self.relu = nn.BatchNorm2d(config.width), nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1) if large else nn.Identity()
        size = config.width
        for stage, count in enumerate(STAGES[config.depth]):
            filters, blocks = config.width * 2**stage, []
            for number in range(count):
                blocks.append(Block(size, filters, 2 if stage and not number else 1, config, rng))
                size = filters * EXPANSION if config.depth >= 50 else filters
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.dropout = Dropout(config.dropout, rng)
        self.fc = linear(size, num_outputs, rng, init="uniform")

    def features(self, inputs: Tensor) -> Tensor:
        """Return the features [B, C, H', W'] of images [B, H, W, C] behind the last stage."""
        images = laid_out(self.standardise(self.scale(inputs)), training=self.training)
        features = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        for stage in range(1, 5):
            features = self.get_submodule(f"layer{stage}")(features)
        return cast(Tensor, features)

    def head(self, features: Tensor) -> Tensor:
        """Return outputs [B, K] of features [B, C, H', W']."""
        return cast(Tensor, self.fc(self.dropout(features.mean((2, 3)))))

    def forward(self, inputs: Tensor) -> Tensor:
        """Return outputs [B, K] of images [B, H, W, C]."""
        return self.head(self.features(inputs))


def _attention(config: ResNetConfig, channels: int, rng: np.random.Generator) -> nn.Module:
    if config.attention == "squeeze-excitation":
        return SqueezeExcitation(channels, rng, config.attention_reduction)
    return CBAM(channels, rng, config.attention_reduction) if config.attention == "cbam" else nn.Identity()


class ResNet(Network):
    """Builder of residual networks for images of any size."""

    Config: ClassVar[type] = ResNetConfig
    config: ResNetConfig

    def build(self, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator) -> ResidualNetwork:
        """Build a network from images [B, H, W, C] to outputs [B, K].

        Raises:
            ValueError: unless the input is an image, or if the file of weights does not fit.
        """
        module = ResidualNetwork(self.config, input_space, output_size(output_space), rng)
        if self.config.weights:
            load_weights(module, Path(self.config.weights), head="fc.")
        return module
