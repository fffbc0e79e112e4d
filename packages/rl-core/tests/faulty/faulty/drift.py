"""A sound control task: a point in a plane is pushed and drifts. Each variant has one fault."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from gymnasium import spaces

from rl_core.config import Doc, Positive, configclass
from rl_core.envs import Envs, Transition
from rl_core.seeds import Seeds
from rl_core.task import ControlTask, Predict

TIME_LIMIT = 9
EDGE = 2.0


@configclass
class DriftConfig:
    """Settings of the point."""

    push: Annotated[Positive, Doc("distance of a push")] = 0.3


class DriftEnvs(Envs):
    """The point ends its episode beyond `EDGE`, and is cut after `TIME_LIMIT` steps. Each step costs its distance from 0."""

    def __init__(self, task: Drift, num_envs: int, seeds: Seeds) -> None:
        super().__init__(num_envs, task.input_space, task.output_space)
        self.rng = self.stream(seeds)
        self.push = task.config.push
        self.size = task.input_space.shape[0]

    def stream(self, seeds: Seeds) -> np.random.Generator:
        return seeds.numpy("drift")

    def start(self, count: int) -> np.ndarray:
        return self.rng.uniform(-1.0, 1.0, (count, self.size)).astype(np.float32)

    def reset(self) -> np.ndarray:
        self.obs = self.start(self.num_envs)
        return self.obs

    def step(self, actions: np.ndarray) -> Transition:
        noise = self.rng.normal(0.0, 0.2, (self.num_envs, self.size))
        moved = (self.obs + self.push * np.where(actions == 1, 1.0, -1.0)[:, None] + noise).astype(np.float32)
        reward = -np.abs(moved).max(axis=1)
        terminated = np.abs(moved).max(axis=1) > EDGE
        truncated = ~terminated & (self._length + 1 >= TIME_LIMIT)
        self.obs = self.after(moved, terminated | truncated)
        transition = Transition(self.obs, reward, terminated, truncated, moved)
        self._count(reward, terminated | truncated)
        return transition

    def after(self, moved: np.ndarray, over: np.ndarray) -> np.ndarray:
        obs = moved.copy()
        obs[over] = self.start(int(over.sum()))
        return obs

    def state_dict(self) -> dict[str, Any]:
        return {"obs": self.obs, **self._counters()}

    def load_state_dict(self, state: Mapping[str, Any]) -> np.ndarray:
        self._load_counters(state)
        self.obs = np.array(state["obs"])
        return self.obs


class Drift(ControlTask):
    """The point as a task."""

    Config = DriftConfig
    Envs: type[DriftEnvs] = DriftEnvs
    input_space = spaces.Box(-np.inf, np.inf, (2,), np.float32)
    output_space: spaces.Space = spaces.Discrete(2)

    def envs(self, num_envs: int, seeds: Seeds) -> Envs:
        return self.Envs(self, num_envs, seeds)


class WideDrift(Drift):
    """The same in three dimensions: an agent that knows one width alone shows it here."""

    input_space = spaces.Box(-np.inf, np.inf, (3,), np.float32)


class Unnamed(Drift):
    metric = ""


class NoisyScore(Drift):
    def evaluate(self, predict: Predict, *, episodes: int, seeds: Seeds) -> dict[str, float]:
        return {"mean return": float(np.random.default_rng().normal())}


class CrashingParse(Drift):
    def parse(self, text: str) -> np.ndarray:
        return np.array([{"known": 1.0}[text]])


class ChangesEnvironment(Drift):
    def evaluate(self, predict: Predict, *, episodes: int, seeds: Seeds) -> dict[str, float]:
        np.set_printoptions(precision=3)
        return super().evaluate(predict, episodes=episodes, seeds=seeds)


class DrawsFromNumPy(Drift):
    def evaluate(self, predict: Predict, *, episodes: int, seeds: Seeds) -> dict[str, float]:
        np.random.seed(0)
        return super().evaluate(predict, episodes=episodes, seeds=seeds)


class WideRewards(Drift):
    class Envs(DriftEnvs):
        def step(self, actions: np.ndarray) -> Transition:
            transition = super().step(actions)
            return transition._replace(reward=transition.reward.astype(np.float64))


class Unseeded(Drift):
    class Envs(DriftEnvs):
        def stream(self, seeds: Seeds) -> np.random.Generator:
            return np.random.default_rng()


class ForgetsItsStream(Drift):
    class Envs(DriftEnvs):
        def stream(self, seeds: Seeds) -> np.random.Generator:
            return np.random.default_rng(seeds.integer("drift"))


class NeverBeginsAnew(Drift):
    class Envs(DriftEnvs):
        def after(self, moved: np.ndarray, over: np.ndarray) -> np.ndarray:
            return moved


class MixesUpFinalObs(Drift):
    class Envs(DriftEnvs):
        def step(self, actions: np.ndarray) -> Transition:
            before = self.obs
            return super().step(actions)._replace(final_obs=before)


class DoesNotCount(Drift):
    class Envs(DriftEnvs):
        def pop_episodes(self) -> list[tuple[int, float, int]]:
            return list(self._finished)


class WritesAgain(Drift):
    class Envs(DriftEnvs):
        def after(self, moved: np.ndarray, over: np.ndarray) -> np.ndarray:
            self.obs[:] = super().after(moved, over)
            return self.obs


class CostlyDrift(Drift):
    """Sound: a step to the right has a cost."""

    extras = ("cost",)

    class Envs(DriftEnvs):
        def step(self, actions: np.ndarray) -> Transition:
            return super().step(actions)._replace(extras={"cost": (actions == 1).astype(np.float32)})


class HidesItsCost(CostlyDrift):
    Envs = DriftEnvs
