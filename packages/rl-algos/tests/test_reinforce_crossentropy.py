"""The policy gradient as cross-entropy with the return as sample weight: the same gradient as REINFORCE's, and what it learns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dl_nets.networks.mlp import MLP, MLPConfig
from rl_algos.on_policy.policy_gradient import policy_gradient
from rl_algos.on_policy.reinforce import Reinforce, ReinforceConfig
from rl_algos.on_policy.reinforce_crossentropy import ReinforceCrossentropy, ReinforceCrossentropyConfig
from rl_algos.tasks.acrobot import Acrobot
from rl_algos.tasks.array_envs import ArrayTaskConfig
from rl_algos.tasks.cartpole import CartPole
from rl_algos.tasks.pendulum import Pendulum
from rl_core.gym_task import GymConfig, GymTask
from rl_core.seeds import Seeds

SMALL = ReinforceCrossentropyConfig(num_envs=4, max_episode_steps=40, optimiser="sgd")


def make_agent(task=None, config=SMALL, seeds=None, budget=1_000, hidden=(8, 8)):
    task = task or CartPole(ArrayTaskConfig())
    return ReinforceCrossentropy(config, task, MLP(MLPConfig(hidden=hidden)), seeds=seeds or Seeds(0), budget=budget, device="cpu")


def gradient_of(agent):
    return agent.actor_critic.policy_flat.gradient.numpy().copy()


@pytest.mark.parametrize("task", [CartPole, Acrobot])
def test_the_gradient_is_reinforce_s_also_for_returns_below_zero(task):
    task, rng = task(ArrayTaskConfig()), np.random.default_rng(0)
    ours = make_agent(task)
    config = ReinforceConfig(num_envs=4)
    theirs = Reinforce(config, task, MLP(MLPConfig(hidden=(8, 8), fast=False)), seeds=Seeds(0), budget=1_000, device="cpu")
    inputs = rng.standard_normal((50, *task.input_space.shape), dtype=np.float32)
    action, return_ = rng.integers(0, task.output_space.n, 50), rng.normal(0, 5, 50).astype(np.float32)
    policy_gradient(theirs.actor_critic, inputs, action, return_, 0.0)
    ours.learn(inputs, action, return_)
    np.testing.assert_allclose(gradient_of(ours), gradient_of(theirs), atol=1e-6)
    assert np.abs(gradient_of(theirs)).max() > 1e-2  # there was something to compare


def test_two_arms_are_learned_from_without_a_bias_whatever_the_batch():
    # Arms that pay -1 and 0, a uniform policy: the gradient of the loss by the first logit is E[G (1[j = 0] - pi_0)] = 1/4, in batches
    # of any size. Weights shifted to be >= 0 would give 0, 1/8, 7/32 in batches of 1, 2, 4.
    for size in (1, 2, 4):
        total = 0.0
        for batch in range(2**size):  # every batch is as likely as any other
            agent = make_agent(config=replace(SMALL, policy_gain=0.0))
            action = np.array([batch >> row & 1 for row in range(size)])
            agent.learn(np.zeros((size, 4), np.float32), action, action - 1.0)
            total += gradient_of(agent)[-2]  # the first logit's bias
        assert total / 2**size == pytest.approx(0.25)


def test_an_example_of_weight_two_counts_as_two():
    rng = np.random.default_rng(0)
    inputs, action = rng.standard_normal((3, 4), dtype=np.float32), np.array([0, 1, 1])
    gradients = []
    for rows, weight in (([0, 1, 2], [1.0, 2.0, 1.0]), ([0, 1, 1, 2], [1.0, 1.0, 1.0, 1.0])):
        agent = make_agent()
        agent.learn(inputs[rows], action[rows], np.array(weight))
        gradients.append(gradient_of(agent) * len(rows))  # means over another number of examples
    np.testing.assert_allclose(gradients[0], gradients[1], atol=1e-6)


def test_returns_of_nothing_teach_nothing():
    agent = make_agent()
    before = {name: value.copy() for name, value in agent.parameters().items()}
    assert agent.learn(np.ones((2, 4), np.float32), np.array([0, 1]), np.zeros(2)) == 0.0
    assert all((value == before[name]).all() for name, value in agent.parameters().items())


def test_normalised_returns_have_mean_0_and_deviation_1(monkeypatch):
    agent, seen = make_agent(config=replace(SMALL, normalise_returns=True)), []
    monkeypatch.setattr(agent, "learn", lambda inputs, action, weight: seen.append(weight) or 0.0)
    agent.step()
    assert seen[0].mean() == pytest.approx(0.0, abs=1e-5)
    assert seen[0].std() == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("task", ["array", "gym"])
def test_a_resumed_run_continues_to_the_last_bit(task, assert_same):
    task = CartPole(ArrayTaskConfig()) if task == "array" else GymTask(GymConfig(id="CartPole-v1"))
    config, seeds, other_seeds = replace(SMALL, optimiser="adam", normalise_obs=True), Seeds(5), Seeds(5)
    agent, other = make_agent(task, config, seeds), make_agent(task, config, other_seeds)
    agent.step()
    state, streams, progress = agent.state_dict(), seeds.state_dict(), agent.progress
    expected = [agent.step() for _ in range(2)]
    other.step()
    other.load_state_dict(state)
    other_seeds.load_state_dict(streams)
    other.progress = progress
    assert [other.step() for _ in range(2)] == expected
    assert_same(other.state_dict(), agent.state_dict())


@pytest.mark.learning
def test_cartpole_is_learned_by_classification():
    agent = make_agent(config=ReinforceCrossentropyConfig(), budget=60_000, hidden=(64, 64))
    while agent.progress < agent.budget:
        agent.step()
    assert agent.evaluate(episodes=20, seeds=agent.seeds)["mean return"] > 100  # chance: 22, deviation 12


def test_real_numbers_are_no_classes():
    with pytest.raises(ValueError, match=r"the task takes actions of Box.*; a classifier chooses among those of a Discrete space"):
        make_agent(Pendulum(ArrayTaskConfig()))


@pytest.mark.parametrize(
    ("setting", "message"),
    [({"num_envs": 0}, r"num_envs is 0; it must be >= 1"), ({"learning_rate": 0.0}, r"learning_rate is 0.0; it must be > 0")],
)
def test_a_setting_out_of_range_is_refused_in_words(setting, message):
    with pytest.raises(ValueError, match=message):
        ReinforceCrossentropyConfig(**setting)
