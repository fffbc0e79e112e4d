"""Schedules: multipliers of a learning rate, or another setting, as functions of the fraction of the budget that is done.

`schedule("linear")(0.25)` is 0.75: a quarter of the budget is done, and the setting is at three quarters of its value.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Literal, get_args

ScheduleName = Literal["constant", "linear", "cosine", "step", "exponential", "warm-up", "warm-up-linear", "warm-up-cosine"]

Schedule = Callable[[float], float]
"""Fraction done, in [0, 1], to a multiplier, in [0, 1]."""


def constant(fraction_done: float) -> float:
    """Return 1.

    >>> constant(0.7)
    1.0
    """
    return 1.0


def linear(fraction_done: float) -> float:
    """Return 1 - f: from 1 down to 0.

    >>> linear(0.25)
    0.75
    """
    return 1.0 - fraction_done


def cosine(fraction_done: float) -> float:
    """Return (1 + cos(pi f)) / 2: from 1 down to 0, slow at both ends.

    Source: Loshchilov and Hutter, *SGDR: stochastic gradient descent with warm restarts*, 2017, equation 5, without restarts.

    >>> round(cosine(1 / 3), 4), cosine(0.5)
    (0.75, 0.5)
    """
    return 0.5 * (1.0 + math.cos(math.pi * fraction_done))


def step(fraction_done: float, num_levels: int = 3, factor: float = 0.1) -> float:
    """Return factor^i on the i-th of `num_levels` equal stretches: 1, 0.1, 0.01.

    >>> [round(step(f), 4) for f in (0.0, 0.33, 0.34, 0.99, 1.0)]
    [1.0, 1.0, 0.1, 0.01, 0.01]
    """
    return factor ** min(int(fraction_done * num_levels), num_levels - 1)


def exponential(fraction_done: float, end: float = 0.01) -> float:
    """Return end^f: from 1 down to `end`, by the same factor on every stretch.

    >>> round(exponential(0.5), 4)
    0.1
    """
    return math.pow(end, fraction_done)


def warm_up(fraction_done: float, then: Schedule = constant, share: float = 0.1, start: float = 0.01) -> float:
    """Return a multiplier that rises from `start` to 1 along a line over the first `share`, `then` follows another schedule.

    It starts above 0, so that the first update is not lost.

    >>> [round(value, 3) for value in (warm_up(0.05), warm_up(0.1), warm_up(0.55, then=linear))]
    [0.505, 1.0, 0.5]
    """
    if fraction_done < share:
        return start + (1.0 - start) * fraction_done / share
    return then((fraction_done - share) / (1.0 - share))


_SCHEDULES: dict[str, Schedule] = {
    "constant": constant,
    "linear": linear,
    "cosine": cosine,
    "step": step,
    "exponential": exponential,
    "warm-up": warm_up,
    "warm-up-linear": partial(warm_up, then=linear),
    "warm-up-cosine": partial(warm_up, then=cosine),
}


def schedule(name: ScheduleName) -> Schedule:
    """Return the schedule of that name; it is constant before 0 and beyond 1, since a last step may overshoot a budget.

    Raises:
        ValueError: for an unknown name.

    >>> schedule("linear")(0.25), schedule("linear")(1.01)
    (0.75, 0.0)
    """
    if name not in _SCHEDULES:
        raise ValueError(f"schedule is {name!r}; it must be one of {', '.join(get_args(ScheduleName))}")
    return lambda fraction_done: _SCHEDULES[name](min(max(fraction_done, 0.0), 1.0))
