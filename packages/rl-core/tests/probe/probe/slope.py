"""Stochastic gradient descent on squares, with faults on request."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np

from rl_core.agent import Agent
from rl_core.config import Count, Doc, NonNegative, Positive, Whole, configclass
from rl_core.errors import RequestError
from rl_core.network import Network


@configclass
class LinearMapConfig:
    """Settings of the first weights."""

    scale: Annotated[NonNegative, Doc("standard deviation of the first weights")] = 1.0


class LinearMap(Network):
    """A matrix [D, K]."""

    Config = LinearMapConfig

    def build(self, input_space: Any, output_space: Any, rng: np.random.Generator) -> np.ndarray:
        return rng.normal(0.0, self.config.scale, (input_space.shape[0], output_space.shape[0]))


Fault = Literal[
    "", "nan", "inf", "stuck", "print", "raise", "text", "nan score", "exit", "memory", "refuse", "crash", "flood", "wait", "none"
]  # fmt: skip


@configclass
class SlopeConfig:
    """Settings, and the faults that a test asks for."""

    learning_rate: Annotated[Positive, Doc("alpha")] = 0.05
    batch_size: Annotated[Count, Doc("B")] = 4
    sizes: Annotated[tuple[float, ...], Doc("for tests of types")] = (1.0,)
    kind: Annotated[Literal["plain", "off"], Doc("for tests of types")] = "plain"
    options: Annotated[Mapping[str, Any] | None, Doc("for tests of types")] = None
    fault: Annotated[Fault, Doc("what goes wrong")] = ""
    fault_at: Annotated[Whole, Doc("at which batch")] = 20
    milliseconds: Annotated[NonNegative, Doc("how long a step takes at least")] = 0.0
    ballast: Annotated[Whole, Doc("floats that are saved without need, so that a checkpoint takes its time")] = 0
    silent: Annotated[bool, Doc("whether a step has no metrics")] = False


class Slope(Agent):
    """Minibatches are drawn at random, with momentum and noise, so that every part of the state matters."""

    Config = SlopeConfig
    headline = "loss"

    def setup(self) -> None:
        self.weights = self.network.build(self.task.input_space, self.task.output_space, self.seeds.numpy("init"))
        self.momentum = np.zeros_like(self.weights)
        self.ballast = np.zeros(self.config.ballast)

    def step(self) -> dict[str, float]:
        config = self.config
        if config.fault != "wait":
            time.sleep(config.milliseconds / 1e3)
        elif self.progress + 1 == config.fault_at:
            Path("waiting").write_text("in a step")  # in the folder of the process
            time.sleep(config.milliseconds / 1e3)
        if self.progress + 1 == config.fault_at and config.fault == "exit":
            raise SystemExit(0)
        if self.progress + 1 == config.fault_at and config.fault == "memory":
            raise MemoryError("Unable to allocate 7.45 GiB")
        if self.progress + 1 == config.fault_at and config.fault == "refuse":
            raise RequestError("the corpus has 3 words", "give a longer one")
        indices = self.seeds.numpy("batches").integers(self.task.num_examples("train"), size=config.batch_size)
        inputs, targets = self.task.read("train", indices)
        error = inputs @ self.weights - targets
        self.momentum = 0.9 * self.momentum + inputs.T @ error / len(inputs)
        self.weights = self.weights - config.learning_rate * (1 - self.progress / self.budget) * self.momentum
        self.weights += 1e-3 * self.seeds.child("noise").numpy("weights").normal(size=self.weights.shape)
        self.progress += 1
        metrics = {} if config.silent else {"loss": float(np.mean(error**2)), "norm": float(np.linalg.norm(self.weights))}
        if self.progress == config.fault_at:
            return self._go_wrong(metrics)
        return metrics

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        return inputs @ self.weights

    def state_dict(self) -> dict[str, Any]:
        return {"weights": self.weights, "momentum": [self.momentum], "ballast": self.ballast, "note": "é\ud800"}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.weights, self.momentum, self.ballast = state["weights"], state["momentum"][0], state["ballast"]

    @classmethod
    def upgrade_config(cls, values: dict[str, Any], version: str) -> dict[str, Any]:
        return {"learning_rate" if name == "alpha" and version == "0.1" else name: value for name, value in values.items()}

    def evaluate(self, **options: Any) -> dict[str, float]:
        if self.config.fault == "nan score":
            return {"squared error": float("nan")}
        return super().evaluate(**options)

    def draw(self, folder: Path) -> None:
        (folder / "weights.txt").write_text(str(self.weights.tolist()))

    def _go_wrong(self, metrics: dict[str, float]) -> Any:
        match self.config.fault:
            case "none":
                return None
            case "nan" | "inf":
                return {**metrics, "loss": float(self.config.fault)}
            case "text":
                return {**metrics, "loss": "low"}
            case "stuck":
                self.progress -= 1
            case "print":
                print("an agent that prints")
            case "flood":
                for _ in range(64):
                    print("drowned" * 10_000)
            case "crash":
                os.kill(os.getpid(), signal.SIGKILL)
            case "raise":
                raise RuntimeError("the agent broke down")
        return metrics
