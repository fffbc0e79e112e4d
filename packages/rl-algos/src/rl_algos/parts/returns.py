"""Values and targets that algorithms have in common, for tensors and for arrays alike.

Letters: B batch, A actions, D dimensions of an action.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch

Numbers = TypeVar("Numbers", torch.Tensor, np.ndarray)


def td_target(reward: Numbers, discount: Numbers, next_value: Numbers) -> Numbers:
    """Return what Q(s, a) should be [B]: r + gamma Q'(s', a').

    Args:
        reward: r, or a sum of several steps [B].
        discount: gamma, or its power, and 0 where the episode terminated [B].
        next_value: Q'(s', a') of the next observation and action [B].

    Source: C. Watkins, "Learning from delayed rewards", 1989.

    >>> td_target(torch.tensor([1.0, 1.0]), torch.tensor([0.5, 0.0]), torch.tensor([4.0, 4.0]))
    tensor([3., 1.])
    """
    return reward + discount * next_value


def bootstrap_value(q_target: torch.Tensor, q_choice: torch.Tensor) -> torch.Tensor:
    """Return the value in `q_target` [B, A] of the action with the largest value in `q_choice` [B, A], as [B].

    With the target network's own choice this is the maximum, which errors in the values push up; the learning network's choice gives
    the double estimate, whose errors are independent of those of the value.

    Source: H. van Hasselt, A. Guez, D. Silver, "Deep reinforcement learning with double Q-learning", 2016, (4).

    >>> q_target = torch.tensor([[1.0, 5.0]])
    >>> bootstrap_value(q_target, q_target), bootstrap_value(q_target, torch.tensor([[3.0, 2.0]]))
    (tensor([5.]), tensor([1.]))
    """
    return q_target.gather(1, q_choice.argmax(dim=1, keepdim=True)).squeeze(1)


def dueling_values(head: Numbers) -> Numbers:
    """Return Q(s, .) = V(s) + A(s, .) - mean A(s, .) [B, A], from a head [B, 1 + A] of V and A.

    Without the mean, Q would not determine V and A: a number could move from one to the other.

    Source: Z. Wang and others, "Dueling network architectures for deep reinforcement learning", 2016, (9).

    >>> dueling_values(torch.tensor([[10.0, 1.0, 3.0]]))
    tensor([[ 9., 11.]])
    """
    value, advantage = head[:, :1], head[:, 1:]
    return value + advantage - advantage.mean(1)[:, None]


def smoothed(action: Numbers, noise: Numbers, clip: float) -> Numbers:
    """Return a target policy's action with noise [B, D]: a + clip(noise, -c, c), within [-1, 1].

    Source: S. Fujimoto, H. van Hoof, D. Meger, "Addressing function approximation error in actor-critic methods", 2018, Algorithm 1.

    >>> smoothed(torch.tensor([[0.0, 0.0, 0.9]]), torch.tensor([[0.1, -3.0, 0.3]]), clip=0.5)
    tensor([[ 0.1000, -0.5000,  1.0000]])
    """
    return (action + noise.clip(-clip, clip)).clip(-1.0, 1.0)
