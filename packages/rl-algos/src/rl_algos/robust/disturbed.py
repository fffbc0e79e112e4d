"""Any control task with disturbed sensors and actuators: `disturbed:<task>`. What an agent learns on the plain task can be tried on it.

Source: G. Dulac-Arnold and others, "Challenges of real-world reinforcement learning", 2021, section 2, for the kinds of disturbance; T.
Johannink and others, "Residual reinforcement learning for robot control", 2019, (2), for corrections of a controller.
Departures: none. Letters: N environments, D dimensions of an action.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Annotated, Any, ClassVar

import numpy as np
from gymnasium import spaces

from rl_algos.tasks.wrapped import WrappedEnvs
from rl_core.config import Doc, Fraction, Meta, NonNegative, Whole, configclass
from rl_core.envs import Envs, Transition
from rl_core.seeds import Seeds
from rl_core.task import ControlTask


@configclass
class DisturbedConfig:
    """A task, and what disturbs it; without further settings nothing does."""

    task: Annotated[str, Doc("name of the control task")] = "CartPole-v1"
    task_config: Annotated[Mapping[str, Any], Doc("settings of the task, {name: value}")] = field(default_factory=dict)
    noise: Annotated[NonNegative, Doc("deviation of noise on each number of an observation, in the observation's unit")] = 0.0
    loss: Annotated[Fraction, Doc("probability that an observation is lost, and the last one seen again")] = 0.0
    delay: Annotated[int, Meta(ge=0, le=100), Doc("steps until an action is carried out; until then the first action, or the middle")] = 0
    drift: Annotated[Fraction, Doc("share of a continuous action's strength that is lost in 1,000 steps, down to a fifth")] = 0.0
    switch_steps: Annotated[Whole, Doc("steps after which actions are mirrored, and mirrored back; 0 for never")] = 0
    residual: Annotated[NonNegative, Doc("above 0, an action only corrects the task's controller, by this share of it")] = 0.0


class DisturbedEnvs(WrappedEnvs):
    """Environments behind disturbed sensors and actuators.

    Args:
        envs: The inner environments.
        config: What disturbs them.
        seeds: The stream `disturbances` gives noise and losses.
        controller: Actions [N, D] of observations [N, ...] that an agent's actions correct; `None` without one.
    """

    def __init__(self, envs: Envs, config: DisturbedConfig, seeds: Seeds, controller: Callable[[np.ndarray], np.ndarray] | None) -> None:
        super().__init__(envs)
        self._config, self._controller = config, controller
        self._rng = seeds.numpy("disturbances")
        space, num_envs = envs.output_space, envs.num_envs
        if isinstance(space, spaces.Box):
            bounded = np.isfinite(space.low) & np.isfinite(space.high)
            self._middle = np.where(bounded, (space.low + space.high) / 2.0, 0.0).astype(np.float32)
            self._waiting = np.zeros((num_envs, config.delay, *space.shape), np.float32)  # distances from the middle
        else:
            assert isinstance(space, spaces.Discrete)
            self._waiting = np.full((num_envs, config.delay), int(space.start), dtype=np.int64)
        self._steps = 0
        self._true = self._seen = np.zeros(0)

    def reset(self) -> np.ndarray:
        """Return first observations [N, ...], as the sensors show them."""
        self._true = self.inner.reset()
        self._seen = self._noisy(self._true)
        return self._seen

    def restart(self) -> np.ndarray:
        """Return first observations [N, ...] of new episodes."""
        self._true = self.inner.restart()
        self._seen = self._noisy(self._true)
        return self._seen

    def step(self, actions: np.ndarray) -> Transition:
        """Take actions [N, ...] as the actuators carry them out."""
        config = self._config
        commands = self._commanded(np.asarray(actions))
        if config.delay:
            waiting = np.concatenate([self._waiting, commands[:, None].astype(self._waiting.dtype)], axis=1)
            commands, self._waiting = waiting[:, 0], waiting[:, 1:]
        transition = self.inner.step(self._executed(commands))
        over = transition.terminated | transition.truncated
        if config.delay and over.any():
            self._waiting = self._waiting.copy()
            self._waiting[over] = 0.0 if isinstance(self.output_space, spaces.Box) else int(self.output_space.start)
        self._steps += 1
        self._true = transition.obs
        final = self._noisy(transition.final_obs)
        if config.loss:
            lost = self._rng.random(self.num_envs) < config.loss
            final = np.where(lost.reshape(-1, *[1] * (final.ndim - 1)), self._seen, final)
        obs = final
        if over.any():
            obs = final.copy()
            obs[over] = self._noisy(transition.obs)[over]
        self._seen = obs
        return transition._replace(obs=obs, final_obs=final)

    def _commanded(self, actions: np.ndarray) -> np.ndarray:
        """Return what the actuators are told [N, ...]: actions of a Discrete, else distances from the middle, the controller's added."""
        if isinstance(self.output_space, spaces.Discrete):
            return actions
        offset: np.ndarray = actions - self._middle
        if self._config.residual and self._controller is not None:
            offset = self._controller(self._seen) - self._middle + self._config.residual * offset
        return offset

    def _executed(self, commands: np.ndarray) -> np.ndarray:
        """Return what the actuators do [N, ...]."""
        config, space = self._config, self.output_space
        mirrored = bool(config.switch_steps) and self._steps // config.switch_steps % 2 == 1
        if isinstance(space, spaces.Discrete):
            return int(space.start) + int(space.n) - 1 - (commands - int(space.start)) if mirrored else commands
        strength = max(0.2, 1.0 - config.drift * self._steps / 1_000.0)
        moved = self._middle + (-strength if mirrored else strength) * commands
        return np.clip(moved, space.low, space.high).astype(space.dtype)

    def _noisy(self, obs: np.ndarray) -> np.ndarray:
        space = self.input_space
        if not self._config.noise or not isinstance(space, spaces.Box):
            return obs
        noise = self._rng.standard_normal(obs.shape) * self._config.noise
        return np.clip(obs + noise, space.low, space.high).astype(obs.dtype)

    def state_dict(self) -> dict[str, Any]:
        """Return the position of the inner environments, the actions that wait, and what was seen last."""
        state = {"waiting": self._waiting.copy(), "seen": self._seen.copy(), "steps": self._steps}
        return {**super().state_dict(), **state}

    def load_state_dict(self, state: Mapping[str, Any]) -> np.ndarray:
        """Restore `state` and return the observations [N, ...] that were seen last."""
        self._true = super().load_state_dict(state)
        self._waiting, self._steps = np.array(state["waiting"]), int(state["steps"])
        self._seen = np.array(state["seen"], dtype=self._true.dtype)
        return self._seen


