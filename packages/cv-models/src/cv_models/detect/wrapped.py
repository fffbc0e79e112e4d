"""Detectors of torchvision as modules with a loss of their own, and a small pyramid of maps for them to look at.

torchvision draws first weights and samples of proposals from torch's global generator. Here both are drawn from the module's seed and the
number of its updates, and the global generator is as before.

Letters: B pictures, S side, C channels, K classes, n objects.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, cast

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from cv_models.detect.convolutions import ConvNorm, SplitResidual
from cv_models.detect.objects import Objects, detected
from dl_nets.networks.spaces import UnitScale

BackboneName = Literal["small", "resnet18", "resnet34", "resnet50"]
LEVELS = ("0", "1", "2", "3")  # maps of the pyramid, of the strides 4, 8, 16 and 32
KEEPS_STATISTICS = (nn.modules.batchnorm._BatchNorm, nn.Dropout)


@contextmanager
def drawn_from(seed: int, device: torch.device) -> Iterator[None]:
    """Let torch's global generators draw from a seed, and be as they were afterwards.

    >>> before = torch.get_rng_state()
    >>> with drawn_from(3, torch.device("cpu")):
    ...     one = torch.rand(1)
    >>> with drawn_from(3, torch.device("cpu")):
    ...     other = torch.rand(1)
    >>> torch.equal(one, other), torch.equal(before, torch.get_rng_state())
    (True, True)
    """
    on_gpu = device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if on_gpu else []):
        torch.default_generator.manual_seed(seed)
        if on_gpu:
            torch.cuda.manual_seed(seed)
        yield


class Wrapped(nn.Module):
    """A detector of torchvision for square pictures.

    Args:
        detector: It returns losses while it learns, and detections otherwise; class 0 is background.
        space: Space of one picture [H, W, C], C 1 or 3.
        rng: Source of the seed.

    Attributes:
        no_graph: Why it has no graph; see `dl_nets.learning.export`.
        recorded_outputs: What the file of ONNX gives for one picture, in words; masks where it has them.
    """

    no_graph = "it looks at regions that it proposes itself, more of them on one picture than on another"

    def __init__(self, detector: nn.Module, space: spaces.Box, rng: np.random.Generator) -> None:
        super().__init__()
        self.detector, self.scale = detector, UnitScale(space)
        self.recorded_outputs = {
            "boxes": "of the objects, best first: left, top, right and bottom in pixels",
            "labels": "class of each",
            "scores": "probability of it",
        }
        if getattr(getattr(detector, "roi_heads", None), "mask_predictor", None) is not None:
            self.recorded_outputs["masks"] = "1 where the object is, else 0"
        self._seed, self._calls = int(rng.integers(2**31)), 0

    def training_loss(self, inputs: Tensor, targets: Mapping[str, Any], weights: Tensor | None = None) -> tuple[Tensor, dict[str, Any]]:
        """Return the sum [] of the detector's losses, each of them as a metric, and the number of objects of a picture.

        Raises:
            ValueError: if pictures are weighted.
        """
        if weights is not None:
            raise ValueError("this detector counts all pictures alike; leave out class weights")
        asked = Objects.of(targets)
        rows = []
        for index in range(len(inputs)):
            own = asked.picture == index
            row = {"boxes": asked.box[own], "labels": asked.label[own] + 1}
            rows.append(row if asked.mask is None else {**row, "masks": asked.mask[own].to(torch.uint8)})
        with self._learning(), drawn_from((self._seed * 0x9E3779B1 + self._calls * 0x85EBCA77) % 2**32, inputs.device):
            losses: dict[str, Tensor] = self.detector(self._pictures(inputs), rows)
        self._calls += int(self.training)
        names = {name: f"{name.removeprefix('loss_')}_loss" for name in losses}
        metrics = {names[name]: value.detach() for name, value in losses.items()}
        return torch.stack(list(losses.values())).sum(), {**metrics, "objects": len(asked.box) / max(1, len(inputs))}

    @torch.no_grad()
    def answers(self, inputs: Tensor) -> dict[str, Any]:
        """Return the detections on pictures [B, H, W, C], best first: rows of boxes in pixels, labels, scores, and masks if it has them."""
        learns = self.training
        found = self.eval().detector(self._pictures(inputs))
        self.train(learns)
        return detected([self._row(each) for each in found])

    def recorded_answers(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Return boxes [n, 4], labels [n], scores [n] and, if it has them, masks [n, H, W] of what is found on one picture [1, H, W, C]."""
        return tuple(self._row(self.detector(self._pictures(inputs))[0]))

    def _row(self, found: Mapping[str, Tensor]) -> list[Tensor]:
        row = [found["boxes"].float(), found["labels"] - 1, found["scores"].float()]
        return [*row, (found["masks"][:, 0] > 0.5).to(torch.uint8)] if "masks" in found else row

    def get_extra_state(self) -> Tensor:
        """Return the seed and the number of updates; torch saves it with the module."""
        return torch.tensor([self._seed, self._calls])

    def set_extra_state(self, state: Tensor) -> None:
        """Continue after the update that `state` names."""
        self._seed, self._calls = (int(number) for number in state)

    def _pictures(self, inputs: Tensor) -> list[Tensor]:
        maps = self.scale(inputs).permute(0, 3, 1, 2)
        return list(maps if maps.shape[1] == 3 else maps.expand(-1, 3, -1, -1))

    @contextmanager
    def _learning(self) -> Iterator[None]:
        """Let the detector compute losses; a module that does not learn keeps its statistics."""
        if self.training:
            yield
            return
        asleep = [module for module in self.detector.modules() if not isinstance(module, KEEPS_STATISTICS)]
        for module in asleep:
            module.training = True
        try:
            yield
        finally:
            for module in asleep:
                module.training = False


