"""The conformance kit over the whole distribution, and tests that only its author can write."""

from __future__ import annotations

import numpy as np
import pytest

from rl_core import learn
from rl_core.conformance import conformance_tests
from rl_core.gym_task import GymConfig, GymTask
from rl_core.seeds import Seeds
from rl_core_example.homing import Homing, HomingConfig
from rl_core_example.linear import Linear, LinearConfig, Matrix
from rl_core_example.random_search import RandomSearch, RandomSearchConfig

test_conformance = conformance_tests("rl-core-example")


def go_home(obs: np.ndarray) -> np.ndarray:
    """Answer as the best policy: right where the position is negative."""
    return (obs[:, 0] < 0).astype(np.int64)


def test_a_matrix_multiplies() -> None:
    assert Matrix(np.array([[1.0, 2.0], [0.0, -1.0]]))(np.array([[3.0, 4.0]])).tolist() == [[11.0, -4.0]]


def test_the_best_policy_of_the_line_scores_what_its_docstring_derives() -> None:
    score = Homing(HomingConfig()).evaluate(go_home, episodes=2000, seeds=Seeds(0))["mean return"]
    assert score == pytest.approx(-2.2, abs=0.1)  # the standard deviation of an episode is 1.17, of this mean 0.026


def test_random_search_comes_home_from_every_seed(tmp_path) -> None:
    for seed in range(5):
        assert learn("random-search", seed=seed, out=tmp_path / str(seed)).reached


def test_random_search_balances_a_pole_that_it_was_not_written_for() -> None:
    task = GymTask(GymConfig(id="CartPole-v1"))
    agent = RandomSearch(RandomSearchConfig(), task, Linear(LinearConfig()), seeds=Seeds(0), budget=30)
    while agent.progress < 30:
        agent.step()
    assert agent.evaluate(episodes=20, seeds=Seeds(1))["mean return"] > 195  # a random policy reaches 22, and never 195


def test_a_step_without_length_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match=r"noise is 0\.0; it must be > 0"):
        RandomSearchConfig(noise=0.0)
