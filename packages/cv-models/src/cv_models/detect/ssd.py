"""SSD: a single-stage detector with anchor boxes of several sizes and shapes on several maps.

Source: Liu et al., *SSD: single shot multibox detector*, 2016. The detector is torchvision's, without pretrained weights. Departures: the
maps are those of a small backbone, of the strides 8, 16, 32 and 64, unless the config asks for the paper's VGG-16.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from gymnasium import Space
from torch import Tensor, nn

from cv_models.detect.convolutions import ConvNorm
from cv_models.detect.objects import detector_spaces
from cv_models.detect.wrapped import SmallBackbone, Wrapped, drawn_from
from rl_core.config import Count, Doc, Fraction, Meta, configclass
from rl_core.network import Network

RATIOS = [[2, 3], [2, 3], [2, 3], [2]]  # of the anchor boxes on each map, beside squares of two sizes
VGG_RATIOS = [[2], [2, 3], [2, 3], [2, 3], [2], [2]]
VGG_SIDE = 256  # least side of the pictures of the paper's backbone


@configclass
class SsdConfig:
    """Backbone, and the range of the anchor boxes."""

    backbone: Annotated[Literal["small", "vgg16"], Doc("small, or the paper's vgg16, for pictures from 256 pixels")] = "small"
    width: Annotated[int, Meta(ge=2, multiple_of=2), Doc("channels of the small backbone's first map")] = 32
    least_box: Annotated[Fraction, Doc("side of the smallest anchor boxes, as a share of the picture's")] = 0.08
    largest_box: Annotated[Fraction, Doc("side of the largest anchor boxes, as a share of the picture's")] = 0.75
    least_score: Annotated[Fraction, Doc("detections with a lower score are left out")] = 0.01
    overlap: Annotated[Fraction, Doc("largest overlap of two detections of one class")] = 0.45
    most_detections: Annotated[Count, Doc("largest number of detections on a picture")] = 200

    def __post_init__(self) -> None:
        if self.least_box >= self.largest_box:
            raise ValueError(f"least_box is {self.least_box} and largest_box {self.largest_box}; the first must be smaller")


class SsdMaps(nn.Module):
    """The maps of the small backbone from the stride 8 on, and one more of the stride 64."""

    def __init__(self, width: int, rng: np.random.Generator) -> None:
        super().__init__()
        self.body = SmallBackbone(width, rng)
        self.last = ConvNorm(8 * width, 8 * width, 3, rng, 2)
        self.out_channels = [*self.body.channels[1:], 8 * width]

    def forward(self, maps: Tensor) -> OrderedDict[str, Tensor]:
        """Return the maps by name, the finest first, of pictures [B, 3, H, W]."""
        found = self.body(maps)
        found.pop("0")
        found["4"] = self.last(found["3"])
        return found


class SsdModule(Wrapped):
    """The module that `Ssd` builds."""

    no_graph = ""
    traced_outputs: Mapping[str, str] = {
        "answers": "of every anchor its box in pixels, left, top, right, bottom, and each class's probability; duplicates are in it"
    }

    def traced_answers(self, inputs: Tensor) -> Tensor:
        """Return the box in pixels and the probability of each class at every anchor [B, A, 4 + K], with duplicates: what is exported."""
        from torchvision.models.detection.image_list import ImageList

        detector: Any = self.detector
        maps = self.scale(inputs).permute(0, 3, 1, 2)
        normal = detector.transform.image_mean, detector.transform.image_std
        mean, deviation = (maps.new_tensor(values)[:, None, None] for values in normal)
        images = ((maps if maps.shape[1] == 3 else maps.expand(-1, 3, -1, -1)) - mean) / deviation
        features = list(detector.backbone(images).values())
        found = detector.head(features)
        height, width = images.shape[-2:]
        (anchors,) = detector.anchor_generator(ImageList(images[:1], [(height, width)]), [each[:1] for each in features])
        moved = found["bbox_regression"]
        boxes = detector.box_coder.decode_single(moved.flatten(0, 1), anchors.expand(moved.shape[0], -1, -1).flatten(0, 1)).view_as(moved)
        limit = boxes.new_tensor([width, height, width, height])
        return torch.cat([torch.minimum(boxes.clamp(min=0), limit), found["cls_logits"].softmax(-1)[..., 1:]], -1)


class Ssd(Network):
    """Builder of SSD detectors for square pictures."""

    Config: ClassVar[type] = SsdConfig
    config: SsdConfig
    own_loss: ClassVar[bool] = True

    def build(self, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator) -> SsdModule:
        """Return a detector.

        Raises:
            ValueError: if the inputs are not colour or grey pictures, are too small, or the answers are not boxes.
        """
        picture, num_classes = detector_spaces(input_space, output_space, channels=(1, 3))
        from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
        from torchvision.models.detection.ssd import SSD, _vgg_extractor
        from torchvision.models.vgg import vgg16

        config, (height, width) = self.config, picture.shape[:2]
        if config.backbone == "vgg16" and min(height, width) < VGG_SIDE:
            raise ValueError(
                f"the picture is {height} x {width}, and backbone vgg16 needs {VGG_SIDE} x {VGG_SIDE}; set network.backbone=small"
            )
        with drawn_from(int(rng.integers(2**31)), torch.device("cpu")):
            small = config.backbone == "small"
            body: nn.Module = SsdMaps(config.width, rng) if small else _vgg_extractor(vgg16(weights=None), False, 5)
            detector = SSD(
                body,
                DefaultBoxGenerator(RATIOS if small else VGG_RATIOS, min_ratio=config.least_box, max_ratio=config.largest_box),
                (height, width),
                num_classes + 1,
                score_thresh=config.least_score,
                nms_thresh=config.overlap,
                detections_per_img=config.most_detections,
                topk_candidates=2 * config.most_detections,
            )
        return SsdModule(detector, picture, rng)
