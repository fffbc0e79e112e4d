"""U-Net: a path down to coarse features and a path up again, with skip connections between them; and Attention U-Net.

Source: Ronneberger, Fischer and Brox, *U-Net: convolutional networks for biomedical image segmentation*, 2015; the gates are those of
Oktay et al., *Attention U-Net: learning where to look for the pancreas*, 2018, equations 1 and 2. Departures: convolutions are padded, so
that the map has the image's size, and batch normalisation follows each; an image whose sides are not multiples of 2^levels is padded and
the map cut. The gate's attention is interpolated to the skip's size, as in the paper, from that of the coarser level.

Letters: B batch, C channels, K classes, H W image.
"""

from __future__ import annotations

import itertools
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from gymnasium import Space
from torch import Tensor, nn
from torch.nn import functional

from cv_models.layers import conv
from cv_models.segment.losses import MapLoss
from cv_models.segment.map_module import MapModule, map_shape
from dl_nets.networks.layers import Dropout
from rl_core.config import Count, Doc, Meta, configclass
from rl_core.network import Network


@configclass
class UNetConfig:
    """Settings of the U-Net. The paper's has channels 64, 128, 256, 512, 1024 and batch_norm off."""

    channels: Annotated[tuple[Count, ...], Doc("filters of each level, from the image's size down, each half the size of the last")] = (
        16,
        32,
        64,
        128,
    )
    gates: Annotated[bool, Doc("whether attention gates weight the skip connections")] = False
    batch_norm: Annotated[bool, Doc("whether each convolution is normalised over the batch")] = True
    dropout: Annotated[float, Meta(ge=0, lt=1), Doc("probability of dropping a number of the coarsest level in training")] = 0.0
    reduction: Annotated[Count, Doc("pixels of each side that are averaged into one first; maps are interpolated up again")] = 1
    standardise: Annotated[
        Literal["fixed", "image", "log"],
        Doc("colours less a mean and over a deviation: fixed ones, or each image's own, or so the logarithm, for faint and bright objects"),
    ] = "fixed"
    loss: Annotated[MapLoss, Doc("cross-entropy, dice, focal, boundary (cross-entropy that weighs borders), or a sum of two")] = (
        "dice+cross-entropy"
    )

    def __post_init__(self) -> None:
        if len(self.channels) < 2:
            raise ValueError(f"channels is {list(self.channels)}; it must name at least two levels")


class DoubleConv(nn.Sequential):
    """Two convolutions of 3 x 3, each followed by its normalisation and ReLU.

    Args:
        channels_in: C of the input.
        channels_out: C of both outputs.
        rng: Source of the weights.
        batch_norm: Whether outputs are normalised over the batch.
    """

    def __init__(self, channels_in: int, channels_out: int, rng: np.random.Generator, *, batch_norm: bool = True) -> None:
        layers: list[nn.Module] = []
        for channels in (channels_in, channels_out):
            layers.append(conv(channels, channels_out, 3, rng, bias=not batch_norm))
            layers += [nn.BatchNorm2d(channels_out)] if batch_norm else []
            layers.append(nn.ReLU(inplace=True))
        super().__init__(*layers)


class AttentionGate(nn.Module):
    """Additive attention: a = sigmoid(psi . relu(W_x x + W_g g + b_g) + b_psi) (1, 2), by which the skip x is multiplied.

    Args:
        skip_channels: C of x.
        gate_channels: C of g, which has half the height and width of x.
        rng: Source of the weights.
    """

    def __init__(self, skip_channels: int, gate_channels: int, rng: np.random.Generator) -> None:
        super().__init__()
        inner = max(1, skip_channels // 2)
        self.of_skip = conv(skip_channels, inner, 2, rng, stride=2, padding=0)
        self.of_gate = conv(gate_channels, inner, 1, rng, bias=True)
        self.attention = conv(inner, 1, 1, rng, bias=True)

    def forward(self, skip: Tensor, gate: Tensor) -> tuple[Tensor, Tensor]:
        """Return the weighted skip [B, C, H, W] and its weights [B, 1, H, W] in [0, 1]."""
        coarse = torch.sigmoid(self.attention(functional.relu(self.of_skip(skip) + self.of_gate(gate))))
        weights = functional.interpolate(coarse, scale_factor=2.0, mode="bilinear", align_corners=False)
        return skip * weights, weights


class Layers(nn.Module):
    """The two paths of a U-Net.

    Args:
        config: Settings of the network.
        channels: C of the image.
        num_classes: K.
        rng: Source of the weights.
    """

    def __init__(self, config: UNetConfig, channels: int, num_classes: int, rng: np.random.Generator) -> None:
        super().__init__()
        sizes = (channels, *config.channels)
        self.down = nn.ModuleList(DoubleConv(a, b, rng, batch_norm=config.batch_norm) for a, b in itertools.pairwise(sizes))
        self.dropout = Dropout(config.dropout, rng)
        steps = list(zip(config.channels[:0:-1], config.channels[-2::-1], strict=True))  # from the coarsest level up
        self.gates = nn.ModuleList(AttentionGate(fine, coarse, rng) for coarse, fine in steps) if config.gates else None
        self.grow = nn.ModuleList(conv(coarse, fine, 2, rng, stride=2, bias=True, transposed=True) for coarse, fine in steps)
        self.up = nn.ModuleList(DoubleConv(2 * fine, fine, rng, batch_norm=config.batch_norm) for _, fine in steps)
        self.head = conv(config.channels[0], num_classes, 1, rng, bias=True)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits [B, K, H, W] of images [B, C, H, W]."""
        return self.with_attention(images)[0]

    def with_attention(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return logits [B, K, H, W], and the weights [B, 1, H', W'] of each gate, coarse to fine; without gates none."""
        skips: list[Tensor] = []
        features = images
        for level, block in enumerate(self.down):
            features = block(functional.max_pool2d(features, 2) if level else features)
            skips.append(features)
        features, attention = self.dropout(skips.pop()), []
        for level, (grow, block) in enumerate(zip(self.grow, self.up, strict=True)):
            skip = skips.pop()
            if self.gates is not None:
                skip, weights = self.gates[level](skip, features)
                attention.append(weights)
            features = block(torch.cat([skip, grow(features)], dim=1))
        return self.head(features), attention


class UNet(Network):
    """Builder of U-Nets for images and label maps of any size."""

    Config: ClassVar[type] = UNetConfig
    own_loss: ClassVar[bool] = True
    config: UNetConfig

    def build(self, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator) -> MapModule:
        """Build a U-Net from images [B, H, W, C] to maps [B, H, W].

        Raises:
            ValueError: unless the input is an image and the output a label map of its size.
        """
        _, _, channels, num_classes = map_shape(input_space, output_space)
        layers = Layers(self.config, channels, num_classes, rng)
        multiple = 2 ** (len(self.config.channels) - 1)
        return MapModule(layers, input_space, self.config, multiple)
