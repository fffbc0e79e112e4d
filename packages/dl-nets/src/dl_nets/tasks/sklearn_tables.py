"""The tasks `breast-cancer`, `wine` and `diabetes`: small tables that come with scikit-learn.

Sources and targets:

- `breast-cancer`: Street, Wolberg and Mangasarian, *Nuclear feature extraction for breast tumor diagnosis*, 1993; 569 cells, 30 numbers.
  Target 0.975, the accuracy in ten-fold cross-validation that the data's authors report (Cancer Letters 77, 1994).
- `wine`: Forina et al., *PARVUS*, 1988; 178 wines of three growers, 13 numbers. Target 0.961, the accuracy of the nearest neighbour on
  standardised data (Aeberhard, Coomans and de Vel, technical report 92-02, 1992).
- `diabetes`: Efron, Hastie, Johnstone and Tibshirani, *Least angle regression*, 2004; 442 patients, 10 numbers, and the progression of the
  disease a year later. Target: the r2 of ordinary least squares on the very same split, worked out when the task is built.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from gymnasium import spaces
from sklearn import datasets  # type: ignore[import-untyped]  # scikit-learn ships no types

from dl_nets.learning.data import ArrayTask, check_fractions, r2
from dl_nets.tasks.tables import split_table
from rl_core.config import Doc, Meta, Whole, configclass

_PUBLISHED = {"breast-cancer": 0.975, "wine": 0.961}


@configclass
class BundledTableConfig:
    """Which table, and how it is split."""

    table: Annotated[Literal["breast-cancer", "wine", "diabetes"], Doc("name of the table")] = "wine"
    validation_fraction: Annotated[float, Meta(ge=0, lt=1), Doc("share of the rows that settings and early stopping are chosen by")] = 0.2
    test_fraction: Annotated[float, Meta(gt=0, lt=1), Doc("share of the rows that the score comes from")] = 0.2
    split_seed: Annotated[Whole, Doc("which of the possible splits; the run's own seed has no part in it")] = 0

    def __post_init__(self) -> None:
        check_fractions(self.validation_fraction, self.test_fraction)
        if self.split_seed < 0:
            raise ValueError(f"split_seed is {self.split_seed}; it must be >= 0")


class BundledTable(ArrayTask):
    """Rows [D] of standardised numbers, and the class of each or, for `diabetes`, a number [1]."""

    Config: ClassVar[type] = BundledTableConfig

    def __init__(self, config: BundledTableConfig) -> None:
        match config.table:
            case "breast-cancer":
                bunch = datasets.load_breast_cancer()
            case "wine":
                bunch = datasets.load_wine()
            case _:
                bunch = datasets.load_diabetes(scaled=False)
        values = {str(name): bunch.data[:, column].astype(np.float64) for column, name in enumerate(bunch.feature_names)}
        class_names = tuple(str(name) for name in bunch.get("target_names", ()))
        self.table, splits = split_table(
            values, bunch.target, bool(class_names), config.validation_fraction, config.test_fraction, config.split_seed
        )
        space = spaces.Box(-np.inf, np.inf, splits["train"][0].shape[1:], np.float32)
        super().__init__(config, splits, space, class_names)
        self.target = _PUBLISHED.get(config.table) or least_squares_r2(splits["train"], splits["test"])

    def parse(self, text: str) -> np.ndarray:
        """A batch of one input [1, D] from a row with the table's own units: a JSON object by column, or an array in their order."""
        return self.table.parse(text)


def least_squares_r2(train: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray]) -> float:
    """The r2 on `test` of ordinary least squares fitted to `train`, each of inputs [N, D] and targets [N, 1].

    >>> x = np.array([[0.0], [1.0], [2.0]])
    >>> round(least_squares_r2((x, 3 * x + 1), (x, 3 * x + 1)), 6)
    1.0
    """
    coefficients = np.linalg.lstsq(_with_ones(train[0]), train[1], rcond=None)[0]
    return r2(_with_ones(test[0]) @ coefficients, test[1])


def _with_ones(inputs: np.ndarray) -> np.ndarray:
    return np.concatenate([np.ones((len(inputs), 1)), inputs], axis=1)
