"""Statistics of scores over seeds and tasks: interquartile means, bootstrap intervals, probabilities of improvement.

Source: Agarwal, Schwarzer, Castro, Courville and Bellemare, Deep reinforcement learning at the edge of the statistical precipice, 2021.
Departures: none. Letters: N runs (seeds), M tasks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

REPETITIONS = 10_000  # of the bootstrap


def interquartile_mean(scores: np.ndarray) -> np.ndarray:
    """Return the mean of the middle half of the scores, along the last axis.

    A quarter of the scores, rounded down, is left out at either end: outliers count less than in the mean, and the seeds more than in
    the median.

    >>> float(interquartile_mean(np.array([0.0, 1.0, 2.0, 9.0])))
    1.5
    >>> float(interquartile_mean(np.array([0.0, 1.0, 5.0])))
    2.0

    Args:
        scores: [..., N] scores.
    """
    ordered = np.sort(np.asarray(scores, dtype=float), axis=-1)
    cut = ordered.shape[-1] // 4
    return ordered[..., cut : ordered.shape[-1] - cut].mean(axis=-1)


def bootstrap_interval(
    tasks: Sequence[np.ndarray], *, confidence: float = 0.95, repetitions: int = REPETITIONS, seed: int = 0
) -> tuple[float, float]:
    """Return the percentile interval of the interquartile mean over all runs of all tasks.

    The bootstrap is stratified: in each repetition the runs of a task are drawn anew, with replacement, from the runs of that task.

    >>> bootstrap_interval([np.array([3.0, 3.0, 3.0])])
    (3.0, 3.0)

    Args:
        tasks: For each of M tasks its [N] scores; N may differ.
        confidence: Probability that the interval holds the true value, in (0, 1).
        repetitions: Number of samples that are drawn.
        seed: Seed of the draws.
    """
    rng = np.random.default_rng(seed)
    drawn = [np.asarray(scores, dtype=float)[rng.integers(len(scores), size=(repetitions, len(scores)))] for scores in tasks]
    means = interquartile_mean(np.concatenate(drawn, axis=1))
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def bootstrap_band(curves: np.ndarray, *, confidence: float = 0.95, repetitions: int = 1000, seed: int = 0) -> np.ndarray:
    """Return the percentile interval of the mean of curves at each point, [2, P]. It never leaves the range of the curves.

    >>> bootstrap_band(np.array([[0.0, 2.0], [4.0, 2.0]])).tolist()
    [[0.0, 2.0], [4.0, 2.0]]

    Args:
        curves: [N, P] a curve a run.
        confidence: Probability that the interval holds the true mean, in (0, 1).
        repetitions: Number of samples of runs that are drawn.
        seed: Seed of the draws.
    """
    count = len(curves)
    shares = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=repetitions) / count
    band: np.ndarray = np.quantile(shares @ curves, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    return band


def probability_of_improvement(ours: Sequence[np.ndarray], theirs: Sequence[np.ndarray]) -> float:
    """Return P(X > Y): the probability that a run of one is better than a run of the other on a task drawn at random.

    Averaged over the tasks, where ties count one half (the statistic of Mann and Whitney, 1947).

    >>> probability_of_improvement([np.array([1.0, 3.0])], [np.array([2.0, 3.0])])  # (0 + 0 + 1 + 1/2) / 4
    0.375

    Args:
        ours: For each of M tasks its [N] scores, of which more are better.
        theirs: The scores of the other, on the same tasks.
    """
    per_task = []
    for mine, other in zip(ours, theirs, strict=True):
        difference = np.asarray(mine, dtype=float)[:, None] - np.asarray(other, dtype=float)[None, :]
        per_task.append(np.mean((difference > 0) + 0.5 * (difference == 0)))
    return float(np.mean(per_task))


def normalised(scores: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return scores as shares of the way from `low` to `high`; ones where the two are equal.

    >>> normalised(np.array([150.0, 500.0]), 100.0, 500.0).tolist()
    [0.125, 1.0]
    """
    return np.ones(len(scores)) if low == high else (np.asarray(scores, dtype=float) - low) / (high - low)
