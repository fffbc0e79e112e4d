"""Torchvision's networks for label maps: FCN and DeepLabV3, on a MobileNetV3 or a ResNet.

Source: Long, Shelhamer and Darrell, *Fully convolutional networks for semantic segmentation*, 2015; Chen et al., *Rethinking atrous
convolution for semantic image segmentation*, 2017; Howard et al., *Searching for MobileNetV3*, 2019. Departures: as torchvision's, the
last stages of the backbone use atrous convolutions instead of strides, also in a MobileNet from the output stride of 8 on; the statistics
of batch normalisation move by a tenth a batch, as suits training from the first weights. Grey images are repeated in three channels.

Letters: B batch, C channels, K classes, H W image.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, cast

import numpy as np
from gymnasium import Space
from torch import Tensor, nn

from cv_models.layers import torchvisions
from cv_models.segment.losses import MapLoss
from cv_models.segment.map_module import MapModule, map_shape
from rl_core.config import Count, Doc, Positive, configclass
from rl_core.network import Network


@configclass
class TorchvisionMapsConfig:
    """Settings of FCN and DeepLabV3."""

    model: Annotated[Literal["fcn", "deeplabv3"], Doc("fcn: two convolutions; deeplabv3: atrous ones of three rates in parallel")] = (
        "deeplabv3"
    )
    backbone: Annotated[
        Literal["mobilenet-v3-small", "mobilenet-v3-large", "resnet50", "resnet101"], Doc("network that gives the features")
    ] = "mobilenet-v3-small"
    width: Annotated[Positive, Doc("factor of the filters of a mobilenet")] = 1.0
    output_stride: Annotated[
        Literal[4, 8, 16, 32], Doc("pixels of each side for one place of the features; fewer draw borders more exactly, and take longer")
    ] = 8
    reduction: Annotated[Count, Doc("pixels of each side that are averaged into one first; maps are interpolated up again")] = 1
    standardise: Annotated[
        Literal["fixed", "image", "log"],
        Doc("colours less a mean and over a deviation: fixed ones, or each image's own, or so the logarithm, for faint and bright objects"),
    ] = "fixed"
    loss: Annotated[MapLoss, Doc("cross-entropy, dice, focal, boundary (cross-entropy that weighs borders), or a sum of two")] = (
        "dice+cross-entropy"
    )


class Maps(nn.Module):
    """Torchvision's segmentation model as a module from images [B, C, H, W] to logits [B, K, H, W].

    Args:
        model: The model, which answers with a dict.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """Return logits [B, K, H, W] of images [B, C, H, W] with one or three channels."""
        if images.shape[1] == 1:
            images = images.expand(-1, 3, -1, -1)
        return cast(Tensor, self.model(images)["out"])


def build_model(config: TorchvisionMapsConfig, num_classes: int) -> nn.Module:
    """Build torchvision's model with first weights from torch's global generator; call it through `cv_models.layers.torchvisions`."""
    from torchvision.models import mobilenetv3, resnet, segmentation
    from torchvision.models._utils import IntermediateLayerGetter

    if config.backbone in ("resnet50", "resnet101"):
        atrous = [stride > config.output_stride for stride in (8, 16, 32)]
        whole = getattr(resnet, config.backbone)(weights=None, replace_stride_with_dilation=atrous)
        features, last, channels = whole, "layer4", whole.inplanes
    else:
        setting, widest = mobilenetv3._mobilenet_v3_conf(config.backbone.replace("-", "_"), width_mult=config.width)
        stride = 2  # of the first convolution
        for block in setting:  # a block with a dilation has no stride
            stride *= block.stride
            block.dilation = max(1, stride // config.output_stride)
        features = mobilenetv3.MobileNetV3(setting, widest).features
        last = str(len(features) - 1)
        channels = features[len(features) - 1].out_channels
    backbone = IntermediateLayerGetter(features, return_layers={last: "out"})
    if config.model == "fcn":
        return segmentation.FCN(backbone, segmentation.fcn.FCNHead(channels, num_classes))
    return segmentation.DeepLabV3(backbone, segmentation.deeplabv3.DeepLabHead(channels, num_classes))


class TorchvisionMaps(Network):
    """Builder of FCN and DeepLabV3 for images and label maps of any size."""

    Config: ClassVar[type] = TorchvisionMapsConfig
    own_loss: ClassVar[bool] = True
    config: TorchvisionMapsConfig

    def build(self, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator) -> MapModule:
        """Build a network from images [B, H, W, C] to maps [B, H, W].

        Raises:
            ValueError: unless the input is an image with one or three channels and the output a label map of its size.
        """
        _, _, channels, num_classes = map_shape(input_space, output_space)
        if channels not in (1, 3):
            raise ValueError(f"the image has {channels} channels; this network takes 1 or 3: take network unet")
        model = torchvisions(lambda: build_model(self.config, num_classes), rng)
        return MapModule(Maps(model), input_space, self.config)
