"""A linear system with a quadratic cost: two masses on a line, coupled by a spring and pushed by a motor each, are brought to rest.

Source: the linear-quadratic regulator of R. E. Kalman, "Contributions to the theory of optimal control", 1960; the constants are chosen
here. Departures: none. Letters: N environments, x' = A x + B u, reward -(x^T Q x + u^T R u).
"""

from __future__ import annotations

import numpy as np
from gymnasium import spaces

from dl_nets.fast.kernels import kernel
from rl_algos.tasks.array_envs import ArrayDynamics, ArrayTask, Problem, observe_all, state_of_all
from rl_core.task import Dynamics

DT = 0.1  # s, between two steps
SPRING, FRICTION = 1.0, 0.1  # N/m and N s/m; masses of 1 kg
TRANSITION = np.array(
    [[1, 0, DT, 0], [0, 1, 0, DT], [-SPRING * DT, SPRING * DT, 1 - FRICTION * DT, 0], [SPRING * DT, -SPRING * DT, 0, 1 - FRICTION * DT]]
)  # A of positions and velocities
PUSH = np.array([[0, 0], [0, 0], [DT, 0], [0, DT]])  # B of forces
COST = np.diag([1.0, 1.0, 0.1, 0.1])  # Q
EFFORT = np.diag([0.1, 0.1])  # R
MOST = 10.0  # of a force [N]; the best control stays below it


@kernel
def start(uniform: np.ndarray) -> np.ndarray:
    """Return first states [N, 4], positions and velocities in [-1, 1), from `uniform` [N, 4]."""
    return 2.0 * uniform - 1.0


@kernel
def move(state: np.ndarray, action: np.ndarray, reward: np.ndarray, terminated: np.ndarray) -> None:
    """Apply forces [N, 2] to states [N, 4], which become the next ones; the reward [N] is that of the states before."""
    for n in range(len(state)):
        before, cost = state[n].copy(), 0.0
        for i in range(4):
            cost += COST[i, i] * before[i] ** 2
            after = 0.0
            for j in range(4):
                after += TRANSITION[i, j] * before[j]
            for j in range(2):
                after += PUSH[i, j] * action[n, j]
            state[n, i] = after
        for j in range(2):
            cost += EFFORT[j, j] * action[n, j] ** 2
        reward[n], terminated[n] = -cost, False


class LinearDynamics(ArrayDynamics):
    """The same dynamics with rewards in float64, whose differences are exact to rounding."""

    def step(self, state: np.ndarray, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return next states [N, 4], rewards [N], float64, and terminations [N]."""
        after, reward, terminated = state.copy(), np.empty(len(state)), np.empty(len(state), dtype=np.bool_)
        move(after, np.asarray(actions, dtype=np.float64), reward, terminated)
        return after, reward, terminated


class LinearQuadratic(ArrayTask):
    """100 steps from a random state; the best control is linear. No target: the mean cost is that of the solution of Riccati's equation."""

    input_names = ("position 1 [m]", "position 2 [m]", "velocity 1 [m/s]", "velocity 2 [m/s]")
    output_names = ("force 1 [N]", "force 2 [N]")
    problem = Problem(
        start,
        move,
        observe_all,
        num_uniform=4,
        input_space=spaces.Box(-np.inf, np.inf, (4,), np.float32),
        output_space=spaces.Box(-MOST, MOST, (2,), np.float32),
        time_limit=100,
        target=None,
        state_of=state_of_all,
    )

    def traits(self) -> frozenset[str]:
        """Return the traits, with `linear`: next states are linear and rewards quadratic in states and actions."""
        return super().traits() | {"linear"}

    def dynamics(self) -> Dynamics:
        """Return the transition function in float64."""
        return LinearDynamics(self.problem)
