"""Random numbers by index: the numbers of an example depend on the seed and its index alone, so that examples need not be kept.

Source: Steele, Lea and Flood, *Fast splittable pseudorandom number generators*, 2014, figure 17 (SplitMix64).
"""

from __future__ import annotations

import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # odd, and near 2^64 over the golden ratio


def mixed(state: np.ndarray) -> np.ndarray:
    """Return the output of SplitMix64 for each state, uint64; the n-th state of a sequence is its seed plus n times a constant.

    >>> mixed(np.uint64(1234567) + np.array([1, 2], np.uint64) * np.uint64(0x9E3779B97F4A7C15)).tolist()
    [6457827717110365317, 3203168211198807973]
    """
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def uniform(seed: int, stream: int, indices: np.ndarray, count: int) -> np.ndarray:
    """Return numbers [B, count], float64, uniform in [0, 1): row b is the same in whatever batch its index stands.

    Args:
        seed: >= 0.
        stream: Number of the split or of another use, >= 0; streams of one seed are independent.
        indices: Indices of the examples [B].
        count: Numbers of an example.
    """
    with np.errstate(over="ignore"):  # sums and products are modulo 2^64
        start = mixed(mixed(np.array([seed % 2**64], np.uint64)) + np.uint64(stream + 1) * _GOLDEN)
        rows = mixed(start + (indices.astype(np.uint64) + np.uint64(1)) * _GOLDEN)
        numbers = mixed(rows[:, None] + np.arange(1, count + 1, dtype=np.uint64) * _GOLDEN)
    return (numbers >> np.uint64(11)).astype(np.float64) * 2.0**-53
