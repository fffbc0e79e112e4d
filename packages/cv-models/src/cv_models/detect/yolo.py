"""YOLO: a single-stage detector without anchor boxes, with a decoupled head.

Sources: Redmon et al., *You only look once*, 2016 (one pass); Ge et al., *YOLOX*, 2021 (points instead of anchor boxes, decoupled head);
Li et al., *Generalized focal loss*, 2020 (distances as distributions); Feng et al., *TOOD*, 2021 (assignment); Liu et al., *Path
aggregation network*, 2018 (neck); Bochkovskiy et al., *YOLOv4*, 2020 (mosaic). The shape is the published one of the eighth version:
with the width 0.25, the depth 1/3 and 80 classes it has 3,157,200 parameters, as published. Written from these papers alone.

Departures: no objectness and no weight decay of its own; losses are per picture, not multiplied by the batch size.

A point (x, y) in the middle of each cell of three maps, of the strides s = 8, 16 and 32, predicts the distances d to the sides of its
object, box = (x - s d_left, y - s d_top, x + s d_right, y + s d_bottom), and a score of each class.

Letters: B pictures, A points, K classes, R bins of a distance, s stride.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from gymnasium import Space, spaces
from torch import Tensor, nn
from torch.nn import functional

from cv_models.detect.assigner import assign
from cv_models.detect.boxes import complete_iou, suppress
from cv_models.detect.convolutions import ConvNorm, PyramidPooling, SplitResidual
from cv_models.detect.objects import Objects, detected, detector_spaces
from cv_models.detect.yolo_loss import class_loss, corners, distances_to, distribution_focal_loss, expected_distances
from dl_nets.networks.initialisation import conv2d
from dl_nets.networks.spaces import UnitScale
from rl_core.config import Count, Doc, Fraction, Meta, NonNegative, Positive, configclass
from rl_core.network import Network

STRIDES = (8, 16, 32)
MOST_CANDIDATES = 2000  # of a picture that go into the suppression of duplicates
USUAL_OBJECTS = 5.0  # on a picture of 640 x 640: the first scores are as rare as they
WIDEST = 1024  # channels at width 1


@configclass
class YoloConfig:
    """Width and depth, what is asked of a detection, and the weights of the losses. Nano is width 0.25, depth 1/3; small is width 0.5."""

    width: Annotated[Positive, Doc("multiple of the channels 64, 128, 256, 512, 1024 of the five stages, rounded to 8")] = 0.25
    depth: Annotated[Positive, Doc("multiple of the residual blocks 3, 6, 6, 3 of the stages, rounded, at least 1")] = 1 / 3
    bins: Annotated[int, Meta(ge=4, le=64), Doc("R, values of a distance: 0 to R - 1 strides")] = 16
    box_weight: Annotated[NonNegative, Doc("factor of the loss of boxes")] = 7.5
    class_weight: Annotated[NonNegative, Doc("factor of the loss of classes")] = 0.5
    distance_weight: Annotated[NonNegative, Doc("factor of the loss of the distances' distributions")] = 1.5
    least_score: Annotated[Fraction, Doc("detections with a lower score are left out")] = 0.001
    overlap: Annotated[Fraction, Doc("largest overlap of two detections of one class")] = 0.7
    most_detections: Annotated[Count, Doc("largest number of detections on a picture")] = 300


class YoloModule(nn.Module):
    """The module that `Yolo` builds.

    Args:
        config: Config of the network.
        space: Space of one picture [H, W, C].
        num_classes: K.
        rng: Source of the first weights.
    """

    traced_outputs: Mapping[str, str] = {
        "answers": "of every point its box in pixels, left, top, right, bottom, and each class's probability; duplicates are in it"
    }
    points: Tensor
    strides: Tensor

    def __init__(self, config: YoloConfig, space: spaces.Box, num_classes: int, rng: np.random.Generator) -> None:
        super().__init__()
        self.config, self.num_classes = config, num_classes
        height, width, channels = space.shape
        self.scale, self.height, self.width = UnitScale(space), height, width
        self.padding = (0, -width % STRIDES[-1], 0, -height % STRIDES[-1])  # on the right and below
        c1, c2, c3, c4, c5 = (max(8, round(config.width * WIDEST / 2**power / 8) * 8) for power in (4, 3, 2, 1, 0))
        short, long = max(1, round(3 * config.depth)), max(1, round(6 * config.depth))
        self.stem = ConvNorm(channels, c1, 3, rng, 2)
        self.stage2 = nn.Sequential(ConvNorm(c1, c2, 3, rng, 2), SplitResidual(c2, c2, short, rng))
        self.stage3 = nn.Sequential(ConvNorm(c2, c3, 3, rng, 2), SplitResidual(c3, c3, long, rng))
        self.stage4 = nn.Sequential(ConvNorm(c3, c4, 3, rng, 2), SplitResidual(c4, c4, long, rng))
        self.stage5 = nn.Sequential(ConvNorm(c4, c5, 3, rng, 2), SplitResidual(c5, c5, short, rng), PyramidPooling(c5, rng))
        self.up4 = SplitResidual(c5 + c4, c4, short, rng, shortcut=False)
        self.up3 = SplitResidual(c4 + c3, c3, short, rng, shortcut=False)
        self.down3, self.down4 = ConvNorm(c3, c3, 3, rng, 2), ConvNorm(c4, c4, 3, rng, 2)
        self.out4 = SplitResidual(c3 + c4, c4, short, rng, shortcut=False)
        self.out5 = SplitResidual(c4 + c5, c5, short, rng, shortcut=False)
        box_channels, class_channels = max(16, c3 // 4, 4 * config.bins), max(c3, min(num_classes, 100))
        self.box_heads = nn.ModuleList(_head(level, box_channels, 4 * config.bins, rng) for level in (c3, c4, c5))
        self.class_heads = nn.ModuleList(_head(level, class_channels, num_classes, rng) for level in (c3, c4, c5))
        self._first_biases()
        self.bins = nn.Parameter(torch.arange(float(config.bins)), requires_grad=False)  # values of a distance
        points, strides = grid(height + self.padding[3], width + self.padding[1])
        self.register_buffer("points", points, persistent=False)  # follow from the size of the picture
        self.register_buffer("strides", strides, persistent=False)

    def _first_biases(self) -> None:
        """Begin with scores as rare as objects are, so that the first losses are not those of thousands of false detections."""
        for box_head, class_head, stride in zip(self.box_heads, self.class_heads, STRIDES, strict=True):
            for head, value in ((box_head, 1.0), (class_head, math.log(USUAL_OBJECTS / self.num_classes / (640 / stride) ** 2))):
                assert isinstance(head, nn.Sequential)
                last = head[-1]
                assert isinstance(last, nn.Conv2d)
                assert last.bias is not None
                last.bias.data.fill_(value)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the logits of distances and classes [B, A, 4 R + K] of pictures [B, H, W, C], the points of stride 8 first."""
        maps = self.scale(inputs).permute(0, 3, 1, 2)  # [B, C, H, W] by strides alone: torch's channels-last layout
        if any(self.padding):
            maps = functional.pad(maps, self.padding)
        p3 = self.stage3(self.stage2(self.stem(maps)))
        p4 = self.stage4(p3)
        p5 = self.stage5(p4)
        n4 = self.up4(torch.cat([_doubled(p5), p4], 1))
        n3 = self.up3(torch.cat([_doubled(n4), p3], 1))
        n4 = self.out4(torch.cat([self.down3(n3), n4], 1))
        n5 = self.out5(torch.cat([self.down4(n4), p5], 1))
        levels = [
            torch.cat([boxes(level), classes(level)], 1).flatten(2)
            for level, boxes, classes in zip((n3, n4, n5), self.box_heads, self.class_heads, strict=True)
        ]
        return torch.cat(levels, 2).transpose(1, 2)

    def training_loss(self, inputs: Tensor, targets: Mapping[str, Any], weights: Tensor | None = None) -> tuple[Tensor, dict[str, Any]]:
        """Return the loss [] of pictures [B, H, W, C], the positives of a picture, and the highest score.

        L = box_weight sum_p w_p (1 - CIoU) / N + class_weight sum BCE / N + distance_weight sum_p w_p DFL / N over the chosen points p with
        their weights w_p, the classes' loss over all points, and N = max(sum_p w_p, 1).
        """
        raw = self(inputs).float()
        distances, logits = raw.split([raw.shape[-1] - self.num_classes, self.num_classes], -1)
        boxes = corners(self.points, expected_distances(distances, self.bins), self.strides)
        scores = logits.detach().sigmoid()
        asked = Objects.of(targets)
        chosen = assign(scores, boxes.detach(), self.points, asked.picture, asked.box, asked.label)
        weight = chosen.weight if weights is None else chosen.weight * weights[chosen.picture]
        wanted = torch.zeros_like(logits)
        wanted[chosen.picture, chosen.point, asked.label[chosen.object]] = chosen.weight.to(wanted.dtype)
        of_classes = class_loss(logits, wanted)
        total = weight.sum().clamp(min=1.0)
        own, stride = asked.box[chosen.object], self.strides[chosen.point]
        picked = distances[chosen.picture, chosen.point]
        of_boxes = weight * (1 - complete_iou(boxes[chosen.picture, chosen.point] / stride[:, None], own / stride[:, None]))
        of_distances = weight * distribution_focal_loss(picked, distances_to(self.points[chosen.point], own, stride))
        parts = {
            "box_loss": self.config.box_weight * of_boxes.sum() / total,
            "class_loss": self.config.class_weight * (of_classes if weights is None else of_classes * weights).sum() / total,
            "distance_loss": self.config.distance_weight * of_distances.sum() / total,
        }
        metrics = {name: value.detach() for name, value in parts.items()}
        found = {"positives": len(chosen.point) / max(len(inputs), 1), "highest_score": scores.max()}
        return torch.stack(list(parts.values())).sum(), {**metrics, **found}

    def traced_answers(self, inputs: Tensor) -> Tensor:
        """Return the box in pixels and the probability of each class at every point [B, A, 4 + K], with duplicates: what is exported."""
        raw = self(inputs).float()
        distances, logits = raw.split([raw.shape[-1] - self.num_classes, self.num_classes], -1)
        boxes = corners(self.points, expected_distances(distances, self.bins), self.strides)
        limit = boxes.new_tensor([self.width, self.height, self.width, self.height])
        return torch.cat([torch.minimum(boxes.clamp(min=0), limit), logits.sigmoid()], -1)

    @torch.no_grad()
    def answers(self, inputs: Tensor) -> dict[str, Any]:
        """Return the detections on pictures [B, H, W, C], best first: rows of boxes in pixels, labels and scores."""
        boxes, scores = self.traced_answers(inputs).split([4, self.num_classes], -1)
        return detected([self._best(*row) for row in zip(boxes, scores, strict=True)])

    def _best(self, boxes: Tensor, scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return boxes, labels and scores of one picture, without duplicates."""
        point, label = (scores > self.config.least_score).nonzero(as_tuple=True)
        values = scores[point, label]
        if len(values) > MOST_CANDIDATES:
            values, order = values.topk(MOST_CANDIDATES)
            point, label = point[order], label[order]
        kept = suppress(boxes[point], values, label, self.config.overlap, self.config.most_detections)
        return boxes[point][kept], label[kept], values[kept]


def grid(height: int, width: int) -> tuple[Tensor, Tensor]:
    """Return the points [A, 2], (x, y) in pixels, and their strides [A], of a picture whose sides are multiples of 32.

    >>> points, strides = grid(32, 64)
    >>> points[:2].tolist(), len(points), strides[[0, -1]].tolist()
    ([[4.0, 4.0], [12.0, 4.0]], 42, [8.0, 32.0])
    """
    points, strides = [], []
    for stride in STRIDES:
        y, x = torch.meshgrid(torch.arange(height // stride), torch.arange(width // stride), indexing="ij")
        points.append((torch.stack([x, y], -1).reshape(-1, 2) + 0.5) * stride)
        strides.append(torch.full((y.numel(),), float(stride)))
    return torch.cat(points), torch.cat(strides)


class Yolo(Network):
    """Builder of YOLO detectors for pictures [H, W, C] of any size."""

    Config: ClassVar[type] = YoloConfig
    config: YoloConfig
    own_loss: ClassVar[bool] = True

    def build(self, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator) -> YoloModule:
        """Return a detector.

        Raises:
            ValueError: if the inputs are not pictures, or the answers not boxes.
        """
        picture, num_classes = detector_spaces(input_space, output_space)
        return YoloModule(self.config, picture, num_classes, rng)


def _head(channels: int, inner: int, outputs: int, rng: np.random.Generator) -> nn.Sequential:
    last = conv2d(inner, outputs, 1, rng, init="uniform")
    return nn.Sequential(ConvNorm(channels, inner, 3, rng), ConvNorm(inner, inner, 3, rng), last)


def _doubled(maps: Tensor) -> Tensor:
    return functional.interpolate(maps, scale_factor=2, mode="nearest")
