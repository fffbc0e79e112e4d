"""Contextual bandits: exact regressions, and regret far below that of chance."""

from __future__ import annotations

import numpy as np
import pytest

from rl_algos.bandits.contextual import Exp4, LinThompson, LinUCB, Ridge, with_constant
from rl_algos.tasks.contextual_bandit import ContextualBandit, ContextualBanditConfig
from rl_core.seeds import Seeds


def make(agent, **settings):
    return agent(agent.Config(), ContextualBandit(ContextualBanditConfig(**settings)), None, seeds=Seeds(0), budget=4_000)


def learned(agent):
    while agent.progress < agent.budget:
        metrics = agent.step()
    return metrics


def test_updates_one_by_one_are_the_ridge_regression():
    rng = np.random.default_rng(0)
    contexts, rewards = rng.standard_normal((30, 4)), rng.standard_normal(30)
    ridge = Ridge(1, 4, 0.5)
    for context, reward in zip(contexts, rewards, strict=True):
        ridge.add(0, context, reward)
    matrix = 0.5 * np.eye(4) + contexts.T @ contexts
    assert np.allclose(ridge.weights[0], np.linalg.solve(matrix, contexts.T @ rewards))
    assert np.allclose(ridge.variance(contexts[0]), contexts[0] @ np.linalg.solve(matrix, contexts[0]))


@pytest.mark.parametrize("agent", [LinUCB, LinThompson])
def test_linear_agents_find_the_best_arms_with_a_twentieth_of_the_regret_of_chance(agent):
    agent = make(agent)
    metrics = learned(agent)
    means = np.random.default_rng(0).standard_normal((4_000, 8)) @ agent.task.weights.T
    chance = float((means.max(axis=1) - means.mean(axis=1)).sum())
    assert agent.regret < chance / 20
    assert metrics["best_arm"] > 0.9
    assert np.allclose(agent.weights[:, :-1], agent.task.weights, atol=0.3)


def test_exp4_finds_the_best_of_its_experts():
    """One number of the context decides: an expert of this feature and these arms is always right."""
    agent = make(Exp4, num_arms=2, num_features=2, noise=0.1)
    agent.envs.weights[:] = [[2.0, 0.0], [-2.0, 0.0]]
    learned(agent)
    assert agent.experts[agent.log_weights.argmax()].tolist() == [0, 0, 1]
    assert agent.predict(np.array([[1.0, 0.0], [-1.0, 0.0]], np.float32)).tolist() == [0, 1]


def test_clicks_are_rewards_of_zero_or_one():
    envs = ContextualBandit(ContextualBanditConfig(rewards="clicks")).envs(500, Seeds(0))
    envs.reset()
    mean = envs.means()[:, 0].mean()
    reward = envs.step(np.zeros(500, np.int64)).reward
    assert set(reward.tolist()) == {0.0, 1.0}
    assert reward.mean() == pytest.approx(mean, abs=0.07)


def test_a_constant_is_appended():
    assert with_constant(np.array([[3.0, 4.0]])).tolist() == [[3.0, 4.0, 1.0]]
