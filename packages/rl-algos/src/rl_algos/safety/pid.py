"""PID control of a data centre: a fixed temperature of the supplied air, and fans that hold the hottest inlet at a reference.

Source: K. J. Astrom, T. Hagglund, "PID controllers: theory, design, and tuning", 1995, chapter 2, with the integral held within the
range of the fans. Departures: the derivative is of the measured temperature, between two steps.
Letters: N environments.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import numpy as np

from rl_core.agent import Agent
from rl_core.config import Count, Doc, Meta, NonNegative, configclass
from rl_core.task import ControlTask, Predict


@configclass
class PIDConfig:
    """Gains and set points; the defaults are cautious, as an operator's are: air of 18 degrees, an inlet held at 24."""

    supply: Annotated[float, Meta(ge=14, le=27), Doc("temperature of the supplied air, degrees Celsius")] = 18.0
    reference: Annotated[float, Meta(ge=15, le=35), Doc("temperature at which the hottest inlet is held, degrees Celsius")] = 24.0
    proportional: Annotated[NonNegative, Doc("K_P, share of full fan speed per degree")] = 0.03
    integral: Annotated[NonNegative, Doc("K_I, the same per degree and step")] = 0.01
    derivative: Annotated[NonNegative, Doc("K_D, the same per degree of rise in a step")] = 0.0
    num_envs: Annotated[Count, Doc("N, environments stepped together")] = 8
    iteration_steps: Annotated[Count, Doc("steps of each environment between two lines of metrics")] = 100


class Controller:
    """A PID controller of the fans of N data centres, with the integral of each episode.

    Args:
        config: Gains and set points.
    """

    def __init__(self, config: PIDConfig) -> None:
        self.config = config
        self._integral = self._before = np.zeros(0)

    def begin(self, starts: np.ndarray) -> None:
        """Begin the episodes of the rows that start [N]."""
        if len(self._integral) != len(starts):
            self._integral, self._before = np.full(len(starts), 0.7), np.full(len(starts), np.nan)
        self._integral = np.where(starts, 0.7, self._integral)
        self._before = np.where(starts, np.nan, self._before)

    def __call__(self, obs: np.ndarray) -> np.ndarray:
        """Return set points [N, 2], in [-1, 1], at observations [N, 13]."""
        config = self.config
        if len(self._integral) != len(obs):
            self.begin(np.ones(len(obs), dtype=np.bool_))
        worst = 22.0 + 6.0 * obs[:, 3].astype(np.float64)
        error, rise = worst - config.reference, worst - np.where(np.isnan(self._before), worst, self._before)
        self._before = worst
        self._integral = np.clip(self._integral + config.integral * error, 0.3, 1.0)
        fan = np.clip(self._integral + config.proportional * error + config.derivative * rise, 0.3, 1.0)
        supply = np.full(len(obs), (config.supply - 14.0) / 6.5 - 1.0)
        return np.stack([supply, (fan - 0.3) / 0.35 - 1.0], axis=1).astype(np.float32)

    def state_dict(self) -> dict[str, Any]:
        """Return the integrals and the temperatures before [N]."""
        return {"integral": self._integral, "before": self._before}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self._integral, self._before = np.array(state["integral"]), np.array(state["before"])


class PID(Agent):
    """An agent that learns nothing: the controller, as a baseline of every learner."""

    Config: ClassVar[type] = PIDConfig
    headline = "episode_return"
    state_fields = ("controller", "envs", "obs")
    config: PIDConfig
    task: ControlTask

    def setup(self) -> None:
        """Make the environments.

        Raises:
            ValueError: if the task is not a data centre.
        """
        if "cooling" not in self.task.traits():
            raise ValueError("pid controls the fans of a data centre, and the task is not one; use it with the task data-centre")
        self.envs: Any = self.task.envs(self.config.num_envs, self.seeds)
        self.obs = self.envs.reset()
        self.controller = Controller(self.config)
        self.controller.begin(np.ones(self.config.num_envs, dtype=np.bool_))

    def step(self) -> dict[str, float]:
        """Control every data centre for some steps."""
        for _ in range(self.config.iteration_steps):
            after = self.envs.step(self.controller(self.obs))
            self.obs = after.obs
            self.controller.begin(after.terminated | after.truncated)
        self.progress += self.config.iteration_steps * self.config.num_envs
        return dict(self.envs.episode_metrics())

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return set points [B, 2] at first observations of episodes [B, 13]."""
        return Controller(self.config)(inputs)

    def predictor(self) -> Predict:
        """Return a controller with an integral of its own."""
        return Controller(self.config)
