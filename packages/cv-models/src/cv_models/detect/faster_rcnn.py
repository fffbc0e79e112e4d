"""Faster R-CNN and Mask R-CNN: a network proposes regions, a second one says what each is, a third draws its pixels.

Sources: Ren et al., *Faster R-CNN: towards real-time object detection with region proposal networks*, 2015; He et al., *Mask R-CNN*, 2017.
The detectors are torchvision's, without pretrained weights. Departures: sizes for small pictures (few channels, small anchor boxes, fewer
proposals), which the config sets; torchvision's own sizes are backbone resnet50, channels 256, hidden 1024, anchors 32 to 512.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from gymnasium import Space, spaces

from cv_models.detect.objects import detector_spaces
from cv_models.detect.wrapped import LEVELS, BackboneName, Pyramid, Wrapped, drawn_from
from rl_core.config import Count, Doc, Fraction, Meta, Positive, configclass
from rl_core.network import Network

RATIOS = (0.5, 1.0, 2.0)


@configclass
class FasterRcnnConfig:
    """Backbone, pyramid, anchor boxes, and how many proposals are looked at."""

    backbone: Annotated[BackboneName, Doc("small, resnet18, resnet34 or resnet50")] = "small"
    width: Annotated[int, Meta(ge=2, multiple_of=2), Doc("channels of the small backbone's first map")] = 32
    channels: Annotated[int, Meta(ge=4), Doc("channels of the pyramid")] = 64
    hidden: Annotated[Count, Doc("units of the two layers that look at a proposal")] = 256
    anchors: Annotated[tuple[Positive, ...], Doc("sides of the anchor boxes, pixels: one for each of the strides 4, 8, 16, 32, 64")] = (
        12.0,
        24.0,
        48.0,
        96.0,
        192.0,
    )
    proposals: Annotated[Count, Doc("most proposals of a picture that are looked at")] = 200
    samples: Annotated[Count, Doc("anchor boxes, and proposals, of a picture that are learned from in an update")] = 128
    least_score: Annotated[Fraction, Doc("detections with a lower score are left out")] = 0.05
    overlap: Annotated[Fraction, Doc("largest overlap of two detections of one class")] = 0.5
    most_detections: Annotated[Count, Doc("largest number of detections on a picture")] = 100

    def __post_init__(self) -> None:
        if len(self.anchors) != len(LEVELS) + 1:
            raise ValueError(f"anchors has {len(self.anchors)} sides; expected {len(LEVELS) + 1}, one for each map of the pyramid")


@configclass
class MaskRcnnConfig(FasterRcnnConfig):
    """As Faster R-CNN, and the layers that draw masks."""

    mask_layers: Annotated[Count, Doc("convolutions on the 14 x 14 pixels of a region, before the last two")] = 2
    most_detections: Annotated[Count, Doc("largest number of detections on a picture")] = 200


def common(config: FasterRcnnConfig, size: int) -> dict[str, Any]:
    """Return the arguments that both detectors of torchvision take."""
    from torchvision.models.detection.anchor_utils import AnchorGenerator

    return {
        "min_size": size,
        "max_size": size,
        "rpn_anchor_generator": AnchorGenerator(tuple((side,) for side in config.anchors), (RATIOS,) * len(config.anchors)),
        "rpn_pre_nms_top_n_train": 2 * config.proposals,
        "rpn_pre_nms_top_n_test": 2 * config.proposals,
        "rpn_post_nms_top_n_train": config.proposals,
        "rpn_post_nms_top_n_test": config.proposals,
        "rpn_batch_size_per_image": config.samples,
        "box_batch_size_per_image": config.samples,
        "box_score_thresh": config.least_score,
        "box_nms_thresh": config.overlap,
        "box_detections_per_img": config.most_detections,
    }


class FasterRcnn(Network):
    """Builder of Faster R-CNN detectors for square pictures."""

    Config: ClassVar[type] = FasterRcnnConfig
    config: FasterRcnnConfig
    own_loss: ClassVar[bool] = True

    def build(self, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator) -> Wrapped:
        """Return a detector.

        Raises:
            ValueError: if the inputs are not colour or grey pictures, or the answers not boxes.
        """
        picture, num_classes = detector_spaces(input_space, output_space, channels=(1, 3))
        from torchvision.models.detection.faster_rcnn import FasterRCNN, FastRCNNPredictor, TwoMLPHead

        config = self.config
        with drawn_from(int(rng.integers(2**31)), torch.device("cpu")):
            detector = FasterRCNN(
                Pyramid(config.backbone, config.width, config.channels, rng),
                box_head=TwoMLPHead(config.channels * 7**2, config.hidden),
                box_predictor=FastRCNNPredictor(config.hidden, num_classes + 1),
                **common(config, _side(picture)),
            )
        return Wrapped(detector, picture, rng)


class MaskRcnn(Network):
    """Builder of Mask R-CNN detectors for square pictures."""

    Config: ClassVar[type] = MaskRcnnConfig
    config: MaskRcnnConfig
    own_loss: ClassVar[bool] = True

    def build(self, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator) -> Wrapped:
        """Return a detector.

        Raises:
            ValueError: if the inputs are not colour or grey pictures, or the answers not instances.
        """
        picture, num_classes = detector_spaces(input_space, output_space, masks=True, channels=(1, 3))
        from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
        from torchvision.models.detection.mask_rcnn import MaskRCNN, MaskRCNNHeads, MaskRCNNPredictor

        config = self.config
        with drawn_from(int(rng.integers(2**31)), torch.device("cpu")):
            detector = MaskRCNN(
                Pyramid(config.backbone, config.width, config.channels, rng),
                box_head=TwoMLPHead(config.channels * 7**2, config.hidden),
                box_predictor=FastRCNNPredictor(config.hidden, num_classes + 1),
                mask_head=MaskRCNNHeads(config.channels, (config.channels,) * config.mask_layers, 1),
                mask_predictor=MaskRCNNPredictor(config.channels, config.channels, num_classes + 1),
                **common(config, _side(picture)),
            )
        return Wrapped(detector, picture, rng)


def _side(picture: spaces.Box) -> int:
    return int(max(picture.shape[:2]))
