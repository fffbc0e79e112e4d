"""Climbs by keeping what did better."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np

from rl_core.agent import Agent
from rl_core.config import Count, Doc, Positive, configclass


@configclass
class HillConfig:
    """Number of environments, and spread of a try."""

    num_envs: Annotated[Count, Doc("N")] = 3
    num_steps: Annotated[Count, Doc("T, environment steps of each in one step of learning")] = 7
    spread: Annotated[Positive, Doc("sigma of a try")] = 0.3


class Hill(Agent):
    """A linear policy; it is changed at every episode's end, and the change kept when the return was no worse."""

    Config = HillConfig
    learned_fields = ("best",)

    def setup(self) -> None:
        self.envs = self.task.envs(self.config.num_envs, self.seeds.child("envs"))
        self.obs = self.envs.reset()
        self.best = np.zeros((self.task.input_space.shape[0], int(self.task.output_space.n)))
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
