"""Pendulum and CartPole whose masses and lengths are drawn for each episode, for policies that work over a range of worlds.

Source: J. Tobin and others, "Domain randomization for transferring deep neural networks from simulation to the real world", 2017; X. B.
Peng and others, "Sim-to-real transfer of robotic control with dynamics randomization", 2018, section 4.
Departures: masses and lengths alone vary. Letters: N environments.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
from gymnasium import spaces

from rl_algos.tasks import cartpole, pendulum
from rl_algos.tasks.array_envs import ArrayTask, ArrayTaskConfig, Problem
from rl_core.compiling import kernel
from rl_core.config import Doc, configclass
from rl_core.figure import new_figure
from rl_core.seeds import Seeds
from rl_core.task import Predict

PLACES = 9  # of a range, in a picture


def drawn(uniform: np.ndarray, ends: tuple[float, float]) -> np.ndarray:
    """Return numbers [N] between both ends, evenly in their logarithm, from uniform numbers [N].

    >>> drawn(np.array([0.0, 0.5]), (1.0, 4.0)).tolist()
    [1.0, 2.0]
    """
    low, high = ends
    if low == high:
        return np.full(len(uniform), low)
    return np.exp(math.log(low) + uniform * (math.log(high) - math.log(low)))


@kernel
def move_pendulum(state: np.ndarray, action: np.ndarray, reward: np.ndarray, terminated: np.ndarray) -> None:
    """Move pendulums with a mass and a length of their own: states [N, 4] of angle, velocity, mass in kg and length in m."""
    for n in range(len(state)):
        theta, velocity, mass, length = state[n]
        torque = np.float32(min(max(action[n, 0], -pendulum.MAX_TORQUE), pendulum.MAX_TORQUE))
        angle = (theta + math.pi) % (2 * math.pi) - math.pi
        reward[n] = -(angle**2 + 0.1 * velocity**2 + 0.001 * torque**2)
        gain = np.float32(3.0 / (mass * length * length))
        velocity += (1.5 * pendulum.GRAVITY / length * math.sin(theta) + gain * torque) * pendulum.DT
        velocity = min(max(velocity, -pendulum.MAX_SPEED), pendulum.MAX_SPEED)
        state[n, 0], state[n, 1] = theta + velocity * pendulum.DT, velocity
        terminated[n] = False


@kernel
def move_cartpole(state: np.ndarray, action: np.ndarray, reward: np.ndarray, terminated: np.ndarray) -> None:
    """Push carts whose poles have a mass and a half length of their own: states [N, 6] of CartPole's four, then these."""
    for n in range(len(state)):
        x, x_dot, theta, theta_dot, mass, half = state[n]
        force = cartpole.FORCE if action[n] == 1 else -cartpole.FORCE
        total = mass + 1.0
        cos, sin = math.cos(theta), math.sin(theta)
        push = (force + mass * half * theta_dot**2 * sin) / total
        turn = (cartpole.GRAVITY * sin - cos * push) / (half * (4.0 / 3.0 - mass * cos**2 / total))
        x_acceleration = push - mass * half * turn * cos / total
        state[n, 0], state[n, 1] = x + cartpole.TAU * x_dot, x_dot + cartpole.TAU * x_acceleration
        state[n, 2], state[n, 3] = theta + cartpole.TAU * theta_dot, theta_dot + cartpole.TAU * turn
        reward[n] = 1.0
        terminated[n] = abs(state[n, 0]) > cartpole.X_LIMIT or abs(state[n, 2]) > cartpole.THETA_LIMIT


