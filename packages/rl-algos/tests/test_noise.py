"""Noise of deterministic policies: its size, its memory, and beginning anew."""

from __future__ import annotations

import numpy as np
import pytest

from rl_algos.continuous.noise import Noise, ornstein_uhlenbeck


def make(name, num_envs=2_000, **settings):
    return Noise(name, num_envs, 1, np.random.default_rng(0), **{"std": 0.3, **settings})


def test_gaussian_noise_has_its_deviation_and_no_memory():
    noise = make("gaussian", 100_000)
    first, second = noise.sample()[:, 0], noise.sample()[:, 0]
    # Errors of both estimates from 100,000 numbers: 0.3 / sqrt(200,000) and 1 / sqrt(100,000).
    assert first.std() == pytest.approx(0.3, abs=5 * 0.3 / 200_000**0.5)
    assert np.corrcoef(first, second)[0, 1] == pytest.approx(0.0, abs=5 / 100_000**0.5)


def test_the_drift_has_the_variance_and_the_memory_of_its_equation():
    # x' = (1 - theta dt) x + sigma sqrt(dt) xi: variance sigma^2 dt / (1 - (1 - theta dt)^2), correlation 1 - theta dt.
    noise = make("ornstein-uhlenbeck", 20_000, reversion=0.5, time_step=0.4)
    for _ in range(60):
        before = noise.sample()[:, 0]
    after = noise.sample()[:, 0]
    assert after.var() == pytest.approx(0.3**2 * 0.4 / (1 - 0.8**2), rel=0.05)
    assert np.corrcoef(before, after)[0, 1] == pytest.approx(0.8, abs=0.02)


def test_a_drift_goes_back_to_zero_without_new_noise():
    drift = np.array([[2.0, -1.0]])
    np.testing.assert_allclose(ornstein_uhlenbeck(drift, np.zeros((1, 2)), std=9.0, reversion=0.25, time_step=1.0), [[1.5, -0.75]])


def test_a_new_episode_begins_without_drift_and_leaves_the_others_theirs():
    noise = make("ornstein-uhlenbeck", 2)
    drift = noise.sample()
    kept = drift.copy()
    noise.reset(np.array([True, False]))
    assert noise.state_dict()["drift"].tolist() == [[0.0], [kept[1, 0]]]
    np.testing.assert_array_equal(drift, kept)  # what was handed out stays as it was


def test_saved_noise_goes_on_where_it_was():
    noise, other = make("ornstein-uhlenbeck"), make("ornstein-uhlenbeck")
    noise.sample()
    other.load_state_dict(noise.state_dict())
    other._rng.bit_generator.state = noise._rng.bit_generator.state
    np.testing.assert_array_equal(noise.sample(), other.sample())
