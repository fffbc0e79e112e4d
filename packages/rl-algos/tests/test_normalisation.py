"""Running statistics against those of everything at once."""

from __future__ import annotations

import numpy as np
import pytest

from rl_algos.parts.normalisation import RewardScale, RunningMoments


def test_batches_of_any_size_give_the_moments_of_the_whole():
    data = np.random.default_rng(0).normal([3.0, -100.0], [0.1, 20.0], (1_000, 2))
    moments = RunningMoments((2,))
    for batch in np.split(data, [1, 2, 10, 500, 999]):
        moments.update(batch)
    np.testing.assert_allclose(moments.mean, data.mean(0))
    np.testing.assert_allclose(moments.variance, data.var(0))
    assert moments.count == 1_000


def test_large_offsets_lose_no_digits():
    data = 1e6 + np.random.default_rng(0).standard_normal((10_000, 1))
    moments = RunningMoments((1,))
    for batch in np.split(data, 100):
        moments.update(batch)
    assert moments.variance[0] == pytest.approx(data.var(), rel=1e-6)


def test_normalised_data_have_mean_0_and_deviation_1_and_a_limit():
    data = np.random.default_rng(0).normal(5.0, 3.0, (5_000, 1))
    moments = RunningMoments((1,))
    moments.update(data)
    scaled = moments.normalise(data)
    assert scaled.dtype == np.float32
    assert scaled.mean() == pytest.approx(0.0, abs=1e-5)
    assert scaled.std() == pytest.approx(1.0, abs=1e-5)
    assert moments.normalise(np.array([[1e9]])).item() == 10.0


def test_before_anything_was_seen_nothing_changes():
    obs = np.array([[0.5, -2.0]], dtype=np.float32)
    np.testing.assert_allclose(RunningMoments((2,)).normalise(obs), obs, rtol=1e-6)


def test_normalising_leaves_the_statistics_where_they_are():
    moments = RunningMoments((1,))
    moments.update(np.array([[1.0], [2.0]]))
    before = moments.state_dict()
    moments.normalise(np.array([[100.0]]))
    assert moments.state_dict() == before


def test_rewards_are_divided_by_the_deviation_of_the_discounted_return():
    reward = np.random.default_rng(0).standard_normal((50, 2)).astype(np.float32)
    over = np.zeros((50, 2), dtype=bool)
    over[19, 0] = True  # the return of environment 0 begins anew after step 19
    returns = np.zeros((50, 2))
    for n in range(2):
        total = 0.0
        for t in range(50):
            total = 0.9 * total + reward[t, n]
            returns[t, n] = total
            if over[t, n]:
                total = 0.0
    np.testing.assert_allclose(RewardScale(2, 0.9)(reward, over), reward / returns.std(), rtol=1e-4)


def test_a_restored_scale_continues_in_the_middle_of_an_episode():
    reward = np.random.default_rng(0).standard_normal((40, 2)).astype(np.float32)
    over = np.zeros((40, 2), dtype=bool)
    scale = RewardScale(2, 0.9)
    scale(reward[:20], over[:20])
    other = RewardScale(2, 0.9)
    other.load_state_dict(scale.state_dict())
    np.testing.assert_array_equal(scale(reward[20:], over[20:]), other(reward[20:], over[20:]))
