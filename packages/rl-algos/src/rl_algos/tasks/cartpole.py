"""CartPole: keep a pole upright on a cart that is pushed left or right. Step for step Gymnasium's `CartPole-v1`.

Source: A. G. Barto, R. S. Sutton, C. W. Anderson. "Neuronlike adaptive elements that can solve difficult learning control
problems", 1983. Constants as in Gymnasium 1.x, whose dynamics are those of R. Florian, "Correct equations for the dynamics of
the cart-pole system", 2007, equations (23) and (24) without friction.
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

GRAVITY = 9.8  # m/s^2
MASS_POLE = 0.1  # kg
MASS = 1.1  # kg, cart and pole
HALF_LENGTH = 0.5  # m, half the pole
FORCE = 10.0  # N
TAU = 0.02  # s, between two steps
X_LIMIT = 2.4  # m
THETA_LIMIT = 12 * 2 * math.pi / 360  # rad


@kernel
def start(uniform: np.ndarray) -> np.ndarray:
    """Return first states [N, 4], each number in [-0.05, 0.05), from `uniform` [N, 4] in [0, 1)."""
    return 0.1 * uniform - 0.05


@kernel
def push(state: np.ndarray, forces: np.ndarray, reward: np.ndarray, terminated: np.ndarray) -> None:
    """Apply forces [N] to states [N, 4] for one step; see `move`."""
    for n in range(len(state)):
        x, x_dot, theta, theta_dot = state[n]
        cos, sin = math.cos(theta), math.sin(theta)
        acceleration = (forces[n] + MASS_POLE * HALF_LENGTH * theta_dot**2 * sin) / MASS
        theta_acc = (GRAVITY * sin - cos * acceleration) / (HALF_LENGTH * (4.0 / 3.0 - MASS_POLE * cos**2 / MASS))  # (23)
        x_acc = acceleration - MASS_POLE * HALF_LENGTH * theta_acc * cos / MASS  # (24)
        x, x_dot = x + TAU * x_dot, x_dot + TAU * x_acc
        theta, theta_dot = theta + TAU * theta_dot, theta_dot + TAU * theta_acc
        state[n, 0], state[n, 1], state[n, 2], state[n, 3] = x, x_dot, theta, theta_dot
        reward[n] = 1.0
        terminated[n] = abs(x) > X_LIMIT or abs(theta) > THETA_LIMIT


@kernel
def move(state: np.ndarray, action: np.ndarray, reward: np.ndarray, terminated: np.ndarray) -> None:
    """Push each cart one way or the other and integrate by Euler's method.

    Args:
        state: Position, velocity, angle from upright, angular velocity [N, 4]; becomes the next state.
        action: 0 pushes left, 1 pushes right [N].
        reward: Becomes 1 for every step, also the last [N].
        terminated: Becomes true where cart or pole left its range [N].
    """
    forces = np.empty(len(state))
    for n in range(len(state)):
        forces[n] = FORCE if action[n] == 1 else -FORCE
    push(state, forces, reward, terminated)


@kernel
def move_continuous(state: np.ndarray, action: np.ndarray, reward: np.ndarray, terminated: np.ndarray) -> None:
    """Push each cart by a share in [-1, 1] of the force [N, 1]; otherwise as `move`."""
    forces = np.empty(len(state))
    for n in range(len(state)):
        forces[n] = FORCE * min(max(float(action[n, 0]), -1.0), 1.0)
    push(state, forces, reward, terminated)


def outcome(obs: np.ndarray, action: np.ndarray, next_obs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return rewards [N] and terminations [N], which next observations [N, 4] alone decide.

    >>> outcome(np.zeros((2, 4)), np.zeros(2), np.array([[0.0, 0, 0.1, 0], [2.5, 0, 0, 0]]))
    (array([1., 1.]), array([False,  True]))
    """
    return np.ones(len(obs)), (np.abs(next_obs[:, 0]) > X_LIMIT) | (np.abs(next_obs[:, 2]) > THETA_LIMIT)


@kernel
def observe_masked(state: np.ndarray) -> np.ndarray:
    """Return positions and angles [N, 2], float32, without the velocities."""
    obs = np.empty((len(state), 2), dtype=np.float32)
    for n in range(len(state)):
        obs[n, 0], obs[n, 1] = state[n, 0], state[n, 2]
    return obs


_HIGH = np.array([2 * X_LIMIT, np.inf, 2 * THETA_LIMIT, np.inf], dtype=np.float32)


class CartPole(ArrayTask):
    """Reward 1 a step, at most 500 steps; solved at 475."""

    class_names = ACTIONS["CartPole"]
    input_names = ("position [m]", "velocity [m/s]", "angle [rad]", "angular velocity [rad/s]")
    problem = Problem(
        start,
        move,
        observe_all,
        num_uniform=4,
        input_space=spaces.Box(-_HIGH, _HIGH, dtype=np.float32),
        output_space=spaces.Discrete(2),
        time_limit=500,
        target=475.0,
        state_of=state_of_all,
        outcome=outcome,
        sketch=sketches.cart_and_pole,
    )


class ContinuousCartPole(ArrayTask):
    """The same with a force anywhere between the two pushes and 200 steps, as in `mbrl-lib`'s tutorial of PETS; 200 is the most."""

    input_names, output_names = CartPole.input_names, ("force [10 N]",)
    problem = CartPole.problem._replace(
        move=move_continuous, output_space=spaces.Box(-1.0, 1.0, (1,), dtype=np.float32), time_limit=200, target=200.0
    )


class MaskedCartPole(ArrayTask):
    """The same with the velocities hidden: one observation does not tell which way the pole falls, two that follow one another do.

    Source: D. Wierstra, A. Foerster, J. Peters, J. Schmidhuber, "Recurrent policy gradients", 2010, section 5.1.
    """

    class_names = ACTIONS["CartPole"]
    input_names = CartPole.input_names[::2]
    problem = CartPole.problem._replace(
        observe=observe_masked, state_of=None, outcome=None, input_space=spaces.Box(-_HIGH[::2], _HIGH[::2], dtype=np.float32)
    )
