"""Heads of policies over many tasks at once: distributions of actions over the last axis, and observations as vectors.

Source: the distributions are those of `rl_algos.parts.distributions`, with further axes in front. Departures: none.
Letters: M tasks or steps, B rows, I inputs, K numbers of a head, D dimensions of an action.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium import spaces
from torch import Tensor

from rl_algos.parts.distributions import HALF_LOG_TWO_PI, distribution


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


class ActionHeads:
    """The distributions of actions of a space, from heads with two axes in front.

    Args:
        output_space: Space of one action.

    Attributes:
        actions: The distribution; it brings actions to the environment.
        is_discrete: Whether heads are logits.

    Raises:
        ValueError: if the actions are neither `Discrete` nor a `Box` of floats.
    """

    def __init__(self, output_space: gymnasium.Space[Any]) -> None:
        self.actions = distribution(output_space)
        self.is_discrete = isinstance(output_space, spaces.Discrete)

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

    def entropy(self, head: Head) -> Tensor:
        """Return the entropy [M, B] in nats."""
        if self.is_discrete:
            log_prob = head.values.log_softmax(dim=-1)
            return -(log_prob.exp() * log_prob).sum(dim=-1)
        return (head.log_std + HALF_LOG_TWO_PI + 0.5).sum(dim=-1).expand(head.values.shape[:-1])
