"""Specs of the networks that give each pixel a class."""

from __future__ import annotations

from collections.abc import Iterator

from rl_core.api import NetworkSpec

FITS = ("data image-input map-output",)


def networks() -> Iterator[NetworkSpec]:
    """Yield the networks."""
    yield NetworkSpec(
        name="unet",
        target="cv_models.segment.unet:UNet",
        summary="U-Net: down to coarse features and up again, with skip connections",
        reference="Ronneberger, Fischer and Brox, U-Net: convolutional networks for biomedical image segmentation, 2015",
        fits=FITS,
        task="shapes-segmentation",
        agent="supervised",
        tiny={"channels": (4, 6)},
        tags=("vision", "segmentation"),
    )
    yield NetworkSpec(
        name="attention-unet",
        target="cv_models.segment.unet:UNet",
        summary="U-Net whose skip connections are weighted by attention gates",
        reference="Oktay et al., Attention U-Net: learning where to look for the pancreas, 2018",
        config={"gates": True},
        fits=FITS,
        task="shapes-segmentation",
        agent="supervised",
        tiny={"channels": (4, 6)},
        tags=("vision", "segmentation", "attention"),
    )
    for name, summary, reference in (
        ("fcn", "Fully convolutional network (torchvision's)", "Long, Shelhamer and Darrell, Fully convolutional networks, 2015"),
        (
            "deeplabv3",
            "Atrous convolutions of several rates (torchvision's DeepLabV3)",
            "Chen et al., Rethinking atrous convolution for semantic image segmentation, 2017",
        ),
    ):
        yield NetworkSpec(
            name=name,
            target="cv_models.segment.torchvision_maps:TorchvisionMaps",
            summary=summary,
            reference=reference,
            requires=("torchvision",),
            config={"model": name},
            fits=FITS,
            task="shapes-segmentation",
            agent="supervised",
            tiny={"width": 0.1, "output_stride": 32},
            tags=("vision", "segmentation"),
        )
