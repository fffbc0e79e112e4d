"""A maze shaped like a U: a point has to go around a wall to a goal that pays only on arrival.

Source: the U-shaped maze of Y. Duan and others, "Benchmarking deep reinforcement learning for continuous control", 2016, section 3.4,
with a point in place of a robot, as in O. Nachum, S. Gu, H. Lee, S. Levine, "Data-efficient hierarchical reinforcement learning", 2018.
Departures: a point without inertia in a square; the reward is sparse. Letters: N environments.
"""

from __future__ import annotations

import numpy as np
from gymnasium import spaces

from dl_nets.fast.kernels import kernel
from rl_algos.tasks import sketches
from rl_algos.tasks.array_envs import ArrayTask, Problem, observe_all, state_of_all

STEP = 0.1  # longest move along each axis; the square goes from -1 to 1
WALL = 0.15  # half the thickness of the wall, which is thicker than a step
WALL_END = 0.4  # the wall goes from the left side to this x
GOAL = (-0.7, 0.6)
START = (-0.7, -0.6)
SPREAD = 0.2  # first points are within this of the start, along each axis
RADIUS = 0.25  # distance from the goal at which an episode ends


@kernel
def start(uniform: np.ndarray) -> np.ndarray:
    """Return first points [N, 2] in the lower arm, from uniform numbers [N, 2]."""
    return (2.0 * uniform - 1.0) * SPREAD + np.array(START)


@kernel
def in_wall(x: float, y: float) -> bool:
    """Return whether a point is in the wall.

    >>> in_wall(0.0, 0.1), in_wall(0.5, 0.1), in_wall(0.0, 0.2)
    (True, False, False)
    """
    return x < WALL_END and abs(y) < WALL


@kernel
def move(state: np.ndarray, action: np.ndarray, reward: np.ndarray, terminated: np.ndarray) -> None:
    """Move points first along x, then along y; a part of a move that would end in the wall is left out.

    Args:
        state: Points [N, 2]; become the next ones.
        action: Moves in units of `STEP` [N, 2], within +- 1.
        reward: Becomes 1 at the goal, else 0 [N].
        terminated: Becomes whether the goal was reached [N].
    """
    for n in range(len(state)):
        x, y = state[n]
        to_x = min(max(x + STEP * min(max(float(action[n, 0]), -1.0), 1.0), -1.0), 1.0)
        if not in_wall(to_x, y):
            x = to_x
        to_y = min(max(y + STEP * min(max(float(action[n, 1]), -1.0), 1.0), -1.0), 1.0)
        if not in_wall(x, to_y):
            y = to_y
        state[n, 0], state[n, 1] = x, y
        terminated[n] = (x - GOAL[0]) ** 2 + (y - GOAL[1]) ** 2 < RADIUS**2
        reward[n] = 1.0 if terminated[n] else 0.0


def sketch(state: np.ndarray) -> np.ndarray:
    """Return a picture [H, W, 3] of a point [2] in the maze."""
    return sketches.plane(state, goal=(*GOAL, RADIUS), walls=((-1.0, -WALL, 1.0 + WALL_END, 2 * WALL),))


def outcome(obs: np.ndarray, action: np.ndarray, next_obs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return rewards [N] and terminations [N] of the points [N, 2] that were reached."""
    arrived = ((next_obs - np.array(GOAL)) ** 2).sum(axis=1) < RADIUS**2
    return arrived.astype(np.float64), arrived


class UMaze(ArrayTask):
    """Go right, up and left again within 200 steps; the mean return is the share of episodes that arrive.

    Attributes:
        walls: Left, bottom, width and height of each wall, for pictures.
        goal: Centre and radius of what has to be reached, for pictures.
    """

    problem = Problem(
        start,
        move,
        observe_all,
        num_uniform=2,
        input_space=spaces.Box(-1.0, 1.0, (2,), np.float32),
        output_space=spaces.Box(-1.0, 1.0, (2,), np.float32),
        time_limit=200,
        target=0.8,
        state_of=state_of_all,
        outcome=outcome,
        sketch=sketch,
    )
    walls = ((-1.0, -WALL, 1.0 + WALL_END, 2 * WALL),)
    goal = (*GOAL, RADIUS)
