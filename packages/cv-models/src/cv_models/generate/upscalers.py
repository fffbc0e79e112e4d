"""Networks of super-resolution: SRCNN, ESPCN and SRResNet, on luma.

Each adds to the bicubic interpolation of a picture the difference that it has learned, so that it begins at the score of bicubic. Luma
alone is learned; the difference in luma is added to red, green and blue alike, which leaves the colour differences as bicubic has them.

Sources: `srcnn`: Dong et al., *Image super-resolution using deep convolutional networks*, 2016, 9-1-5; `espcn`: Shi et al., *Real-time
single image and video super-resolution using an efficient sub-pixel convolutional neural network*, 2016; `srresnet`: Ledig et al.,
*Photo-realistic single image super-resolution using a generative adversarial network*, 2017, without batch normalisation as in Lim et al.,
*Enhanced deep residual networks for single image super-resolution*, 2017. Departures: the difference to bicubic (Kim et al. 2016) for all
three, smaller defaults.

The learner is `supervised`. Letters: B batch, H W small picture, s scale.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn
from torch.nn import functional

from cv_models.classify.attention import CBAM, SqueezeExcitation
from cv_models.generate.fidelity import BLACK, BLUE, GREEN, RED, SPAN
from cv_models.layers import conv
from dl_nets.learning.losses import weighted_mean
from rl_core.config import Count, Doc, configclass
from rl_core.network import Network

Body = Literal["srcnn", "espcn", "srresnet"]
AT_ONCE = 4_000_000  # numbers of the largest map in one call, about


@configclass
class UpscalerConfig:
    """Settings of an upscaler."""

    body: Annotated[Body, Doc("layers between the small picture and the difference")] = "espcn"
    width: Annotated[Count, Doc("channels of the maps")] = 64
    blocks: Annotated[Count, Doc("residual blocks of srresnet")] = 4
    attention: Annotated[Literal["none", "squeeze-excitation", "cbam"], Doc("at the end of each residual block of srresnet")] = "none"
    loss: Annotated[Literal["squared-error", "absolute-error"], Doc("of luma")] = "squared-error"


class Residual(nn.Module):
    """Two convolutions, attention where it is wanted, and the input added."""

    def __init__(self, width: int, attention: str, rng: np.random.Generator) -> None:
        super().__init__()
        self.first, self.second = conv(width, width, 3, rng, bias=True), conv(width, width, 3, rng, bias=True)
        kinds: dict[str, Any] = {"none": lambda *_: nn.Identity(), "squeeze-excitation": SqueezeExcitation, "cbam": CBAM}
        self.attention = kinds[attention](width, rng)
        with torch.no_grad():
            self.second.weight.mul_(0.1)

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps [B, width, H, W]."""
        changed: Tensor = self.attention(self.second(torch.relu(self.first(maps))))
        return maps + changed


