"""Pendulum and cart in pictures: what they show is the physical state, and the physics is that of Pendulum-v1 and CartPole-v1."""

from __future__ import annotations

import numpy as np

from rl_algos.tasks.array_envs import ArrayTaskConfig
from rl_algos.tasks.cartpole import CartPole
from rl_algos.tasks.pendulum import Pendulum
from rl_algos.tasks.pixels import GROUND, METRE, PixelCartPole, PixelConfig, PixelPendulum
from rl_core.seeds import Seeds


def angles(pictures):
    """The angle from upright of the middle of all light in pictures [N, 64, 64]."""
    grid = np.arange(64) - 31.5
    light = pictures.astype(np.float64)
    return np.arctan2(-(light * grid).sum(axis=(1, 2)), -(light * grid[:, None]).sum(axis=(1, 2)))


def test_pictures_show_the_angle_and_the_one_before_it_of_the_same_physics():
    pixels, plain = PixelPendulum(PixelConfig()).envs(8, Seeds(0)), Pendulum(ArrayTaskConfig()).envs(8, Seeds(0))
    obs, rng = pixels.reset(), np.random.default_rng(0)
    plain.reset()
    for _ in range(210):  # over the end of an episode
        action = rng.uniform(-2, 2, (8, 1)).astype(np.float32)
        ours, theirs = pixels.step(action), plain.step(action)
        np.testing.assert_array_equal(ours.reward, theirs.reward)
        np.testing.assert_array_equal(pixels.states, plain.states)
        off = angles(ours.final_obs[..., 1]) - np.arctan2(theirs.final_obs[:, 1], theirs.final_obs[:, 0])
        assert np.abs(np.sin(off)).max() < 0.01
        older = ours.final_obs[..., 0].astype(int) - obs[..., 1]
        assert np.abs(older).max() <= 1  # rounding
        obs = ours.obs


def test_one_frame_alone_is_the_newest_of_two():
    two, one = (PixelPendulum(PixelConfig(num_frames=count)).envs(3, Seeds(1)).reset() for count in (2, 1))
    np.testing.assert_array_equal(two[..., 1:], one)


def test_pictures_show_the_cart_now_and_a_step_later_whatever_is_done():
    pixels, plain = PixelCartPole(PixelConfig()).envs(8, Seeds(0)), CartPole(ArrayTaskConfig()).envs(8, Seeds(0))
    obs, rng, grid = pixels.reset(), np.random.default_rng(0), np.arange(64)
    plain.reset()
    for _ in range(60):  # over the ends of episodes
        action = rng.integers(2, size=8)
        ours, theirs = pixels.step(action), plain.step(action)
        np.testing.assert_array_equal(ours.terminated, theirs.terminated)
        np.testing.assert_array_equal(ours.final_obs[..., 0], obs[..., 1])
        floor = ours.final_obs[:, int(GROUND) + 1, :, 0].astype(np.float64)  # a row that the pole does not reach
        cart = (floor * grid).sum(axis=1) / floor.sum(axis=1)
        np.testing.assert_allclose((cart - 31.5) / METRE, theirs.final_obs[:, 0], atol=0.01)
        high = ours.final_obs[:, 20, :, 0].astype(np.float64)  # 32 pixels above the cart
        pole = np.arctan2((high * grid).sum(axis=1) / high.sum(axis=1) - cart, GROUND - 20)
        np.testing.assert_allclose(pole, theirs.final_obs[:, 2], atol=0.01)
        obs = ours.obs


def test_one_frame_of_a_cart_is_the_first_of_two():
    two, one = (PixelCartPole(PixelConfig(num_frames=count)).envs(3, Seeds(1)).reset() for count in (2, 1))
    np.testing.assert_array_equal(two[..., :1], one)
