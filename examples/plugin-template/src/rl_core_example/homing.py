"""A task: a Gymnasium environment, and what the host needs to know of it.

Source: our own, for this example.
"""

import numpy as np
from gymnasium import Env, spaces, wrappers

from rl_core.config import configclass
from rl_core.envs import Envs
from rl_core.gym_envs import GymEnvs
from rl_core.seeds import Seeds
from rl_core.task import ControlTask


class Line(Env):
    """A point on a line steps left (0) or right (1) by 0.1; each step costs its distance from home, which is zero."""

    observation_space, action_space = spaces.Box(-np.inf, np.inf, (1,), np.float32), spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        """Put the point anywhere in [-1, 1]."""
        super().reset(seed=seed)
        self.position = self.np_random.uniform(-1.0, 1.0, 1)
        return self.position.astype(np.float32), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict]:
        """Move the point. An episode never ends by itself; `TimeLimit` truncates it."""
        self.position += 0.1 if action else -0.1
        return self.position.astype(np.float32), -abs(self.position.item()), False, False, {}


@configclass
class HomingConfig:
    """An empty config: the target holds for this line alone."""


class Homing(ControlTask):
    """The line as a task. Going straight home scores -2.2 in the mean of 20 steps: -1.2 for the way, -0.05 for each step."""

    Config = HomingConfig
    input_space, output_space = Line.observation_space, Line.action_space
    target = -2.5  # what the best policy surpasses in 99 of 100 evaluations of 100 episodes each

    def envs(self, num_envs: int, seeds: Seeds) -> Envs:
        """Return environments that are continued by replaying their episode."""
        return GymEnvs(lambda: wrappers.TimeLimit(Line(), 20), num_envs, seeds)
