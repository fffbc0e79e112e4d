"""Specs of the networks that find objects."""

from __future__ import annotations

from collections.abc import Iterator

from rl_core.api import NetworkSpec


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
