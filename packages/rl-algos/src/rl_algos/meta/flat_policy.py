"""Policies whose parameters are one vector, computed for many vectors at once: a row of parameters for each task.

Source: batched products as in any framework; the distributions are those of `rl_algos.parts.distributions`, over the last axis.
Departures: none. Letters: M tasks, B rows of a task, I inputs, K numbers of a head, D dimensions of an action, P parameters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from rl_algos.parts.distributions import HALF_LOG_TWO_PI, distribution

Activation = Literal["tanh", "relu"]
_TORCH: dict[str, Callable[[Tensor], Tensor]] = {"tanh": torch.tanh, "relu": torch.relu}
_ARRAY: dict[str, Callable[[np.ndarray], np.ndarray]] = {"tanh": np.tanh, "relu": lambda values: np.maximum(values, 0.0)}


LAST_GAIN = 0.1  # of the first weights: actions begin in the middle


class Head(NamedTuple):
    """Parameters of distributions of actions.

    Attributes:
        values: Logits, or means [M, B, K].
        log_std: ln sigma of the means [M, 1, D]; [M, 1, 0] for logits.
    """

    values: Any
    log_std: Any


def features(space: gymnasium.Space[Any], obs: np.ndarray) -> np.ndarray:
    """Return observations [..., *shape] as vectors [..., I], float32; those of a `Discrete` space are one at their number.

    >>> features(spaces.Discrete(3), np.array([1])).tolist()
    [[0.0, 1.0, 0.0]]
    """
    if isinstance(space, spaces.Discrete):
        return (obs[..., None] == np.arange(space.start, space.start + space.n)).astype(np.float32)
    shape = space.shape or ()
    return obs.reshape(*obs.shape[: obs.ndim - len(shape)], -1).astype(np.float32)


def num_features(space: gymnasium.Space[Any]) -> int:
    """Return I, the length of the vectors of `features`."""
    return int(space.n) if isinstance(space, spaces.Discrete) else math.prod(space.shape or ())


class FlatPolicy:
    """A perceptron with a distribution of actions on top, as functions of a vector of parameters.

    The vector holds the weights [I, O] and biases [O] of each layer, then ln sigma [D].

    Args:
        input_space: Space of one observation.
        output_space: Space of one action.
        hidden: Units of the hidden layers.
        activation: Between the layers.

    Attributes:
        actions: The distribution; it brings actions to the environment.
        num_parameters: P.

    Raises:
        ValueError: if the actions are neither `Discrete` nor a `Box` of floats.
    """

    def __init__(
        self, input_space: gymnasium.Space[Any], output_space: gymnasium.Space[Any], hidden: Sequence[int], activation: Activation
    ) -> None:
        self.actions = distribution(output_space)
        self.is_discrete = isinstance(output_space, spaces.Discrete)
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

    def sample(self, head: Head, noise: np.ndarray) -> np.ndarray:
        """Return actions [M B] or [M B, D], from heads of arrays and noise of `actions.noise` for M B rows."""
        rows = head.values.reshape(-1, head.values.shape[-1])
        if self.is_discrete:
            return self.actions.sample(rows, head.log_std, noise)
        spread = np.exp(np.broadcast_to(head.log_std, head.values.shape)).reshape(rows.shape)
        drawn: np.ndarray = (rows + spread * noise).astype(np.float32)
        return drawn

    def log_prob(self, head: Head, action: Tensor) -> Tensor:
        """Return ln pi(a|s) [M, B] of actions [M, B] or [M, B, D]."""
        if self.is_discrete:
            return head.values.log_softmax(dim=-1).gather(-1, action[..., None])[..., 0]
        standard = (action - head.values) * (-head.log_std).exp()
        return (-0.5 * standard**2 - head.log_std - HALF_LOG_TWO_PI).sum(dim=-1)

    def kl(self, old: Head, new: Head) -> Tensor:
        """Return KL(old || new) [M, B] in nats."""
        if self.is_discrete:
            old_log_prob, log_prob = old.values.log_softmax(dim=-1), new.values.log_softmax(dim=-1)
            return (old_log_prob.exp() * (old_log_prob - log_prob)).sum(dim=-1)
        square = (2 * (old.log_std - new.log_std)).exp() + (-2 * new.log_std).exp() * (old.values - new.values) ** 2
        return (new.log_std - old.log_std + 0.5 * (square - 1)).sum(dim=-1)