class UpscalerModule(nn.Module):
    """The module that `Upscaler` builds: from small pictures of any size, bytes, to large ones.

    Args:
        config: As the network's.
        scale: s.
        channels: Of the pictures, 1 or 3.
        rng: Source of the weights.
    """

    weights: Tensor
    traced_outputs: Mapping[str, str] = {"answers": "large pictures, bytes"}

    def __init__(self, config: UpscalerConfig, scale: int, channels: int, rng: np.random.Generator) -> None:
        super().__init__()
        self._scale, self._large_inputs, self._loss, width = scale, config.body == "srcnn", config.loss, config.width
        if config.body == "srcnn":
            layers: list[nn.Module] = [
                conv(1, width, 9, rng, bias=True),
                nn.ReLU(),
                conv(width, width // 2 or 1, 1, rng, bias=True),
                nn.ReLU(),
            ]
            last = conv(width // 2 or 1, 1, 5, rng, bias=True)
        elif config.body == "espcn":
            layers = [conv(1, width, 5, rng, bias=True), nn.Tanh(), conv(width, width // 2 or 1, 3, rng, bias=True), nn.Tanh()]
            last = conv(width // 2 or 1, scale**2, 3, rng, bias=True)
        else:
            layers = [conv(1, width, 3, rng, bias=True), *(Residual(width, config.attention, rng) for _ in range(config.blocks))]
            if scale == 4:  # twice by 2, as in the paper
                layers += [conv(width, 4 * width, 3, rng, bias=True), nn.PixelShuffle(2), nn.ReLU()]
            last = conv(width, 4 if scale == 4 else scale**2, 3, rng, bias=True)
        with torch.no_grad():
            last.weight.mul_(0.1)
        shuffle = nn.Identity() if config.body == "srcnn" else nn.PixelShuffle(2 if config.body == "srresnet" and scale == 4 else scale)
        self.layers = nn.Sequential(*layers, last, shuffle)
        weights = torch.tensor([RED, GREEN, BLUE]) / SPAN if channels == 3 else torch.ones(1)
        self._black, self._gain = (BLACK / SPAN, SPAN / (RED + GREEN + BLUE)) if channels == 3 else (0.0, 1.0)
        self.register_buffer("weights", weights, persistent=False)

    def luma(self, pictures: Tensor) -> Tensor:
        """Return luma [B, 1, H, W], in [0, 1], of bytes [B, H, W, C]."""
        return (self._black + (pictures.float() / SPAN) @ self.weights)[:, None]

    def large_luma(self, small: Tensor) -> Tensor:
        """Return luma [B, 1, s H, s W] of small pictures [B, H, W, C], bytes."""
        given = self.luma(small)
        base = self._bicubic(given)
        difference: Tensor = self.layers((base if self._large_inputs else given) - 0.5)
        return base + difference

    def training_loss(self, inputs: Any, targets: Any, weights: Tensor | None = None) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the mean error [] of luma in [0, 1] of large pictures [B, s H, s W, C]."""
        error = self.large_luma(inputs) - self.luma(targets)
        losses = error.abs() if self._loss == "absolute-error" else error.square()
        return weighted_mean(losses.flatten(1).mean(1), weights), {}

    def answers(self, inputs: Any) -> Tensor:
        """Return large pictures [B, s H, s W, C], bytes."""
        rows = max(1, AT_ONCE // (64 * inputs.shape[1] * inputs.shape[2] * (self._scale**2 if self._large_inputs else 1)))
        return torch.cat([self.traced_answers(part) for part in inputs.split(rows)])

    def forward(self, inputs: Any) -> Tensor:
        """Return large pictures [B, s H, s W, C], bytes."""
        return self.answers(inputs)

    def traced_answers(self, small: Tensor) -> Tensor:
        """Return large pictures [B, s H, s W, C], bytes, of all small ones [B, H, W, C] at once: what is exported."""
        given = self.luma(small)
        difference = self.large_luma(small) - self._bicubic(given)
        large = self._bicubic(small.float().permute(0, 3, 1, 2)) + SPAN * self._gain * difference
        return torch.clamp(torch.round(large), 0.0, SPAN).to(torch.uint8).permute(0, 2, 3, 1)

    def _bicubic(self, maps: Tensor) -> Tensor:
        size = [side * self._scale for side in maps.shape[2:]]
        return functional.interpolate(maps, size=size, mode="bicubic", antialias=True)


class Upscaler(Network):
    """Builder of upscalers."""

    Config: ClassVar[type] = UpscalerConfig
    config: UpscalerConfig
    own_loss = True

    def build(self, input_space: gymnasium.Space[Any], output_space: gymnasium.Space[Any], rng: np.random.Generator) -> UpscalerModule:
        """Build one from pictures to pictures whose sides are 2, 3 or 4 times as long.

        Raises:
            ValueError: if the spaces are not such pictures.
        """
        shapes = []
        for space in (input_space, output_space):
            if not isinstance(space, spaces.Box) or len(space.shape) != 3 or space.dtype != np.uint8 or space.shape[2] not in (1, 3):
                raise ValueError(
                    f"the space is {space}; expected pictures of bytes [height, width, 1 or 3], as the super-resolution tasks have"
                )
            shapes.append(space.shape)
        (height, width, channels), large = shapes
        scale = large[0] // height
        if large != (height * scale, width * scale, channels) or scale not in (2, 3, 4):
            raise ValueError(
                f"inputs are {height} x {width} and outputs {large[0]} x {large[1]}; expected 2, 3 or 4 times the height and width"
            )
        return UpscalerModule(self.config, scale, channels, rng)
