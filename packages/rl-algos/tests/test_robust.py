"""Varied and disturbed worlds: the plain ones where nothing varies, and what each disturbance does."""

from __future__ import annotations

import numpy as np
import pytest

from rl_algos.robust.disturbed import Disturbed, DisturbedConfig
from rl_algos.robust.varied_tasks import VariedCartPole, VariedCartPoleConfig, VariedPendulum, VariedPendulumConfig
from rl_algos.tasks.cartpole import CartPole
from rl_algos.tasks.pendulum import Pendulum
from rl_core.seeds import Seeds


@pytest.mark.parametrize(
    ("plain", "varied", "exact"),
    [
        (Pendulum(Pendulum.Config()), VariedPendulum(VariedPendulumConfig(mass=(1.0, 1.0), length=(1.0, 1.0))), True),
        (CartPole(CartPole.Config()), VariedCartPole(VariedCartPoleConfig(mass=(0.1, 0.1), length=(0.5, 0.5))), False),
        (CartPole(CartPole.Config()), Disturbed(DisturbedConfig()), True),
    ],
    ids=["pendulum", "cartpole", "disturbed"],
)
def test_a_range_without_width_is_the_plain_task(plain, varied, exact):
    walks = []
    for task in (plain, varied):
        envs, rng = task.envs(3, Seeds(0)), np.random.default_rng(0)
        envs.reset()
        inner = getattr(envs, "inner", envs)
        first = np.full((3, inner.states.shape[1]), 0.02)
        if task is varied and not isinstance(task, Disturbed):
            first[:, -2:] = inner.states[:, -2:]
        inner._state = first
        discrete = hasattr(task.output_space, "n")
        actions = rng.integers(2, size=(8, 3)) if discrete else rng.uniform(-2, 2, (8, 3, 1)).astype(np.float32)
        walks.append(np.stack([envs.step(action).obs for action in actions]))
    assert (walks[0] == walks[1]).all() if exact else np.allclose(walks[0], walks[1], atol=1e-6)


def test_parameters_are_drawn_for_each_episode_within_their_range_and_shown_if_asked():
    task = VariedPendulum(VariedPendulumConfig(mass=(0.5, 2.0), show_parameters=True, time_limit=2))
    envs = task.envs(200, Seeds(0))
    before = envs.reset()[:, 3]
    assert 0.5 <= before.min() < 0.7
    assert 1.6 < before.max() <= 2.0
    still = np.zeros((200, 1), np.float32)
    assert (envs.step(still).obs[:, 3] == before).all()
    assert (envs.step(still).obs[:, 3] != before).all()
    with pytest.raises(ValueError, match="the smaller one first"):
        VariedPendulumConfig(mass=(2.0, 0.5))


def test_each_disturbance_does_what_it_says():
    def walk(steps: int = 6, **settings: object) -> tuple[np.ndarray, np.ndarray]:
        """Return observations and positions of a point pushed to the right."""
        task = Disturbed(DisturbedConfig(task="point-hazards", **settings))
        envs = task.envs(1, Seeds(0))
        seen, true = [envs.reset()[0, 0]], [envs.inner.states[0, 0]]
        for _ in range(steps):
            seen.append(envs.step(np.array([[0.5, 0.0]], np.float32)).obs[0, 0])
            true.append(envs.inner.states[0, 0])
        return np.array(seen), np.array(true)

    plain = walk()[1]
    assert np.allclose(np.diff(plain), 0.05)
    assert np.allclose(np.diff(walk(delay=2)[1]), [0, 0, 0.05, 0.05, 0.05, 0.05])
    assert np.allclose(np.diff(walk(switch_steps=2)[1])[:4], [0.05, 0.05, -0.05, -0.05])
    assert np.allclose(np.diff(walk(drift=1.0)[1]), 0.05 * (1 - np.arange(6) / 1_000))
    noisy = walk(noise=0.1)
    assert np.allclose(noisy[1], plain)
    assert 0.01 < np.abs(noisy[0] - plain).mean() < 0.3
    lost = walk(loss=1.0)[0]
    assert (lost == lost[0]).all()


def test_an_action_of_zero_leaves_the_controller_alone_and_a_task_without_one_is_refused():
    task = Disturbed(DisturbedConfig(task="lane-keeping", residual=0.3))
    zero = task.evaluate(lambda obs: np.zeros((len(obs), 1), np.float32), episodes=8, seeds=Seeds(0))
    alone = task.inner.evaluate(task.inner.controller, episodes=8, seeds=Seeds(0))
    assert zero["mean return"] == pytest.approx(alone["mean return"])
    with pytest.raises(ValueError, match="no controller to correct"):
        Disturbed(DisturbedConfig(task="Pendulum-v1", residual=0.3))
    with pytest.raises(ValueError, match="no task is named"):
        Disturbed(DisturbedConfig(task="Pendulumm"))


def test_a_delay_holds_back_the_controller_that_is_corrected():
    """With corrections of zero the wheel turns as the controller says, three steps later than without a delay, and is straight before."""
    told = []
    for delay in (0, 3):
        task = Disturbed(DisturbedConfig(task="lane-keeping", residual=0.3, delay=delay))
        envs = task.envs(2, Seeds(0))
        obs, executed = envs.reset(), []
        inner_step = envs.inner.step
        envs.inner.step = lambda actions, step=inner_step, seen=executed: (seen.append(actions.copy()), step(actions))[1]
        wanted = []
        for _ in range(6):
            wanted.append(task.controller(obs))
            obs = envs.step(np.zeros((2, *task.output_space.shape), np.float32)).obs
        told.append((np.array(wanted), np.array(executed)))
    assert told[0][1] == pytest.approx(told[0][0], abs=1e-6)
    assert told[1][1][3:] == pytest.approx(told[1][0][:3], abs=1e-6)
    assert (told[1][1][:3] == 0).all()
