"""Modules that give each pixel a class: sizes, loss and answers, whatever network is inside.

Letters: B batch, C channels, K classes, H W image.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from gymnasium import Space, spaces
from torch import Tensor, nn
from torch.nn import functional

from cv_models.layers import Standardise
from cv_models.segment.losses import MapLoss, map_loss
from dl_nets.learning.losses import weighted_mean
from dl_nets.networks.spaces import UnitScale, image_shape
from rl_core.task import DataTask

FAINT = 0.01  # added to brightness, of a range of 1, before its logarithm: two or three of 255 grey levels
DARK = 1e-3  # added to an image's deviation, of a range of 1: noise of an empty image stays small
PIXELS_AT_ONCE = 2**20  # of the images that are answered together: more only cost memory


def map_shape(input_space: Space[Any], output_space: Space[Any]) -> tuple[int, int, int, int]:
    """Return height, width and channels of the images, and the number of classes of the maps.

    Raises:
        ValueError: unless the input is an image and the output a label map of its size.
    """
    height, width, channels = image_shape(input_space)
    if not isinstance(output_space, spaces.MultiDiscrete) or len(output_space.shape) != 2:
        raise ValueError(f"the output space is {output_space}; this network gives label maps, MultiDiscrete of shape [height, width]")
    if output_space.shape != (height, width):
        raise ValueError(f"the image is {height} x {width} and the map {output_space.shape}; this network gives maps of the image's size")
    if (output_space.nvec != output_space.nvec.flat[0]).any() or output_space.start.any():
        raise ValueError("the pixels of the map differ in their classes; this network needs the same classes from 0 for all pixels")
    return height, width, channels, int(output_space.nvec.flat[0])


def padding_to(height: int, width: int, multiple: int) -> tuple[int, int]:
    """Return how many rows and columns must be added for height and width to be multiples of a number.

    >>> padding_to(37, 64, 16)
    (11, 0)
    """
    return -height % multiple, -width % multiple


class MapSettings(Protocol):
    """The settings that all networks of label maps share."""

    @property
    def loss(self) -> MapLoss:
        """Name of the loss."""

    @property
    def reduction(self) -> int:
        """Images are averaged down by it first, and logits interpolated up by it."""

    @property
    def standardise(self) -> str:
        """`fixed`, `image`: by each image's own mean and deviation, or `log`: so by those of the logarithm of brightness."""


class MapModule(nn.Module):
    """A network inside the steps that all of them share: scaling, padding, loss, and the likeliest class of each pixel.

    Args:
        network: From images [B, C, H, W] to logits [B, K, H, W], for heights and widths that are multiples of `multiple`.
        input_space: Space of one image.
        settings: Loss, reduction and standardisation.
        multiple: Images of other sizes are padded by their border pixels, and the logits cut.
    """

    traced_outputs: Mapping[str, str] = {"answers": "the likeliest class of each pixel"}  # what is exported

    def __init__(self, network: nn.Module, input_space: Space[Any], settings: MapSettings, multiple: int = 1) -> None:
        super().__init__()
        self.scale, self.standardise = UnitScale(input_space), Standardise(image_shape(input_space)[2])
        self.network, self.loss_name = network, settings.loss
        self._multiple, self._reduction = multiple * settings.reduction, settings.reduction
        self._standardised = settings.standardise

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits [B, H, W, K] of images [B, H, W, C]."""
        return self.logits(inputs).permute(0, 2, 3, 1)

    def prepared(self, inputs: Tensor) -> Tensor:
        """Return images [B, H, W, C] as the network sees them [B, C, H', W'], standardised, padded and reduced."""
        height, width = inputs.shape[1:3]
        images: Tensor = self.scale(inputs)
        if self._standardised == "log":
            images = torch.log(images.clamp(min=0.0) + FAINT)
        if self._standardised != "fixed":
            deviation, mean = torch.std_mean(images, (1, 2, 3), keepdim=True)
            images = ((images - mean) / (deviation + DARK)).permute(0, 3, 1, 2)
        else:
            images = self.standardise(images)
        rows, columns = padding_to(height, width, self._multiple)
        if rows or columns:
            images = functional.pad(images, (0, columns, 0, rows), mode="replicate")
        return functional.avg_pool2d(images, self._reduction) if self._reduction > 1 else images

    def logits(self, inputs: Tensor) -> Tensor:
        """Return logits [B, K, H, W] of images [B, H, W, C]."""
        height, width = inputs.shape[1:3]
        result: Tensor = self.network(self.prepared(inputs))
        if self._reduction > 1:
            result = functional.interpolate(result, scale_factor=float(self._reduction), mode="bilinear", align_corners=False)
        return result[:, :, :height, :width]

    def training_loss(self, inputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the mean loss [] of images [B, H, W, C] and maps [B, H, W]."""
        return weighted_mean(map_loss(self.loss_name, self.logits(inputs).float(), targets), weights), {}

    def answers(self, inputs: Tensor) -> Tensor:
        """Return the likeliest class of each pixel [B, H, W]."""
        size = max(1, PIXELS_AT_ONCE // (inputs.shape[1] * inputs.shape[2]))
        return torch.cat([self.traced_answers(part) for part in inputs.split(size)])

    def traced_answers(self, inputs: Tensor) -> Tensor:
        """Return the likeliest class of each pixel [B, H, W] of all images at once: what is exported."""
        return self.logits(inputs).argmax(1)

    def attention_maps(self, inputs: Tensor) -> list[Tensor]:
        """Return the weights [B, H, W] in [0, 1] that each attention gate of the network gives to places, coarse to fine."""
        with_attention = getattr(self.network, "with_attention", None)
        if with_attention is None:
            return []
        prepared, (height, width) = self.prepared(inputs), inputs.shape[1:3]
        full = [side * self._reduction for side in prepared.shape[2:]]
        maps = with_attention(prepared)[1]
        return [functional.interpolate(each, full, mode="bilinear", align_corners=False)[:, 0, :height, :width] for each in maps]

    def draw(self, folder: Path, task: DataTask) -> None:
        """Write the weights of the attention gates for some test images, if the network has gates."""
        from cv_models.drawn_maps import draw_maps, shown_examples

        inputs = shown_examples(task, self.standardise.mean.device)
        maps = self.attention_maps(inputs)
        if maps:
            rows = [(f"gate {level + 1} of {len(maps)}", each, [""] * len(inputs)) for level, each in enumerate(maps)]
            draw_maps(inputs, rows, folder / "attention.png", "weights of the attention gates, coarse to fine")
