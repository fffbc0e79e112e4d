"""Convolutions whose first weights come from a NumPy generator, and torchvision's modules built from one.

Torchvision's constructors, dropout and stochastic depth draw from torch's global generator; here they do not.

Letters: B batch, C channels, H W image.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar, cast

import numpy as np
import torch
from torch import Tensor, nn

from dl_nets.networks.layers import Dropout

IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of red, green and blue in [0, 1]

LARGE = 128  # pixels: from this side on, forward passes are faster channels-last
MOMENTUM = 0.1  # at least, of the statistics of torchvision's batch normalisation

_Module = TypeVar("_Module", bound=nn.Module)


def conv(
    channels_in: int,
    channels_out: int,
    kernel: int,
    rng: np.random.Generator,
    *,
    stride: int = 1,
    padding: int | None = None,
    bias: bool = False,
    transposed: bool = False,
) -> nn.Conv2d:
    """Return a convolution on [B, C, H, W] with weights from N(0, 2 / F), F what one number of the output sums over; biases are 0.

    Args:
        channels_in: C of the input.
        channels_out: C of the output.
        kernel: Height and width of the filters.
        rng: Source of the weights.
        stride: Step of the filters.
        padding: Border of zeros; by default half the kernel, which keeps the size at stride 1.
        bias: Whether a number is added to each channel; not needed in front of a normalisation.
        transposed: Whether the output is larger than the input by the stride, as in upsampling.

    Source: He et al., *Delving deep into rectifiers*, 2015, equation 10.
    """
    border = kernel // 2 if padding is None else padding
    kind = nn.ConvTranspose2d if transposed else nn.Conv2d
    layer = kind(channels_in, channels_out, kernel, stride=stride, padding=0 if transposed else border, bias=bias, device="meta")
    fan_in = channels_in * (max(1, kernel // stride) ** 2 if transposed else kernel**2)
    weights = rng.standard_normal(tuple(layer.weight.shape), dtype=np.float32) * np.float32(math.sqrt(2.0 / fan_in))
    layer.weight = nn.Parameter(torch.from_numpy(weights))
    if bias:
        layer.bias = nn.Parameter(torch.zeros(channels_out))
    return cast(nn.Conv2d, layer)


class Standardise(nn.Module):
    """Images [B, H, W, C] in [0, 1] as [B, C, H, W], less the mean and over the deviation: ImageNet's of three channels, else 1/2 and 1/4.

    The result is in torch's channels-last layout: its numbers are not moved.

    Args:
        channels: C.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        mean, deviation = (IMAGENET_MEAN, IMAGENET_DEVIATION) if channels == 3 else ((0.5,) * channels, (0.25,) * channels)
        self.register_buffer("mean", torch.tensor(mean), persistent=False)
        self.register_buffer("deviation", torch.tensor(deviation), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return standardised images [B, C, H, W]."""
        return ((images - self.mean) / self.deviation).permute(0, 3, 1, 2)


def laid_out(images: Tensor, *, training: bool) -> Tensor:
    """Return images [B, C, H, W] in the layout in which a residual network is fastest on a processor.

    Steps, and forward passes on small images, are up to a third faster in torch's default layout: its convolutions rearrange their weights
    for each batch in the other. Forward passes on images from 128 pixels on are a fifth faster channels-last.
    """
    return images.contiguous() if training or min(images.shape[2:]) < LARGE else images


class StochasticDepth(Dropout):
    """Sets all numbers of an example to 0 with probability `rate` while training, and scales the others by 1 / (1 - rate).

    Source: Huang et al., *Deep networks with stochastic depth*, 2016.

    Args:
        rate: Probability that an example passes the branch by, in [0, 1).
        rng: Source of the seed.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """Return inputs [B, ...], some examples of which are 0 while training."""
        if not (self.training and self.rate):
            return inputs
        return inputs * super().forward(torch.ones(len(inputs), *[1] * (inputs.ndim - 1), device=inputs.device))


def torchvisions(build: Callable[[], _Module], rng: np.random.Generator) -> _Module:
    """Return a module of torchvision, with first weights from `rng` and with dropout that keeps its own generator.

    The statistics of batch normalisation move by a tenth a batch at least, as suits training from the first weights.

    Args:
        build: Constructor of the module; it may draw from torch's global generator, whose state is put back.
        rng: Source of the seeds.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**63)))
        module = build()
    for name, child in list(module.named_modules()):
        if isinstance(child, nn.Dropout):
            _replace(module, name, Dropout(child.p, rng))
        elif type(child).__name__ == "StochasticDepth":
            _replace(module, name, StochasticDepth(cast(float, child.p), rng))
        elif isinstance(child, nn.BatchNorm2d):
            child.momentum = max(MOMENTUM, child.momentum or 0.0)
    return module


def _replace(module: nn.Module, name: str, child: nn.Module) -> None:
    parent, _, attribute = name.rpartition(".")
    setattr(module.get_submodule(parent), attribute, child)
