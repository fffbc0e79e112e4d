"""Any of torchvision's classifiers by name: alexnet, vgg16, mobilenet_v3_small, efficientnet_b0, swin_t, convnext_tiny and the others.

Source: the papers that torchvision's documentation names for each. Departures: first weights come from the run's seed, and dropout and
stochastic depth keep generators of their own, so that a run can be continued exactly. Grey images are repeated in three channels.

Letters: B batch, C channels, K outputs, H W image.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, cast

import numpy as np
import torch
from gymnasium import Space
from torch import Tensor, nn
from torch.nn import functional

from cv_models.layers import Standardise, laid_out, torchvisions
from cv_models.weights import load_weights
from dl_nets.networks.spaces import UnitScale, image_shape, output_size
from rl_core.config import Doc, FilePath, Whole, configclass
from rl_core.errors import nearest
from rl_core.network import Network

WITHOUT_AUXILIARY = {
    "googlenet": {"aux_logits": False, "init_weights": False},
    "inception_v3": {"aux_logits": False, "init_weights": False},
}


@configclass
class TorchvisionConfig:
    """Settings of torchvision's classifiers."""

    architecture: Annotated[
        str, Doc("torchvision's name: alexnet, vgg16, mobilenet_v3_small, efficientnet_b0, swin_t, convnext_tiny, ...")
    ] = "mobilenet_v3_small"
    resize: Annotated[Whole, Doc("side that images are interpolated to first, pixels; 0 leaves them as they are")] = 0
    weights: Annotated[FilePath, Doc('local file of weights, .safetensors or torchvision\'s .pth; "" draws them')] = ""


class Classifier(nn.Module):
    """Torchvision's model as a module from images [B, H, W, C] to outputs [B, K].

    Args:
        model: The model.
        space: Space of one image.
        resize: Side that images are interpolated to; 0 for none.
    """

    def __init__(self, model: nn.Module, space: Space[Any], resize: int) -> None:
        super().__init__()
        self.scale, self.standardise = UnitScale(space), Standardise(image_shape(space)[2])
        self.model, self._resize = model, resize

    def forward(self, inputs: Tensor) -> Tensor:
        """Return outputs [B, K] of images [B, H, W, C]."""
        images = self.standardise(self.scale(inputs))
        if images.shape[1] == 1:
            images = images.expand(-1, 3, -1, -1)
        if self._resize:
            images = functional.interpolate(images, (self._resize, self._resize), mode="bilinear", align_corners=False, antialias=True)
        return cast(Tensor, self.model(laid_out(images, training=self.training)))


class TorchvisionClassifier(Network):
    """Builder of torchvision's classifiers."""

    Config: ClassVar[type] = TorchvisionConfig
    config: TorchvisionConfig

    def build(self, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator) -> Classifier:
        """Build a network from images [B, H, W, C] to outputs [B, K].

        Raises:
            ValueError: if torchvision has no such architecture, the image is too small for it, or the file of weights does not fit.
        """
        from torchvision import models

        config, (height, width, channels), size = self.config, image_shape(input_space), output_size(output_space)
        if channels not in (1, 3):
            raise ValueError(f"the image has {channels} channels; torchvision's networks take 1 or 3: take network resnet")
        known = models.list_models(module=models)
        if config.architecture not in known:
            close = nearest(config.architecture, known)
            hint = f"did you mean {', '.join(close)}?" if close else "see torchvision.models.list_models()"
            raise ValueError(f"torchvision has no classifier {config.architecture!r}; {hint}")
        options: dict[str, Any] = {"weights": None, "num_classes": size, **WITHOUT_AUXILIARY.get(config.architecture, {})}
        if config.architecture.startswith("vit_"):
            options["image_size"] = config.resize or height
        side = (config.resize, config.resize) if config.resize else (height, width)
        try:
            with torch.device("meta"):  # shapes alone: nothing is computed
                shape = models.get_model(config.architecture, **options).eval()(torch.zeros(1, 3, *side)).shape
        except (RuntimeError, ValueError, AssertionError) as error:
            raise ValueError(
                f"{config.architecture} does not take images of {side[0]} x {side[1]} pixels: {str(error).splitlines()[0][:120]}; "
                "set network.resize=224"
            ) from error
        assert shape == (1, size)
        model = torchvisions(lambda: models.get_model(config.architecture, **options), rng)
        if config.weights:
            load_weights(model, Path(config.weights), head=_last_layer(model))
        return Classifier(model, input_space, config.resize)


def _last_layer(model: nn.Module) -> str:
    """Return the name of the last layer with weights, with a dot behind it."""
    return [name for name, child in model.named_modules() if isinstance(child, nn.Linear | nn.Conv2d)][-1] + "."
