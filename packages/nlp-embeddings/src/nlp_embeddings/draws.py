"""Draws from a generator for the bundled tasks, which are made from a seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def one_of(rng: np.random.Generator, options: Sequence[str]) -> str:
    """Return one of the options, the one that `rng.choice` gives; that would make an array of them first, ten times as slow.

    >>> one, other = np.random.default_rng(0), np.random.default_rng(0)
    >>> all(one_of(one, "aeiou") == other.choice(list("aeiou")) for _ in range(100))
    True
    """
    return options[int(rng.integers(len(options)))]


def steps_of(chances: np.ndarray) -> np.ndarray:
    """Return cumulative chances [..., K] for `number_of`."""
    sums = chances.cumsum(axis=-1)
    return sums / sums[..., -1:]


def number_of(rng: np.random.Generator, steps: np.ndarray) -> int:
    """Return a number in [0, K), the one that `rng.choice(K, p=chances)` gives; that would check and add up the chances each time.

    >>> chances, one, other = np.array([0.2, 0.5, 0.3]), np.random.default_rng(0), np.random.default_rng(0)
    >>> all(number_of(one, steps_of(chances)) == other.choice(3, p=chances) for _ in range(100))
    True
    """
    return int(steps.searchsorted(rng.random(), side="right"))
