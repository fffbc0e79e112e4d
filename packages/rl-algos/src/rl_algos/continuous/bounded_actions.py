"""Actions of a `Box` as vectors from -1 to 1: what a squashed policy outputs, a critic reads, and a replay buffer keeps.

Letters: B batch, N environments, D dimensions of an action, I of an observation.
"""

from __future__ import annotations

import math

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

LEAST = 2.0**-25  # of (1 - u) / 2: half the distance of 1 from the float32 below it


class BoundedActions:
    """A Box seen as [-1, 1]^D; each dimension is bounded on one side at least.

    Between two bounds the map is linear. With one bound alone it is an exponential distribution's inverse: u = -1 is at the bound, u = 0
    is ln 2 = 0.69 beyond it, and u = 1 is 17 beyond it.

    Args:
        space: Of the task's actions.

    Attributes:
        num_dimensions: D.
        shape: Of one action.
        low: Lowest action [...].
        high: Highest action [...].
        middle: Action of 0 between two bounds [...].
        half_width: What 1 adds to it [...].
        only_low: True where a dimension has no upper bound [...].
        only_high: True where a dimension has no lower bound [...].

    Raises:
        ValueError: if the space is not a Box of floats, or has a dimension without any bound.

    >>> actions = BoundedActions(spaces.Box(np.array([0.0, 5.0]), np.array([10.0, np.inf]), dtype=np.float64))
    >>> actions.to_env(np.array([[-1.0, -1.0], [0.5, 0.0]], dtype=np.float32)).round(2).tolist()
    [[0.0, 5.0], [7.5, 5.69]]
    """

    def __init__(self, space: gymnasium.Space) -> None:
        if not isinstance(space, spaces.Box) or space.dtype.kind != "f":
            raise ValueError(f"the task takes actions of {space}; this agent gives a Box of floats; ppo and dqn give Discrete actions")
        has_low, has_high = np.isfinite(space.low), np.isfinite(space.high)
        if not (has_low | has_high).all():
            raise ValueError(
                f"the task takes actions of {space}, with a dimension that has no bound; this agent's actions are scaled to bounds: give "
                "them, as in --set task.action_bounds=[-1,1] for an environment of Gymnasium, or take ppo"
            )
        self.num_dimensions = math.prod(space.shape)
        self.shape, self.low, self.high = space.shape, space.low, space.high
        self.only_low, self.only_high = has_low & ~has_high, has_high & ~has_low
        low, high = np.where(has_low, space.low, space.high - 1), np.where(has_high, space.high, space.low + 1)
        self.middle, self.half_width = (high + low) / 2, (high - low) / 2

    def to_env(self, action: np.ndarray) -> np.ndarray:
        """Return the actions in the Box [B, ...] of actions in [-1, 1] [B, D]."""
        action = action.reshape(-1, *self.shape)
        scaled = self.middle + self.half_width * action
        if self.only_low.any() or self.only_high.any():
            scaled = np.where(self.only_low, self.low - np.log(np.maximum((1 - action) / 2, LEAST)), scaled)
            scaled = np.where(self.only_high, self.high + np.log(np.maximum((1 + action) / 2, LEAST)), scaled)
        bounded: np.ndarray = np.minimum(np.maximum(scaled, self.low), self.high)  # the last bit may be outside
        return bounded

    def uniform(self, rng: np.random.Generator, num_envs: int) -> np.ndarray:
        """Return actions anywhere in [-1, 1] [N, D], float32."""
        return 2 * rng.random((num_envs, self.num_dimensions), dtype=np.float32) - 1


class BoundedAction(nn.Module):
    """Layer from the heads of a squashed policy [B, D or more] to actions in the Box [B, ...]: the tanh of the first D, then its bounds.

    Args:
        actions: The Box as [-1, 1]^D.
    """

    low: Tensor
    high: Tensor
    middle: Tensor
    half_width: Tensor
    only_low: Tensor
    only_high: Tensor

    def __init__(self, actions: BoundedActions) -> None:
        super().__init__()
        self._shape, self._size = actions.shape, actions.num_dimensions
        self._one_sided = bool((actions.only_low | actions.only_high).any())
        for name in ("low", "high", "middle", "half_width", "only_low", "only_high"):
            self.register_buffer(name, torch.tensor(getattr(actions, name)))

    def forward(self, head: Tensor) -> Tensor:
        """Return actions [B, ...]."""
        action = head[:, : self._size].tanh().reshape(-1, *self._shape)
        scaled: Tensor = self.middle + self.half_width * action
        if self._one_sided:
            scaled = torch.where(self.only_low, self.low - ((1 - action) / 2).clamp(min=LEAST).log(), scaled)
            scaled = torch.where(self.only_high, self.high + ((1 + action) / 2).clamp(min=LEAST).log(), scaled)
        return torch.minimum(torch.maximum(scaled, self.low), self.high)


def pair_space(input_space: gymnasium.Space, num_dimensions: int) -> spaces.Box:
    """Return the space of what a critic Q(s, a) reads: an observation and an action in [-1, 1]^D, one behind the other [I + D].

    Raises:
        ValueError: if observations are not vectors of floats.

    >>> pair_space(spaces.Box(-8, 8, (2,)), 1)
    Box([-8. -8. -1.], [8. 8. 1.], (3,), float32)
    """
    if not isinstance(input_space, spaces.Box) or len(input_space.shape) != 1 or input_space.dtype.kind != "f":
        raise ValueError(
            f"the task's observations are {input_space}; this agent's critic reads vectors of floats, with the action behind them: "
            "flatten them with gymnasium.wrappers.FlattenObservation, or take ppo"
        )
    ones = np.ones(num_dimensions)
    low, high = np.concatenate([input_space.low, -ones]), np.concatenate([input_space.high, ones])
    return spaces.Box(low.astype(np.float32), high.astype(np.float32), dtype=np.float32)
