"""Limited-memory quasi-Newton steps for smooth losses with an L1 term: L-BFGS and OWL-QN.

Source: Nocedal, "Updating quasi-Newton matrices with limited storage", 1980; Andrew, Gao, "Scalable training of L1-regularized log-linear
models", 2007. Departures: none. Letters: P parameters, m pairs of the memory.
"""

from __future__ import annotations

import numpy as np


def direction(gradient: np.ndarray, moves: np.ndarray, changes: np.ndarray, count: int) -> np.ndarray:
    """Return -H g [P], H the inverse Hessian that `count` pairs of moves and changes of the gradient suggest: the two-loop recursion.

    Args:
        gradient: g [P].
        moves: Last differences of the parameters [m, P], in a ring: the newest is row (count - 1) mod m.
        changes: Differences of the gradient [m, P].
        count: Number of pairs stored so far.

    Example:
        >>> direction(np.array([2.0, 4.0]), np.array([[1.0, 0.0]]), np.array([[2.0, 0.0]]), 1).tolist()
        [-1.0, -2.0]
    """
    result = gradient.copy()
    places = [number % len(moves) for number in range(max(count - len(moves), 0), count)]
    factors: dict[int, float] = {}
    for place in reversed(places):
        factors[place] = float(moves[place] @ result) / float(moves[place] @ changes[place])
        result -= factors[place] * changes[place]
    if places:
        newest = places[-1]
        result *= float(moves[newest] @ changes[newest]) / float(changes[newest] @ changes[newest])
    for place in places:
        back = float(changes[place] @ result) / float(moves[place] @ changes[place])
        result += (factors[place] - back) * moves[place]
    return -result


def pseudo_gradient(parameters: np.ndarray, gradient: np.ndarray, l1: float) -> np.ndarray:
    """Return the steepest one-sided slope of f(w) + l1 |w|: equation 4 of Andrew and Gao.

    Example:
        >>> pseudo_gradient(np.array([1.0, 0.0, 0.0]), np.array([1.0, 3.0, 0.5]), 1.0).tolist()
        [2.0, 2.0, 0.0]
    """
    if not l1:
        return gradient
    at_zero = np.where(gradient > l1, gradient - l1, np.where(gradient < -l1, gradient + l1, 0.0))
    return np.where(parameters == 0, at_zero, gradient + l1 * np.sign(parameters))
