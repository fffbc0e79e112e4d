"""Random numbers inside a module: drawn from its own seed and the number of draws so far, so that a restored module goes on exactly."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn


class Noise(nn.Module):
    """Source of random tensors. The n-th draw depends on (seed, n) alone; both are part of the module's state.

    A module that answers, instead of learning, always draws the same numbers and counts nothing.

    Args:
        rng: Source of the seed.

    >>> noise = Noise(np.random.default_rng(0))
    >>> like = torch.zeros(2)
    >>> bool((noise.normal(like) == noise.normal(like)).any())
    False
    >>> answering = noise.eval()
    >>> bool((answering.normal(like) == answering.normal(like)).all())
    True
    """

    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__()
        self._seed = int(rng.integers(2**31))
        self._calls = 0

    def normal(self, like: Tensor) -> Tensor:
        """Return numbers from N(0, 1) of the shape, type and device of `like`."""
        return torch.empty_like(like, requires_grad=False).normal_(generator=self._generator(like.device))

    def uniform(self, like: Tensor) -> Tensor:
        """Return numbers from U[0, 1) of the shape, type and device of `like`."""
        return torch.empty_like(like, requires_grad=False).uniform_(generator=self._generator(like.device))

    def bernoulli(self, probabilities: Tensor) -> Tensor:
        """Return 1 with these probabilities, and else 0; without gradient."""
        return (self.uniform(probabilities) < probabilities.detach()).to(probabilities.dtype)

    def _generator(self, device: torch.device) -> torch.Generator:
        calls = self._calls if self.training else 2**31
        # Seeds of the Mersenne twister that follow one another give unlike streams, but seed + n would be the stream of a neighbour.
        generator = torch.Generator(device).manual_seed((self._seed * 0x9E3779B1 + calls * 0x85EBCA77) % 2**32)
        self._calls += self.training
        return generator

    def get_extra_state(self) -> Tensor:
        """Return the seed and the number of draws; torch saves it with the module."""
        return torch.tensor([self._seed, self._calls])

    def set_extra_state(self, state: Tensor) -> None:
        """Continue after the draw that `state` names."""
        self._seed, self._calls = (int(number) for number in state)
