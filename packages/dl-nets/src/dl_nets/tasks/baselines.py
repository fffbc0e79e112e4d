"""Scores of simple methods, as targets of tasks that have no published one."""

from __future__ import annotations

import numpy as np

from dl_nets.learning.data import r2


def least_squares_r2(train: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray]) -> float:
    """Return the r2 on `test` of ordinary least squares fitted to `train`, each of inputs [N, D] and targets [N, 1].

    >>> x = np.array([[0.0], [1.0], [2.0]])
    >>> round(least_squares_r2((x, 3 * x + 1), (x, 3 * x + 1)), 6)
    1.0
    """
    coefficients = np.linalg.lstsq(_with_ones(train[0]), train[1], rcond=None)[0]
    return r2(_with_ones(test[0]) @ coefficients, test[1])


def _with_ones(inputs: np.ndarray) -> np.ndarray:
    return np.concatenate([np.ones((len(inputs), 1)), inputs], axis=1)
