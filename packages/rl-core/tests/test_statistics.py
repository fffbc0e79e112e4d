"""Statistics over seeds and tasks, by numbers worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from rl_core import statistics
from rl_core.statistics import bootstrap_interval, interquartile_mean


def test_the_interquartile_mean_leaves_out_a_quarter_at_either_end() -> None:
    scores = np.array([100.0, 1.0, 2.0, 3.0, 4.0, -50.0, 5.0, 6.0])
    assert interquartile_mean(scores) == (2 + 3 + 4 + 5) / 4
    assert interquartile_mean(np.arange(10.0)) == np.arange(2.0, 8.0).mean()  # 10 // 4 = 2 at either end, as scipy's trim_mean
    assert interquartile_mean(np.array([[0.0, 0.0, 1.0, 9.0], [1.0, 2.0, 3.0, 4.0]])).tolist() == [0.5, 2.5]


def test_the_bootstrap_draws_within_each_task() -> None:
    # Each task has one value, so that every stratified sample is the data itself; drawn over all runs, the interval would be wide.
    assert bootstrap_interval([np.zeros(5), np.ones(5)]) == (0.5, 0.5)


def test_the_bootstrap_interval_of_a_mean_of_two_is_that_of_all_samples() -> None:
    # The mean of 2 draws from {0, 1} is 0, 1/2, 1 with probabilities 1/4, 1/2, 1/4: the quantiles at 2.5 % and 97.5 % are 0 and 1,
    # those at 30 % and 70 % are both 1/2.
    assert bootstrap_interval([np.array([0.0, 1.0])]) == (0.0, 1.0)
    assert bootstrap_interval([np.array([0.0, 1.0])], confidence=0.4) == (0.5, 0.5)


def test_the_interval_has_the_probability_that_it_states() -> None:
    rng = np.random.default_rng(3)
    hits = 0
    for trial in range(200):
        low, high = bootstrap_interval([rng.normal(size=20), rng.normal(size=20)], repetitions=400, seed=trial)
        hits += low <= 0.0 <= high
    assert 175 <= hits <= 199  # 95 % of 200 is 190; bootstrap intervals of few runs are known to be a little narrow


def test_improvement_is_a_probability_and_ties_count_one_half() -> None:
    ours, theirs = [np.array([2.0, 2.0]), np.array([0.0])], [np.array([1.0, 3.0]), np.array([0.0])]
    assert statistics.probability_of_improvement(ours, theirs) == pytest.approx((0.5 + 0.5) / 2)
    better = statistics.probability_of_improvement([np.array([5.0])], [np.array([1.0])])
    assert (better, statistics.probability_of_improvement([np.array([1.0])], [np.array([5.0])])) == (1.0, 0.0)
