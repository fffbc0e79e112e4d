"""The task `plain-shapes`: small grey pictures of one circle, square or triangle on black, made from a seed.

Every picture is a function of the seed and its number alone: class, place, radius, turn and brightness are uniform. A picture is small
and clean, so that what generates such pictures learns in seconds; `generate:plain-shapes` asks for that, and `anomalies:plain-shapes` for
the classes that were not shown. Told apart, the classes are easy.

Letters: N pictures, S side.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from gymnasium import spaces

from dl_nets.learning.data import ArrayTask
from rl_core.config import Count, Doc, Meta, Whole, configclass

CLASSES = ("circle", "square", "triangle")
SPLITS = ("train", "validation", "test")
SAMPLES = 3  # points of a pixel along each axis that are looked at


@configclass
class PlainShapesConfig:
    """The number of pictures and their size."""

    size: Annotated[int, Meta(ge=8, le=128), Doc("S, side of the pictures, pixels")] = 16
    num_train: Annotated[Count, Doc("pictures to learn from")] = 4000
    num_validation: Annotated[Whole, Doc("pictures of the validation split")] = 200
    num_test: Annotated[Count, Doc("pictures that the score is computed on")] = 1000
    rare: Annotated[float, Meta(gt=0, le=1), Doc("share of the training triangles that are kept")] = 1.0
    data_seed: Annotated[Whole, Doc("number of the set of pictures; independent of the run's seed")] = 0


def drawn(labels: np.ndarray, rng: np.random.Generator, size: int) -> np.ndarray:
    """Return pictures [N, S, S, 1], bytes, of shapes with these numbers of classes [N].

    Args:
        labels: Of `CLASSES` [N].
        rng: Source of place, radius, turn and brightness.
        size: S.

    >>> drawn(np.array([0]), np.random.default_rng(0), 8).shape
    (1, 8, 8, 1)
    """
    count = len(labels)
    radius = rng.uniform(0.22, 0.38, count)
    centre = rng.uniform(radius[:, None], 1.0 - radius[:, None], (count, 2))
    turn, brightness = rng.uniform(0.0, 2.0 * np.pi, count), rng.uniform(150.0, 255.0, count)
    axis = (np.arange(size * SAMPLES) + 0.5) / (size * SAMPLES)
    pictures = np.zeros((count, size, size, 1), np.uint8)
    for start in range(0, count, 256):
        part = slice(start, start + 256)
        x = axis[None, None, :] - centre[part, 0, None, None]
        y = axis[None, :, None] - centre[part, 1, None, None]
        inside = x**2 + y**2 <= radius[part, None, None] ** 2
        for kind, sides in ((1, 4), (2, 3)):
            chosen = np.flatnonzero(labels[part] == kind)
            reach = radius[part][chosen, None, None] * np.cos(np.pi / sides)  # distance of the sides from the centre
            within = np.ones((len(chosen), *inside.shape[1:]), bool)
            for side in range(sides):
                angle = turn[part][chosen, None, None] + 2.0 * np.pi * side / sides
                within &= x[chosen] * np.cos(angle) + y[chosen] * np.sin(angle) <= reach
            inside[chosen] = within
        share = inside.reshape(len(inside), size, SAMPLES, size, SAMPLES).mean(axis=(2, 4))
        pictures[part, ..., 0] = np.round(share * brightness[part, None, None])
    return pictures


class PlainShapes(ArrayTask):
    """Is the shape a circle, a square or a triangle?

    Args:
        config: The set of pictures.
    """

    Config: ClassVar[type] = PlainShapesConfig
    config: PlainShapesConfig

    def __init__(self, config: PlainShapesConfig) -> None:
        splits = {}
        for number, split in enumerate(SPLITS):
            rng = np.random.default_rng((config.data_seed, number))
            labels = rng.integers(len(CLASSES), size=int(getattr(config, f"num_{split}")))
            if split == "train" and config.rare < 1.0:
                few = np.flatnonzero(labels == CLASSES.index("triangle"))
                labels = np.delete(labels, few[max(1, round(config.rare * len(few))) :])
            splits[split] = drawn(labels, rng, config.size), labels
        super().__init__(config, splits, spaces.Box(0, 255, (config.size, config.size, 1), np.uint8), CLASSES)
