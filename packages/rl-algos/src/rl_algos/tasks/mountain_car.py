"""Mountain car: climb out of a valley with an engine too weak to do it directly.

Step for step Gymnasium's `MountainCar-v0` and `MountainCarContinuous-v0`.

Source: A. W. Moore. "Efficient memory-based learning for robot control", 1990, chapter 4, with the constants of Gymnasium 1.x.
Departures: none. Letters: N environments.
"""

from __future__ import annotations

import math

import numpy as np
from gymnasium import spaces

from dl_nets.fast.kernels import kernel
from rl_algos.tasks import sketches
from rl_algos.tasks.array_envs import ArrayTask, Problem, observe_all, state_of_all
from rl_core.gym_interface import ACTIONS

MIN_POSITION, MAX_POSITION = -1.2, 0.6
MAX_SPEED = 0.07  # a step
GRAVITY = 0.0025
FORCE, GOAL = 0.001, 0.5  # of the task with three actions
POWER, CONTINUOUS_GOAL = 0.0015, 0.45  # of the task with a continuous action


@kernel
def start(uniform: np.ndarray) -> np.ndarray:
    """Return first states [N, 2]: position in [-0.6, -0.4), at rest, from `uniform` [N, 1]."""
    state = np.zeros((len(uniform), 2))
    for n in range(len(uniform)):
        state[n, 0] = 0.2 * uniform[n, 0] - 0.6
    return state


@kernel
def drive(position: float, velocity: float, push: float) -> tuple[float, float]:
    """Next position and velocity when the engine adds `push` to the velocity; the left wall stops the car."""
    velocity = min(max(velocity + push - GRAVITY * math.cos(3 * position), -MAX_SPEED), MAX_SPEED)
    position = min(max(position + velocity, MIN_POSITION), MAX_POSITION)
    if position == MIN_POSITION and velocity < 0:
        velocity = 0.0
    return position, velocity


@kernel
def move(state: np.ndarray, action: np.ndarray, reward: np.ndarray, terminated: np.ndarray) -> None:
    """Take one step with three actions.

    Args:
        state: Position and velocity [N, 2]; becomes the next state.
        action: 0 drives left, 1 rests, 2 drives right [N].
        reward: Becomes -1 [N].
        terminated: Becomes true at the goal [N].
    """
    for n in range(len(state)):
        position, velocity = drive(state[n, 0], state[n, 1], (action[n] - 1) * FORCE)
        state[n, 0], state[n, 1] = position, velocity
        reward[n] = -1.0
        terminated[n] = position >= GOAL and velocity >= 0


@kernel
def move_continuous(state: np.ndarray, action: np.ndarray, reward: np.ndarray, terminated: np.ndarray) -> None:
    """Take one step with a continuous action; the state is rounded to float32 as Gymnasium does.

    Args:
        state: Position and velocity [N, 2]; becomes the next state.
        action: Power in [-1, 1] [N, 1].
        reward: Becomes minus 0.1 squared action, plus 100 at the goal [N].
        terminated: Becomes true at the goal [N].
    """
    for n in range(len(state)):
        power = float(action[n, 0])
        position, velocity = drive(state[n, 0], state[n, 1], min(max(power, -1.0), 1.0) * POWER)
        state[n, 0], state[n, 1] = np.float32(position), np.float32(velocity)
        terminated[n] = position >= CONTINUOUS_GOAL and velocity >= 0
        reward[n] = (100.0 if terminated[n] else 0.0) - 0.1 * power**2


_LOW = np.array([MIN_POSITION, -MAX_SPEED], dtype=np.float32)
_HIGH = np.array([MAX_POSITION, MAX_SPEED], dtype=np.float32)
_THREE_ACTIONS = Problem(
    start,
    move,
    observe_all,
    num_uniform=1,
    input_space=spaces.Box(_LOW, _HIGH, dtype=np.float32),
    output_space=spaces.Discrete(3),
    time_limit=200,
    target=-110.0,
    state_of=state_of_all,
    sketch=sketches.mountain_car,
)


class MountainCar(ArrayTask):
    """Reward -1 a step until the goal, at most 200 steps; solved at -110."""

    class_names = ACTIONS["MountainCar"]
    input_names = ("position", "velocity [1/step]")
    problem = _THREE_ACTIONS


class MountainCarContinuous(ArrayTask):
    """Reward 100 at the goal, less the fuel, at most 999 steps; solved at 90."""

    input_names, output_names = MountainCar.input_names, ("force [of the largest]",)
    problem = _THREE_ACTIONS._replace(
        move=move_continuous, output_space=spaces.Box(-1.0, 1.0, (1,), dtype=np.float32), time_limit=999, target=90.0
    )
