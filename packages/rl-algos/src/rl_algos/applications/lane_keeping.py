"""Lane keeping: steer a car along a winding road, by the kinematic bicycle model.

Source: R. Rajamani, "Vehicle dynamics and control", 2012, section 2.2 (model); S. Thrun and others, "Stanley: the robot that won the DARPA
grand challenge", 2006, section 9.2 (the baseline). Departures: the speed is constant, and the road's curvature is a sum of two waves.
Letters: N environments.
"""

from __future__ import annotations

import math

import numpy as np
from gymnasium import spaces

from rl_algos.tasks.array_envs import ArrayTask, Problem
from rl_core.compiling import kernel

SPEED, BASE, DT = 15.0, 2.7, 0.1  # m/s, m between the axles, s
MOST_STEERING, STEERING_RATE = 0.3, 0.5  # rad, rad/s
HALF_LANE = 1.75  # m
AHEAD = 10.0  # m, of the curvature that is seen


@kernel
def curvature(state: np.ndarray, n: int, ahead: float) -> float:
    """Return the road's curvature in 1/m, some metres ahead of row n."""
    place = state[n, 3] + ahead
    return 0.006 * math.sin(place / 40.0 + state[n, 4]) + 0.005 * math.sin(place / 23.0 + state[n, 5])


@kernel
def start(uniform: np.ndarray) -> np.ndarray:
    """Return states [N, 6] from `uniform` [N, 4]: offset in m, heading error and steering in rad, place in m, phases of the road."""
    state = np.zeros((len(uniform), 6))
    for n in range(len(state)):
        state[n, 0], state[n, 1] = uniform[n, 0] - 0.5, 0.1 * (uniform[n, 1] - 0.5)
        state[n, 4], state[n, 5] = 2.0 * math.pi * uniform[n, 2], 2.0 * math.pi * uniform[n, 3]
    return state


@kernel
def move(state: np.ndarray, action: np.ndarray, reward: np.ndarray, terminated: np.ndarray) -> None:
    """Turn the wheels towards steering angles in [-1, 1] of the largest [N, 1].

    The reward is 1 less the squared offset, in half lanes, and a little for steering; leaving the lane ends the episode at -10.
    """
    for n in range(len(state)):
        wanted = MOST_STEERING * min(max(action[n, 0], -1.0), 1.0)
        most = STEERING_RATE * DT
        turned = min(max(wanted - state[n, 2], -most), most)
        state[n, 2] += turned
        offset, heading = state[n, 0], state[n, 1]
        bend = curvature(state, n, 0.0)
        along = SPEED * math.cos(heading) / (1.0 - offset * bend)
        state[n, 0] += DT * SPEED * math.sin(heading)
        state[n, 1] += DT * (SPEED / BASE * math.tan(state[n, 2]) - bend * along)
        state[n, 3] += DT * along
        gone = abs(state[n, 0]) > HALF_LANE
        reward[n] = -10.0 if gone else 1.0 - (state[n, 0] / HALF_LANE) ** 2 - 5.0 * turned**2
        terminated[n] = gone


@kernel
def observe(state: np.ndarray) -> np.ndarray:
    """Return offset in half lanes, heading error and steering in their ranges, and the curvature here and ahead [N, 5], float32."""
    obs = np.empty((len(state), 5), dtype=np.float32)
    for n in range(len(state)):
        obs[n, 0], obs[n, 1], obs[n, 2] = state[n, 0] / HALF_LANE, state[n, 1] / 0.2, state[n, 2] / MOST_STEERING
        obs[n, 3], obs[n, 4] = curvature(state, n, 0.0) / 0.01, curvature(state, n, AHEAD) / 0.01
    return obs


def stanley(obs: np.ndarray) -> np.ndarray:
    """Return the steering [N, 1] of the baseline: against heading error and offset, and along the curve.

    Args:
        obs: [N, 5].
    """
    angle = np.arctan(BASE * 0.01 * obs[:, 4]) - 0.2 * obs[:, 1] - np.arctan(1.0 * HALF_LANE * obs[:, 0] / SPEED)
    return np.clip(angle / MOST_STEERING, -1.0, 1.0)[:, None].astype(np.float32)


class LaneKeeping(ArrayTask):
    """Stay in the middle of a lane at 15 m/s for 20 s. Of at most 200, the baseline `stanley` gets 199.

    Attributes:
        controller: The baseline, which an agent may correct; see `rl_algos.robust.disturbed`.
    """

    controller = staticmethod(stanley)
    input_names = (
        "offset [half lanes]",
        "heading error [0.2 rad]",
        "steering [of the largest]",
        "curvature [0.01/m]",
        "and ahead [0.01/m]",
    )
    output_names = ("steering [of the largest]",)
    problem = Problem(
        start,
        move,
        observe,
        num_uniform=4,
        input_space=spaces.Box(-np.inf, np.inf, (5,), np.float32),
        output_space=spaces.Box(-1.0, 1.0, (1,), np.float32),
        time_limit=200,
        target=195.0,
    )
