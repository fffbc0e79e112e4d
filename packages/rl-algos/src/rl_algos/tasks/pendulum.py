"""Pendulum: swing a pendulum up and hold it there with too weak a motor. Step for step Gymnasium's `Pendulum-v1`.

Source: the swing-up task of optimal control, in the form of Gymnasium 1.x. Departures: none. Letters: N environments.
"""

from __future__ import annotations

import math

import numpy as np
from gymnasium import spaces

from dl_nets.fast.kernels import kernel
from rl_algos.tasks import sketches
from rl_algos.tasks.array_envs import ArrayTask, Problem

GRAVITY = 10.0  # m/s^2; mass and length are 1
MAX_SPEED = 8.0  # rad/s
MAX_TORQUE = 2.0  # N m
DT = 0.05  # s, between two steps
UPRIGHT = 0.95  # cosine of the angle from which the sparse task pays
EFFORT = 0.01  # reward that a squared torque costs there


@kernel
def start(uniform: np.ndarray) -> np.ndarray:
    """Return first states [N, 2]: any angle, velocity in [-1, 1), from `uniform` [N, 2]."""
    return (2.0 * uniform - 1.0) * np.array([math.pi, 1.0])


@kernel
def move(state: np.ndarray, action: np.ndarray, reward: np.ndarray, terminated: np.ndarray) -> None:
    """Apply torques and integrate by the semi-implicit method of Euler.

    Args:
        state: Angle from upright and its velocity [N, 2]; becomes the next state.
        action: Torque in [-2, 2] [N, 1].
        reward: Becomes minus (squared angle + 0.1 squared velocity + 0.001 squared torque) [N].
        terminated: Becomes false: only the time limit ends an episode [N].
    """
    for n in range(len(state)):
        theta, velocity = state[n]
        torque = np.float32(min(max(action[n, 0], -MAX_TORQUE), MAX_TORQUE))
        angle = (theta + math.pi) % (2 * math.pi) - math.pi
        reward[n] = -(angle**2 + 0.1 * velocity**2 + 0.001 * torque**2)
        velocity += (1.5 * GRAVITY * math.sin(theta) + np.float32(3.0) * torque) * DT  # Gymnasium multiplies the torque in float32
        velocity = min(max(velocity, -MAX_SPEED), MAX_SPEED)
        state[n, 0], state[n, 1] = theta + velocity * DT, velocity
        terminated[n] = False


@kernel
def observe(state: np.ndarray) -> np.ndarray:
    """Cosine and sine of the angle, and its velocity [N, 3], float32."""
    obs = np.empty((len(state), 3), dtype=np.float32)
    for n in range(len(state)):
        obs[n, 0], obs[n, 1], obs[n, 2] = math.cos(state[n, 0]), math.sin(state[n, 0]), state[n, 1]
    return obs


@kernel
def state_of(obs: np.ndarray) -> np.ndarray:
    """Return the states [N, 2], float64, of observations [N, 3]."""
    state = np.empty((len(obs), 2))
    for n in range(len(obs)):
        state[n, 0], state[n, 1] = math.atan2(obs[n, 1], obs[n, 0]), obs[n, 2]
    return state


