"""Families of tasks: numbers of their distributions, splits apart, and rows that stay with their tasks."""

from __future__ import annotations

import numpy as np
import pytest

from rl_algos.meta.bodies import CartPoleFamily, CartPoleFamilyConfig, PendulumFamily, PendulumFamilyConfig
from rl_algos.meta.families import ArrayFamily, uniform_of
from rl_algos.meta.points import Navigation, NavigationConfig, PointConfig, PointRobot, SparsePointConfig, SparsePointRobot
from rl_algos.meta.tables import BanditFamily, BanditFamilyConfig, TableFamily, TableFamilyConfig
from rl_algos.tasks.cartpole import CartPole
from rl_algos.tasks.pendulum import Pendulum
from rl_core.family import TaskFamily
from rl_core.seeds import Seeds


def mean_return(family: ArrayFamily, policy: str, num_envs: int = 2_000) -> float:
    """Return the mean return of an episode each, of a policy that knows the goal, stays, or goes to the middle."""
    envs = family.tasks(num_envs, 1, Seeds(3), "test")
    obs, total = envs.reset(), np.zeros(num_envs)
    over = np.zeros(num_envs, dtype=bool)
    for _ in range(family.time_limit):
        goal = {"oracle": envs.variation, "middle": np.zeros_like(obs), "stay": obs}[policy]  # type: ignore[attr-defined]
        after = envs.step(goal - obs)
        total += np.where(over, 0.0, after.reward)
        over |= after.terminated | after.truncated
        obs = after.obs
    return float(total.mean())


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        (Navigation(NavigationConfig()), {"stay": -38.1, "oracle": -0.5}),
        (PointRobot(PointConfig()), {"stay": -20.9, "middle": -15.9, "oracle": -5.2}),
        (SparsePointRobot(SparsePointConfig()), {"oracle": 13.4}),
    ],
)
def test_simple_policies_reach_the_known_returns(family: ArrayFamily, expected: dict[str, float]) -> None:
    for policy, value in expected.items():
        assert mean_return(family, policy) == pytest.approx(value, rel=0.03, abs=0.3)


def test_random_pulls_and_random_walks_earn_what_the_papers_say() -> None:
    for family, expected in ((BanditFamily(BanditFamilyConfig()), 5.0), (TableFamily(TableFamilyConfig()), 10.0)):
        envs, rng = family.tasks(4_000, 1, Seeds(1), "train"), np.random.default_rng(0)
        envs.reset()
        rewards = [envs.step(rng.integers(5, size=4_000)).reward for _ in range(10)]
        assert np.sum(rewards, axis=0).mean() == pytest.approx(expected, abs=0.15)


def test_a_process_moves_as_its_table_says() -> None:
    family = TableFamily(TableFamilyConfig(num_states=3, num_actions=2, time_limit=1_000))
    envs = family.tasks(1, 20_000, Seeds(0), "train")
    envs.reset()
    after = envs.step(np.ones(20_000, dtype=np.int64))
    table = envs.variation[0, 8:].reshape(3, 2, 3)  # type: ignore[attr-defined]
    expected = np.diff(table[0, 1], prepend=0.0)
    assert np.allclose(np.bincount(after.obs, minlength=3) / 20_000, expected, atol=0.015)
    assert after.reward.mean() == pytest.approx(envs.variation[0, 3], abs=0.03)  # type: ignore[attr-defined]
    assert after.reward.std() == pytest.approx(1.0, abs=0.03)


def test_tasks_of_the_middle_are_the_plain_problems() -> None:
    pole = CartPoleFamily(CartPoleFamilyConfig(pole_mass=(1.0, 1.0), length=(1.0, 1.0), force=(1.0, 1.0)))
    swing = PendulumFamily(PendulumFamilyConfig(mass=(1.0, 1.0), length=(1.0, 1.0), gravity=(10.0, 10.0)))
    rng = np.random.default_rng(0)
    for family, plain in ((pole, CartPole(CartPole.Config())), (swing, Pendulum(Pendulum.Config()))):
        problem, variation = plain.problem, family.variation(np.arange(4))
        state = problem.start(rng.random((4, problem.num_uniform)))
        other = state.copy()
        for _ in range(20):
            action = rng.integers(2, size=4) if plain.problem is CartPole.problem else rng.uniform(-2, 2, (4, 1)).astype(np.float32)
            outcomes = [np.empty(4, dtype=np.float32) for _ in range(2)]
            ends = [np.empty(4, dtype=bool) for _ in range(2)]
            problem.move(state, action, outcomes[0], ends[0])
            family.motion.move(other, action, outcomes[1], ends[1], variation, np.empty((4, 0)))
            assert np.allclose(state, other, atol=1e-6)
            assert np.allclose(*outcomes, atol=1e-5)


def test_rows_stay_with_their_tasks_only_when_asked() -> None:
    family = PointRobot(PointConfig(time_limit=2, goals="right half circle", test_goals="left half circle"))
    fixed, free = family.tasks(3, 2, Seeds(0), "test"), family.envs(6, Seeds(0))
    for envs, stays in ((fixed, True), (free, False)):
        envs.reset()
        before = envs.variation.copy()  # type: ignore[attr-defined]
        for _ in range(2):
            envs.step(np.zeros((6, 2), dtype=np.float32))
        assert np.array_equal(before, envs.variation) is stays  # type: ignore[attr-defined]
    assert (fixed.numbers % 2 == 1).all()  # type: ignore[attr-defined]
    assert (fixed.numbers[::2] == fixed.numbers[1::2]).all()  # type: ignore[attr-defined]
    assert (fixed.variation[:, 0] <= 0).all()  # type: ignore[attr-defined]
    assert (free.variation[:, 0] >= 0).all()  # type: ignore[attr-defined]
    assert len(np.unique(uniform_of(np.arange(1_000), 1))) == 1_000


def test_tasks_side_by_side_are_those_drawn_one_by_one_and_continue_from_their_state() -> None:
    family = PendulumFamily(PendulumFamilyConfig(time_limit=3))
    seeds = Seeds(0)
    envs = TaskFamily.tasks(family, 3, 2, seeds, "train")
    first = envs.reset()
    action = np.zeros((6, 1), dtype=np.float32)
    envs.step(action)
    state, streams = envs.state_dict(), seeds.state_dict()
    wanted = [envs.step(action) for _ in range(4)]
    again = Seeds(0)
    other = TaskFamily.tasks(family, 3, 2, again, "train")
    assert np.array_equal(other.reset(), first)
    other.load_state_dict(state)
    again.load_state_dict(streams)
    for step in wanted:
        assert np.array_equal(step.obs, other.step(action).obs)
    assert len(other.pop_episodes()) == 6


def test_a_range_in_the_wrong_order_is_refused() -> None:
    with pytest.raises(ValueError, match="mass is"):
        PendulumFamilyConfig(mass=(2.0, 1.0))
