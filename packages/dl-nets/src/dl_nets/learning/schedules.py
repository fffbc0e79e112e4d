"""Schedules: multipliers of a learning rate, or another setting, as functions of the fraction of the budget that is done.

`schedule("linear")(0.25)` is 0.75: a quarter of the budget is done, and the setting is at three quarters of its value.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Literal, get_args

ScheduleName = Literal[
    "constant", "linear", "cosine", "step", "exponential", "warm-up", "warm-up-linear", "warm-up-cosine", "polynomial", "cosine-restarts",
    "one-cycle", "triangular", "warm-up-inverse-root",
]  # fmt: skip

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


def polynomial(fraction_done: float, power: float = 2.0) -> float:
    """Return (1 - f)^power: from 1 down to 0, slow at the end.

    >>> polynomial(0.5)
    0.25
    """
    return math.pow(1.0 - fraction_done, power)


def cosine_restarts(fraction_done: float, num_cycles: int = 4) -> float:
    """Return `cosine` of the fraction of the present cycle that is done, of `num_cycles` equal cycles.

    Source: Loshchilov and Hutter, *SGDR: stochastic gradient descent with warm restarts*, 2017, section 3, with T_mult = 1.

    >>> [round(cosine_restarts(f), 4) for f in (0.0, 0.125, 0.25, 1.0)]
    [1.0, 0.5, 1.0, 0.0]
    """
    return cosine(fraction_done * num_cycles % 1.0 if fraction_done < 1.0 else 1.0)


def one_cycle(fraction_done: float, share: float = 0.3, start: float = 0.04) -> float:
    """Return a multiplier that rises along a half cosine from `start` to 1 over the first `share`, then falls along another to 0.

    Source: Smith and Topin, *Super-convergence: very fast training of neural networks using large learning rates*, 2018.

    >>> [round(one_cycle(f), 4) for f in (0.0, 0.15, 0.3, 0.65, 1.0)]
    [0.04, 0.52, 1.0, 0.5, 0.0]
    """
    if fraction_done < share:
        return 1.0 - (1.0 - start) * cosine(fraction_done / share)
    return cosine((fraction_done - share) / (1.0 - share))


def triangular(fraction_done: float, num_cycles: int = 4, low: float = 0.1) -> float:
    """Return a multiplier that goes up and down along lines between `low` and 1, `num_cycles` times.

    Source: Smith, *Cyclical learning rates for training neural networks*, 2017, section 3.2.

    >>> [round(triangular(f), 4) for f in (0.0, 0.0625, 0.125, 0.25)]
    [0.1, 0.55, 1.0, 0.1]
    """
    return 1.0 - (1.0 - low) * abs(fraction_done * num_cycles % 1.0 * 2.0 - 1.0)


def inverse_root(fraction_done: float, share: float = 0.1) -> float:
    """Return 1 / sqrt(1 + f (1 - share) / share), which behind a warm-up over `share` of a budget is sqrt(t_warm-up / t).

    Source: Vaswani et al., *Attention is all you need*, 2017, equation 3.

    >>> inverse_root(1.0), inverse_root(1.0, share=0.25)  # sqrt(0.1) and sqrt(0.25)
    (0.31622776601683794, 0.5)
    """
    return 1.0 / math.sqrt(1.0 + fraction_done * (1.0 - share) / share)


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
    "polynomial": polynomial,
    "cosine-restarts": cosine_restarts,
    "one-cycle": one_cycle,
    "triangular": triangular,
    "warm-up-inverse-root": partial(warm_up, then=inverse_root),
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
