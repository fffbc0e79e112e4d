"""A distribution of several parts, each independent of the others: choices of `MultiDiscrete`, bits, and parts of `Dict` and `Tuple`.

Source: any text on probability: the joint log-probability, the entropy and the KL divergence of independent parts are sums over them.
Departures: none.
Letters: B batch, H numbers of the head, D numbers of an action, E numbers of noise.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, TypeAlias

import gymnasium
import numpy as np
import torch
from gymnasium import spaces

from rl_algos.parts.distributions import Categorical, Distribution, Gaussian, distribution
from rl_core.structured import Leaf, StructuredActions


class Part(NamedTuple):
    """One of the distributions, and its place in the head, in an action, in the noise and in ln sigma."""

    actions: Categorical | Gaussian
    head: slice
    action: slice
    scale: slice


class Composed:
    """Independent distributions over the parts of an action; the head [B, H] holds theirs side by side.

    An action is a row [B, D] of float32: the number of each choice, and each number of a `Box`, in units of its half width.

    Args:
        space: `MultiDiscrete`, `MultiBinary` or `StructuredActions`.
    """

    def __init__(self, space: gymnasium.Space[Any]) -> None:
        self._shape, self._dtype = space.shape or (), space.dtype
        self.parts: list[Part] = []
        self.num_outputs = self.scale_size = at = 0
        for part in _spaces(space):
            actions: Any = distribution(part)
            size = 1 if isinstance(actions, Categorical) else actions.num_outputs
            head = slice(self.num_outputs, self.num_outputs + actions.num_outputs)
            self.parts.append(Part(actions, head, slice(at, at + size), slice(self.scale_size, self.scale_size + actions.scale_size)))
            self.num_outputs, self.scale_size, at = head.stop, self.scale_size + actions.scale_size, at + size
        self._size = at

    def noise(self, rng: np.random.Generator, *shape: int) -> np.ndarray:
        """Draw the noise of each part, side by side [..., D]."""
        drawn = [part.actions.noise(rng, *shape) for part in self.parts]
        return np.concatenate([noise[..., None] if noise.ndim == len(shape) else noise for noise in drawn], axis=-1)

    def sample(self, head: np.ndarray, log_std: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Return actions [B, D], float32."""
        action = np.empty((len(head), self._size), np.float32)
        for part in self.parts:
            given = noise[:, part.action]
            if isinstance(part.actions, Categorical):
                action[:, part.action.start] = part.actions.sample(head[:, part.head], log_std, np.ascontiguousarray(given[:, 0]))
            else:
                action[:, part.action] = part.actions.sample(head[:, part.head], log_std[part.scale], given)
        return action

    def greedy(self, head: np.ndarray) -> np.ndarray:
        """Return the most probable actions [B, D]."""
        action = np.empty((len(head), self._size), np.float32)
        for part in self.parts:
            action[:, part.action] = part.actions.greedy(head[:, part.head]).reshape(len(head), -1)
        return action

    def to_env(self, action: np.ndarray) -> np.ndarray:
        """Return actions in the space [B, ...].

        >>> Composed(spaces.MultiDiscrete([3, 2])).to_env(np.array([[2.0, 1.0]], np.float32)).tolist()
        [[2, 1]]
        """
        rows = np.empty(action.shape, np.float64)
        for part in self.parts:
            taken = action[:, part.action]
            if isinstance(part.actions, Categorical):
                rows[:, part.action] = taken + part.actions.first
            else:
                rows[:, part.action] = part.actions.to_env(taken).reshape(len(action), -1)
        return rows.astype(self._dtype).reshape(-1, *self._shape)

    def log_prob(self, head: torch.Tensor, log_std: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
        """Return log-probabilities ln pi(a|s) [B] of actions [B, D].

        >>> Composed(spaces.MultiDiscrete([2, 4])).log_prob(torch.zeros(1, 6), torch.zeros(0), torch.zeros(1, 2)).exp()
        tensor([0.1250])
        """
        return _sum(part.actions.log_prob(head[:, part.head], log_std[part.scale], _chosen(part, action)) for part in self.parts)

    def entropy(self, head: torch.Tensor, log_std: torch.Tensor) -> torch.Tensor:
        """Return the entropy [B] in nats."""
        return _sum(part.actions.entropy(head[:, part.head], log_std[part.scale]) for part in self.parts)

    def kl(self, old_head: torch.Tensor, old_log_std: torch.Tensor, head: torch.Tensor, log_std: torch.Tensor) -> torch.Tensor:
        """Return KL(old || new) [B] in nats."""
        return _sum(
            part.actions.kl(old_head[:, part.head], old_log_std[part.scale], head[:, part.head], log_std[part.scale]) for part in self.parts
        )

    def policy(self, head: np.ndarray) -> np.ndarray:
        """Return ln pi of all choices and means [B, H], from which the functions of arrays below compute."""
        return np.concatenate([part.actions.policy(_columns(head, part.head)) for part in self.parts], axis=1)

    def array_log_prob(self, policy: np.ndarray, log_std: np.ndarray, action: np.ndarray) -> np.ndarray:
        """Return `log_prob` [B] from arrays."""
        return _sum_of(
            part.actions.array_log_prob(_columns(policy, part.head), log_std[part.scale], _chosen_array(part, action))
            for part in self.parts
        )

    def array_entropy(self, policy: np.ndarray, log_std: np.ndarray) -> np.ndarray:
        """Return `entropy` [B] from arrays."""
        return _sum_of(part.actions.array_entropy(_columns(policy, part.head), log_std[part.scale]) for part in self.parts)

    def array_error(
        self,
        policy: np.ndarray,
        log_std: np.ndarray,
        action: np.ndarray,
        by_log_prob: np.ndarray,
        by_entropy: np.ndarray,
        log_std_error: np.ndarray,
    ) -> np.ndarray:
        """Return a loss's derivative with respect to the head [B, H], from those with respect to ln pi(a|s) [B] and the entropy [B]."""
        errors = []
        for part in self.parts:
            numbers = _columns(policy, part.head), log_std[part.scale], _chosen_array(part, action)
            errors.append(part.actions.array_error(*numbers, by_log_prob, by_entropy, log_std_error[part.scale]))
        return np.concatenate(errors, axis=1)

    def array_kl(self, old_policy: np.ndarray, old_log_std: np.ndarray, policy: np.ndarray, log_std: np.ndarray) -> float:
        """Return the mean of `kl` over B, from arrays."""
        parts = ((part, _columns(old_policy, part.head), _columns(policy, part.head)) for part in self.parts)
        return sum(part.actions.array_kl(old, old_log_std[part.scale], new, log_std[part.scale]) for part, old, new in parts)

    def array_curvature(
        self, policy: np.ndarray, log_std: np.ndarray, tangent: np.ndarray, log_std_tangent: np.ndarray, log_std_product: np.ndarray
    ) -> np.ndarray:
        """Return M t / B [B, H] of tangents t [B, H], with M the Hessian of the KL divergence, which has a block for each part."""
        products = []
        for part in self.parts:
            numbers = _columns(policy, part.head), log_std[part.scale], _columns(tangent, part.head)
            products.append(part.actions.array_curvature(*numbers, log_std_tangent[part.scale], log_std_product[part.scale]))
        return np.concatenate(products, axis=1)


AnyDistribution: TypeAlias = Distribution | Composed


def distribution_of(space: gymnasium.Space[Any]) -> AnyDistribution:
    """Return the distribution that suits a space of actions, of one part or of several.

    Raises:
        ValueError: if there is none.
    """
    if isinstance(space, spaces.MultiDiscrete | spaces.MultiBinary | StructuredActions):
        return Composed(space)
    return distribution(space)


def head_space(space: gymnasium.Space[Any]) -> gymnasium.Space[Any]:
    """Return the space of what a network gives for a policy over actions of `space`: that space, or the numbers of a composed head."""
    actions = distribution_of(space)
    return spaces.Box(-np.inf, np.inf, (actions.num_outputs,), np.float32) if isinstance(actions, Composed) else space


def _spaces(space: gymnasium.Space[Any]) -> list[gymnasium.Space[Any]]:
    """Return the `Discrete` and `Box` spaces that an action consists of, in the order of its numbers."""
    leaves = space.leaves if isinstance(space, StructuredActions) else (Leaf((), space, slice(0)),)
    found: list[gymnasium.Space[Any]] = []
    for leaf in leaves:
        part: Any = leaf.space
        if isinstance(part, spaces.MultiBinary):
            found += [spaces.Discrete(2)] * math.prod(part.shape)
        elif isinstance(part, spaces.MultiDiscrete):
            found += [spaces.Discrete(int(size), start=int(first)) for size, first in zip(part.nvec.flat, part.start.flat, strict=True)]
        else:
            found.append(part)
    return found


def _chosen(part: Part, action: torch.Tensor) -> torch.Tensor:
    return action[:, part.action.start].long() if isinstance(part.actions, Categorical) else action[:, part.action]


def _chosen_array(part: Part, action: np.ndarray) -> np.ndarray:
    if isinstance(part.actions, Categorical):
        return action[:, part.action.start].astype(np.int64)
    return _columns(action, part.action)


def _columns(array: np.ndarray, part: slice) -> np.ndarray:
    return np.ascontiguousarray(array[:, part])


def _sum(terms: Any) -> torch.Tensor:
    total: torch.Tensor = sum(terms)
    return total


def _sum_of(terms: Any) -> np.ndarray:
    total: np.ndarray = sum(terms)
    return total
