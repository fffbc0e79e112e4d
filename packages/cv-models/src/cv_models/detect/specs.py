"""Specs of the networks that find objects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rl_core.api import NetworkSpec

REN = "Ren et al., Faster R-CNN: towards real-time object detection with region proposal networks, 2015"
HE = "He et al., Mask R-CNN, 2017"
LIU = "Liu et al., SSD: single shot multibox detector, 2016"
SMALL: dict[str, Any] = {"width": 4, "channels": 8, "hidden": 8, "proposals": 16, "samples": 16, "most_detections": 8}
TINY: dict[str, dict[str, Any]] = {
    "faster-rcnn": SMALL,
    "mask-rcnn": {**SMALL, "mask_layers": 1},
    "ssd": {"width": 4, "most_detections": 8},
}


def networks() -> Iterator[NetworkSpec]:
    """Yield the networks."""
    for name, config, summary in (
        ("yolo", {}, "One pass, points instead of anchor boxes: the nano shape"),
        ("yolo-small", {"width": 0.5}, "One pass, points instead of anchor boxes: the small shape"),
    ):
        yield NetworkSpec(
            name=name,
            target="cv_models.detect.yolo:Yolo",
            summary=summary,
            reference="Redmon et al., You only look once, 2016; Ge et al., YOLOX, 2021; Li et al., Generalized focal loss, 2020",
            config=config,
            fits=("data image-input boxes-output",),
            task="shapes-detection",
            agent="supervised",
            tiny={"width": 0.0625, "depth": 0.1},
            tags=("vision", "detection"),
        )
    for name, target, fits, summary, reference in (
        ("faster-rcnn", "faster_rcnn:FasterRcnn", "boxes", "Regions are proposed, then looked at: torchvision's", REN),
        ("mask-rcnn", "faster_rcnn:MaskRcnn", "instances", "Faster R-CNN that draws each object's mask: torchvision's", HE),
        ("ssd", "ssd:Ssd", "boxes", "One pass, anchor boxes of many shapes on several maps: torchvision's", LIU),
    ):
        yield NetworkSpec(
            name=name,
            target=f"cv_models.detect.{target}",
            summary=summary,
            reference=reference,
            fits=(f"data image-input {fits}-output",),
            task="shapes-detection" if fits == "boxes" else "shapes-instances",
            agent="supervised",
            tiny=TINY[name],
            tags=("vision", "detection" if fits == "boxes" else "instance segmentation"),
        )
    yield NetworkSpec(
        name="detr",
        target="cv_models.detect.detr:Detr",
        summary="A transformer that asks for all objects at once: that of transformers",
        reference="Carion et al., End-to-end object detection with transformers, 2020",
        requires=("transformers", "scipy"),
        extra="cv-models[detr]",
        fits=("data image-input boxes-output",),
        task="shapes-detection",
        agent="supervised",
        tiny={"backbone_width": 4, "width": 8, "num_heads": 1, "depth": 1, "hidden": 8, "num_queries": 4},
        tags=("vision", "detection", "transformer"),
    )
