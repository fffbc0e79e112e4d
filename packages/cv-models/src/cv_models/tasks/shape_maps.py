"""Classification and segmentation of shapes, made from a seed; see `cv_models.tasks.shapes`."""

from __future__ import annotations

from functools import cache
from typing import Annotated, ClassVar

import numpy as np
from gymnasium import spaces

from cv_models.tasks.maps import AugmentConfig, MapTask
from cv_models.tasks.shapes import KINDS, scene
from dl_nets.learning.data import ArrayTask
from dl_nets.tasks.transforms import vary
from rl_core.batches import Batch
from rl_core.config import Count, Doc, Meta, Whole, configclass

SPLITS = ("train", "validation", "test")


@configclass
class ShapeMapsConfig(AugmentConfig):
    """The number of pictures, and the shapes on them."""

    size: Annotated[int, Meta(ge=16, le=512), Doc("side of the pictures, pixels")] = 48
    most_objects: Annotated[Count, Doc("largest number of shapes on a picture; the smallest is 1")] = 3
    num_train: Annotated[Count, Doc("pictures to learn from")] = 240
    num_validation: Annotated[Whole, Doc("pictures of the validation split")] = 40
    num_test: Annotated[Count, Doc("pictures that the score is computed on")] = 80
    data_seed: Annotated[Whole, Doc("number of the set of pictures; independent of the run's seed")] = 0


class ShapesSegmentation(MapTask):
    """The task of finding the pixels of circles, squares and triangles.

    Args:
        config: The set of pictures.
    """

    Config: ClassVar[type] = ShapeMapsConfig
    config: ShapeMapsConfig

    def __init__(self, config: ShapeMapsConfig) -> None:
        super().__init__(config)
        self.set_spaces(config.size, config.size, 3, ("background", *KINDS))
        self._split = cache(self._drawn)

    def num_examples(self, split: str) -> int:
        """Return how many pictures the split has."""
        return int(getattr(self.config, f"num_{split}"))

    def read(self, split: str, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return pictures [B, S, S, 3] and maps [B, S, S]."""
        pictures, maps = self._split(split)
        return pictures[indices], maps[indices]

    def _drawn(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        config, start = self.config, sum(self.num_examples(other) for other in SPLITS[: SPLITS.index(split)])
        size, count = config.size, self.num_examples(split)
        pictures, maps = np.zeros((count, size, size, 3), np.uint8), np.zeros((count, size, size), np.int64)
        for index in range(count):
            made = scene(config.data_seed, start + index, size, config.most_objects, 1)
            pictures[index] = made.picture
            maps[index] = (made.masks * (made.labels + 1)[:, None, None]).sum(0)
        return pictures, maps


@configclass
class ShapeClassesConfig(AugmentConfig):
    """The number of pictures of one shape."""

    size: Annotated[int, Meta(ge=16, le=512), Doc("side of the pictures, pixels")] = 32
    num_train: Annotated[Count, Doc("pictures to learn from")] = 600
    num_validation: Annotated[Whole, Doc("pictures of the validation split")] = 100
    num_test: Annotated[Count, Doc("pictures that the score is computed on")] = 200
    data_seed: Annotated[Whole, Doc("number of the set of pictures; independent of the run's seed")] = 0


class ShapesClassification(ArrayTask):
    """Is the shape a circle, a square or a triangle?

    Args:
        config: The set of pictures.
    """

    Config: ClassVar[type] = ShapeClassesConfig
    config: ShapeClassesConfig

    def __init__(self, config: ShapeClassesConfig) -> None:
        start, splits = 0, {}
        for split in SPLITS:
            count = int(getattr(config, f"num_{split}"))
            made = [scene(config.data_seed, start + index, config.size, 1, 1) for index in range(count)]
            pictures = np.stack([each.picture for each in made]) if made else np.zeros((0, config.size, config.size, 3), np.uint8)
            splits[split] = pictures, np.array([each.labels[0] for each in made], dtype=np.int64)
            start += count
        super().__init__(config, splits, spaces.Box(0, 255, (config.size, config.size, 3), np.uint8), KINDS)
        self.augments = bool(config.augment or config.crop)

    def read_augmented(self, indices: np.ndarray, *, seed: int, progress: float) -> tuple[Batch, Batch]:
        """Return training pictures as the config's transforms vary them in the epoch of this seed, and their classes."""
        images, classes = self.read("train", indices)
        config = self.config
        varied, _ = vary(images, None, names=config.augment, seed=seed, indices=indices, crop=config.crop, strength=config.augment_strength)
        return varied, classes
