"""The policy gradient as cross-entropy with the return as sample weight: the same gradient as REINFORCE's, and what it learns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dl_nets.networks.mlp import MLP, MLPConfig
from rl_algos.on_policy.reinforce import Reinforce, ReinforceConfig
from rl_algos.on_policy.reinforce_crossentropy import ReinforceCrossentropy, ReinforceCrossentropyConfig, sample_weights
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


def gradient_of(parameters):
    return np.concatenate([parameter.grad.numpy().ravel() for parameter in parameters])


@pytest.mark.parametrize("task", [CartPole, Acrobot])
def test_the_gradient_is_reinforce_s(task):
    task, rng = task(ArrayTaskConfig()), np.random.default_rng(0)
    ours = make_agent(task)
    config = ReinforceConfig(num_envs=4, compiled=False)
    theirs = Reinforce(config, task, MLP(MLPConfig(hidden=(8, 8))), seeds=Seeds(0), budget=1_000, device="cpu")
    inputs = rng.standard_normal((50, *task.input_space.shape), dtype=np.float32)
    action, return_ = rng.integers(0, task.output_space.n, 50), rng.normal(0, 5, 50).astype(np.float32)
    weight = sample_weights(return_)
    assert weight.min() == 0
    theirs.actor_critic.policy_gradient(inputs, action, weight)
    expected = gradient_of(theirs.actor_critic._policy_optimiser._parameters)
    ours.learn(inputs, action, weight)
    np.testing.assert_allclose(gradient_of(ours.optimiser._parameters), expected, atol=1e-6)
    assert np.abs(expected).max() > 1e-2  # there was something to compare


def test_an_example_of_weight_two_counts_as_two():
    rng = np.random.default_rng(0)
    inputs, action = rng.standard_normal((3, 4), dtype=np.float32), np.array([0, 1, 1])
    gradients = []
    for rows, weight in (([0, 1, 2], [1.0, 2.0, 1.0]), ([0, 1, 1, 2], [1.0, 1.0, 1.0, 1.0])):
        agent = make_agent()
        agent.learn(inputs[rows], action[rows], np.array(weight))
        gradients.append(gradient_of(agent.policy.module.parameters()) * len(rows))  # means over another number of examples
    np.testing.assert_allclose(gradients[0], gradients[1], atol=1e-6)


def test_returns_that_are_all_alike_and_nothing_teach_nothing():
    agent = make_agent()
    before = agent.parameters()
    assert agent.learn(np.ones((2, 4), np.float32), np.array([0, 1]), sample_weights(np.array([-3.0, -3.0]))) == 0.0
    assert all((value == before[name]).all() for name, value in agent.parameters().items())


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
