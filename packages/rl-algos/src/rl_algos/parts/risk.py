"""Objectives that weigh bad outcomes more than their share: the conditional value at risk, and the mean less a multiple of the variance.

CVaR_alpha(R) = max_v v - E[(v - R)^+] / alpha, the mean of the worst share alpha; and E[R] - c Var[R].

Source: R. T. Rockafellar, S. Uryasev, "Optimization of conditional value-at-risk", 2000, theorem 1; A. Tamar, Y. Glassner, S. Mannor,
"Optimizing the CVaR via sampling", 2015, proposition 1; H. Markowitz, "Portfolio selection", 1952.
Departures: none. Letters: E episodes.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np


class Risk(NamedTuple):
    """An objective of returns.

    Attributes:
        kind: "none", "cvar" or "mean-variance".
        level: alpha in (0, 1], or c >= 0.
    """

    kind: str
    level: float

    @classmethod
    def read(cls, text: str) -> Risk:
        """Return the objective that a setting names.

        Raises:
            ValueError: if the text is neither `none`, `cvar:ALPHA` nor `mean-variance:C`.

        >>> Risk.read("cvar:0.1")
        Risk(kind='cvar', level=0.1)
        """
        kind, _, number = text.partition(":")
        try:
            level = float(number) if number else 1.0
        except ValueError:
            level = math.nan
        if kind == "none" and not number:
            return cls(kind, 1.0)
        if (kind == "cvar" and number and 0 < level <= 1) or (kind == "mean-variance" and number and 0 <= level < math.inf):
            return cls(kind, level)
        raise ValueError(f"risk is {text!r}; expected none, cvar:ALPHA with ALPHA in (0, 1], or mean-variance:C with C >= 0")

    def of(self, returns: np.ndarray) -> float:
        """Return the objective's value for returns [E], each as likely.

        >>> Risk.read("cvar:0.5").of(np.array([1.0, 2.0, 3.0, 6.0])), Risk.read("mean-variance:1").of(np.array([1.0, 3.0]))
        (1.5, 1.0)
        """
        match self.kind:
            case "cvar":
                worst = np.sort(returns)
                share = self.level * len(worst)
                whole = int(share)
                rest = (share - whole) * worst[whole] if whole < len(worst) else 0.0
                return float((worst[:whole].sum() + rest) / share)
            case "mean-variance":
                return float(returns.mean() - self.level * returns.var())
            case _:
                return float(returns.mean())

    def utility(self, returns: np.ndarray, sample: np.ndarray) -> np.ndarray:
        """Return what a policy gradient credits to episodes instead of their returns, in the shape of `returns`.

        The gradient of the objective is E[u(R) grad ln p(episode)], with u(R) = v + min(R - v, 0) / alpha for CVaR, v the alpha-quantile,
        and u(R) = R - c (R - E[R])^2.

        Args:
            returns: R of episodes, any shape.
            sample: Returns [E] that the quantile or the mean is taken of.

        >>> Risk.read("cvar:0.5").utility(np.array([0.0, 4.0]), np.array([0.0, 2.0, 4.0])).tolist()  # v = 2
        [-2.0, 2.0]
        """
        match self.kind:
            case "cvar":
                quantile = np.quantile(sample, self.level)
                utility = quantile + np.minimum(returns - quantile, 0.0) / self.level
            case "mean-variance":
                utility = returns - self.level * (returns - sample.mean()) ** 2
            case _:
                utility = returns
        return np.asarray(utility, dtype=returns.dtype)
