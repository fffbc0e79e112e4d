"""A sound data task: which side of a line? Each variant has one fault."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces

from rl_core.config import configclass
from rl_core.task import DataTask

SPLITS = {"train": np.arange(0, 40), "validation": np.arange(40, 60), "test": np.arange(60, 80)}


@configclass
class StripesConfig:
    """An empty config."""


class Stripes(DataTask):
    """Points in a plane, and the side of a line that they are on."""

    Config = StripesConfig
    metric = "accuracy"
    target = 0.9
    input_space = spaces.Box(-np.inf, np.inf, (2,), np.float32)
    output_space = spaces.Discrete(2)
    splits: ClassVar[dict[str, np.ndarray]] = SPLITS

    def __init__(self, config: StripesConfig) -> None:
        super().__init__(config)
        self.points = np.random.default_rng(0).normal(size=(80, 2)).astype(np.float32)
        self.sides = (self.points.sum(axis=1) > 0).astype(np.int64)

    def num_examples(self, split: str) -> int:
        return len(self.splits[split])

    def read(self, split: str, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        chosen = self.splits[split][indices]
        return self.points[chosen], self.sides[chosen]

    def score(self, predictions: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        return {"accuracy": float(np.mean(predictions == targets))}


class TestsWhatItTaught(Stripes):
    splits: ClassVar[dict[str, np.ndarray]] = {**SPLITS, "test": SPLITS["train"][:20]}


class SortsItsIndices(Stripes):
    def read(self, split: str, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return super().read(split, np.sort(indices))


class CountsFromOne(Stripes):
    def read(self, split: str, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        points, sides = super().read(split, indices)
        return points, sides + 1


class ScoresErrors(Stripes):
    def score(self, predictions: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        return {"accuracy": float(np.mean(predictions != targets))}


class KeepsObjects(Stripes):
    def read(self, split: str, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        points, sides = super().read(split, indices)
        return points.astype(object), sides


class AveragesBatches(Stripes):
    class Judge:
        def __init__(self) -> None:
            self.parts: list[float] = []

        def add(self, predictions: Any, targets: Any) -> None:
            self.parts.append(float(np.mean(predictions == targets)))

        def result(self) -> dict[str, float]:
            return {"accuracy": float(np.mean(self.parts))}

    def judge(self) -> Judge:
        return self.Judge()


class ScaledStripes(Stripes):
    """Sound: the scale of the points is the task's state."""

    def __init__(self, config: StripesConfig, scale: float = 0.0) -> None:
        super().__init__(config)
        self.scale = scale or float(self.points.std())
        self.points = (self.points / self.scale).astype(np.float32)

    def state_dict(self) -> dict[str, Any]:
        return {"scale": self.scale}

    @classmethod
    def from_state(cls, config: Any, state: Mapping[str, Any]) -> ScaledStripes:
        return cls(config, state["scale"])


class ForgetsItsScale(ScaledStripes):
    @classmethod
    def from_state(cls, config: Any, state: Mapping[str, Any]) -> ScaledStripes:
        return cls(config, 1.0)