class SmallBackbone(nn.Module):
    """Four maps of the strides 4, 8, 16 and 32 with `width`, 2, 4 and 8 times as many channels.

    Args:
        width: Channels of the first map, a multiple of 2.
        rng: Source of the first weights.
    """

    def __init__(self, width: int, rng: np.random.Generator) -> None:
        super().__init__()
        self.channels = [width * 2**level for level in range(len(LEVELS))]
        self.stem = ConvNorm(3, width, 3, rng, 2)
        sizes = [width, *self.channels]
        self.stages = nn.ModuleList(
            nn.Sequential(ConvNorm(sizes[level], sizes[level + 1], 3, rng, 2), SplitResidual(sizes[level + 1], sizes[level + 1], 1, rng))
            for level in range(len(LEVELS))
        )

    def forward(self, maps: Tensor) -> OrderedDict[str, Tensor]:
        """Return the maps by name, the finest first, of pictures [B, 3, H, W]."""
        maps = self.stem(maps.contiguous(memory_format=torch.channels_last))
        found: OrderedDict[str, Tensor] = OrderedDict()
        for name, stage in zip(LEVELS, self.stages, strict=True):
            maps = stage(maps)
            found[name] = maps
        return found


class Pyramid(nn.Module):
    """A backbone with a feature pyramid on it: maps of the strides 4 to 64, all with as many channels.

    Source: Lin et al., *Feature pyramid networks for object detection*, 2017.

    Args:
        name: The backbone.
        width: Channels of the first map of the small backbone.
        channels: Channels of the pyramid.
        rng: Source of the small backbone's weights; torchvision's draw from the global generator.
    """

    def __init__(self, name: BackboneName, width: int, channels: int, rng: np.random.Generator) -> None:
        super().__init__()
        from torchvision.models import resnet
        from torchvision.models._utils import IntermediateLayerGetter
        from torchvision.ops.feature_pyramid_network import FeaturePyramidNetwork, LastLevelMaxPool

        if name == "small":
            self.body: nn.Module = SmallBackbone(width, rng)
            sizes = self.body.channels
        else:
            whole = getattr(resnet, name)(weights=None)
            self.body = IntermediateLayerGetter(whole, {f"layer{level + 1}": level_name for level, level_name in enumerate(LEVELS)})
            sizes = [whole.inplanes // 2**level for level in (3, 2, 1, 0)]
        self.fpn = FeaturePyramidNetwork(cast(list[int], sizes), channels, LastLevelMaxPool())
        self.out_channels = channels

    def forward(self, maps: Tensor) -> OrderedDict[str, Tensor]:
        """Return the pyramid's maps by name of pictures [B, 3, H, W]."""
        return cast("OrderedDict[str, Tensor]", self.fpn(self.body(maps)))
