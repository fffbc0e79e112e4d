"""Priorities: how often what is drawn, what it weighs, and what is forgotten."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium import spaces

from rl_algos.replay.buffer import NOTHING, ReplayBuffer
from rl_algos.replay.prioritised import Priorities
from rl_core.envs import Transition


def make(capacity=40, envs=2, exponent=1.0):
    buffer = ReplayBuffer(capacity, envs, spaces.Discrete(1_000), spaces.Discrete(2), discount=0.9)
    return buffer, Priorities(buffer, exponent=exponent, least=1e-3)


def live(buffer, priorities, steps, over=lambda t: t % 7 == 6, first=0):
    envs = buffer.num_envs
    for t in range(first, first + steps):
        obs, no = np.full(envs, t), np.zeros(envs, dtype=bool)
        buffer.add(obs, no.astype(np.int64), Transition(obs + 1, np.full(envs, float(t)), no | over(t), no, obs + 1))
        priorities.follow()


def test_transitions_are_drawn_in_proportion_to_their_priority():
    buffer, priorities = make(capacity=100)
    live(buffer, priorities, 20)
    slots = np.flatnonzero(buffer.kind != NOTHING)
    errors = np.arange(len(slots)) % 5 - 2.0
    priorities.update(slots, errors.astype(np.float32))
    expected = np.abs(errors) + 1e-3
    np.testing.assert_allclose(priorities.probabilities()[slots], expected / expected.sum(), rtol=1e-6)
    rng = np.random.default_rng(0)
    drawn = np.bincount(np.concatenate([priorities.draw(rng, 32, 0.5)[0] for _ in range(2_000)]), minlength=len(buffer.kind))
    np.testing.assert_allclose(drawn[slots] / 64_000, expected / expected.sum(), atol=0.002)
    assert drawn.sum() == drawn[slots].sum()  # never a row that no transition starts from


def test_the_exponent_goes_from_even_draws_to_the_error_itself():
    for exponent in (0.0, 0.5, 1.0):
        buffer, priorities = make(exponent=exponent)
        live(buffer, priorities, 2, over=lambda t: False)
        slots = np.flatnonzero(buffer.kind != NOTHING)
        priorities.update(slots, np.array([8.999, 0.999, -0.999, 3.999], dtype=np.float32))
        weights = np.array([9.0, 1.0, 1.0, 4.0]) ** exponent
        np.testing.assert_allclose(priorities.probabilities()[slots], weights / weights.sum(), rtol=1e-6)


def test_weights_undo_what_the_priorities_do():
    # With beta 1 the weighted mean over draws is the plain mean over transitions, times a factor that is the same for all.
    buffer, priorities = make(capacity=100, envs=1)
    live(buffer, priorities, 20)
    slots = np.flatnonzero(buffer.kind != NOTHING)
    priorities.update(slots, np.linspace(1, 3, len(slots)).astype(np.float32))
    rng, total = np.random.default_rng(0), np.zeros(len(buffer.kind))
    for _ in range(4_000):
        drawn, weights = priorities.draw(rng, 8, correction=1.0)
        assert weights.max() == 1.0
        np.testing.assert_allclose(weights, priorities.probabilities()[drawn].min() / priorities.probabilities()[drawn], rtol=1e-6)
        unscaled = 1 / (len(slots) * priorities.probabilities()[drawn])
        np.add.at(total, drawn, unscaled)
    np.testing.assert_allclose(total[slots] / total.sum(), 1 / len(slots), rtol=0.1)
    assert (priorities.draw(rng, 8, correction=0.0)[1] == 1.0).all()


def test_a_batch_is_spread_over_the_whole_sum():
    buffer, priorities = make(capacity=100, envs=1)
    live(buffer, priorities, 32, over=lambda t: False)
    slots, _ = priorities.draw(np.random.default_rng(0), 32, 1.0)  # all alike: each is drawn once
    assert slots.tolist() == list(range(32))


@pytest.mark.parametrize("block_bytes", [2**24, 100])
def test_exactly_what_the_buffer_keeps_can_be_drawn(monkeypatch, block_bytes):
    monkeypatch.setattr("rl_algos.replay.buffer.BLOCK_BYTES", block_bytes)
    buffer, priorities = make(capacity=20)
    for first in range(0, 200, 5):
        live(buffer, priorities, 5, first=first)
        oldest, end = buffer.bounds()
        kept = np.zeros(len(buffer.kind), dtype=bool)
        for env in range(2):
            kept[env * buffer.num_rows + np.arange(oldest[env], end[env]) % buffer.num_rows] = True
        np.testing.assert_array_equal(priorities.probabilities() > 0, kept & (buffer.kind != NOTHING))


def test_what_is_new_has_the_largest_priority_so_far():
    buffer, priorities = make(envs=1)
    live(buffer, priorities, 1)
    priorities.update(np.array([0]), np.array([7.0], dtype=np.float32))
    priorities.update(np.array([0]), np.array([1.0], dtype=np.float32))
    live(buffer, priorities, 1, first=1)
    probabilities = priorities.probabilities()
    assert probabilities[1] / probabilities[0] == pytest.approx(7.001 / 1.001)


@pytest.mark.parametrize("block_bytes", [2**24, 100])
def test_priorities_that_were_saved_and_loaded_go_on_the_same(monkeypatch, block_bytes):
    monkeypatch.setattr("rl_algos.replay.buffer.BLOCK_BYTES", block_bytes)
    buffer, priorities = make(capacity=30)
    live(buffer, priorities, 50)
    slots, _ = priorities.draw(np.random.default_rng(0), 16, 1.0)
    priorities.update(slots, slots.astype(np.float32))
    other_buffer, other = make(capacity=30)
    live(other_buffer, other, 13)
    other_buffer.load_state_dict(buffer.state_dict())
    other.load_state_dict(priorities.state_dict())
    for _ in range(2):
        for left, right in zip(
            priorities.draw(np.random.default_rng(1), 64, 0.7), other.draw(np.random.default_rng(1), 64, 0.7), strict=True
        ):
            np.testing.assert_array_equal(left, right)
        live(buffer, priorities, 20, first=50)
        live(other_buffer, other, 20, first=50)
    np.testing.assert_array_equal(priorities.probabilities(), other.probabilities())


def test_nothing_can_be_drawn_from_nothing():
    _, priorities = make()
    with pytest.raises(ValueError, match="the replay buffer is empty; add a step before sampling"):
        priorities.draw(np.random.default_rng(0), 1, 1.0)
