"""Points from a file, centred by their mean: a task whose answers depend on its data."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from gymnasium import spaces

from rl_core.config import Doc, FilePath, configclass
from rl_core.task import DataTask


@configclass
class PointsConfig:
    """The file."""

    path: Annotated[FilePath, Doc("a file of numbers, three in each line")] = ""


class Points(DataTask):
    """Predict the sum of a point [3], minus the mean of all points; judged by the mean squared error."""

    Config = PointsConfig
    metric = "squared error"
    higher_is_better = False

    def __init__(self, config: PointsConfig, state: Mapping[str, Any] | None = None) -> None:
        super().__init__(config)
        self.input_space = spaces.Box(-np.inf, np.inf, (3,), np.float32)
        self.output_space = spaces.Box(-np.inf, np.inf, (1,), np.float32)
        self._points: np.ndarray | None = None
        self._state = state or {"mean": self.points.mean(axis=0), "digest": self._digest()}

    @classmethod
    def from_state(cls, config: Any, state: Mapping[str, Any]) -> Points:
        return cls(config, state)

    @classmethod
    def for_evaluation(cls, config: Any, state: Mapping[str, Any]) -> Points:
        return cls(config, state)

    def state_dict(self) -> dict[str, Any]:
        return dict(self._state)

    def data_change(self) -> str:
        if not Path(self.config.path).is_file() or self._digest() == self._state["digest"]:
            return ""
        return f"{self.config.path} changed"

    def accept_data(self) -> None:
        self._state = {**self._state, "digest": self._digest()}

    @property
    def points(self) -> np.ndarray:
        if self._points is None:
            self._points = np.loadtxt(self.config.path, ndmin=2)
        return self._points

    def num_examples(self, split: str) -> int:
        return len(self.points)

    def read(self, split: str, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        inputs = (self.points[indices] - self._state["mean"]).astype(np.float32)
        return inputs, inputs.sum(axis=1, keepdims=True)

    def parse(self, text: str) -> np.ndarray:
        return (super().parse(text) - self._state["mean"]).astype(np.float32)

    def score(self, predictions: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        return {"squared error": float(np.mean((predictions - targets) ** 2))}

    def _digest(self) -> str:
        return hashlib.sha256(Path(self.config.path).read_bytes()).hexdigest()
