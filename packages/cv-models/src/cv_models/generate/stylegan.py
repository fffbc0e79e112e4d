"""The networks of StyleGAN2 for small images: a generator that is steered by styles, and its discriminator.

Noise is mapped to a style, and each convolution of the generator is modulated by the style and adds noise of its own; colours of all sizes
are added up. The learner is the agent `gan`; R1 and the penalty on path lengths, both in some of the updates only, are its config.

Sources: Karras, Laine and Aila, *A style-based generator architecture for GANs*, 2019; Karras et al., *Analyzing and improving the image
quality of StyleGAN*, 2020. Departures: outputs pass the learner's tanh; no mixed precision; the discriminator is plain, without residuals;
the penalty on path lengths is of one style for all layers.

Letters: B batch, Z noise, D numbers of a style, K classes, H W C image, I O channels.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Annotated, Any, ClassVar

import gymnasium
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from cv_models.generate.dcgan import sizes_of
from cv_models.generate.two_networks import Shape, built
from dl_nets.generative.conditions import joined, shares, split
from dl_nets.generative.noise import Noise
from rl_core.config import Count, Doc, Meta, configclass
from rl_core.network import Network

SLOPE, GAIN = 0.2, math.sqrt(2.0)  # of the rectifiers
STYLE_RATE = 0.005  # of the moving average of styles
MAPPING_RATE = 0.01  # multiplier of the mapping's learning rate
GROUP = 4  # images whose deviation is a channel
Share = Annotated[float, Meta(ge=0, le=1)]


@configclass
class StyleGANConfig:
    """Settings of both networks."""

    width: Annotated[Count, Doc("channels of the largest map; smaller ones have twice as many, up to most")] = 16
    most: Annotated[Count, Doc("channels of a map at most")] = 64
    style: Annotated[Count, Doc("D, numbers of a style")] = 64
    mapping_layers: Annotated[Count, Doc("layers from noise to style")] = 2
    mixing: Annotated[Share, Doc("share of the images that are learned from two styles, one for each part of the layers")] = 0.5
    truncation: Annotated[Share, Doc("psi, how far styles of answers may be from the mean style; 1 leaves them as they are")] = 1.0


class Equalised(nn.Module):
    """Linear layer whose weights are from N(0, 1) and are used times rate / sqrt(I), so that all layers learn at one speed.

    Args:
        inputs: I.
        outputs: O.
        rng: Source of the weights.
        bias: First value of each bias.
        rate: Multiplier of the learning rate.
    """

    def __init__(self, inputs: int, outputs: int, rng: np.random.Generator, *, bias: float = 0.0, rate: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.from_numpy(rng.standard_normal((outputs, inputs), dtype=np.float32) / np.float32(rate)))
        self.bias = nn.Parameter(torch.full((outputs,), bias / rate))
        self._scale, self._rate = rate / math.sqrt(inputs), rate

    def forward(self, inputs: Tensor) -> Tensor:
        """Return outputs [B, O] of inputs [B, I]."""
        return functional.linear(inputs, self.weight * self._scale, self.bias * self._rate)


class EqualisedConvolution(nn.Module):
    """Convolution with padding whose weights are from N(0, 1) and are used times 1 / sqrt(fan-in).

    Args:
        inputs: I.
        outputs: O.
        kernel: Height and width of the filters.
        rng: Source of the weights.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, rng: np.random.Generator) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.from_numpy(rng.standard_normal((outputs, inputs, kernel, kernel), dtype=np.float32)))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self._scale, self._padding = 1.0 / math.sqrt(inputs * kernel**2), kernel // 2

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps [B, O, H, W] of maps [B, I, H, W]."""
        return functional.conv2d(maps, self.weight * self._scale, self.bias, padding=self._padding)


class ModulatedConvolution(nn.Module):
    """Convolution whose weights are scaled by a style for each image, and then to unit length for each output channel.

    W'_oik = s_i W_oik, W''_oik = W'_oik / sqrt(sum_ik W'_oik^2 + 1e-8). Scaling the inputs by s, and the outputs by the root, is the same.

    Args:
        inputs: I.
        outputs: O.
        kernel: Height and width of the filters.
        style: D.
        rng: Source of the weights.
        demodulated: Whether filters are scaled to unit length.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, style: int, rng: np.random.Generator, *, demodulated: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.from_numpy(rng.standard_normal((outputs, inputs, kernel, kernel), dtype=np.float32)))
        self.affine = Equalised(style, inputs, rng, bias=1.0)
        self._scale, self._padding, self._demodulated = 1.0 / math.sqrt(inputs * kernel**2), kernel // 2, demodulated

    def forward(self, maps: Tensor, styles: Tensor) -> Tensor:
        """Return maps [B, O, H, W] of maps [B, I, H, W] and styles [B, D]."""
        scales = self.affine(styles)  # s [B, I]
        weight = self.weight * self._scale
        maps = functional.conv2d(maps * scales[:, :, None, None], weight, padding=self._padding)
        if self._demodulated:
            squares = scales.square() @ weight.square().sum(dim=(2, 3)).T  # [B, O]
            maps = maps * torch.rsqrt(squares + 1e-8)[:, :, None, None]
        return maps


