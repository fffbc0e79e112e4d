"""Planning by derivatives: Riccati's equation against SciPy, and iterative LQR on problems with known answers."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import linalg

from rl_algos.model_based.gradient import GradientConfig, GradientPlanner, MPCGradient
from rl_algos.model_based.lqr import LQR, LQRConfig, system_of
from rl_algos.model_based.sequences import Actions
from rl_algos.tasks.linear_quadratic import COST, EFFORT, MOST, PUSH, TRANSITION, LinearQuadratic
from rl_algos.tasks.pendulum import Pendulum
from rl_core.seeds import Seeds


def solved() -> LQR:
    agent = LQR(LQRConfig(), LinearQuadratic(LinearQuadratic.Config()), None, seeds=Seeds(0), budget=1_000)
    while not agent.finished:
        agent.step()
    return agent


def test_lqr_is_the_solution_of_riccati_s_equation() -> None:
    agent, expected = solved(), linalg.solve_discrete_are(TRANSITION, PUSH, COST, EFFORT)
    gain = -np.linalg.solve(EFFORT + PUSH.T @ expected @ PUSH, PUSH.T @ expected @ TRANSITION)
    assert np.abs(agent.matrix - expected).max() < 1e-8
    assert np.abs(agent.gain - gain).max() < 1e-8


def test_the_cost_of_the_regulator_is_what_its_matrix_predicts() -> None:
    agent, state, paid = solved(), np.array([[1.0, -0.5, 0.2, 0.8]]), 0.0
    predicted = float((state @ agent.matrix @ state.T).item())
    dynamics = LinearQuadratic(LinearQuadratic.Config()).dynamics()
    for _ in range(400):
        state, reward, _ = dynamics.step(state, state @ agent.gain.T)
        paid -= float(reward[0])
    assert paid == pytest.approx(predicted, rel=1e-9)


def test_iterative_lqr_solves_a_linear_problem_in_one_pass() -> None:
    task = LinearQuadratic(LinearQuadratic.Config())
    config = GradientConfig(horizon=30, num_candidates=0, damping=1e-9)
    planner = GradientPlanner(task.dynamics(), Actions(task.output_space), config, np.random.default_rng(0))
    state = np.array([[1.0, -0.5, 0.2, 0.8]])
    plan = planner.improved(state, np.zeros((1, 30, 2)))
    gains, matrix = [], np.zeros((4, 4))
    for _ in range(30):  # Riccati's recursion over as many steps
        gains.append(-np.linalg.solve(EFFORT + PUSH.T @ matrix @ PUSH, PUSH.T @ matrix @ TRANSITION))
        matrix = COST + TRANSITION.T @ matrix @ TRANSITION + TRANSITION.T @ matrix @ PUSH @ gains[-1]
    for t in range(30):
        action = state @ gains[29 - t].T
        assert plan[0, t] * MOST == pytest.approx(action[0], abs=1e-4)
        state = state @ TRANSITION.T + action @ PUSH.T


def test_a_task_that_is_not_linear_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="take mpc-gradient"):
        system_of(Pendulum(Pendulum.Config()).dynamics(), 2, 1)
    steep = SimpleNamespace(step=lambda state, action: (state + action, -(state**2).sum(axis=1), np.zeros(len(state), bool)))
    with pytest.raises(ValueError, match="cost does not rise"):
        system_of(steep, 1, 1)  # type: ignore[arg-type]


def test_iterative_lqr_swings_the_pendulum_up_at_a_tenth_of_the_model_calls() -> None:
    task = Pendulum(Pendulum.Config())
    agent = MPCGradient(GradientConfig(), task, None, seeds=Seeds(0), budget=1_000)
    player = agent.predictor()
    scores = task.evaluate(player, episodes=60, seeds=Seeds(0, ("evaluation",)))
    assert scores["mean return"] >= -150.0
    assert player.model_steps / (60 * 200) <= 600  # type: ignore[attr-defined]
