"""Off-policy evaluation on a process whose truth is known exactly."""

from __future__ import annotations

import numpy as np
import pytest

from rl_algos.offline.estimate import estimate
from rl_algos.offline.estimators import FittedQ
from rl_algos.tasks.classic import Garnet, GarnetConfig
from rl_core.recording import Recording, record
from rl_core.seeds import Seeds

DISCOUNT, SHARE = 0.9, 0.5


@pytest.fixture(scope="module")
def task() -> Garnet:
    return Garnet(GarnetConfig(num_states=8, num_actions=3, branches=3, ending=0.4, max_steps=0))


def truth(task: Garnet, policy: np.ndarray) -> float:
    process = task.mdp.with_discount(DISCOUNT).under(policy)
    values = np.linalg.solve(np.eye(8) - DISCOUNT * process.transition, process.reward)
    return float(task.mdp.start @ values)


@pytest.fixture(scope="module")
def greedy(task: Garnet) -> np.ndarray:
    return task.mdp.action_values(np.zeros(8)).argmax(axis=1)


def test_every_estimate_is_within_its_error_of_the_truth(task: Garnet, greedy: np.ndarray) -> None:
    # the squared ratio of a step is 1.5 on average, and 0.6 of the steps go on: the variance of importance sampling is finite
    arrays = record(task, None, num_steps=6_000, seeds=Seeds(3), num_lanes=16)
    recording = Recording(arrays, {})
    wanted = truth(task, np.eye(3)[greedy] * (1 - SHARE) + SHARE / 3)
    own = truth(task, np.full((8, 3), 1 / 3))
    found = estimate(task, lambda obs: greedy[obs], recording, discount=DISCOUNT, random_share=SHARE)
    assert len(found) == 5
    for name, (value, error) in found.items():
        assert abs(value - wanted) < 4 * error, name  # 1 of 16,000 estimates is farther
        assert 0 < error < abs(wanted - own), name  # it tells the two policies apart
    assert found["doubly robust"][1] < found["per-decision importance sampling"][1] < found["importance sampling"][1]


def test_the_error_of_a_recording_of_the_policy_itself_is_that_of_a_mean(task: Garnet, greedy: np.ndarray) -> None:
    arrays = record(task, lambda obs: greedy[obs], num_steps=2_000, random_share=SHARE, seeds=Seeds(3), num_lanes=16)
    recording = Recording(arrays, {})
    found = estimate(task, lambda obs: greedy[obs], recording, discount=1.0 - 1e-9, random_share=SHARE)
    returns = recording.returns()
    assert found["importance sampling"][0] == pytest.approx(returns.mean(), rel=1e-5)
    assert found["importance sampling"][1] == pytest.approx(returns.std(ddof=1) / np.sqrt(len(returns)), rel=1e-5)


def test_fitted_q_evaluation_on_vectors_finds_the_values_of_the_table(task: Garnet, greedy: np.ndarray) -> None:
    arrays = record(task, None, num_steps=3_000, seeds=Seeds(3), num_lanes=16)
    policy = np.eye(3)[greedy]
    table = FittedQ(Recording(arrays, {}), lambda obs: policy[obs], discount=DISCOUNT, num_actions=3)
    codes = {**arrays, "obs": np.eye(8)[arrays["obs"]], "final_obs": np.eye(8)[arrays["final_obs"]]}
    vectors = FittedQ(Recording(codes, {}), lambda obs: policy[obs.argmax(axis=1)], discount=DISCOUNT, num_actions=3)
    weight = np.ones(len(arrays["reward"]))
    assert np.allclose(table.fit(weight)[0], vectors.fit(weight)[0], atol=0.01)
