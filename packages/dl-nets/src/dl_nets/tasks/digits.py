"""The task `digits`: 1,797 handwritten digits of 8 x 8 pixels.

Source: Alpaydin and Kaynak, *Optical recognition of handwritten digits*, UCI machine learning repository, 1998, test part; as bundled
with scikit-learn. Target: 0.97, the accuracy of the support vector machine in scikit-learn's example on recognising these digits, which
trains on half of the images. The split here is a different one, so the two are only roughly comparable.
"""

from __future__ import annotations

import gzip
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

import numpy as np
from gymnasium import spaces

from dl_nets.learning.data import ArrayTask
from dl_nets.tasks.splits import SplitConfig
from rl_core.config import configclass


@configclass
class DigitsConfig(SplitConfig):
    """Shares of the splits of the images."""


def bundled() -> np.ndarray:
    """Return the rows [N, 64 + 1] of scikit-learn's file: pixels, and the digit.

    The file is read as `sklearn.datasets.load_digits` does, without the import, which takes half as long as that of torch.

    >>> bundled().shape
    (1797, 65)
    """
    package = find_spec("sklearn")
    assert package is not None
    assert package.origin is not None
    with gzip.open(Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz") as file:
        return np.loadtxt(file, delimiter=",")


class Digits(ArrayTask):
    """Images [8, 8, 1] of numbers in [0, 1], and the digit that each shows; each digit has its share in every split."""

    Config: ClassVar[type] = DigitsConfig

    def __init__(self, config: DigitsConfig) -> None:
        rows = bundled()
        images = (rows[:, :-1].reshape(-1, 8, 8, 1) / 16.0).astype(np.float32)  # the file has 0..16
        labels = rows[:, -1].astype(np.int64)
        parts = config.indices(len(labels), labels)
        splits = {name: (images[indices], labels[indices]) for name, indices in parts.items()}
        super().__init__(config, splits, spaces.Box(0.0, 1.0, (8, 8, 1), np.float32), tuple(str(digit) for digit in range(10)))
        self.target = 0.97
