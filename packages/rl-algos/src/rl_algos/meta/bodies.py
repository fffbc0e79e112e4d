"""Families of CartPole and of the pendulum whose masses, lengths and forces vary.

Sources: the equations are those of `CartPole-v1` and `Pendulum-v1`, see `rl_algos.tasks`. Which quantities vary, and how far, is a
choice of this package, after the domain randomisation of C. Packer and others, "Assessing generalization in deep reinforcement
learning", 2018, section 4.
Departures: an episode of CartPole has 200 steps. Letters: N environments.
"""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

import numpy as np

from dl_nets.fast.kernels import kernel
from rl_algos.meta.families import ArrayFamily, FamilyConfig, Motion
from rl_algos.tasks import cartpole, pendulum, sketches
from rl_algos.tasks.array_envs import observe_all
from rl_core.config import Count, Doc, configclass


@configclass
class CartPoleFamilyConfig(FamilyConfig):
    """Settings of the family of CartPoles; each range is the least and the largest factor on CartPole's own value."""

    pole_mass: Annotated[tuple[float, float], Doc("factor on the pole's mass, > 0")] = (0.5, 2.0)
    length: Annotated[tuple[float, float], Doc("factor on the pole's length, > 0")] = (0.5, 2.0)
    force: Annotated[tuple[float, float], Doc("factor on the force of a push, > 0")] = (0.5, 2.0)
    time_limit: Annotated[Count, Doc("steps of an episode")] = 200

    def __post_init__(self) -> None:
        for name in ("pole_mass", "length", "force"):
            require_span(name, getattr(self, name))


@configclass
class PendulumFamilyConfig(FamilyConfig):
    """Settings of the family of pendulums."""

    mass: Annotated[tuple[float, float], Doc("least and largest mass in kg, > 0")] = (0.5, 2.0)
    test_mass: Annotated[tuple[float, ...], Doc("least and largest mass of test tasks in kg, > 0; empty: as in training")] = ()
    length: Annotated[tuple[float, float], Doc("least and largest length in m, > 0")] = (0.5, 1.5)
    gravity: Annotated[tuple[float, float], Doc("least and largest acceleration in m/s^2, > 0")] = (8.0, 12.0)
    time_limit: Annotated[Count, Doc("steps of an episode")] = 200

    def __post_init__(self) -> None:
        for name in ("mass", "length", "gravity"):
            require_span(name, getattr(self, name))
        if self.test_mass:
            require_span("test_mass", self.test_mass)


def require_span(name: str, span: tuple[float, ...]) -> None:
    """Refuse a range whose ends are not two finite numbers > 0 in order.

    Raises:
        ValueError: that names the field, its value and what is expected.
    """
    if len(span) != 2 or not 0.0 < span[0] <= span[1] < math.inf:
        raise ValueError(f"{name} is {span}; expected two numbers > 0, the first not above the second")


@kernel
def start_pole(uniform: np.ndarray, variation: np.ndarray) -> np.ndarray:
    """Return first states [N, 4], each number in [-0.05, 0.05), from uniform numbers [N, 4]."""
    return 0.1 * uniform - 0.05


@kernel
def push(
    state: np.ndarray, action: np.ndarray, reward: np.ndarray, terminated: np.ndarray, variation: np.ndarray, uniform: np.ndarray
) -> None:
    """Push carts one way or the other for one step of Euler's method, as `rl_algos.tasks.cartpole.move` does.

    Args:
        state: Position, velocity, angle from upright, angular velocity [N, 4]; becomes the next state.
        action: 0 pushes left, 1 pushes right [N].
        reward: Becomes 1 for every step, also the last [N].
        terminated: Becomes true where cart or pole left its range [N].
        variation: The pole's mass in kg, half its length in m, the force in N [N, 3].
        uniform: Not used [N, 0].
    """
    for n in range(len(state)):
        x, x_dot, theta, theta_dot = state[n]
        pole, half, force = variation[n]
        mass = pole + (cartpole.MASS - cartpole.MASS_POLE)
        cos, sin = math.cos(theta), math.sin(theta)
        acceleration = ((force if action[n] == 1 else -force) + pole * half * theta_dot**2 * sin) / mass
        theta_acc = (cartpole.GRAVITY * sin - cos * acceleration) / (half * (4.0 / 3.0 - pole * cos**2 / mass))
        x_acc = acceleration - pole * half * theta_acc * cos / mass
        x, x_dot = x + cartpole.TAU * x_dot, x_dot + cartpole.TAU * x_acc
        theta, theta_dot = theta + cartpole.TAU * theta_dot, theta_dot + cartpole.TAU * theta_acc
        state[n, 0], state[n, 1], state[n, 2], state[n, 3] = x, x_dot, theta, theta_dot
        reward[n] = 1.0
        terminated[n] = abs(x) > cartpole.X_LIMIT or abs(theta) > cartpole.THETA_LIMIT


