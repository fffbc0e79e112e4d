"""Settings of the split into training, validation and test examples, shared by every task of this package."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from dl_nets.learning.data import check_fractions, split_indices
from rl_core.config import Doc, Meta, Whole, configclass


@configclass
class SplitConfig:
    """Shares of the three splits."""

    validation_fraction: Annotated[float, Meta(ge=0, lt=1), Doc("share of the examples for early stopping and the choice of settings")] = (
        0.2
    )
    test_fraction: Annotated[float, Meta(gt=0, lt=1), Doc("share of the examples that the score is computed on")] = 0.2
    split_seed: Annotated[Whole, Doc("number of the split; independent of the run's seed")] = 0

    def __post_init__(self) -> None:
        check_fractions(self.validation_fraction, self.test_fraction)

    def indices(self, count: int, classes: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Return the sorted indices of each split of `count` examples; see `dl_nets.learning.data.split_indices`.

        Args:
            count: Number of examples.
            classes: Class of each example [count]; each class then has its share in every split.
        """
        return split_indices(count, self.validation_fraction, self.test_fraction, self.split_seed, classes)
