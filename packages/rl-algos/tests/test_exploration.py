"""Rules of exploration: their distributions, their schedules, and that acting draws from what they say."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rl_algos.parts.exploration import (
    EPSILON_GREEDY,
    EXPONENTIAL,
    LINEAR,
    VISITS,
    Exploration,
    Explorer,
    count_bonus,
    explore,
    rate_at,
    upper_confidence,
)

RULES = {
    "greedy": Exploration(exploration="greedy"),
    "random": Exploration(exploration="random"),
    "epsilon-greedy": Exploration(exploration_rate=0.3),
    "boltzmann": Exploration(exploration="boltzmann", exploration_rate=0.7),
    "ucb": Exploration(exploration="ucb", exploration_rate=1.0),
}
VALUES = np.array([[0.2, 1.0, 1.0, -0.5]])
VISITED = np.array([[5, 20, 3, 1]])


def test_the_probabilities_are_those_worked_by_hand():
    np.testing.assert_allclose(RULES["greedy"].probabilities(VALUES), [[0.0, 0.5, 0.5, 0.0]])
    np.testing.assert_allclose(RULES["random"].probabilities(VALUES), [[0.25] * 4])
    np.testing.assert_allclose(RULES["epsilon-greedy"].probabilities(VALUES), [[0.075, 0.425, 0.425, 0.075]])
    two = Exploration(exploration="boltzmann", exploration_rate=1.0).probabilities(np.array([[math.log(3.0), 0.0]]))
    np.testing.assert_allclose(two, [[0.75, 0.25]])


def test_ucb_takes_what_was_never_tried_and_then_the_largest_bound():
    rule = RULES["ucb"]
    assert rule.probabilities(VALUES, np.array([[5, 0, 3, 0]])).tolist() == [[0.0, 0.5, 0.0, 0.5]]
    bound = upper_confidence(np.array([[1.0, 0.0]]), np.array([[4, 1]]), 0, 2.0)
    np.testing.assert_allclose(bound, [[1.0 + 2.0 * math.sqrt(math.log(5.0) / 4.0), 2.0 * math.sqrt(math.log(5.0))]])
    # 1 + sqrt(ln 29 / 3) is the largest of the four bounds
    assert rule.probabilities(VALUES, VISITED).tolist() == [[0.0, 0.0, 1.0, 0.0]]


@pytest.mark.parametrize("name", RULES)
def test_acting_has_the_frequencies_that_the_probabilities_say(name):
    rule, count = RULES[name], 40_000
    expected = rule.probabilities(VALUES, VISITED)[0]
    explorer, scratch, rng = rule.explorer(), np.empty(4), np.random.default_rng(0)
    drawn = [explore(explorer, VALUES, VISITED, 0, 0, rng.random(), scratch) for _ in range(count)]
    batch = rule.act(np.repeat(VALUES, count, axis=0), rng, np.repeat(VISITED, count, axis=0))
    for actions in (drawn, batch):
        frequency = np.bincount(actions, minlength=4) / count
        # six standard errors for each of four actions and ten samples: a false alarm in ten million runs
        assert (np.abs(frequency - expected) <= 6.0 * np.sqrt(expected * (1.0 - expected) / count)).all()


def test_a_cold_boltzmann_is_greedy_and_a_hot_one_random_and_none_overflows():
    values = np.array([[1e4, 1e4 - 1.0, -1e4]])
    assert Exploration(exploration="boltzmann", exploration_rate=0.0).probabilities(values).tolist() == [[1.0, 0.0, 0.0]]
    np.testing.assert_allclose(Exploration(exploration="boltzmann", exploration_rate=1e-3).probabilities(values), [[1.0, 0.0, 0.0]])
    np.testing.assert_allclose(Exploration(exploration="boltzmann", exploration_rate=1e12).probabilities(values), [[1 / 3] * 3])


def test_schedules_go_from_start_to_end():
    linear, exponential = Explorer(EPSILON_GREEDY, 1.0, 0.2, LINEAR, 100.0), Explorer(EPSILON_GREEDY, 1.0, 0.2, EXPONENTIAL, 100.0)
    assert [rate_at(linear, step, 0) for step in (0, 50, 100, 1_000)] == pytest.approx([1.0, 0.6, 0.2, 0.2])
    assert rate_at(exponential, 0, 0) == 1.0
    assert rate_at(exponential, 100, 0) == pytest.approx(0.2 + 0.8 / math.e)
    visits = Explorer(EPSILON_GREEDY, 1.0, 0.05, VISITS, 10.0)
    assert [rate_at(visits, 0, count) for count in (0, 10, 10_000)] == pytest.approx([1.0, 0.5, 0.05])


def test_a_schedule_by_visits_counts_those_of_the_state():
    rule = Exploration(exploration_rate=1.0, exploration_schedule="visits", exploration_steps=10.0)
    rows = rule.probabilities(np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([[0, 0], [6, 4]]))
    np.testing.assert_allclose(rows, [[0.5, 0.5], [0.75, 0.25]])


def test_the_count_bonus_falls_with_the_root_of_the_count():
    assert [count_bonus(0.6, count) for count in (1, 4, 9)] == pytest.approx([0.6, 0.3, 0.2])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"exploration_rate": 1.2}, r"exploration_rate is 1.2; with epsilon-greedy it must be in \[0, 1\]"),
        ({"exploration": "boltzmann", "exploration_rate": -1.0}, r"exploration_rate is -1.0; with boltzmann it must be in \[0, inf\]"),
        ({"exploration_steps": 0.0}, "exploration_steps is 0.0; it must be > 0"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Exploration(**settings)
