"""Priorities: how often what is drawn, what it weighs, and what is forgotten."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium import spaces

from rl_algos.replay.buffer import EMPTY_SLOT, ReplaySettings
from rl_algos.replay.prioritised import PrioritisedReplay
from rl_core.envs import Transition


def make(capacity=40, envs=2, exponent=1.0):
    settings = ReplaySettings(capacity, envs, discount=0.9)
    return PrioritisedReplay(settings, spaces.Discrete(1_000), spaces.Discrete(2), exponent=exponent, least=1e-3)


def live(buffer, steps, over=lambda t: t % 7 == 6, first=0):
    envs = buffer.num_envs
    for t in range(first, first + steps):
        obs, no = np.full(envs, t), np.zeros(envs, dtype=bool)
        buffer.add(obs, no.astype(np.int64), Transition(obs + 1, np.full(envs, float(t)), no | over(t), no, obs + 1))


def test_transitions_are_drawn_in_proportion_to_their_priority():
    buffer = make(capacity=100)
    live(buffer, 20)
    slots = np.flatnonzero(buffer.kind != EMPTY_SLOT)
    errors = np.arange(len(slots)) % 5 - 2.0
    buffer.revalue(slots, errors.astype(np.float32))
    expected = np.abs(errors) + 1e-3
    np.testing.assert_allclose(buffer.probabilities()[slots], expected / expected.sum(), rtol=1e-6)
    rng = np.random.default_rng(0)
    drawn = np.bincount(np.concatenate([buffer.draw(rng, 32, 0.5)[0] for _ in range(2_000)]), minlength=len(buffer.kind))
    np.testing.assert_allclose(drawn[slots] / 64_000, expected / expected.sum(), atol=0.002)
    assert drawn.sum() == drawn[slots].sum()  # never a row that no transition starts from


def test_the_exponent_goes_from_even_draws_to_the_error_itself():
    for exponent in (0.0, 0.5, 1.0):
        buffer = make(exponent=exponent)
        live(buffer, 2, over=lambda t: False)
        slots = np.flatnonzero(buffer.kind != EMPTY_SLOT)
        buffer.revalue(slots, np.array([8.999, 0.999, -0.999, 3.999], dtype=np.float32))
        weights = np.array([9.0, 1.0, 1.0, 4.0]) ** exponent
        np.testing.assert_allclose(buffer.probabilities()[slots], weights / weights.sum(), rtol=1e-6)


def test_weights_undo_what_the_priorities_do():
    # With beta 1 the weighted mean over draws is the plain mean over transitions, times a factor that is the same for all.
    buffer = make(capacity=100, envs=1)
    live(buffer, 20)
    slots = np.flatnonzero(buffer.kind != EMPTY_SLOT)
    buffer.revalue(slots, np.linspace(1, 3, len(slots)).astype(np.float32))
    rng, total = np.random.default_rng(0), np.zeros(len(buffer.kind))
    for _ in range(4_000):
        drawn, weights = buffer.draw(rng, 8, correction=1.0)
        assert weights.max() == 1.0
        np.testing.assert_allclose(weights, buffer.probabilities()[drawn].min() / buffer.probabilities()[drawn], rtol=1e-6)
        unscaled = 1 / (len(slots) * buffer.probabilities()[drawn])
        np.add.at(total, drawn, unscaled)
    np.testing.assert_allclose(total[slots] / total.sum(), 1 / len(slots), rtol=0.1)
    assert (buffer.draw(rng, 8, correction=0.0)[1] == 1.0).all()


def test_a_batch_is_spread_over_the_whole_sum():
    buffer = make(capacity=100, envs=1)
    live(buffer, 32, over=lambda t: False)
    slots, _ = buffer.draw(np.random.default_rng(0), 32, 1.0)  # all alike: each is drawn once
    assert slots.tolist() == list(range(32))


@pytest.mark.parametrize("block_bytes", [2**24, 100])
def test_exactly_what_the_buffer_keeps_can_be_drawn(monkeypatch, block_bytes):
    monkeypatch.setattr("rl_algos.replay.buffer.BLOCK_BYTES", block_bytes)
    buffer = make(capacity=20)
    for first in range(0, 200, 5):
        live(buffer, 5, first=first)
        oldest, end = buffer.bounds()
        kept = np.zeros(len(buffer.kind), dtype=bool)
        for env in range(2):
            kept[env * buffer.num_rows + np.arange(oldest[env], end[env]) % buffer.num_rows] = True
        np.testing.assert_array_equal(buffer.probabilities() > 0, kept & (buffer.kind != EMPTY_SLOT))


def test_what_is_new_has_the_largest_priority_so_far():
    buffer = make(envs=1)
    live(buffer, 1)
    buffer.revalue(np.array([0]), np.array([7.0], dtype=np.float32))
    buffer.revalue(np.array([0]), np.array([1.0], dtype=np.float32))
    live(buffer, 1, first=1)
    probabilities = buffer.probabilities()
    assert probabilities[1] / probabilities[0] == pytest.approx(7.001 / 1.001)


@pytest.mark.parametrize("block_bytes", [2**24, 100])
def test_priorities_that_were_saved_and_loaded_go_on_the_same(monkeypatch, block_bytes):
    monkeypatch.setattr("rl_algos.replay.buffer.BLOCK_BYTES", block_bytes)
    buffer = make(capacity=30)
    live(buffer, 50)
    slots, _ = buffer.draw(np.random.default_rng(0), 16, 1.0)
    buffer.revalue(slots, slots.astype(np.float32))
    other = make(capacity=30)
    live(other, 13)
    other.load_state_dict(buffer.state_dict())
    for _ in range(2):
        for left, right in zip(buffer.draw(np.random.default_rng(1), 64, 0.7), other.draw(np.random.default_rng(1), 64, 0.7), strict=True):
            np.testing.assert_array_equal(left, right)
        live(buffer, 20, first=50)
        live(other, 20, first=50)
    np.testing.assert_array_equal(buffer.probabilities(), other.probabilities())


def test_nothing_can_be_drawn_from_nothing():
    buffer = make()
    with pytest.raises(ValueError, match="the replay buffer holds no transition; add a step before sampling"):
        buffer.draw(np.random.default_rng(0), 1, 1.0)


def test_an_error_that_is_not_finite_leaves_a_priority_as_it_was():
    buffer = make(envs=1)
    live(buffer, 3, over=lambda t: False)
    before = buffer.probabilities()
    buffer.revalue(np.array([0, 1]), np.array([np.nan, np.inf], dtype=np.float32))
    np.testing.assert_array_equal(buffer.probabilities(), before)
    buffer.draw(np.random.default_rng(0), 8, 1.0)


@pytest.mark.parametrize("leaf", [np.nan, np.inf, -1.0, 1.0])
def test_saved_priorities_that_cannot_be_are_refused(leaf):
    buffer = make(envs=1)
    live(buffer, 3, over=lambda t: False)
    state = buffer.state_dict()
    state["leaves"][-1 if leaf == 1.0 else 0] = leaf  # the last slot holds no transition
    with pytest.raises(ValueError, match="a saved priority is negative, not finite, or that of no transition"):
        make(envs=1).load_state_dict(state)
    state["leaves"] = state["leaves"][:-1]
    with pytest.raises(ValueError, match=r"the saved priorities are float64\[40\]; this buffer has float64\[41\]"):
        make(envs=1).load_state_dict(state)
