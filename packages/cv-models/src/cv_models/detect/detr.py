"""DETR: a transformer asks for a fixed number of objects at once; no anchor boxes, and no duplicates to suppress.

Source: Carion et al., *End-to-end object detection with transformers*, 2020. The model is that of the library transformers, built from a
config without any download; its first weights are the paper's, Xavier's and queries from N(0, 1), not the library's N(0, 0.02), from
which queries and places stay alike for hundreds of updates. Departures: batch normalisation learns, since no pretrained backbone is
loaded, whose statistics would be frozen; sizes are for small pictures. The paper's are backbone depths 3, 4, 6, 3, width 256, 6 layers,
8 heads, 2048 hidden, 100 queries, and 500 epochs on 118,000 pictures: from scratch on few pictures it learns slowly.

Letters: B pictures, Q queries, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from gymnasium import Space, spaces
from torch import Tensor, nn

from cv_models.detect.objects import Objects, detected, detector_spaces
from cv_models.detect.wrapped import drawn_from
from cv_models.tasks.box_formats import convert_boxes
from dl_nets.networks.spaces import UnitScale
from rl_core.config import Count, Doc, Fraction, Meta, NonNegative, configclass
from rl_core.network import Network


@configclass
class DetrConfig:
    """Backbone and transformer, and the weights of the losses."""

    backbone_width: Annotated[Count, Doc("channels of the backbone's first stage; each further stage has twice as many")] = 16
    backbone_depths: Annotated[tuple[Count, ...], Doc("residual blocks of each stage; the last stage is looked at")] = (1, 1, 1)
    width: Annotated[Count, Doc("numbers of a token; a multiple of num_heads")] = 64
    num_heads: Annotated[Count, Doc("heads of each attention layer")] = 4
    depth: Annotated[Count, Doc("layers of the encoder, and of the decoder")] = 2
    hidden: Annotated[Count, Doc("hidden units of each layer's perceptron")] = 128
    num_queries: Annotated[Count, Doc("Q, objects that can be found on a picture")] = 20
    dropout: Annotated[float, Meta(ge=0, lt=1), Doc("probability of dropping a number in training")] = 0.0
    nothing_weight: Annotated[NonNegative, Doc("weight of the class nothing in the cross-entropy")] = 0.1
    least_score: Annotated[Fraction, Doc("detections with a lower score are left out")] = 0.01

    def __post_init__(self) -> None:
        if self.width % self.num_heads:
            raise ValueError(f"width is {self.width} and num_heads is {self.num_heads}; width must be a multiple of num_heads")


class DetrModule(nn.Module):
    """The module that `Detr` builds.

    Args:
        config: Config of the network.
        space: Space of one picture [H, W, C], C 1 or 3.
        num_classes: K.
        rng: Source of the seed.
    """

    traced_outputs: Mapping[str, str] = {
        "answers": "of every query its box in pixels, left, top, right, bottom, and each class's probability"
    }

    def __init__(self, config: DetrConfig, space: spaces.Box, num_classes: int, rng: np.random.Generator) -> None:
        super().__init__()
        self.config, self.scale = config, UnitScale(space)
        self.height, self.width = space.shape[:2]
        self._seed, self._calls = int(rng.integers(2**31)), 0
        with drawn_from(self._seed, torch.device("cpu")):
            self.detector = _detector(config, num_classes)

    def training_loss(self, inputs: Tensor, targets: Mapping[str, Any], weights: Tensor | None = None) -> tuple[Tensor, dict[str, Any]]:
        """Return the loss [] of pictures [B, H, W, C]: classes, corners and overlaps of the best pairing of queries and objects.

        Raises:
            ValueError: if pictures are weighted.
        """
        if weights is not None:
            raise ValueError("this detector counts all pictures alike; leave out class weights")
        asked = Objects.of(targets)
        shares = convert_boxes(asked.box / asked.box.new_tensor([self.width, self.height] * 2), "xyxy", "cxcywh")
        rows = [{"class_labels": asked.label[asked.picture == b], "boxes": shares[asked.picture == b]} for b in range(len(inputs))]
        with drawn_from((self._seed * 0x9E3779B1 + self._calls * 0x85EBCA77) % 2**32, inputs.device):
            found = self.detector(pixel_values=self._pictures(inputs), labels=rows)
        self._calls += int(self.training)
        scores = found.logits.detach().softmax(-1)[..., :-1]
        names = {"loss_ce": "class_loss", "loss_bbox": "corner_loss", "loss_giou": "overlap_loss"}
        metrics = {name: found.loss_dict[key].detach() for key, name in names.items()}
        return found.loss, {**metrics, "positives": len(asked.box) / max(1, len(inputs)), "highest_score": scores.max()}

    def traced_answers(self, inputs: Tensor) -> Tensor:
        """Return the box in pixels and the probability of each class of every query [B, Q, 4 + K]: what is exported."""
        found = self.detector(pixel_values=self._pictures(inputs))
        boxes = convert_boxes(found.pred_boxes.float(), "cxcywh", "xyxy").clamp(0, 1)
        limit = boxes.new_tensor([self.width, self.height, self.width, self.height])
        return torch.cat([boxes * limit, found.logits.float().softmax(-1)[..., :-1]], -1)

    @torch.no_grad()
    def answers(self, inputs: Tensor) -> dict[str, Any]:
        """Return the detections on pictures [B, H, W, C], best first: rows of boxes in pixels, labels and scores."""
        rows = []
        for found in self.traced_answers(inputs):
            score, label = found[:, 4:].max(-1)
            order = score.argsort(descending=True, stable=True)
            order = order[score[order] > self.config.least_score]
            rows.append((found[order, :4], label[order], score[order]))
        return detected(rows)

    def get_extra_state(self) -> Tensor:
        """Return the seed and the number of updates; torch saves it with the module."""
        return torch.tensor([self._seed, self._calls])

    def set_extra_state(self, state: Tensor) -> None:
        """Continue after the update that `state` names."""
        self._seed, self._calls = (int(number) for number in state)

    def _pictures(self, inputs: Tensor) -> Tensor:
        maps = self.scale(inputs).permute(0, 3, 1, 2)
        return (maps if maps.shape[1] == 3 else maps.expand(-1, 3, -1, -1)).contiguous() * 2 - 1


class Detr(Network):
    """Builder of DETR detectors for pictures [H, W, C] of any size."""

    Config: ClassVar[type] = DetrConfig
    config: DetrConfig
    own_loss: ClassVar[bool] = True

    def build(self, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator) -> DetrModule:
        """Return a detector.

        Raises:
            ValueError: if the inputs are not colour or grey pictures, or the answers not boxes.
        """
        picture, num_classes = detector_spaces(input_space, output_space, channels=(1, 3))
        return DetrModule(self.config, picture, num_classes, rng)


def _detector(config: DetrConfig, num_classes: int) -> nn.Module:
    """Return the library's model with batch normalisation in place of its frozen one."""
    library: Any = import_module("transformers")  # whose types differ from what it takes
    sizes = [config.backbone_width * 2**stage for stage in range(len(config.backbone_depths))]
    backbone = library.ResNetConfig(
        embedding_size=config.backbone_width,
        hidden_sizes=sizes,
        depths=list(config.backbone_depths),
        layer_type="basic",
        out_features=[f"stage{len(sizes)}"],
    )
    model: nn.Module = library.DetrForObjectDetection(
        library.DetrConfig(
            use_timm_backbone=False,
            use_pretrained_backbone=False,
            backbone=None,
            backbone_config=backbone,
            d_model=config.width,
            encoder_layers=config.depth,
            decoder_layers=config.depth,
            encoder_ffn_dim=config.hidden,
            decoder_ffn_dim=config.hidden,
            encoder_attention_heads=config.num_heads,
            decoder_attention_heads=config.num_heads,
            num_queries=config.num_queries,
            num_labels=num_classes,
            dropout=config.dropout,
            attention_dropout=0.0,
            activation_dropout=0.0,
            auxiliary_loss=True,
            eos_coefficient=config.nothing_weight,
        )
    )
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if type(child).__name__.endswith("FrozenBatchNorm2d"):
                setattr(parent, name, nn.BatchNorm2d(child.get_buffer("weight").numel()))
    for parameter in model.parameters():
        parameter.requires_grad_(True)  # the library freezes the first layers of a backbone
    for name, parameter in model.named_parameters():
        if "query_position_embeddings" in name:
            nn.init.normal_(parameter)
        elif ("encoder." in name or "decoder." in name) and "backbone" not in name and parameter.dim() > 1:
            nn.init.xavier_uniform_(parameter)
    return model
