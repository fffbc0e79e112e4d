"""The task `digits`: 1,797 handwritten digits of 8 x 8 pixels.

Source: Alpaydin and Kaynak, *Optical recognition of handwritten digits*, UCI machine learning repository, 1998, test part; as bundled
with scikit-learn. Target: 0.97, the accuracy of the support vector machine in scikit-learn's example on recognising these digits, which
trains on half of the images. The split here is a different one, so the two are only roughly comparable.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from gymnasium import spaces
from sklearn import datasets  # type: ignore[import-untyped]  # scikit-learn ships no types

from dl_nets.learning.data import ArrayTask
from dl_nets.tasks.splits import SplitConfig
from rl_core.config import configclass


@configclass
class DigitsConfig(SplitConfig):
    """Shares of the splits of the images."""


class Digits(ArrayTask):
    """Images [8, 8, 1] of numbers in [0, 1], and the digit that each shows; each digit has its share in every split."""

    Config: ClassVar[type] = DigitsConfig

    def __init__(self, config: DigitsConfig) -> None:
        bunch = datasets.load_digits()
        images = (bunch.images[..., None] / 16.0).astype(np.float32)  # [N, 8, 8, 1]; the file has 0..16
        labels = bunch.target.astype(np.int64)
        parts = config.indices(len(labels), labels)
        splits = {name: (images[indices], labels[indices]) for name, indices in parts.items()}
        super().__init__(config, splits, spaces.Box(0.0, 1.0, (8, 8, 1), np.float32), tuple(str(digit) for digit in range(10)))
        self.target = 0.97
