"""Acrobot: swing the free end of a two-link pendulum above a line, with torque at the joint. Step for step Gymnasium's `Acrobot-v1`.

Source: R. S. Sutton. "Generalization in reinforcement learning: successful examples using sparse coarse coding", 1996;
equations as in R. S. Sutton and A. G. Barto, "Reinforcement Learning", 1998, section 11.3.
Departures: Gymnasium's: moments of inertia 1 for both links, Runge-Kutta of fourth order over 0.2 s.
Letters: N environments.
"""

from __future__ import annotations

import math

import numpy as np
from gymnasium import spaces

from dl_nets.fast.kernels import kernel
from rl_algos.tasks import sketches
from rl_algos.tasks.array_envs import ArrayTask, Problem
from rl_core.gym_interface import ACTIONS

GRAVITY = 9.8  # m/s^2; masses and lengths are 1, centres of mass at 0.5, moments of inertia 1
DT = 0.2  # s, between two steps
MAX_VELOCITY_1 = 4 * math.pi  # rad/s
MAX_VELOCITY_2 = 9 * math.pi  # rad/s


@kernel
def start(uniform: np.ndarray) -> np.ndarray:
    """Return first states [N, 4], each number in [-0.1, 0.1), from `uniform` [N, 4]; rounded to float32 as Gymnasium does."""
    return (0.2 * uniform - 0.1).astype(np.float32).astype(np.float64)


@kernel
def derivative(theta_1: float, theta_2: float, velocity_1: float, velocity_2: float, torque: float) -> tuple[float, float, float, float]:
    """Time derivatives of angles and velocities; `theta_1` is 0 when the first link hangs down."""
    cos_2, sin_2 = math.cos(theta_2), math.sin(theta_2)
    d_1 = 0.25 + (1.0 + 0.25 + cos_2) + 2.0
    d_2 = (0.25 + 0.5 * cos_2) + 1.0
    phi_2 = 0.5 * GRAVITY * math.cos(theta_1 + theta_2 - math.pi / 2)
    phi_1 = -0.5 * velocity_2**2 * sin_2 - velocity_2 * velocity_1 * sin_2 + 1.5 * GRAVITY * math.cos(theta_1 - math.pi / 2) + phi_2
    acc_2 = (torque + d_2 / d_1 * phi_1 - 0.5 * velocity_1**2 * sin_2 - phi_2) / (0.25 + 1.0 - d_2**2 / d_1)
    acc_1 = -(d_2 * acc_2 + phi_1) / d_1
    return velocity_1, velocity_2, acc_1, acc_2


@kernel
def wrap(angle: float) -> float:
    """Return the angle, shifted into [-pi, pi] by whole turns."""
    while angle > math.pi:
        angle -= 2 * math.pi
    while angle < -math.pi:
        angle += 2 * math.pi
    return angle


@kernel
def move(state: np.ndarray, action: np.ndarray, reward: np.ndarray, terminated: np.ndarray) -> None:
    """Apply torques and integrate by Runge and Kutta's method of fourth order.

    Args:
        state: Angle of the first link, of the second to the first, and their velocities [N, 4]; becomes the next state.
        action: 0, 1, 2 for torque -1, 0, 1 [N].
        reward: Becomes -1, and 0 on arrival [N].
        terminated: Becomes true where the free end is above the line [N].
    """
    half = DT / 2
    for n in range(len(state)):
        torque = action[n] - 1.0
        a, b, c, d = state[n]
        k1 = derivative(a, b, c, d, torque)
        k2 = derivative(a + half * k1[0], b + half * k1[1], c + half * k1[2], d + half * k1[3], torque)
        k3 = derivative(a + half * k2[0], b + half * k2[1], c + half * k2[2], d + half * k2[3], torque)
        k4 = derivative(a + DT * k3[0], b + DT * k3[1], c + DT * k3[2], d + DT * k3[3], torque)
        a = wrap(a + DT / 6.0 * (k1[0] + 2 * k2[0] + 2 * k3[0] + k4[0]))
        b = wrap(b + DT / 6.0 * (k1[1] + 2 * k2[1] + 2 * k3[1] + k4[1]))
        c = c + DT / 6.0 * (k1[2] + 2 * k2[2] + 2 * k3[2] + k4[2])
        d = d + DT / 6.0 * (k1[3] + 2 * k2[3] + 2 * k3[3] + k4[3])
        state[n, 0], state[n, 1] = a, b
        state[n, 2] = min(max(c, -MAX_VELOCITY_1), MAX_VELOCITY_1)
        state[n, 3] = min(max(d, -MAX_VELOCITY_2), MAX_VELOCITY_2)
        terminated[n] = -math.cos(a) - math.cos(b + a) > 1.0
        reward[n] = 0.0 if terminated[n] else -1.0


@kernel
def observe(state: np.ndarray) -> np.ndarray:
    """Cosine and sine of both angles, and both velocities [N, 6], float32."""
    obs = np.empty((len(state), 6), dtype=np.float32)
    for n in range(len(state)):
        obs[n, 0], obs[n, 1] = math.cos(state[n, 0]), math.sin(state[n, 0])
        obs[n, 2], obs[n, 3] = math.cos(state[n, 1]), math.sin(state[n, 1])
        obs[n, 4], obs[n, 5] = state[n, 2], state[n, 3]
    return obs


@kernel
def state_of(obs: np.ndarray) -> np.ndarray:
    """Return the states [N, 4], float64, of observations [N, 6]."""
    state = np.empty((len(obs), 4))
    for n in range(len(obs)):
        state[n, 0], state[n, 1] = math.atan2(obs[n, 1], obs[n, 0]), math.atan2(obs[n, 3], obs[n, 2])
        state[n, 2], state[n, 3] = obs[n, 4], obs[n, 5]
    return state


_HIGH = np.array([1.0, 1.0, 1.0, 1.0, MAX_VELOCITY_1, MAX_VELOCITY_2], dtype=np.float32)


class Acrobot(ArrayTask):
    """Reward -1 a step until the free end is up, at most 500 steps; solved at -100."""

    class_names = ACTIONS["Acrobot"]
    problem = Problem(
        start,
        move,
        observe,
        num_uniform=4,
        input_space=spaces.Box(-_HIGH, _HIGH, dtype=np.float32),
        output_space=spaces.Discrete(3),
        time_limit=500,
        target=-100.0,
        state_of=state_of,
        sketch=sketches.acrobot,
    )
