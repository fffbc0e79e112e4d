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
    for name, summary, reference, attention in (
        ("resnet", "Residual network, under torchvision's names", "He et al., Deep residual learning for image recognition, 2016", "none"),
        (
            "se-resnet",
            "Residual network with squeeze-and-excitation: attention over channels",
            "Hu, Shen and Sun, Squeeze-and-excitation networks, 2018",
            "squeeze-excitation",
        ),
        (
            "cbam-resnet",
            "Residual network with attention over channels, then over places",
            "Woo et al., CBAM: convolutional block attention module, 2018",
            "cbam",
        ),
    ):
        yield NetworkSpec(
            name=name,
            target="cv_models.classify.resnet:ResNet",
            summary=summary,
            reference=reference,
            config={"attention": attention},
            fits=("image-input",),
            task="shapes-classification",
            agent="supervised",
            tiny={"depth": 10, "width": 4},
            tags=("vision", "classification", *(("attention",) if attention != "none" else ())),
        )
    yield NetworkSpec(
        name="lenet",
        target="cv_models.classify.lenet:LeNet",
        summary="LeNet-5, the convolutional network that read cheques",
        reference="LeCun, Bottou, Bengio and Haffner, Gradient-based learning applied to document recognition, 1998",
        fits=("image-input",),
        task="digits",
        agent="supervised",
        tags=("vision", "classification"),
    )
    yield NetworkSpec(
        name="torchvision",
        target="cv_models.classify.torchvision_classifier:TorchvisionClassifier",
        summary="Any of torchvision's classifiers: alexnet, vgg16, swin_t, convnext_tiny, ...",
        reference="The papers that torchvision names for each architecture",
        requires=("torchvision",),
        fits=("image-input",),
        task="shapes-classification",
        agent="supervised",
        tiny={"architecture": "squeezenet1_1"},
        tags=("vision", "classification"),
    )
