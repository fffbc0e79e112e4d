"""A network: one matrix, in NumPy.

Source: Mania, Guy, Recht, "Simple random search provides a competitive approach to reinforcement learning", 2018: the static policies.
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from gymnasium import Space, spaces

from rl_core.config import Doc, configclass
from rl_core.network import Network


@dataclass
class Matrix:
    """The module that the network builds: outputs [B, K] = inputs [B, D] times the transpose of `weights` [K, D]."""

    weights: np.ndarray

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """Return outputs [B, K] of inputs [B, D]."""
        return inputs @ self.weights.T


@configclass
class LinearConfig:
    """Settings of the first weights."""

    scale: Annotated[float, Doc("s, the first weights are s times standard normal numbers, any number")] = 0.0


class Linear(Network):
    """One matrix without a bias."""

    Config = LinearConfig

    def build(self, input_space: Space, output_space: Space, rng: np.random.Generator) -> Matrix:
        """Return a matrix [K, D] with K outputs (classes, or numbers) for D inputs."""
        for space in (input_space, output_space):
            if not isinstance(space, spaces.Box | spaces.Discrete):
                raise ValueError(f"the space is {space}; a matrix maps Box or Discrete to Box or Discrete")
        return Matrix(self.config.scale * rng.standard_normal((spaces.flatdim(output_space), spaces.flatdim(input_space))))