class VariedTask(ArrayTask):
    """A problem with a mass and a length that are drawn for each episode; a subclass gives the problem, and what a state begins with."""

    base: ClassVar[Problem]

    def __init__(self, config: ArrayTaskConfig) -> None:
        base, mass, length = self.base, config.mass, config.length  # type: ignore[attr-defined]
        observe, shown = base.observe, bool(config.show_parameters)  # type: ignore[attr-defined]

        def start(uniform: np.ndarray) -> np.ndarray:
            first = base.start(uniform[:, : base.num_uniform])
            own = [drawn(uniform[:, base.num_uniform], mass), drawn(uniform[:, base.num_uniform + 1], length)]
            return np.concatenate([first, np.stack(own, axis=1)], axis=1)

        def seen(state: np.ndarray) -> np.ndarray:
            obs = observe(state[:, :-2])
            return np.concatenate([obs, state[:, -2:].astype(np.float32)], axis=1) if shown else obs

        space = base.input_space
        if shown:
            bounds = np.array([mass, length], np.float32)
            space = spaces.Box(np.concatenate([space.low, bounds[:, 0]]), np.concatenate([space.high, bounds[:, 1]]), dtype=np.float32)
        self.problem = base._replace(
            start=start, observe=seen, num_uniform=base.num_uniform + 2, input_space=space, state_of=None, outcome=None
        )
        super().__init__(config)

    def over_range(self, predict: Predict, *, episodes: int, seeds: Seeds) -> tuple[np.ndarray, np.ndarray]:
        """Return masses and the mean returns of a policy at each of them, from half to twice the range, at the middle length.

        Args:
            predict: The policy.
            episodes: Episodes at each mass.
            seeds: Of the episodes, the same ones at each mass.
        """
        config = self.config
        low, high = config.mass
        masses = np.exp(np.linspace(math.log(low / 2.0), math.log(high * 2.0), PLACES))
        length = math.sqrt(config.length[0] * config.length[1])
        returns = []
        for mass in masses:
            settings = {"mass": (float(mass), float(mass)), "length": (length, length), "time_limit": config.time_limit}
            task = type(self)(type(config)(**settings, show_parameters=config.show_parameters))
            returns.append(task.evaluate(predict, episodes=episodes, seeds=seeds)["mean return"])
        return masses, np.array(returns)

    def draw_policy(self, folder: Path, predict: Predict) -> None:
        """Write the policy's return over masses, within the training range and beyond it."""
        masses, returns = self.over_range(predict, episodes=20, seeds=Seeds(0, ("picture",)))
        figure = new_figure(7.0, 4.2)
        axes = figure.add_subplot(1, 1, 1)
        axes.plot(masses, returns, marker="o")
        axes.axvspan(*self.config.mass, color="C2", alpha=0.2, label="range in training")
        axes.set_xscale("log")
        axes.set_xlabel("mass [kg]")
        axes.set_ylabel("mean return of 20 episodes")
        axes.set_title("Return over the range of masses")
        axes.grid(alpha=0.25)
        axes.legend(fontsize=8)
        figure.savefig(folder / "range.png", dpi=120)


@configclass
class VariedPendulumConfig(ArrayTaskConfig):
    """A pendulum with a mass and a length of its own in each episode; equal ends make a fixed one."""

    mass: Annotated[tuple[float, float], Doc("range of the mass in kg, any numbers above 0")] = (0.6, 1.6)
    length: Annotated[tuple[float, float], Doc("range of the length in m, any numbers above 0")] = (0.8, 1.2)
    show_parameters: Annotated[bool, Doc("whether observations show mass and length")] = False

    def __post_init__(self) -> None:
        """Refuse ranges that are none."""
        for name, ends in (("mass", self.mass), ("length", self.length)):
            if not 0 < ends[0] <= ends[1] < math.inf:
                raise ValueError(f"{name} is {list(ends)}; expected two numbers above 0, the smaller one first")


class VariedPendulum(VariedTask):
    """`Pendulum-v1` with a mass and a length that are drawn for each episode; with 1 and 1 it is Gymnasium's to the bit."""

    Config: ClassVar[type] = VariedPendulumConfig
    base = pendulum.Pendulum.problem._replace(move=move_pendulum, target=-300.0)
    problem = base


@configclass
class VariedCartPoleConfig(VariedPendulumConfig):
    """A pole with a mass and a half length of its own in each episode; equal ends make a fixed one."""

    mass: Annotated[tuple[float, float], Doc("range of the pole's mass in kg, any numbers above 0")] = (0.05, 0.5)
    length: Annotated[tuple[float, float], Doc("range of half the pole's length in m, any numbers above 0")] = (0.25, 1.0)


class VariedCartPole(VariedTask):
    """`CartPole-v1` whose pole has a mass and a half length that are drawn for each episode."""

    Config: ClassVar[type] = VariedCartPoleConfig
    base = cartpole.CartPole.problem._replace(move=move_cartpole)
    problem = base
