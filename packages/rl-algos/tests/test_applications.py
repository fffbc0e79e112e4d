"""Applications: their known optima by other means, and agents with another risk on another road."""

from __future__ import annotations

import numpy as np
import pytest

from rl_algos.applications import lane_keeping, markets
from rl_algos.applications.decisions import (
    AdaptiveTrial,
    AdaptiveTrialConfig,
    Recommender,
    RecommenderConfig,
    TrafficSignal,
    TrafficSignalConfig,
    Treatment,
    TreatmentConfig,
    TwoRoads,
    TwoRoadsConfig,
)
from rl_algos.parts.risk import Risk
from rl_core.plugins.catalogue import Catalogue
from rl_core.runs.recipe import resolve
from rl_core.seeds import Seeds


def test_a_trial_of_two_patients_is_worth_thirteen_twelfths():
    """1/2 for the first; after a success, which has probability 1/2, the same treatment succeeds with 2/3, else the other with 1/2."""
    assert AdaptiveTrial(AdaptiveTrialConfig(patients=2)).optimal_return() == pytest.approx(0.5 + 0.5 * 2 / 3 + 0.5 * 0.5)


@pytest.mark.parametrize(
    "task",
    [TrafficSignal(TrafficSignalConfig()), Treatment(TreatmentConfig()), Recommender(RecommenderConfig())],
    ids=["traffic", "treatment", "recommender"],
)
def test_no_constant_action_comes_near_the_best_policy(task):
    constant = [task.return_of(np.full(task.mdp.num_states, action)) for action in range(task.mdp.num_actions)]
    assert max(constant) < task.target < task.optimal_return()


def test_the_best_execution_is_that_of_almgren_and_chriss():
    task, best = markets.Execution(markets.Execution.Config()), markets.best_positions()

    def sold(obs: np.ndarray) -> np.ndarray:
        step = np.round((1.0 - obs[:, 1]) / 2.0 * markets.SHARES_STEPS).astype(int)
        return (2.0 * (1.0 - best[step + 1] / best[step]) - 1.0)[:, None].astype(np.float32)

    assert task.evaluate(sold, episodes=1, seeds=Seeds(0))["mean return"] == pytest.approx(markets.best_return(), abs=1e-3)
    rng = np.random.default_rng(0)
    for _ in range(20):  # no other positions cost less
        other = best + 0.02 * np.concatenate([[0], rng.standard_normal(markets.SHARES_STEPS - 1), [0]])
        assert -100 * (markets.IMPACT * np.diff(other) ** 2 + markets.RISK * other[1:] ** 2).sum() < markets.best_return()


def test_kelly_s_bets_grow_as_fast_as_they_should_and_the_lane_is_kept_by_stanley():
    task = markets.Portfolio(markets.Portfolio.Config())
    bets = [markets.kelly_growth(chance)[0] / 4.5 - 1.0 for chance in markets.CHANCES]
    scores = task.evaluate(lambda obs: np.where(obs < 0, bets[0], bets[1]).astype(np.float32), episodes=2_000, seeds=Seeds(0))
    assert scores["mean return"] == pytest.approx(task.best, abs=4 * scores["standard deviation"] / 2_000**0.5)
    assert scores["expected return"] == pytest.approx(task.best, rel=1e-6)
    lane = lane_keeping.LaneKeeping(lane_keeping.LaneKeeping.Config())
    assert lane.evaluate(lane_keeping.stanley, episodes=20, seeds=Seeds(0))["mean return"] > 199


def test_risk_reverses_the_order_of_the_roads():
    task, rng = TwoRoads(TwoRoadsConfig()), np.random.default_rng(0)
    drawn = [rng.choice(returns, 20_000, p=chances) for returns, chances in (task.returns_of(0), task.returns_of(1))]
    mean, worst = Risk.read("none"), Risk.read("cvar:0.1")
    assert mean.of(drawn[1]) > mean.of(drawn[0])
    assert worst.of(drawn[1]) < -35 < worst.of(drawn[0])
    with pytest.raises(ValueError, match="expected none, cvar:ALPHA"):
        Risk.read("cvar:2")


def test_the_utility_s_gradient_is_that_of_cvar():
    """Two outcomes, 0 with probability p and 1: CVaR at alpha = 1/2 is max(0, 1 - 2 p), with the slope -2 where p < 1/2."""
    p, alpha = 0.3, 0.5
    sample = np.repeat([0.0, 1.0], [300, 700])
    utility = Risk("cvar", alpha).utility(sample, sample)
    score = np.where(sample == 0, 1 / p, -1 / (1 - p))  # d ln probability / dp
    assert np.mean(utility * score) == pytest.approx(-2.0)


@pytest.mark.learning
@pytest.mark.parametrize("agent", ["reinforce", "qr-dqn"])
@pytest.mark.parametrize(("risk", "road"), [("none", 1), ("cvar:0.1", 0)])
def test_agents_take_the_road_that_their_risk_asks_for(agent, risk, road):
    made = resolve(Catalogue.discover(), agent, task="two-roads", overrides=[f"risk={risk}"])
    learner = made.build_agent(Seeds(0))
    while learner.progress < learner.budget:
        learner.step()
    assert learner.predict(np.array([0]))[0] == road
