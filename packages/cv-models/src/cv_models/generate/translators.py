"""The networks of CycleGAN: a residual generator from pictures to pictures, and a discriminator that judges patches.

Sources: Zhu, Park, Isola and Efros, *Unpaired image-to-image translation using cycle-consistent adversarial networks*, 2017, section 7.2;
generator: Johnson, Alahi and Fei-Fei 2016; discriminator: Isola et al., *Image-to-image translation with conditional adversarial networks*,
2017. Departures: widths and numbers of layers are smaller and configurable.

Letters: B batch, C channels, H W picture, P patches.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

DEVIATION = 0.02  # of the first weights


class Translator(nn.Module):
    """Module from pictures [B, C, H, W] to pictures of that shape, both in [-1, 1]: two halvings, residual blocks, two doublings.

    Args:
        channels: C.
        width: Channels of the largest map.
        blocks: Residual blocks.
        rng: Source of the weights.
    """

    def __init__(self, channels: int, width: int, blocks: int, rng: np.random.Generator) -> None:
        super().__init__()
        self.first = nn.Sequential(*_layer(channels, width, 5, 1, rng))
        self.down = nn.Sequential(*_layer(width, 2 * width, 3, 2, rng))
        self.blocks = nn.ModuleList(
            nn.Sequential(*_layer(2 * width, 2 * width, 3, 1, rng), *_layer(2 * width, 2 * width, 3, 1, rng)[:-1]) for _ in range(blocks)
        )
        self.up = nn.Sequential(*_layer(2 * width, width, 3, 1, rng))
        self.last = _convolution(width, channels, 5, 1, rng, bias=True)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return translated pictures [B, C, H, W]."""
        maps = self.down(self.first(pictures))
        for block in self.blocks:
            maps = maps + block(maps)
        maps = self.up(nn.functional.interpolate(maps, size=pictures.shape[2:], mode="nearest"))
        return torch.tanh(self.last(maps))


class PatchDiscriminator(nn.Module):
    """Module from pictures [B, C, H, W] to a verdict on each patch [B, P].

    Args:
        channels: C.
        width: Channels of the first map.
        rng: Source of the weights.
    """

    def __init__(self, channels: int, width: int, rng: np.random.Generator) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            _convolution(channels, width, 4, 2, rng, bias=True),
            nn.LeakyReLU(0.2),
            _convolution(width, 2 * width, 4, 2, rng),
            nn.InstanceNorm2d(2 * width, affine=True),
            nn.LeakyReLU(0.2),
            _convolution(2 * width, 1, 3, 1, rng, bias=True),
        )

    def forward(self, pictures: Tensor) -> Tensor:
        """Return verdicts [B, P]."""
        verdicts: Tensor = self.layers(pictures)
        return verdicts.flatten(1)


def _layer(before: int, after: int, kernel: int, stride: int, rng: np.random.Generator) -> list[nn.Module]:
    return [_convolution(before, after, kernel, stride, rng), nn.InstanceNorm2d(after, affine=True), nn.ReLU()]


def _convolution(before: int, after: int, kernel: int, stride: int, rng: np.random.Generator, *, bias: bool = False) -> nn.Conv2d:
    """Return a convolution with mirrored edges; weights are from N(0, 0.02^2)."""
    padding = (kernel - 1) // 2
    layer = nn.Conv2d(before, after, kernel, stride=stride, padding=padding, padding_mode="reflect", bias=bias, device="meta")
    layer.weight = nn.Parameter(torch.from_numpy(rng.normal(0.0, DEVIATION, tuple(layer.weight.shape)).astype(np.float32)))
    if bias:
        layer.bias = nn.Parameter(torch.zeros(after))
    return layer
