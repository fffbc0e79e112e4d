"""The networks of DCGAN: a generator of transposed convolutions, and a discriminator of strided ones.

One builder makes both: a generator where inputs are noise and outputs an image, a discriminator where inputs are an image. With labels the
generator takes an embedding of the class beside the noise, and the discriminator adds an inner product of its features with another
embedding (projection). The embedding of a text is the mean of its words'.

Sources: Radford, Metz and Chintala, *Unsupervised representation learning with deep convolutional generative adversarial networks*, 2016;
projection: Miyato and Koyama, *cGANs with projection discriminator*, 2018. Departures: the number of layers follows from the size of the
image, which may be any; the last tanh is the learner's. For the penalty of WGAN-GP the discriminator must not be normalised over the batch
(Gulrajani et al. 2017, section 4): set normalisation=layer or none there.

Letters: B batch, Z noise, K classes, H W C image, F features.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar, Literal

import gymnasium
import numpy as np
import torch
from torch import Tensor, nn

from cv_models.generate.two_networks import Shape, built
from dl_nets.generative.conditions import shares, split
from rl_core.config import Count, Doc, configclass
from rl_core.network import Network

DEVIATION = 0.02  # of the first weights
LEAST = 4  # pixels of the smallest map
EMBEDDING = 16  # numbers that stand for a class beside the noise
Normalisation = Literal["batch", "layer", "none"]


@configclass
class DCGANConfig:
    """Settings of both networks."""

    width: Annotated[Count, Doc("w, channels of the largest map; each smaller one has twice as many")] = 32
    normalisation: Annotated[Normalisation, Doc("of the maps, but the discriminator's first and the generator's last")] = "batch"
    depth: Annotated[Count, Doc("convolutions at each size; 1 is the paper's, with those alone that halve or double it")] = 1


def sizes_of(height: int, width: int) -> list[tuple[int, int]]:
    """Return heights and widths of the maps from the smallest to the image: halved, rounded up, while they have 4 pixels.

    >>> sizes_of(28, 28), sizes_of(32, 32)[0], sizes_of(8, 8)
    ([(7, 7), (14, 14), (28, 28)], (4, 4), [(4, 4), (8, 8)])
    """
    sizes = [(height, width)]
    while min(sizes[0]) > 2 * LEAST - 1:
        sizes.insert(0, ((sizes[0][0] + 1) // 2, (sizes[0][1] + 1) // 2))
    return sizes


class Generator(nn.Module):
    """Module from noise [B, Z], with labels [B] where there are classes, to images [B, H, W, C] without bounds.

    Args:
        config: As the network's.
        noise: Z.
        classes: K; 0 for none.
        shape: H, W, C.
        rng: Source of the weights.
    """

    def __init__(self, config: DCGANConfig, noise: int, classes: int, shape: Shape, rng: np.random.Generator) -> None:
        super().__init__()
        *image, channels = shape
        self._sizes = sizes_of(*image)
        before = config.width * 2 ** (len(self._sizes) - 2)
        self.embedding = _drawn((classes, EMBEDDING), rng, 1.0) if classes else None
        self.first = nn.Linear(noise + (EMBEDDING if classes else 0), before * math.prod(self._sizes[0]), device="meta")
        self._before = before
        self.layers = nn.ModuleList([normalised(config.normalisation, before, rng), nn.ReLU()])
        for number in range(1, len(self._sizes)):
            last = number + 1 == len(self._sizes)
            for place in range(config.depth):
                ends = last and place + 1 == config.depth
                after = channels if ends else before if place or last else before // 2
                self.layers.append(_doubling(before, after) if place == 0 else _keeping(before, after))
                if not ends:
                    self.layers.extend([normalised(config.normalisation, after, rng), nn.ReLU()])
                before = after
        draw_weights(self, rng)

    def forward(self, inputs: Any) -> Tensor:
        """Return images [B, H, W, C] before their tanh."""
        noise, labels = split(inputs)
        if self.embedding is not None and labels is not None:
            noise = torch.cat([noise.float(), shares(labels, len(self.embedding)) @ self.embedding], dim=1)
        maps = self.first(noise.float()).reshape(noise.shape[0], self._before, *self._sizes[0])
        place = 0
        for layer in self.layers:
            maps = layer(maps)
            if isinstance(layer, nn.ConvTranspose2d):
                place += 1
                height, width = self._sizes[place]
                maps = maps[..., :height, :width]
        return maps.permute(0, 2, 3, 1)


class Discriminator(nn.Module):
    """Module from images [B, H, W, C], with labels [B] where there are classes, to logits [B, 1].

    Args:
        config: As the network's.
        classes: K; 0 for none.
        shape: H, W, C.
        rng: Source of the weights.
    """

    def __init__(self, config: DCGANConfig, classes: int, shape: Shape, rng: np.random.Generator) -> None:
        super().__init__()
        *image, before = shape
        sizes = sizes_of(*image)
        layers: list[nn.Module] = []
        for number in range(len(sizes) - 1):
            after = config.width * 2**number
            for place in range(config.depth):
                halves = place + 1 == config.depth
                kernel = 3 if min(sizes[-1 - number]) % 2 else 4
                layers.append(nn.Conv2d(before, after, kernel, stride=2, padding=1, device="meta") if halves else _keeping(before, after))
                if number or place:
                    layers.append(normalised(config.normalisation, after, rng))
                layers.append(nn.LeakyReLU(0.2))
                before = after
        self.layers = nn.Sequential(
            *layers, nn.AdaptiveAvgPool2d(sizes[0]) if any(side % 2 for side in image) else nn.Identity(), nn.Flatten()
        )
        size = before * math.prod(sizes[0])
        self.last = nn.Linear(size, 1, device="meta")
        self.embedding = _drawn((classes, size), rng, DEVIATION) if classes else None
        draw_weights(self, rng)

    def forward(self, inputs: Any) -> Tensor:
        """Return logits [B, 1]: v . f(x) + b, and with labels + e_c . f(x)."""
        images, labels = split(inputs)
        features = self.layers(images.float().permute(0, 3, 1, 2))
        logits: Tensor = self.last(features)
        if self.embedding is not None and labels is not None:
            logits = logits + (shares(labels, len(self.embedding)) @ self.embedding * features).sum(dim=1, keepdim=True)
        return logits


def normalised(kind: Normalisation, channels: int, rng: np.random.Generator) -> nn.Module:
    """Return a normalisation of maps [B, channels, H, W]; the gains of one over the batch are from N(1, 0.02^2)."""
    if kind == "none":
        return nn.Identity()
    if kind == "layer":
        return nn.GroupNorm(1, channels)
    layer = nn.BatchNorm2d(channels)
    layer.weight = nn.Parameter(torch.from_numpy(rng.normal(1.0, DEVIATION, channels).astype(np.float32)))
    return layer


def draw_weights(module: nn.Module, rng: np.random.Generator) -> None:
    """Draw the weights of a module's layers that have none yet from N(0, 0.02^2); their biases are 0."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d) and layer.weight.is_meta:
            layer.weight = _drawn(tuple(layer.weight.shape), rng, DEVIATION)
            if layer.bias is not None:
                layer.bias = nn.Parameter(torch.zeros(layer.bias.shape))


class DCGAN(Network):
    """Builder of generators and discriminators."""

    Config: ClassVar[type] = DCGANConfig
    config: DCGANConfig

    def build(self, input_space: gymnasium.Space[Any], output_space: gymnasium.Space[Any], rng: np.random.Generator) -> nn.Module:
        """Build a generator from noise [Z] to an image, or a discriminator from an image to one number."""
        config = self.config
        return built(
            input_space,
            output_space,
            lambda noise, classes, shape: Generator(config, noise, classes, shape, rng),
            lambda classes, shape: Discriminator(config, classes, shape, rng),
        )


def _keeping(before: int, after: int) -> nn.Module:
    """Return a convolution that keeps the size of maps; its weights are still to be drawn."""
    return nn.Conv2d(before, after, 3, padding=1, device="meta")


def _doubling(before: int, after: int) -> nn.Module:
    """Return a transposed convolution that doubles the size of maps; its weights are still to be drawn."""
    return nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, device="meta")


def _drawn(shape: tuple[int, ...], rng: np.random.Generator, deviation: float) -> nn.Parameter:
    return nn.Parameter(torch.from_numpy(rng.normal(0.0, deviation, shape).astype(np.float32)))