@kernel
def start_pendulum(uniform: np.ndarray, variation: np.ndarray) -> np.ndarray:
    """Return first states [N, 2]: any angle, velocity in [-1, 1), from uniform numbers [N, 2]."""
    return (2.0 * uniform - 1.0) * np.array([math.pi, 1.0])


@kernel
def swing(
    state: np.ndarray, action: np.ndarray, reward: np.ndarray, terminated: np.ndarray, variation: np.ndarray, uniform: np.ndarray
) -> None:
    """Apply torques [N, 1] to pendulums of mass, length and gravity [N, 3], as `rl_algos.tasks.pendulum.move` does."""
    for n in range(len(state)):
        theta, speed = state[n, 0], state[n, 1]
        mass, length, gravity = variation[n]
        torque = min(max(float(action[n, 0]), -pendulum.MAX_TORQUE), pendulum.MAX_TORQUE)
        angle = (theta + math.pi) % (2.0 * math.pi) - math.pi
        reward[n] = -(angle**2 + 0.1 * speed**2 + 0.001 * torque**2)
        speed += (1.5 * gravity / length * math.sin(theta) + 3.0 / (mass * length**2) * torque) * pendulum.DT
        speed = min(max(speed, -pendulum.MAX_SPEED), pendulum.MAX_SPEED)
        state[n, 0], state[n, 1] = theta + speed * pendulum.DT, speed
        terminated[n] = False


def spread(uniform: np.ndarray, *spans: tuple[float, ...]) -> np.ndarray:
    """Return numbers in ranges [N, V], from uniform numbers [N, V].

    >>> spread(np.array([[0.5, 0.0]]), (1.0, 3.0), (5.0, 6.0)).tolist()
    [[2.0, 5.0]]
    """
    low, high = np.array(spans).T
    return low + (high - low) * uniform


class CartPoleFamily(ArrayFamily):
    """CartPoles with poles of any mass and length and pushes of any force, 200 steps."""

    Config: ClassVar[type] = CartPoleFamilyConfig
    motion = Motion(start_pole, push, observe_all, num_start=4, sketch=lambda state, variation: sketches.cart_and_pole(state))
    num_uniform = 3
    config: CartPoleFamilyConfig

    def __init__(self, config: CartPoleFamilyConfig) -> None:
        super().__init__(config)
        self.input_space, self.output_space = cartpole.CartPole.problem.input_space, cartpole.CartPole.problem.output_space
        self.time_limit = config.time_limit

    def vary(self, uniform: np.ndarray, is_test: np.ndarray) -> np.ndarray:
        """Return the pole's mass, half its length, and the force of a push [N, 3]."""
        factors = spread(uniform, self.config.pole_mass, self.config.length, self.config.force)
        return factors * [cartpole.MASS_POLE, cartpole.HALF_LENGTH, cartpole.FORCE]


class PendulumFamily(ArrayFamily):
    """Pendulums of any mass and length under any gravity, 200 steps."""

    Config: ClassVar[type] = PendulumFamilyConfig
    motion = Motion(start_pendulum, swing, pendulum.observe, num_start=2, sketch=lambda state, variation: sketches.pendulum(state))
    num_uniform = 3
    config: PendulumFamilyConfig

    def __init__(self, config: PendulumFamilyConfig) -> None:
        super().__init__(config)
        self.input_space, self.output_space = pendulum.Pendulum.problem.input_space, pendulum.Pendulum.problem.output_space
        self.time_limit = config.time_limit

    def vary(self, uniform: np.ndarray, is_test: np.ndarray) -> np.ndarray:
        """Return mass, length and gravity [N, 3]."""
        config = self.config
        train = spread(uniform, config.mass, config.length, config.gravity)
        test = spread(uniform, config.test_mass or config.mass, config.length, config.gravity)
        return np.where(is_test[:, None], test, train)
