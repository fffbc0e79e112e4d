"""The task `digits`: 1,797 handwritten digits of 8 x 8 pixels.

Source: Alpaydin and Kaynak, *Optical recognition of handwritten digits*, UCI machine learning repository, 1998, test part; as bundled
with scikit-learn. Target: 0.97, the accuracy of the support vector machine in scikit-learn's example on recognising these digits
(half of the images for training); our split is another one, so it is a yardstick, not a record.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from gymnasium import spaces
from sklearn import datasets  # type: ignore[import-untyped]  # scikit-learn ships no types

from dl_nets.learning.data import ArrayTask, check_fractions, split_indices
from rl_core.config import Doc, Meta, Whole, configclass


@configclass
class DigitsConfig:
    """How the images are split."""

    validation_fraction: Annotated[float, Meta(ge=0, lt=1), Doc("share of the images that settings and early stopping are chosen by")] = 0.2
    test_fraction: Annotated[float, Meta(gt=0, lt=1), Doc("share of the images that the score comes from")] = 0.2
    split_seed: Annotated[Whole, Doc("which of the possible splits; the run's own seed has no part in it")] = 0

    def __post_init__(self) -> None:
        check_fractions(self.validation_fraction, self.test_fraction)
        if self.split_seed < 0:
            raise ValueError(f"split_seed is {self.split_seed}; it must be >= 0")


class Digits(ArrayTask):
    """Images [8, 8, 1] of numbers in [0, 1], and which of ten digits each is; each digit has its share in every split."""

    Config: ClassVar[type] = DigitsConfig

    def __init__(self, config: DigitsConfig) -> None:
        bunch = datasets.load_digits()
        images = (bunch.images[..., None] / 16.0).astype(np.float32)  # [N, 8, 8, 1]; the file has 0..16
        labels = bunch.target.astype(np.int64)
        parts = split_indices(len(labels), config.validation_fraction, config.test_fraction, config.split_seed, labels)
        splits = {name: (images[indices], labels[indices]) for name, indices in parts.items()}
        super().__init__(config, splits, spaces.Box(0.0, 1.0, (8, 8, 1), np.float32), tuple(str(digit) for digit in range(10)))
        self.target = 0.97