def outcome(obs: np.ndarray, action: np.ndarray, next_obs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return rewards [N] and terminations [N] of observations [N, 3] and torques [N, 1]; the next observations do not matter.

    >>> outcome(np.array([[0.0, 1.0, 2.0]]), np.array([[1.0]]), np.zeros((1, 3)))[0].round(4).tolist()  # -(pi / 2)^2 - 0.4 - 0.001
    [-2.8684]
    """
    angle, torque = np.arctan2(obs[:, 1], obs[:, 0]), np.clip(action[:, 0], -MAX_TORQUE, MAX_TORQUE)
    return -(angle**2 + 0.1 * obs[:, 2] ** 2 + 0.001 * torque**2), np.zeros(len(obs), dtype=np.bool_)


_HIGH = np.array([1.0, 1.0, MAX_SPEED], dtype=np.float32)


class Pendulum(ArrayTask):
    """Cost of angle, velocity and torque over 200 steps. No threshold is registered; -200 is what holding it upright gives about."""

    input_names, output_names = ("cos angle", "sin angle", "angular velocity [rad/s]"), ("torque [N m]",)
    problem = Problem(
        start,
        move,
        observe,
        num_uniform=2,
        input_space=spaces.Box(-_HIGH, _HIGH, dtype=np.float32),
        output_space=spaces.Box(-MAX_TORQUE, MAX_TORQUE, (1,), dtype=np.float32),
        time_limit=200,
        target=-200.0,
        state_of=state_of,
        outcome=outcome,
        sketch=sketches.pendulum,
    )


@kernel
def move_damped(state: np.ndarray, action: np.ndarray, reward: np.ndarray, terminated: np.ndarray) -> None:
    """Apply torques as `move` does; the reward [N] is minus (squared angle from hanging + 0.1 squared velocity + 0.001 squared torque)."""
    costs = np.empty(len(state))
    for n in range(len(state)):
        angle, torque = state[n, 0] % (2 * math.pi) - math.pi, min(max(action[n, 0], -MAX_TORQUE), MAX_TORQUE)
        costs[n] = angle**2 + 0.1 * state[n, 1] ** 2 + 0.001 * torque**2
    move(state, action, reward, terminated)
    for n in range(len(state)):
        reward[n] = -costs[n]


def damped_outcome(obs: np.ndarray, action: np.ndarray, next_obs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return rewards [N] and terminations [N] of `move_damped` for observations [N, 3] and torques [N, 1].

    >>> damped_outcome(np.array([[-1.0, 0.0, 2.0]]), np.array([[1.0]]), np.zeros((1, 3)))[0].round(4).tolist()  # 0 - 0.4 - 0.001
    [-0.401]
    """
    return outcome(obs * np.array([-1.0, -1.0, 1.0]), action, next_obs)


class DampedPendulum(ArrayTask):
    """The dynamics of Pendulum-v1 with the opposite aim: to hang at rest. Planning with the true dynamics gives about -33."""

    input_names, output_names = Pendulum.input_names, Pendulum.output_names
    problem = Pendulum.problem._replace(move=move_damped, outcome=damped_outcome, target=-50.0)


@kernel
def start_hanging(uniform: np.ndarray) -> np.ndarray:
    """Return first states [N, 2] that hang almost at rest, from `uniform` [N, 2]."""
    return (2.0 * uniform - 1.0) * 0.1 + np.array([math.pi, 0.0])


@kernel
def move_sparse(state: np.ndarray, action: np.ndarray, reward: np.ndarray, terminated: np.ndarray) -> None:
    """Apply torques as `move` does; the reward [N] is 1 where the pendulum was upright, less a little for torque."""
    upright = np.empty(len(state))
    for n in range(len(state)):
        upright[n] = 1.0 if math.cos(state[n, 0]) > UPRIGHT and abs(state[n, 1]) < 1.0 else 0.0
    move(state, action, reward, terminated)
    for n in range(len(state)):
        reward[n] = upright[n] - EFFORT * min(max(action[n, 0], -MAX_TORQUE), MAX_TORQUE) ** 2


def sparse_outcome(obs: np.ndarray, action: np.ndarray, next_obs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return rewards [N] and terminations [N] of `move_sparse` for observations [N, 3] and torques [N, 1]."""
    upright = (obs[:, 0] > UPRIGHT) & (np.abs(obs[:, 2]) < 1.0)
    return upright - EFFORT * np.clip(action[:, 0], -MAX_TORQUE, MAX_TORQUE) ** 2, np.zeros(len(obs), dtype=np.bool_)


class SparsePendulum(ArrayTask):
    """Hanging at first; 1 a step upright and slow, else only the cost of torque, so that doing nothing is a trap. Solved at 100 of 200."""

    problem = Pendulum.problem._replace(start=start_hanging, move=move_sparse, outcome=sparse_outcome, target=100.0)
