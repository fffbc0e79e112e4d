"""PPO: its formulas, what an episode's end means to it, exact resume, and learning."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from dl_nets.networks.mlp import MLP, MLPConfig
from rl_algos.on_policy.ppo import LOSSES, PPO, PPOConfig, policy_loss
from rl_algos.on_policy.rollout import Batch, Rollout, minibatches
from rl_algos.tasks.acrobot import Acrobot
from rl_algos.tasks.array_envs import ArrayTaskConfig
from rl_algos.tasks.cartpole import CartPole
from rl_algos.tasks.pendulum import Pendulum
from rl_core.gym_task import GymConfig, GymTask
from rl_core.seeds import Seeds

SMALL = PPOConfig(num_envs=4, rollout_steps=16, num_epochs=2, batch_size=16)
TASKS = {"CartPole": CartPole, "Acrobot": Acrobot, "Pendulum": Pendulum}


def make_agent(task="CartPole", config=SMALL, seed=0, budget=1_000, seeds=None, hidden=(8, 8), fast=True):
    task = TASKS[task](ArrayTaskConfig()) if isinstance(task, str) else task
    return PPO(config, task, MLP(MLPConfig(hidden=hidden, fast=fast)), seeds=seeds or Seeds(seed), budget=budget, device="cpu")


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss"),
    [
        (1.1, 2.0, -2.2),  # inside the range: the plain ratio
        (1.5, 2.0, -2.4),  # more of a good action pays no further than 1.2
        (0.5, 2.0, -1.0),  # but taking it back does count
        (0.5, -2.0, 1.6),  # less of a bad action pays no further than 0.8
        (1.5, -2.0, 3.0),  # but taking it up does count
    ],
)
def test_the_clipped_objective_has_the_paper_s_six_cases(ratio, advantage, loss):
    assert policy_loss(torch.tensor([ratio]), torch.tensor([advantage]), 0.2).item() == pytest.approx(loss)


def test_a_clipped_ratio_has_no_gradient():
    ratio = torch.tensor([1.5, 1.1], requires_grad=True)
    policy_loss(ratio, torch.ones(2), 0.2).backward()
    assert ratio.grad.tolist() == [0.0, -0.5]


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("task", TASKS)
def test_the_first_minibatch_finds_the_policy_that_collected(task, fast):
    config = replace(SMALL, num_epochs=1, batch_size=64, normalise_obs=True)
    agent = make_agent(task, config, fast=fast)
    for _ in range(3):
        metrics = agent.step()
        assert metrics["kl"] == pytest.approx(0.0, abs=1e-6)
        assert metrics["clip_fraction"] == 0.0
        assert metrics["policy_loss"] == pytest.approx(0.0, abs=1e-5)  # the mean of normalised advantages


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("advantage", [1.0, -1.0])
def test_a_good_action_becomes_more_probable_and_a_bad_one_less(advantage, fast):
    agent = make_agent(config=replace(SMALL, normalise_advantage=False, value_weight=0.0), fast=fast)
    inputs = np.full((8, 4), 0.5, dtype=np.float32)
    action = np.zeros(8, dtype=np.int64)
    before = agent.actor_critic.log_prob(inputs, action)
    zeros = np.zeros(8, dtype=np.float32)
    batch = Batch(inputs, action, before, zeros, np.full(8, advantage, dtype=np.float32), zeros)
    agent.optimiser.learning_rate = 1e-3
    agent.update(batch, 0.2)
    assert ((agent.actor_critic.log_prob(inputs, action) - before) * advantage > 0).all()


@pytest.mark.parametrize("fast", [True, False])
def test_a_time_limit_leaves_the_value_where_it_was_and_an_end_does_not(fast, one_state):
    # One state that pays 1: without an end V = 1 / (1 - 0.9) = 10, however often it is cut. With an end after every
    # fifth step the state cannot tell how far it is, and the mean over the five of 1 + 0.9 + ... is what a critic can say.
    config = replace(
        SMALL, rollout_steps=20, num_epochs=20, batch_size=80, discount=0.9, gae_lambda=1.0, learning_rate=1e-2, value_weight=1.0,
        max_grad_norm=100.0,
    )  # fmt: skip
    steps_left = np.arange(1, 6)
    for ends, expected in ((False, 10.0), (True, np.mean((1 - 0.9**steps_left) / 0.1))):
        agent = make_agent(one_state(5, ends), config, budget=10**9, fast=fast)
        for _ in range(60):
            agent.step()
        assert agent.actor_critic.value(np.ones((1, 1), dtype=np.float32))[0] == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("fast", [True, False])
def test_estimates_stop_at_a_cut_and_look_at_where_each_step_led(fast):
    agent = make_agent(config=replace(SMALL, discount=0.9), fast=fast)
    obs, final_obs = np.random.default_rng(0).standard_normal((2, 3, 1, 4), dtype=np.float32)
    reward, no, cut = np.array([[1], [2], [3]], np.float32), np.zeros((3, 1), bool), np.array([[False], [True], [False]])
    batch = agent.estimate(Rollout(obs, np.zeros((3, 1), np.int64), reward, no, cut, final_obs), 0.5)
    value, next_value = (agent.actor_critic.value(states[:, 0]) for states in (obs, final_obs))
    td_error = reward[:, 0] + 0.9 * next_value - value
    expected = [td_error[0] + 0.45 * td_error[1], td_error[1], td_error[2]]  # nothing of the third step comes back over the cut
    np.testing.assert_allclose(batch.advantage, expected, atol=1e-5)
    np.testing.assert_allclose(batch.return_, expected + value, atol=1e-5)


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("task", [*TASKS, "gym"])
def test_a_resumed_run_continues_to_the_last_bit(task, fast, assert_same):
    if task == "gym":
        task = GymTask(GymConfig(id="CartPole-v1"))
    config = replace(SMALL, normalise_obs=True, normalise_reward=True, learning_rate_schedule="linear", clip_range_schedule="linear")
    seeds = Seeds(5)
    agent = make_agent(task, config, seeds=seeds, fast=fast)
    for _ in range(3):
        agent.step()
    state, streams, progress = agent.state_dict(), seeds.state_dict(), agent.progress
    frozen = _copy(state)
    expected = [agent.step() for _ in range(3)]
    assert_same(state, frozen)  # what was handed out does not follow the training

    other_seeds = Seeds(5)
    other = make_agent(task, config, seeds=other_seeds, fast=fast)
    other.step()
    other.load_state_dict(state)
    other_seeds.load_state_dict(streams)
    other.progress = progress
    assert [other.step() for _ in range(3)] == expected
    assert_same(other.state_dict(), agent.state_dict())


def _copy(value):
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_copy(item) for item in value]
    return value.copy() if isinstance(value, np.ndarray) else value


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("task", TASKS)
def test_predict_and_evaluate_touch_nothing_that_step_uses(task, fast, assert_same):
    config = replace(SMALL, normalise_obs=True)
    left, right = make_agent(task, config, fast=fast), make_agent(task, config, fast=fast)
    left.step(), right.step()
    left.predict(np.stack([left.task.input_space.low] * 500))
    left.task = TASKS[task](ArrayTaskConfig(time_limit=5))
    left.evaluate(episodes=3, seeds=left.seeds)
    assert left.step() == right.step()
    assert_same(left.state_dict(), right.state_dict())
    assert left.seeds.state_dict() == right.seeds.state_dict()


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("task", TASKS)
def test_a_step_is_finite_and_changes_every_parameter(task, fast):
    agent = make_agent(task, fast=fast)
    before = {name: value.copy() for name, value in agent.parameters().items()}
    metrics = agent.step()
    assert agent.progress == 64
    assert set(LOSSES) <= metrics.keys()
    assert all(np.isfinite(number) for number in metrics.values())
    for name, value in agent.parameters().items():
        assert (value != before[name]).any(), name


def test_the_epochs_stop_at_the_target_kl():
    config = replace(SMALL, learning_rate=0.05, num_epochs=10)
    assert make_agent(config=config).step()["updates"] == 40
    assert make_agent(config=replace(config, target_kl=0.01)).step()["updates"] < 40


def test_schedules_go_down_with_the_budget():
    agent = make_agent(config=replace(SMALL, learning_rate=0.1, learning_rate_schedule="linear"), budget=256)
    assert [agent.step()["learning_rate"] for _ in range(4)] == pytest.approx([0.1, 0.075, 0.05, 0.025])


def test_minibatches_cover_a_rollout_once_an_epoch_in_a_new_order():
    batches = list(minibatches(np.random.default_rng(0), 64, 20, 2))
    assert [len(batch) for batch in batches] == [21, 21, 22] * 2
    epochs = [np.concatenate(batches[:3]), np.concatenate(batches[3:])]
    for epoch in epochs:
        assert sorted(epoch) == list(range(64))
    assert (epochs[0] != epochs[1]).any()


def test_the_first_policy_is_near_uniform():
    head = make_agent().actor_critic.head(np.random.default_rng(0).normal(size=(100, 4)).astype(np.float32))
    assert np.abs(head).max() < 0.05


def test_continuous_actions_are_cut_at_the_environment_only():
    agent = make_agent("Pendulum", replace(SMALL, log_std=3.0))
    action = agent.collector.collect(agent.actor_critic, 16).action
    assert np.abs(action).max() > 10
    assert np.abs(agent.actions.to_env(action[0])).max() <= 2.0


def test_the_gradient_does_not_flow_through_the_advantage():
    # With the critic's loss off, a step must leave the critic where it was, though advantages are made of its values.
    agent = make_agent(config=replace(SMALL, value_weight=0.0), fast=False)
    before = {name: value.copy() for name, value in agent.parameters().items()}
    agent.step()
    assert all((value == before[name]).all() for name, value in agent.parameters().items() if name.startswith("critic"))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"num_envs": 0}, r"num_envs is 0; it must be >= 1"),
        ({"batch_size": 1}, r"batch_size is 1; it must be >= 2"),
        ({"num_envs": 1, "rollout_steps": 1}, r"a rollout must have at least 2 transitions"),
        ({"clip_range": 0.0}, r"clip_range is 0.0; it must be > 0"),
        ({"learning_rate": float("nan")}, r"learning_rate is nan; it must be > 0"),
        ({"target_kl": -1.0}, r"target_kl is -1.0; it must be > 0"),
        ({"discount": 1.5}, r"discount is 1.5; it must be in \[0, 1\]"),
        ({"entropy_weight": -0.1}, r"entropy_weight is -0.1; it must be >= 0"),
    ],
)
def test_a_setting_out_of_range_is_refused_in_words(setting, message):
    with pytest.raises(ValueError, match=message):
        PPOConfig(**setting)


@pytest.mark.parametrize("fast", [True, pytest.param(False, marks=pytest.mark.learning)])
def test_ppo_learns_cartpole_in_twenty_thousand_steps(fast):
    config = replace(SMALL, num_envs=8, rollout_steps=32, batch_size=256, num_epochs=20, learning_rate=1e-3, discount=0.98, gae_lambda=0.8)
    agent = make_agent(config=config, budget=20_000, hidden=(64, 64), fast=fast)
    while agent.progress < agent.budget:
        agent.step()
    # A policy that chooses at random keeps the pole up for 22 steps, with a deviation of 12: 100 on average of 20 is no luck.
    assert agent.evaluate(episodes=20, seeds=agent.seeds)["mean return"] > 100


def test_observations_without_a_mean_are_not_normalised():
    with pytest.raises(ValueError, match=r"normalise_obs is true, and observations are Discrete\(16\)"):
        make_agent(GymTask(GymConfig(id="FrozenLake-v1")), replace(SMALL, normalise_obs=True))
