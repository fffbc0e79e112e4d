"""Tasks of this package draw themselves, and the picture follows the state."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rl_core.plugins.catalogue import Catalogue
from rl_core.runs.recipe import build_task
from rl_core.seeds import Seeds

TASKS = ("CartPole-v1", "Pendulum-v1", "MountainCar-v0", "Acrobot-v1", "FrozenLake-v1", "tic-tac-toe", "connect-four")
TASKS += ("grid-lava", "point-u-maze", "point-hazards", "point-robot", "CartPole-mass")


@pytest.mark.parametrize("name", TASKS)
def test_a_picture_follows_the_state(name: str) -> None:
    task: Any = build_task(Catalogue.discover(), name)
    envs = task.watched_envs(Seeds(3))
    envs.reset()
    rng, pictures = np.random.default_rng(1), []
    for _ in range(25):
        pictures.append(task.picture(envs))
        space = task.output_space
        action = rng.integers(space.n, size=1) if hasattr(space, "n") else rng.uniform(space.low, space.high).astype(np.float32)[None]
        envs.step(action)
    assert all(picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3 for picture in pictures)
    assert any((picture != pictures[0]).any() for picture in pictures[1:])


@pytest.mark.parametrize("name", ["CartPole-v1", "MountainCar-v0", "Acrobot-v1", "FrozenLake-v1", "Taxi-v4", "Blackjack-v1"])
def test_actions_have_the_names_that_gymnasium_gives_them(name: str) -> None:
    catalogue = Catalogue.discover()
    ours, theirs = build_task(catalogue, name), build_task(catalogue, f"gym:{name}")
    assert ours.class_names
    assert ours.class_names == theirs.class_names
    assert ours.describe(np.array([1])) == [ours.class_names[1]]
