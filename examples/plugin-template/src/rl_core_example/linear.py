"""A network: one matrix, in NumPy.

Source: Mania, Guy, Recht, "Simple random search provides a competitive approach to reinforcement learning", 2018: the static policies.
"""

from dataclasses import dataclass

import numpy as np
from gymnasium import Space, spaces

from rl_core.network import Network


@dataclass
class Matrix:
    """What the network builds: outputs [B, K] = inputs [B, D] times the transpose of `weights` [K, D]."""

    weights: np.ndarray

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """Outputs [B, K] of inputs [B, D]."""
        return inputs @ self.weights.T


@dataclass(frozen=True)
class LinearConfig:
    """How the matrix starts."""

    scale: float = 0.0  # s, the first weights are s times standard normal numbers, any number


class Linear(Network):
    """One matrix without a bias."""

    Config = LinearConfig

    def build(self, input_space: Space, output_space: Space, rng: np.random.Generator) -> Matrix:
        """A matrix [K, D] with K outputs (classes, or numbers) for D inputs."""
        return Matrix(self.config.scale * rng.standard_normal((spaces.flatdim(output_space), spaces.flatdim(input_space))))
