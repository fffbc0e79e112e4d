"""Specs of the networks that classify pictures."""

from __future__ import annotations

from collections.abc import Iterator

from rl_core.api import NetworkSpec


def networks() -> Iterator[NetworkSpec]:
    """Yield the networks."""
    yield NetworkSpec(
        name="vit",
        target="cv_models.classify.vit:ViT",
        summary="Vision transformer: an encoder on the sequence of an image's patches",
        reference="Dosovitskiy et al., An image is worth 16x16 words: transformers for image recognition at scale, 2021",
        fits=("image-input",),
        task="digits",
        agent="supervised",
        tiny={"width": 8, "depth": 1, "num_heads": 2},
        tags=("vision", "transformer", "attention"),
    )
