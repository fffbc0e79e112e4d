"""The agent that acts at random."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium import spaces

from rl_algos.games.task import TicTacToe
from rl_algos.search.random_actions import RandomActions, RandomActionsConfig, random_actions
from rl_algos.tasks.array_envs import ArrayTaskConfig
from rl_algos.tasks.cartpole import CartPole
from rl_core.recording import record
from rl_core.seeds import Seeds


def test_chance_balances_a_pole_for_some_twenty_two_steps():
    """The mean length under even chances is 22.2, with a deviation of 12."""
    agent = RandomActions(RandomActionsConfig(), CartPole(ArrayTaskConfig()), None, seeds=Seeds(0), budget=100)
    assert agent.evaluate(episodes=1_000, seeds=Seeds(1))["mean return"] == pytest.approx(22.2, abs=1.2)


def test_actions_fill_their_bounds_and_stay_within_them():
    space = spaces.Box(np.array([-2.0, -np.inf], np.float32), np.array([1.0, np.inf], np.float32))
    drawn = random_actions(space, 4_000, np.random.default_rng(0))
    assert all(action in space for action in drawn[:50])
    assert drawn.mean(axis=0) == pytest.approx([-0.5, 0.0], abs=0.06)
    assert drawn.std(axis=0) == pytest.approx([3 / 12**0.5, 1.0], abs=0.05)


def test_an_answer_can_be_repeated():
    agent = RandomActions(RandomActionsConfig(), CartPole(ArrayTaskConfig()), None, seeds=Seeds(0), budget=100)
    obs = np.random.default_rng(0).standard_normal((64, 4)).astype(np.float32)
    assert agent.predict(obs).tolist() == agent.predict(obs).tolist()
    assert 10 < agent.predict(obs).sum() < 54


def test_only_moves_that_are_allowed_are_made_and_each_has_its_probability():
    agent = RandomActions(RandomActionsConfig(), TicTacToe(TicTacToe.Config()), None, seeds=Seeds(0), budget=100)
    arrays = record(agent.task, agent.predictor(), num_steps=400, seeds=Seeds(2))
    free = np.array([agent.task.legal_at(row[None])[0] for row in arrays["obs"]])
    assert free[np.arange(len(free)), arrays["action"]].all()
    assert arrays["probability"] == pytest.approx(1.0 / free.sum(axis=1), rel=1e-6)
    assert len(np.unique(arrays["action"])) == 9
