"""Families of a point that has to go to a goal which it is not shown.

Sources: `navigation-2d`, C. Finn, P. Abbeel, S. Levine, "Model-agnostic meta-learning for fast adaptation of deep networks", 2017,
section 5.3; `point-robot` and `sparse-point-robot`, K. Rakelly, A. Zhou, D. Quillen, C. Finn, S. Levine, "Efficient off-policy
meta-reinforcement learning via probabilistic context variables", 2019, section 6.3, whose authors' code starts the point anywhere.
Departures: the dense reward, with which the authors train the critics on sparse tasks, is not offered. Letters: N environments.
"""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal

import numpy as np
from gymnasium import spaces

from dl_nets.fast.kernels import kernel
from rl_algos.meta.families import ArrayFamily, FamilyConfig, Motion
from rl_algos.tasks import sketches
from rl_algos.tasks.array_envs import observe_all
from rl_core.config import Count, Doc, configclass

STEP = 0.1  # largest move in each direction
NEAR = 0.01  # distance at which navigation ends
RADIUS = 0.2  # distance from which the sparse reward is paid

Goals = Literal["square", "half circle", "right half circle", "left half circle"]


@configclass
class NavigationConfig(FamilyConfig):
    """Settings of navigation in the plane."""

    time_limit: Annotated[Count, Doc("steps of an episode")] = 100


@configclass
class PointConfig(FamilyConfig):
    """Settings of the point robots."""

    trial_episodes: Annotated[Count, Doc("episodes that an agent with a memory plays in one task, a trial")] = 3
    time_limit: Annotated[Count, Doc("steps of an episode")] = 20
    goals: Annotated[Goals, Doc("training goals: in [-1, 1]^2, or on a half of the unit circle, the upper one unless said")] = "square"
    test_goals: Annotated[Goals | None, Doc("test goals; none: as the training goals")] = None


@configclass
class SparsePointConfig(PointConfig):
    """Settings of the point robot with sparse rewards."""

    goals: Annotated[Goals, Doc("training goals: in [-1, 1]^2, or on a half of the unit circle, the upper one unless said")] = "half circle"


@kernel
def origin(uniform: np.ndarray, variation: np.ndarray) -> np.ndarray:
    """Return points at the origin [N, 2]."""
    return np.zeros((len(variation), 2))


@kernel
def anywhere(uniform: np.ndarray, variation: np.ndarray) -> np.ndarray:
    """Return points in [-1, 1)^2 [N, 2], from uniform numbers [N, 2]."""
    return 2.0 * uniform - 1.0


@kernel
def go(
    state: np.ndarray, action: np.ndarray, reward: np.ndarray, terminated: np.ndarray, variation: np.ndarray, uniform: np.ndarray
) -> None:
    """Move points [N, 2] by actions [N, 2] within +- 0.1; the reward is minus the distance to the goal [N, 2] that is reached."""
    for n in range(len(state)):
        for d in range(2):
            state[n, d] += min(max(float(action[n, d]), -STEP), STEP)
        reward[n] = -math.hypot(state[n, 0] - variation[n, 0], state[n, 1] - variation[n, 1])
        terminated[n] = False


@kernel
def navigate(
    state: np.ndarray, action: np.ndarray, reward: np.ndarray, terminated: np.ndarray, variation: np.ndarray, uniform: np.ndarray
) -> None:
    """Move as `go` does; within 0.01 of the goal the episode ends."""
    go(state, action, reward, terminated, variation, uniform)
    for n in range(len(state)):
        terminated[n] = reward[n] > -NEAR


@kernel
def go_unseen(
    state: np.ndarray, action: np.ndarray, reward: np.ndarray, terminated: np.ndarray, variation: np.ndarray, uniform: np.ndarray
) -> None:
    """Move as `go` does; the reward is 1 minus the distance within 0.2 of the goal, and else 0."""
    go(state, action, reward, terminated, variation, uniform)
    for n in range(len(state)):
        reward[n] = 1.0 + reward[n] if reward[n] > -RADIUS else 0.0


def goals_of(uniform: np.ndarray, kind: Goals) -> np.ndarray:
    """Return goals [N, 2] from uniform numbers [N, 2].

    >>> goals_of(np.array([[0.5, 0.0]]), "half circle").round(3).tolist(), goals_of(np.array([[0.5, 0.0]]), "left half circle").tolist()
    ([[0.0, 1.0]], [[-1.0, 0.0]])
    """
    if kind == "square":
        return 2.0 * uniform - 1.0
    angle = math.pi * uniform[:, 0]
    along, across = np.cos(angle), np.sin(angle)
    if kind == "half circle":
        return np.stack((along, across), axis=1)
    return np.stack((across if kind == "right half circle" else -across, along.round(15)), axis=1)


def sketch(state: np.ndarray, variation: np.ndarray) -> np.ndarray:
    """Return a picture [H, W, 3] of a point [2] and of the goal [2], which the point is not shown."""
    return sketches.plane(state, goal=(float(variation[0]), float(variation[1]), RADIUS), reach=1.5)


class Points(ArrayFamily):
    """A family of points in the plane; what varies is the goal."""

    num_uniform = 2

    def __init__(self, config: NavigationConfig | PointConfig) -> None:
        super().__init__(config)
        self.input_space = spaces.Box(-np.inf, np.inf, (2,), np.float32)
        self.output_space = spaces.Box(-STEP, STEP, (2,), np.float32)
        self.time_limit = config.time_limit

    def vary(self, uniform: np.ndarray, is_test: np.ndarray) -> np.ndarray:
        """Return the goals [N, 2]."""
        test_goals = self.config.test_goals or self.config.goals
        return np.where(is_test[:, None], goals_of(uniform, test_goals), goals_of(uniform, self.config.goals))


class Navigation(Points):
    """Goals in [-0.5, 0.5]^2, from the origin, 100 steps."""

    Config: ClassVar[type] = NavigationConfig
    motion = Motion(origin, navigate, observe_all, sketch=sketch)

    def vary(self, uniform: np.ndarray, is_test: np.ndarray) -> np.ndarray:
        """Return the goals [N, 2]."""
        return uniform - 0.5


class PointRobot(Points):
    """Goals in [-1, 1]^2 by default, from anywhere in it, 20 steps."""

    Config: ClassVar[type] = PointConfig
    motion = Motion(anywhere, go, observe_all, num_start=2, sketch=sketch)


class SparsePointRobot(Points):
    """Goals on a half circle by default, from the origin, 20 steps, a reward only near the goal."""

    Config: ClassVar[type] = SparsePointConfig
    motion = Motion(origin, go_unseen, observe_all, sketch=sketch)
