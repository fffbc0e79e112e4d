"""The vectorised tasks against Gymnasium's own environments, and what an episode's end means."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest

from rl_algos.tasks.acrobot import Acrobot
from rl_algos.tasks.array_envs import ArrayTaskConfig
from rl_algos.tasks.cartpole import CartPole
from rl_algos.tasks.mountain_car import MountainCar, MountainCarContinuous
from rl_algos.tasks.pendulum import Pendulum
from rl_core.seeds import Seeds

TASKS = {
    "CartPole-v1": CartPole,
    "Acrobot-v1": Acrobot,
    "Pendulum-v1": Pendulum,
    "MountainCar-v0": MountainCar,
    "MountainCarContinuous-v0": MountainCarContinuous,
}


def make_envs(name, num_envs=3, seed=0, time_limit=0):
    task = TASKS[name](ArrayTaskConfig(time_limit=time_limit))
    return task.envs(num_envs, Seeds(seed))


def random_actions(envs, rng):
    if envs.output_space.shape:
        return rng.uniform(-1.2, 1.2, (envs.num_envs, 1)).astype(np.float32) * envs.output_space.high
    return rng.integers(0, envs.output_space.n, envs.num_envs)


@pytest.mark.parametrize("name", TASKS)
def test_ten_thousand_random_steps_equal_gymnasium_s(name):
    envs, rng = make_envs(name, num_envs=2), np.random.default_rng(1)
    theirs = [gymnasium.make(name, disable_env_checker=True) for _ in range(2)]
    obs = envs.reset()

    def put_where_ours_is(index):
        theirs[index].reset()
        theirs[index].unwrapped.state = envs.state_dict()["state"][index].copy()

    for index in range(2):
        put_where_ours_is(index)
    for _ in range(5_000):
        actions = random_actions(envs, rng)
        transition = envs.step(actions)
        for index, env in enumerate(theirs):
            action = actions[index] if envs.output_space.shape else int(actions[index])
            obs, reward, terminated, truncated, _ = env.step(action)
            np.testing.assert_allclose(transition.final_obs[index], obs, rtol=1e-4, atol=1e-4)
            np.testing.assert_allclose(transition.reward[index], reward, rtol=1e-4, atol=1e-5)
            assert (transition.terminated[index], transition.truncated[index]) == (terminated, truncated)
            if terminated or truncated:
                put_where_ours_is(index)
            else:
                np.testing.assert_array_equal(transition.obs[index], transition.final_obs[index])


@pytest.mark.parametrize("name", TASKS)
def test_spaces_time_limit_and_target_are_gymnasium_s(name):
    task, spec = TASKS[name](ArrayTaskConfig()), gymnasium.spec(name)
    env = gymnasium.make(name)
    assert task.input_space == env.observation_space
    assert task.output_space == env.action_space
    assert task.problem.time_limit == spec.max_episode_steps
    assert task.target == (spec.reward_threshold if name != "Pendulum-v1" else -200.0)


@pytest.mark.parametrize("name", TASKS)
def test_first_states_have_gymnasium_s_distribution(name):
    ours = make_envs(name, num_envs=4_000).reset()
    env = gymnasium.make(name)
    theirs = np.stack([env.reset(seed=seed)[0] for seed in range(4_000)])
    # Two means of 4,000 draws differ by more than 5 standard errors once in two million.
    error = np.sqrt((ours.var(0) + theirs.var(0)) / 4_000) + 1e-6
    assert (np.abs(ours.mean(0) - theirs.mean(0)) < 5 * error).all()
    np.testing.assert_allclose(ours.min(0), theirs.min(0), atol=0.02)
    np.testing.assert_allclose(ours.max(0), theirs.max(0), atol=0.02)


@pytest.mark.parametrize("name", TASKS)
def test_a_saved_position_goes_on_exactly(name):
    seeds, rng = Seeds(3), np.random.default_rng(4)
    task = TASKS[name](ArrayTaskConfig(time_limit=7))
    envs = task.envs(3, seeds)
    envs.reset()
    for _ in range(10):
        envs.step(random_actions(envs, rng))
    saved, streams = envs.state_dict(), seeds.state_dict()
    actions = [random_actions(envs, rng) for _ in range(20)]
    first = [envs.step(action) for action in actions]
    other_seeds = Seeds(99)
    other_seeds.load_state_dict(streams)
    other = task.envs(3, other_seeds)
    other.load_state_dict(saved)
    for action, expected in zip(actions, first, strict=True):
        for got, want in zip(other.step(action), expected, strict=True):
            np.testing.assert_array_equal(got, want)
    assert other.pop_episodes() == envs.pop_episodes()


def test_a_time_limit_truncates_and_does_not_terminate():
    envs = make_envs("MountainCar-v0", num_envs=1, time_limit=3)
    envs.reset()
    ends = [(bool(t.terminated[0]), bool(t.truncated[0])) for t in (envs.step(np.array([1])) for _ in range(6))]
    assert ends == [(False, False), (False, False), (False, True)] * 2
    assert envs.pop_episodes() == [(0, -3.0, 3), (0, -3.0, 3)]


def test_what_came_out_is_never_written_to_again():
    envs, rng = make_envs("CartPole-v1", num_envs=8), np.random.default_rng(0)
    kept = [envs.reset()]
    copies = [kept[0].copy()]
    for _ in range(60):
        transition = envs.step(random_actions(envs, rng))
        kept += transition
        copies += [array.copy() for array in transition]
    for array, copy in zip(kept, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_a_negative_time_limit_is_refused_in_words():
    with pytest.raises(ValueError, match=r"time_limit is -1; it must be at least 1"):
        ArrayTaskConfig(time_limit=-1)
