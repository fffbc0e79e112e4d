"""The pendulum in pictures: what they show is the physical state, and the physics is that of Pendulum-v1."""

from __future__ import annotations

import numpy as np

from rl_algos.tasks.array_envs import ArrayTaskConfig
from rl_algos.tasks.pendulum import Pendulum
from rl_algos.tasks.pixels import PixelPendulum, PixelPendulumConfig
from rl_core.seeds import Seeds


def angles(pictures):
    """The angle from upright of the middle of all light in pictures [N, 64, 64]."""
    grid = np.arange(64) - 31.5
    light = pictures.astype(np.float64)
    return np.arctan2(-(light * grid).sum(axis=(1, 2)), -(light * grid[:, None]).sum(axis=(1, 2)))


def test_pictures_show_the_angle_and_the_one_before_it_of_the_same_physics():
    pixels, plain = PixelPendulum(PixelPendulumConfig()).envs(8, Seeds(0)), Pendulum(ArrayTaskConfig()).envs(8, Seeds(0))
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
    two, one = (PixelPendulum(PixelPendulumConfig(num_frames=count)).envs(3, Seeds(1)).reset() for count in (2, 1))
    np.testing.assert_array_equal(two[..., 1:], one)
