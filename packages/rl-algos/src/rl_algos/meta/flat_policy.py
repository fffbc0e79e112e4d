"""Policies whose parameters are one vector, computed for many vectors at once: a row of parameters for each task.

Source: batched products as in any framework.
Departures: none. Letters: M tasks, B rows of a task, I inputs, K numbers of a head, P parameters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Literal

import gymnasium
import numpy as np
import torch
from torch import Tensor

from rl_algos.meta.action_heads import ActionHeads, Head, num_features

Activation = Literal["tanh", "relu"]
_TORCH: dict[str, Callable[[Tensor], Tensor]] = {"tanh": torch.tanh, "relu": torch.relu}
_ARRAY: dict[str, Callable[[np.ndarray], np.ndarray]] = {"tanh": np.tanh, "relu": lambda values: np.maximum(values, 0.0)}


LAST_GAIN = 0.1  # of the first weights: actions begin in the middle


class FlatPolicy(ActionHeads):
    """A perceptron with a distribution of actions on top, as functions of a vector of parameters.

    The vector holds the weights [I, O] and biases [O] of each layer, then ln sigma [D].

    Args:
        input_space: Space of one observation.
        output_space: Space of one action.
        hidden: Units of the hidden layers.
        activation: Between the layers.

    Attributes:
        num_parameters: P.
    """

    def __init__(
        self, input_space: gymnasium.Space[Any], output_space: gymnasium.Space[Any], hidden: Sequence[int], activation: Activation
    ) -> None:
        super().__init__(output_space)
        sizes = (num_features(input_space), *hidden, self.actions.num_outputs)
        self.layers = list(pairwise(sizes))
        self.activation = activation
        self.num_parameters = sum((i + 1) * o for i, o in self.layers) + self.actions.scale_size

    def first(self, rng: np.random.Generator, log_std: float) -> np.ndarray:
        """Return first parameters [P], float32: the uniform weights of Glorot and Bengio (2010), smaller in the last layer; biases 0."""
        pieces = []
        for number, (i, o) in enumerate(self.layers):
            gain = LAST_GAIN if number + 1 == len(self.layers) else 1.0
            pieces += [gain * math.sqrt(6.0 / (i + o)) * rng.uniform(-1.0, 1.0, i * o), np.zeros(o)]
        return np.concatenate([*pieces, np.full(self.actions.scale_size, log_std)]).astype(np.float32)

    def head(self, parameters: Tensor, inputs: Tensor) -> Head:
        """Return the distributions of inputs [M, B, I] under parameters [M, P]."""
        values, place = inputs, 0
        for number, (i, o) in enumerate(self.layers):
            weight = parameters[:, place : place + i * o].reshape(-1, i, o)
            bias = parameters[:, place + i * o : place + (i + 1) * o][:, None]
            values = torch.baddbmm(bias, values, weight)
            place += (i + 1) * o
            if number + 1 < len(self.layers):
                values = _TORCH[self.activation](values)
        return Head(values, parameters[:, None, place:])

    def array_head(self, parameters: np.ndarray, inputs: np.ndarray) -> Head:
        """Return what `head` does, for arrays and without derivatives."""
        values, place = inputs, 0
        for number, (i, o) in enumerate(self.layers):
            weight = parameters[:, place : place + i * o].reshape(-1, i, o)
            values = values @ weight + parameters[:, None, place + i * o : place + (i + 1) * o]
            place += (i + 1) * o
            if number + 1 < len(self.layers):
                values = _ARRAY[self.activation](values)
        return Head(values, parameters[:, None, place:])