class StyledLayer(nn.Module):
    """Modulated convolution, noise of a learned strength, bias and rectifier.

    Args:
        inputs: I.
        outputs: O.
        style: D.
        rng: Source of the weights and of the noise.
    """

    def __init__(self, inputs: int, outputs: int, style: int, rng: np.random.Generator) -> None:
        super().__init__()
        self.convolution = ModulatedConvolution(inputs, outputs, 3, style, rng)
        self.strength = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(outputs, 1, 1))
        self.noise = Noise(rng)

    def forward(self, maps: Tensor, styles: Tensor) -> Tensor:
        """Return maps [B, O, H, W]; while answering, every image gets the same noise."""
        maps = self.convolution(maps, styles)
        drawn = self.noise.normal(maps[:, :1] if self.training else maps[:1, :1])
        return functional.leaky_relu(maps + self.strength * drawn + self.bias, SLOPE) * GAIN


class Generator(nn.Module):
    """Module from noise [B, Z], with labels [B] where there are classes, to images [B, H, W, C] without bounds.

    Args:
        config: As the network's.
        noise: Z.
        classes: K; 0 for none.
        shape: H, W, C.
        rng: Source of the weights.
    """

    mean_style: Tensor

    def __init__(self, config: StyleGANConfig, noise: int, classes: int, shape: Shape, rng: np.random.Generator) -> None:
        super().__init__()
        *image, channels = shape
        self._sizes, self._config = sizes_of(*image), config
        widths = _widths(config, len(self._sizes))[::-1]
        self.embedding = Equalised(classes, noise, rng) if classes else None
        sizes = [noise * (2 if classes else 1), *[config.style] * config.mapping_layers]
        self.mapping = nn.ModuleList(Equalised(a, b, rng, rate=MAPPING_RATE) for a, b in pairwise(sizes))
        self.constant = nn.Parameter(torch.from_numpy(rng.standard_normal((1, widths[0], *self._sizes[0]), dtype=np.float32)))
        self.layers, self.colours = nn.ModuleList(), nn.ModuleList()
        before = widths[0]
        for width in widths:
            self.layers.extend([StyledLayer(before, width, config.style, rng), StyledLayer(width, width, config.style, rng)])
            self.colours.append(ModulatedConvolution(width, channels, 1, config.style, rng, demodulated=False))
            before = width
        self.colour = nn.Parameter(torch.zeros(channels, 1, 1))
        self.mixing = Noise(rng)
        self.register_buffer("mean_style", torch.zeros(config.style))

    def styles(self, inputs: Any) -> Tensor:
        """Return styles w [B, D] of noise [B, Z], whose length does not matter, and labels [B]."""
        noise, labels = split(inputs)
        styles = _unit(noise.float())
        if self.embedding is not None and labels is not None:
            styles = torch.cat([styles, _unit(self.embedding(shares(labels, self.embedding.weight.shape[1])))], dim=1)
        for layer in self.mapping:
            styles = functional.leaky_relu(layer(styles), SLOPE) * GAIN
        return styles

    def drawn(self, styles: Tensor, others: Tensor | None = None, first: Tensor | None = None) -> Tensor:
        """Return images [B, H, W, C] of styles [B, D]; from layer number `first` [B] on of the others [B, D], where they are given."""

        def style(number: int) -> Tensor:
            return styles if others is None or first is None else torch.where((number >= first)[:, None], others, styles)

        maps, image = self.constant.expand(styles.shape[0], -1, -1, -1), self.colour[None]
        for place, size in enumerate(self._sizes):
            if place:
                maps, image = enlarged(maps, size), enlarged(image, size)
            for number in (2 * place, 2 * place + 1):
                maps = self.layers[number](maps, style(number))
            image = image + self.colours[place](maps, style(2 * place + 1))
        return image.permute(0, 2, 3, 1)

    def forward(self, inputs: Any) -> Tensor:
        """Return images [B, H, W, C] before their tanh: of mixed styles while learning, of truncated ones while answering."""
        styles = self.styles(inputs)
        if not self.training:
            return self.drawn(self.mean_style + self._config.truncation * (styles - self.mean_style))
        with torch.no_grad():
            self.mean_style.lerp_(styles.mean(dim=0), STYLE_RATE)
        if not self._config.mixing:
            return self.drawn(styles)
        noise, labels = split(inputs)
        others = self.styles(joined(self.mixing.normal(noise.float()), labels))
        chance, place = self.mixing.uniform(torch.zeros(2, len(styles), device=styles.device))
        first = torch.where(chance < self._config.mixing, 1 + torch.floor(place * (len(self.layers) - 1)), float(len(self.layers)))
        return self.drawn(styles, others, first)


