"""Climbs by keeping what did better."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rl_core.agent import Agent


@dataclass(frozen=True)
class HillConfig:
    """How many environments, and how far a try goes."""

    num_envs: int = 3  # N, >= 1
    num_steps: int = 7  # T, environment steps of each in one step of learning, >= 1
    spread: float = 0.3  # sigma of a try, > 0


class Hill(Agent):
    """A linear policy; it is changed at every episode's end, and the change kept when the return was no worse."""

    Config = HillConfig

    def __init__(self, config: HillConfig, task: Any, network: Any, **rest: Any) -> None:
        super().__init__(config, task, network, **rest)
        self.envs = task.envs(config.num_envs, self.seeds.child("envs"))
        self.obs = self.envs.reset()
        self.best = np.zeros((task.input_space.shape[0], int(task.output_space.n)))
        self.tried = self.best.copy()
        self.record = 0.0

    def step(self) -> dict[str, float]:
        rng = self.seeds.numpy("exploration")
        metrics = {}
        for _ in range(self.config.num_steps):
            scores = self.obs @ self.tried + rng.normal(0.0, 0.1, (self.envs.num_envs, self.tried.shape[1]))
            self.obs = self.envs.step(scores.argmax(axis=1)).obs
        for _, return_, _ in self.envs.pop_episodes():
            metrics["return"] = return_
            if return_ >= self.record:
                self.best, self.record = self.tried, return_
            self.tried = self.best + rng.normal(0.0, self.config.spread, self.best.shape)
        self.progress += self.config.num_steps * self.envs.num_envs
        return metrics

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        return (inputs @ self.best).argmax(axis=-1)

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "tried": self.tried, "record": self.record, "envs": self.envs.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.best, self.tried, self.record = state["best"], state["tried"], state["record"]
        self.obs = self.envs.load_state_dict(state["envs"])
