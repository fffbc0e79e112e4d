"""Points near a plane."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from gymnasium import spaces

from rl_core.config import Count, Doc, configclass
from rl_core.task import DataTask


@configclass
class PlaneConfig:
    """Number of points, and their dimensions."""

    num_examples: Annotated[Count, Doc("N, of each split")] = 64
    num_features: Annotated[Count, Doc("D")] = 3


class Plane(DataTask):
    """y = x @ (1, 2, ..., D) + noise; judged by the mean squared error."""

    Config = PlaneConfig
    metric = "squared error"
    target = 0.05
    higher_is_better = False

    def __init__(self, config: PlaneConfig) -> None:
        super().__init__(config)
        self.input_space = spaces.Box(-np.inf, np.inf, (config.num_features,), np.float32)
        self.output_space = spaces.Box(-np.inf, np.inf, (1,), np.float32)
        rng = np.random.default_rng(0)
        self._inputs = {split: rng.normal(size=(config.num_examples, config.num_features)) for split in ("train", "validation", "test")}

    def num_examples(self, split: str) -> int:
        return len(self._inputs[split])

    def read(self, split: str, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        inputs = self._inputs[split][indices].astype(np.float32)
        return inputs, inputs @ np.arange(1.0, inputs.shape[1] + 1)[:, None]

    def score(self, predictions: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        return {"squared error": float(np.mean((predictions - targets) ** 2))}


class Trap(Plane):
    """A task that says aloud that it was built."""

    def __init__(self, config: PlaneConfig) -> None:
        raise AssertionError("the task was built")
