"""Continuous tasks with a cost beside the reward: a pendulum with a speed limit, and a point among hazards.

Source: A. Ray, J. Achiam, D. Amodei, "Benchmarking safe exploration in deep reinforcement learning", 2019, for the form: a cost for each
step in which a limit is broken, and a limit on an episode's sum; both problems are ours.
Departures: the point moves by its velocity.
Letters: N environments, K hazards.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from gymnasium import spaces

from rl_algos.safety.shield import LookAheadShield, SafetyLayer, Shield, ShieldedEnvs
from rl_algos.tasks import pendulum, sketches
from rl_algos.tasks.array_envs import ArrayTask, ArrayTaskConfig, Problem
from rl_core.compiling import kernel
from rl_core.config import Doc, NonNegative, Positive, configclass
from rl_core.envs import Envs
from rl_core.seeds import Seeds

BRAKING = 60  # steps of full braking that the pendulum's shield simulates: more than a turn takes
ROUNDING = 1e-3  # rad/s; observations are of single precision
HAZARDS = np.array([[-0.35, 0.15, 0.3], [0.3, -0.2, 0.3], [0.3, 0.65, 0.2]])  # centre and radius of each
STRIDE = 0.1  # distance of a step at full speed along an axis
GOAL, REACH = np.array([0.85, 0.0]), 0.12


@configclass
class LimitedPendulumConfig(ArrayTaskConfig):
    """A pendulum with a speed limit."""

    speed_limit: Annotated[Positive, Doc("rad/s above which a step costs 1")] = 5.5
    cost_limit: Annotated[NonNegative, Doc("steps above the speed limit that an episode may have on average")] = 1.0
    shield: Annotated[Literal["none", "look-ahead"], Doc("look-ahead: brake where any other torque would break the limit later")] = "none"


class LimitedPendulum(ArrayTask):
    """`Pendulum-v1` in which every step above a speed costs 1. Full braking stays below 5 rad/s from every start; a swing-up needs no more.

    Attributes:
        cost_limit: Of an episode's mean cost.
    """

    Config: ClassVar[type] = LimitedPendulumConfig
    extras = ("cost",)
    problem = pendulum.Pendulum.problem

    def __init__(self, config: LimitedPendulumConfig) -> None:
        speed_limit, self.cost_limit = config.speed_limit, config.cost_limit

        def cost(state: np.ndarray) -> np.ndarray:
            return (np.abs(state[:, 1]) > speed_limit).astype(np.float32)

        self.problem = pendulum.Pendulum.problem._replace(cost=cost)
        super().__init__(config)

    def envs(self, num_envs: int, seeds: Seeds) -> Envs:
        """Return N copies, behind the shield if there is one."""
        envs = super().envs(num_envs, seeds)
        if self.config.shield == "none":
            return envs
        limit = self.config.speed_limit
        return ShieldedEnvs(envs, LookAheadShield(self.dynamics(), lambda state: np.abs(state[:, 1]) > limit - ROUNDING, brake, BRAKING))


def brake(state: np.ndarray) -> np.ndarray:
    """Return full torques [N, 1] against the velocities of a pendulum's states [N, 2]."""
    return (-pendulum.MAX_TORQUE * np.sign(state[:, 1:])).astype(np.float32)


@kernel
def start_left(uniform: np.ndarray) -> np.ndarray:
    """Return first positions [N, 2] at the left border, from `uniform` [N, 2]."""
    state = np.empty((len(uniform), 2))
    for n in range(len(uniform)):
        state[n, 0] = -0.9 + 0.1 * uniform[n, 0]
        state[n, 1] = 0.8 * uniform[n, 1] - 0.4
    return state


@kernel
def move_point(state: np.ndarray, action: np.ndarray, reward: np.ndarray, terminated: np.ndarray) -> None:
    """Move points by velocities in [-1, 1].

    Args:
        state: Positions in [-1, 1] [N, 2]; become the next ones.
        action: [N, 2].
        reward: Becomes ten times what the point came nearer to the goal, less 0.1 [N].
        terminated: Becomes true at the goal [N].
    """
    for n in range(len(state)):
        before = np.sqrt((state[n, 0] - GOAL[0]) ** 2 + (state[n, 1] - GOAL[1]) ** 2)
        for i in range(2):
            state[n, i] = min(max(state[n, i] + STRIDE * min(max(action[n, i], -1.0), 1.0), -1.0), 1.0)
        after = np.sqrt((state[n, 0] - GOAL[0]) ** 2 + (state[n, 1] - GOAL[1]) ** 2)
        reward[n], terminated[n] = 10.0 * (before - after) - 0.1, after < REACH


