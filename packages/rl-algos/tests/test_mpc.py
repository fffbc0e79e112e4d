"""Model-predictive control: the optimisers of sequences on problems with a known answer, and the planner on the task's own dynamics."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from rl_algos.model_based.mpc import MPC, MPCConfig, Planner
from rl_algos.model_based.sequences import (
    Actions,
    CategoricalCrossEntropy,
    CovarianceMatrixAdaptation,
    CrossEntropy,
    PathIntegral,
    RandomShooting,
    best,
    checked,
    choices,
    coloured_noise,
)
from rl_algos.tasks.acrobot import Acrobot
from rl_algos.tasks.cartpole import CartPole, MaskedCartPole
from rl_algos.tasks.mountain_car import MountainCar
from rl_algos.tasks.pendulum import Pendulum
from rl_core.seeds import Seeds

OPTIMISERS = {
    "random": RandomShooting(4_000),
    "cem": CrossEntropy(100, 8),
    "icem": CrossEntropy(60, 8, noise_exponent=1.0, kept_fraction=0.3, shrink=0.9),
    "mppi": PathIntegral(200, 12, 0.3, 0.02),
    "cma-es": CovarianceMatrixAdaptation(12, 25),
    "cma-es best": CovarianceMatrixAdaptation(12, 25, take_best=True),
}
GOAL = np.array([0.5, -0.25, 0.75])[:, None]


def near_goal(candidates: np.ndarray) -> np.ndarray:
    """Return minus the squared distance of every candidate to `GOAL`."""
    return -((candidates - GOAL) ** 2).sum(axis=(2, 3))


@pytest.mark.parametrize("name", OPTIMISERS)
def test_an_optimiser_finds_the_best_plan_of_a_quadratic_for_each_environment(name: str) -> None:
    found = OPTIMISERS[name](near_goal, np.zeros((4, 3, 1)), np.random.default_rng(0))
    assert found.shape == (4, 3, 1)
    assert np.abs(found - GOAL).max() < (0.3 if name == "random" else 0.1)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_a_plan_that_the_model_cannot_value_never_wins(name: str) -> None:
    def broken(candidates: np.ndarray) -> np.ndarray:
        return np.where(candidates[:, :, 0, 0] > 0.0, np.nan, -np.abs(candidates[:, :, 0, 0] + 0.5))

    found = OPTIMISERS[name](broken, np.full((1, 3, 1), -0.1), np.random.default_rng(1))
    assert found[0, 0, 0] <= 0.0


def test_choices_are_fitted_as_probabilities_and_the_best_plan_seen_is_taken() -> None:
    goal = np.array([2, 0, 1, 2, 1, 0, 0, 2])  # three choices, eight steps: 1 of 6,561 plans

    def hits(candidates: np.ndarray) -> np.ndarray:
        return (choices(candidates[..., 0], 3) == goal).sum(axis=2).astype(float)

    optimiser = CategoricalCrossEntropy(3, 60, 6)
    found = optimiser(hits, np.zeros((3, 8, 1)), np.random.default_rng(0))
    assert (choices(found[..., 0], 3) == goal).all()
    again = optimiser(hits, found, np.random.default_rng(1))  # a plan that is given never gets worse
    assert (hits(again[:, None]) == 8).all()


def test_scores_that_are_not_numbers_are_minus_infinity() -> None:
    assert checked(lambda candidates: np.array([[1.0, np.nan]]), np.zeros((1, 2, 1, 1))).tolist() == [[1.0, -np.inf]]
    assert best(np.array([[[[1.0]], [[2.0]]]]), np.array([[3.0, -np.inf]])).tolist() == [[[1.0]]]


def test_white_noise_has_no_memory_and_coloured_noise_has() -> None:
    rng = np.random.default_rng(0)
    white, brown = (coloured_noise(rng, (1, 4_000, 15, 1), beta)[0, :, :, 0] for beta in (0.0, 2.0))
    assert abs(np.corrcoef(white[:, 3], white[:, 4])[0, 1]) < 0.1 < 0.6 < np.corrcoef(brown[:, 3], brown[:, 4])[0, 1]
    assert abs(brown.std() - 1) < 0.05
    assert coloured_noise(rng, (1, 5, 1, 2), 2.0).shape == (1, 5, 1, 2)


def test_numbers_become_actions_of_either_kind() -> None:
    box = Actions(spaces.Box(np.array([0.0, -4.0], np.float32), np.array([1.0, 4.0], np.float32)))
    assert box(np.array([[1.0, 0.5]])).tolist() == [[1.0, 2.0]]
    assert Actions(spaces.Discrete(2, start=3))(np.array([[-0.1], [0.1]])).tolist() == [3, 4]


def test_a_space_without_bounds_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="needs a Discrete space or a bounded Box"):
        Actions(spaces.Box(-np.inf, np.inf, (1,)))


@pytest.mark.parametrize("task", [Pendulum, CartPole, Acrobot, MountainCar])
def test_the_dynamics_are_those_of_the_environments(task: Any) -> None:
    made = task(task.Config())
    envs, dynamics = made.envs(5, Seeds(0)), made.dynamics()
    obs, rng = envs.reset(), np.random.default_rng(0)
    for _ in range(20):
        discrete = isinstance(made.output_space, spaces.Discrete)
        actions = rng.integers(0, 2, 5) if discrete else rng.uniform(-2, 2, (5, 1)).astype(np.float32)
        before = dynamics.state_of(obs)
        kept = before.copy()
        after, reward, terminated = dynamics.step(before, actions)
        transition = envs.step(actions)
        assert np.array_equal(before, kept)
        assert np.allclose(made.problem.observe(after), transition.final_obs, atol=1e-4)
        assert np.allclose(reward, transition.reward, atol=1e-4)
        assert np.array_equal(terminated, transition.terminated)
        obs = transition.obs


def test_rewards_after_a_predicted_end_count_as_nothing() -> None:
    task = CartPole(CartPole.Config())
    planner = Planner(task.dynamics(), Actions(task.output_space), MPCConfig(horizon=60), np.random.default_rng(0))
    state, length, terminated = np.zeros((1, 4)), 0, False
    while not terminated:
        state, _, (terminated,) = task.dynamics().step(state, np.array([1]))
        length += 1
    assert planner.returns(np.zeros((1, 4)), np.ones((1, 1, 60, 1)))[0, 0] == length < 60  # the last step is paid too
    assert planner.model_steps == 60


def test_a_task_whose_observations_hide_the_state_is_refused_in_words() -> None:
    task = MaskedCartPole(MaskedCartPole.Config())
    assert "dynamics" not in task.traits()
    with pytest.raises(ValueError, match="do not show its state"):
        task.dynamics()


@pytest.mark.learning
def test_the_cross_entropy_method_swings_the_pendulum_up_with_the_true_dynamics() -> None:
    task = Pendulum(Pendulum.Config())
    agent = MPC(MPCConfig(), task, None, seeds=Seeds(0), budget=1_000)
    scores = agent.evaluate(episodes=60, seeds=Seeds(0, ("evaluation",)))
    assert scores["mean return"] >= -150.0  # about -140 is the best that planners reach from these starts; -1,200 at random


def test_plans_are_kept_from_one_decision_to_the_next_and_forgotten_with_the_episode() -> None:
    task = CartPole(CartPole.Config())
    agent = MPC(MPCConfig(num_envs=2, horizon=6), task, None, seeds=Seeds(0), budget=100)
    agent.step()
    assert np.abs(agent.plan[:, :-1]).max() > 0
    assert (agent.plan[:, -1] == 0).all()
    player = agent.predictor()
    player.begin(np.array([True, True]))  # type: ignore[attr-defined]
    player(np.zeros((2, 4), np.float32))
    player.begin(np.array([True, False]))  # type: ignore[attr-defined]
    assert (player.plan[0] == 0).all()  # type: ignore[attr-defined]
    assert (player.plan[1] != 0).any()  # type: ignore[attr-defined]


@pytest.mark.learning
@pytest.mark.parametrize("optimiser", ["random", "cem", "mppi", "cma-es"])
def test_a_plan_of_80_steps_balances_the_pole(optimiser: Any) -> None:
    task = CartPole(CartPole.Config())
    agent = MPC(MPCConfig(optimiser=optimiser, horizon=80, num_candidates=200), task, None, seeds=Seeds(0), budget=1_000)
    assert agent.evaluate(episodes=20, seeds=Seeds(1, ("evaluation",)))["mean return"] >= 475.0