class Discriminator(nn.Module):
    """Module from images [B, H, W, C], with labels [B] where there are classes, to logits [B, 1].

    Args:
        config: As the network's.
        classes: K; 0 for none.
        shape: H, W, C.
        rng: Source of the weights.
    """

    def __init__(self, config: StyleGANConfig, classes: int, shape: Shape, rng: np.random.Generator) -> None:
        super().__init__()
        *image, channels = shape
        sizes = sizes_of(*image)
        widths = _widths(config, len(sizes))
        self.first = EqualisedConvolution(channels, widths[0], 1, rng)
        pairs = list(pairwise(widths))
        self.same = nn.ModuleList(EqualisedConvolution(before, before, 3, rng) for before, _ in pairs)
        self.wider = nn.ModuleList(EqualisedConvolution(before, after, 3, rng) for before, after in pairs)
        self._sizes = sizes[-2::-1]
        self.last = EqualisedConvolution(widths[-1] + 1, widths[-1], 3, rng)
        self.hidden = Equalised(widths[-1] * math.prod(sizes[0]), widths[-1], rng)
        self.verdict = Equalised(widths[-1], max(1, classes), rng)

    def forward(self, inputs: Any) -> Tensor:
        """Return logits [B, 1]; where there are classes, that of the label."""
        images, labels = split(inputs)
        maps = _rectified(self.first(images.float().permute(0, 3, 1, 2)))
        for same, wider, size in zip(self.same, self.wider, self._sizes, strict=True):
            maps = reduced(_rectified(wider(_rectified(same(maps)))), size)
        maps = _rectified(self.last(torch.cat([maps, deviation_channel(maps)], dim=1)))
        verdicts: Tensor = self.verdict(_rectified(self.hidden(maps.flatten(1))))
        return verdicts if labels is None else (verdicts * shares(labels, verdicts.shape[1])).sum(dim=1, keepdim=True)


def deviation_channel(maps: Tensor) -> Tensor:
    """Return a channel [B, 1, H, W] of the mean deviation, over maps [B, C, H, W] of `GROUP` images, from image to image.

    Where the generator answers one image whatever the noise, the channel is 0 and gives it away. The last images of a batch that is no
    multiple of the group share one group with the last whole one.

    >>> deviation_channel(torch.ones(4, 1, 2, 2)).flatten().unique().item() < 1e-3
    True
    """
    count = len(maps)
    group = min(GROUP, count)
    whole = count // group
    means = torch.sqrt(maps[: whole * group].unflatten(0, (group, whole)).var(dim=0, unbiased=False) + 1e-8).mean(dim=(1, 2, 3))  # [whole]
    rows = means.repeat(group + 1)[:count]
    return rows[:, None, None, None].expand(-1, 1, *maps.shape[2:])


def enlarged(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Return maps [B, C, H, W] at twice the size, cut to `size`: zeros between pixels, smoothed by [1, 3, 3, 1], which is bilinear."""
    larger = functional.interpolate(maps, scale_factor=2.0, mode="bilinear", align_corners=False)
    return larger[..., : size[0], : size[1]]


def reduced(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Return maps [B, C, H, W] at half the size: smoothed by [1, 3, 3, 1] / 8 along both axes, every second pixel.

    >>> reduced(torch.ones(1, 1, 4, 4), (2, 2))[0, 0].tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """
    height, width = (2 * side for side in size)
    maps = functional.pad(maps, (1, 1 + width - maps.shape[3], 1, 1 + height - maps.shape[2]), mode="replicate")
    line = torch.tensor([1.0, 3.0, 3.0, 1.0], device=maps.device) / 8.0
    channels = maps.shape[1]
    maps = functional.conv2d(maps, line.reshape(1, 1, 4, 1).expand(channels, 1, 4, 1), stride=(2, 1), groups=channels)
    return functional.conv2d(maps, line.reshape(1, 1, 1, 4).expand(channels, 1, 1, 4), stride=(1, 2), groups=channels)


class StyleGAN(Network):
    """Builder of generators and discriminators."""

    Config: ClassVar[type] = StyleGANConfig
    config: StyleGANConfig

    def build(self, input_space: gymnasium.Space[Any], output_space: gymnasium.Space[Any], rng: np.random.Generator) -> nn.Module:
        """Build a generator from noise [Z] to an image, or a discriminator from an image to one number."""
        config = self.config
        return built(
            input_space,
            output_space,
            lambda noise, classes, shape: Generator(config, noise, classes, shape, rng),
            lambda classes, shape: Discriminator(config, classes, shape, rng),
        )


def _widths(config: StyleGANConfig, count: int) -> list[int]:
    return [min(config.most, config.width * 2**number) for number in range(count)]


def _unit(numbers: Tensor) -> Tensor:
    """Return rows [B, Z] with a mean square of 1."""
    return numbers * torch.rsqrt(numbers.square().mean(dim=1, keepdim=True) + 1e-8)


def _rectified(numbers: Tensor) -> Tensor:
    return functional.leaky_relu(numbers, SLOPE) * GAIN
