"""A sound network: one matrix. Each variant has one fault. Source: none is needed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from gymnasium import Space, spaces

from rl_core.config import Doc, Positive, configclass
from rl_core.network import Network


@dataclass
class Matrix:
    """The module that the network builds."""

    weights: np.ndarray

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        return inputs @ self.weights


@configclass
class OneMatrixConfig:
    """Settings of the first weights."""

    scale: Annotated[Positive, Doc("s, deviation of the first weights")] = 1.0


class OneMatrix(Network):
    """A matrix from a vector [D] to K numbers."""

    Config = OneMatrixConfig

    def build(self, input_space: Space, output_space: Space, rng: np.random.Generator) -> Matrix:
        if not isinstance(input_space, spaces.Box) or len(input_space.shape) != 1:
            raise ValueError(f"the input space is {input_space}; a matrix takes a vector")
        if not isinstance(output_space, spaces.Box | spaces.Discrete):
            raise ValueError(f"the output space is {output_space}; a matrix gives Discrete or Box")
        return self.matrix(input_space.shape[0], spaces.flatdim(output_space), rng)

    def matrix(self, size: int, outputs: int, rng: np.random.Generator) -> Matrix:
        return Matrix(rng.normal(0.0, self.config.scale, (size, outputs)))


class OneTooMany(OneMatrix):
    def matrix(self, size: int, outputs: int, rng: np.random.Generator) -> Matrix:
        return super().matrix(size, outputs + 1, rng)


class TakesAnything(OneMatrix):
    def build(self, input_space: Space, output_space: Space, rng: np.random.Generator) -> Matrix:
        return self.matrix(input_space.shape[0], spaces.flatdim(output_space), rng)


class AlwaysTheSame(OneMatrix):
    def matrix(self, size: int, outputs: int, rng: np.random.Generator) -> Matrix:
        return super().matrix(size, outputs, np.random.default_rng(7))


class NeverTheSame(OneMatrix):
    def matrix(self, size: int, outputs: int, rng: np.random.Generator) -> Matrix:
        return super().matrix(size, outputs, np.random.default_rng())


class CentresTheBatch(OneMatrix):
    class Centred(Matrix):
        def __call__(self, inputs: np.ndarray) -> np.ndarray:
            return super().__call__(inputs - inputs.mean(axis=0))

    def matrix(self, size: int, outputs: int, rng: np.random.Generator) -> Matrix:
        return self.Centred(super().matrix(size, outputs, rng).weights)


class SetsAVariable(OneMatrix):
    def matrix(self, size: int, outputs: int, rng: np.random.Generator) -> Matrix:
        os.environ["FAULTY_MATRIX"] = str(size)
        return super().matrix(size, outputs, rng)


class DrawsFromNumPy(OneMatrix):
    def matrix(self, size: int, outputs: int, rng: np.random.Generator) -> Matrix:
        return Matrix(super().matrix(size, outputs, rng).weights + 0.0 * np.random.normal())


@configclass
class TakenNameConfig(OneMatrixConfig):
    """Settings of the first weights, and one that is named as a setting of every network."""

    head: Annotated[str, Doc("its last layer")] = "linear"


class TakesATakenName(OneMatrix):
    Config = TakenNameConfig


class BringsItsLoss(OneMatrix):
    """Sound: its modules have the loss of a linear classifier."""

    own_loss = True

    class Classifier(Matrix):
        def training_loss(self, inputs: np.ndarray, targets: np.ndarray, weights: Any = None) -> tuple[float, dict[str, float]]:
            logits = self(inputs)
            errors = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(targets)), targets]
            return float(np.average(errors, weights=weights)), {"accuracy": float(np.mean(self.answers(inputs) == targets))}

        def answers(self, inputs: np.ndarray) -> np.ndarray:
            return self(inputs).argmax(axis=1)

    def matrix(self, size: int, outputs: int, rng: np.random.Generator) -> Matrix:
        return self.Classifier(super().matrix(size, outputs, rng).weights)


class ClaimsALoss(OneMatrix):
    own_loss = True
