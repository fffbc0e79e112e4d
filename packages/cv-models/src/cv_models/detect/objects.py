"""Objects of a batch of pictures as tensors: the targets and the answers of detectors.

Letters: B pictures, G objects of a batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from gymnasium import Space, spaces
from torch import Tensor

from dl_nets.networks.spaces import image_shape
from rl_core.batches import Ragged
from rl_core.traits import output_trait


class Objects(NamedTuple):
    """The objects that are asked for, of all pictures in one list.

    Attributes:
        picture: Picture of each object [G].
        box: Corners [G, 4], pixels.
        label: Classes [G].
        mask: [G, H, W], where the targets have masks.
    """

    picture: Tensor
    box: Tensor
    label: Tensor
    mask: Tensor | None

    @classmethod
    def of(cls, targets: Mapping[str, Any]) -> Objects:
        """Return the objects of targets as `cv_models.tasks.object_rows` has them, without those of score 0."""
        rows = targets["box"]
        picture = torch.repeat_interleave(torch.arange(len(rows), device=rows.values.device), rows.lengths)
        asked = targets["score"].values > 0
        mask = targets["mask"].values[asked] if "mask" in targets else None
        return cls(picture[asked], rows.values[asked].float(), targets["label"].values[asked].long(), mask)


def detected(rows: Sequence[Sequence[Tensor]]) -> dict[str, Ragged]:
    """Return answers from boxes [n, 4], labels [n], scores [n] and, where there are any, masks [n, H, W] of each picture."""
    lengths = torch.tensor([0, *(len(row[0]) for row in rows)])
    splits = lengths.cumsum(0)
    names = ("box", "label", "score", "mask")
    return {name: Ragged(torch.cat(parts), splits) for name, parts in zip(names, zip(*rows, strict=True), strict=False)}


def detector_spaces(
    input_space: Space[Any], output_space: Space[Any], *, masks: bool = False, channels: Sequence[int] = ()
) -> tuple[spaces.Box, int]:
    """Return the space of pictures and the number of classes.

    Args:
        input_space: What goes in.
        output_space: What must come out.
        masks: Whether instances are asked for instead of boxes.
        channels: Numbers of channels that the detector takes; empty: any.

    Raises:
        ValueError: if the inputs are not such pictures, or the answers are not boxes (or instances, with `masks`).
    """
    shape = image_shape(input_space, 32)
    if channels and shape[2] not in channels:
        raise ValueError(f"the picture has {shape[2]} channels; this detector takes {' or '.join(map(str, channels))}")
    wanted = "instances-output" if masks else "boxes-output"
    if output_trait(output_space) != wanted or not {"box", "label", "score"} <= set(output_space.feature_space):
        parts = "box, label, score and mask" if masks else "box, label and score"
        raise ValueError(f"the output space is {output_space}; a detector answers in a Sequence of Dict with {parts}")
    return input_space, int(output_space.feature_space["label"].n)