@kernel
def observe_point(state: np.ndarray) -> np.ndarray:
    """Return position, and of each hazard its clearance and the unit vector away from it [N, 2 + 3 K], float32."""
    obs = np.empty((len(state), 2 + 3 * len(HAZARDS)), dtype=np.float32)
    for n in range(len(state)):
        obs[n, 0], obs[n, 1] = state[n, 0], state[n, 1]
        for k in range(len(HAZARDS)):
            x, y = state[n, 0] - HAZARDS[k, 0], state[n, 1] - HAZARDS[k, 1]
            distance = np.sqrt(x * x + y * y) + 1e-9
            obs[n, 2 + 3 * k], obs[n, 3 + 3 * k], obs[n, 4 + 3 * k] = distance - HAZARDS[k, 2], x / distance, y / distance
    return obs


def clearance(state: np.ndarray) -> np.ndarray:
    """Return the distance to the border of each hazard [N, K] at positions [N, 2]; negative within one."""
    return np.linalg.norm(state[:, None, :2] - HAZARDS[:, :2], axis=2) - HAZARDS[:, 2]


def _in_hazard(state: np.ndarray) -> np.ndarray:
    inside: np.ndarray = np.any(clearance(state) < 0, axis=1)
    return inside


def sketch(state: np.ndarray) -> np.ndarray:
    """Return a picture [H, W, 3] of a point [2] among the hazards."""
    return sketches.plane(state, goal=(*GOAL, REACH), discs=HAZARDS)


@configclass
class PointHazardsConfig(ArrayTaskConfig):
    """A point among hazards."""

    cost_limit: Annotated[NonNegative, Doc("steps within hazards that an episode may have on average")] = 0.5
    shield: Annotated[
        Literal["none", "look-ahead", "layer"],
        Doc("look-ahead: stop before a hazard; layer: the nearest velocity that keeps clear, by a learned linear model"),
    ] = "none"


class PointHazards(ArrayTask):
    """A point that crosses a square with three discs, each step within which costs 1. The straight way leads through two of them.

    Attributes:
        cost_limit: Of an episode's mean cost.
    """

    Config: ClassVar[type] = PointHazardsConfig
    extras = ("cost",)
    problem = Problem(
        start_left,
        move_point,
        observe_point,
        num_uniform=2,
        input_space=spaces.Box(-4.0, 4.0, (2 + 3 * len(HAZARDS),), np.float32),
        output_space=spaces.Box(-1.0, 1.0, (2,), np.float32),
        time_limit=100,
        target=13.0,
        state_of=lambda obs: obs[:, :2].astype(np.float64),
        cost=lambda state: _in_hazard(state).astype(np.float32),
        sketch=sketch,
    )

    def __init__(self, config: PointHazardsConfig) -> None:
        super().__init__(config)
        self.cost_limit = config.cost_limit

    def envs(self, num_envs: int, seeds: Seeds) -> Envs:
        """Return N copies, behind the shield if there is one."""
        envs = super().envs(num_envs, seeds)
        return envs if self.config.shield == "none" else ShieldedEnvs(envs, self.shield())

    def shield(self) -> Shield:
        """Return the shield that the settings name; a layer is fitted on up to 10,000 random transitions, always the same."""
        if self.config.shield == "look-ahead":
            return LookAheadShield(self.dynamics(), _in_hazard, lambda state: np.zeros((len(state), 2), np.float32), 0)
        layer = SafetyLayer(_limits, self.output_space, margin=0.0)
        rng = np.random.Generator(np.random.PCG64(0))
        state, actions = rng.uniform(-1, 1, (10_000, 2)), rng.uniform(-1, 1, (10_000, 2)).astype(np.float32)
        after = self.dynamics().step(state, actions)[0]
        free = (np.abs(after) < 1).all(axis=1)  # at a wall an action does not do what it does elsewhere
        layer.margin = 3.0 * layer.fit(observe_point(state[free]), actions[free], observe_point(after[free]))
        return layer


def _limits(obs: np.ndarray) -> np.ndarray:
    """Return minus the clearances [N, K] that observations [N, 2 + 3 K] show."""
    return -obs[:, 2::3]