class Disturbed(ControlTask):
    """A control task behind disturbed sensors and actuators; its score is the return of the plain task.

    Raises:
        ValueError: if the name is not that of a control task, or an action should correct a controller that the task lacks.
    """

    Config: ClassVar[type] = DisturbedConfig

    def __init__(self, config: DisturbedConfig) -> None:
        super().__init__(config)
        self.inner = built(config.task, config.task_config)
        self.input_space, self.output_space = self.inner.input_space, self.inner.output_space
        self.extras, self.discount, self.target = self.inner.extras, self.inner.discount, self.inner.target
        self.controller: Callable[[np.ndarray], np.ndarray] | None = getattr(self.inner, "controller", None)
        if config.residual and self.controller is None:
            raise ValueError(f"residual is {config.residual}, and {config.task} has no controller to correct; set residual to 0")
        if config.noise and not isinstance(self.input_space, spaces.Box):
            raise ValueError(
                f"noise is {config.noise}, and observations are {self.input_space}; only those of a Box take noise, so set it to 0"
            )

    def envs(self, num_envs: int, seeds: Seeds) -> Envs:
        """Return the task's environments behind the disturbances."""
        return DisturbedEnvs(self.inner.envs(num_envs, seeds), self.config, seeds, self.controller)

    def caveat(self) -> str:
        """Return the plain task's caveat."""
        return self.inner.caveat()


def built(name: str, config: Mapping[str, Any]) -> ControlTask:
    """Return the control task of a name, with settings.

    Raises:
        ValueError: if no control task has this name, or a setting is not one of its own.
    """
    from rl_core.errors import RlError
    from rl_core.plugins.catalogue import Catalogue
    from rl_core.runs.recipe import build_task

    try:
        task = build_task(Catalogue.discover(), name, config)
    except RlError as error:
        raise ValueError(str(error)) from error
    if not isinstance(task, ControlTask):
        raise ValueError(f"task is {name!r}, which is not a control task; expected an environment such as CartPole-v1")
    return task
