"""A sound network: one matrix. Its variants have one fault each. Source: none is needed."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
from gymnasium import Space, spaces

from rl_core.network import Network


@dataclass
class Matrix:
    """What the network builds."""

    weights: np.ndarray

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        return inputs @ self.weights


@dataclass(frozen=True)
class OneMatrixConfig:
    """How the matrix starts."""

    scale: float = 1.0  # s, deviation of the first weights, > 0

    def __post_init__(self) -> None:
        if not self.scale > 0:
            raise ValueError(f"scale is {self.scale}; it must be > 0")


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
