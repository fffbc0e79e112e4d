"""Detection and instance segmentation of shapes, made from a seed; see `cv_models.tasks.shapes`."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np

from cv_models.tasks.boxes import BoxAugmentConfig, BoxTask
from cv_models.tasks.object_rows import objects
from cv_models.tasks.shapes import KINDS, scene
from rl_core.config import Count, Doc, Meta, Whole, configclass

SPLITS = ("train", "validation", "test")


@configclass
class ShapeBoxesConfig(BoxAugmentConfig):
    """The set of pictures and what is on them."""

    size: Annotated[int, Meta(ge=32, le=1024), Doc("S, side of the pictures, pixels")] = 64
    most_objects: Annotated[Count, Doc("largest number of objects on a picture; the smallest is 0")] = 4
    num_train: Annotated[Count, Doc("pictures to learn from")] = 400
    num_validation: Annotated[Whole, Doc("pictures of the validation split")] = 50
    num_test: Annotated[Count, Doc("pictures that the score is computed on")] = 100
    data_seed: Annotated[Whole, Doc("number of the set of pictures; independent of the run's seed")] = 0


class ShapesDetection(BoxTask):
    """Boxes of circles, squares and triangles; pictures without any are among them.

    Args:
        config: The set of pictures.
    """

    Config: ClassVar[type] = ShapeBoxesConfig
    config: ShapeBoxesConfig
    with_masks: ClassVar[bool] = False

    def __init__(self, config: ShapeBoxesConfig) -> None:
        super().__init__(config)
        self.set_spaces(config.size, KINDS, masks=self.with_masks)

    def num_examples(self, split: str) -> int:
        """Return how many pictures the split has."""
        return int(getattr(self.config, f"num_{split}"))

    def read(self, split: str, indices: np.ndarray) -> tuple[np.ndarray, dict[str, Any]]:
        """Return pictures [B, S, S, 3] and their objects."""
        start = sum(self.num_examples(other) for other in SPLITS[: SPLITS.index(split)])
        config = self.config
        scenes = [scene(config.data_seed, start + int(index), config.size, config.most_objects) for index in indices]
        rows = [
            {"box": made.boxes, "label": made.labels, "score": np.ones(len(made.labels), np.float32), "mask": made.masks} for made in scenes
        ]
        pictures = np.stack([made.picture for made in scenes]) if scenes else np.zeros((0, *self.input_space.shape), np.uint8)
        return pictures, objects(rows, config.size, masks=self.masks)


class ShapesInstances(ShapesDetection):
    """Masks of circles, squares and triangles."""

    with_masks: ClassVar[bool] = True
