"""The tasks `breast-cancer`, `wine` and `diabetes`: small tables that come with scikit-learn.

Sources and targets:

- `breast-cancer`: Street, Wolberg and Mangasarian, *Nuclear feature extraction for breast tumor diagnosis*, 1993; 569 cells, 30 numbers.
  Target 0.975, the accuracy in ten-fold cross-validation that the data's authors report (Cancer Letters 77, 1994).
- `wine`: Forina et al., *PARVUS*, 1988; 178 wines of three growers, 13 numbers. Target 0.961, the accuracy of the nearest neighbour on
  standardised data (Aeberhard, Coomans and de Vel, technical report 92-02, 1992).
- `diabetes`: Efron, Hastie, Johnstone and Tibshirani, *Least angle regression*, 2004; 442 patients, 10 numbers, and the progression of the
  disease a year later. Target: the r2 of ordinary least squares on the same split, computed when the task is built.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from sklearn import datasets  # type: ignore[import-untyped]  # scikit-learn ships no types

from dl_nets.tasks.baselines import least_squares_r2
from dl_nets.tasks.splits import SplitConfig
from dl_nets.tasks.tables import TableTask, split_table
from rl_core.config import Doc, configclass

_PUBLISHED = {"breast-cancer": 0.975, "wine": 0.961}


@configclass
class BundledTableConfig(SplitConfig):
    """The table, and the shares of its splits."""

    table: Annotated[Literal["breast-cancer", "wine", "diabetes"], Doc("name of the table")] = "wine"


class BundledTable(TableTask):
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
        table, splits = split_table(values, bunch.target, bool(class_names), config)
        super().__init__(config, table, splits, class_names)
        self.target = _PUBLISHED.get(config.table) or least_squares_r2(splits["train"], splits["test"])
