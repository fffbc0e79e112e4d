"""Actions of a bounded `Box` as vectors from -1 to 1: what a squashed policy gives, what a critic reads, and what a replay keeps.

Letters: B batch, N environments, D dimensions of an action, I of an observation.
"""

from __future__ import annotations

import math

import gymnasium
import numpy as np
from gymnasium import spaces


class BoundedActions:
    """A bounded Box seen as [-1, 1]^D.

    Args:
        space: Of the task's actions.

    Attributes:
        num_dimensions: D.

    Raises:
        ValueError: if the space is no Box of floats, or has a dimension without bounds.

    >>> actions = BoundedActions(spaces.Box(np.array([0.0, -2.0]), np.array([10.0, 2.0]), dtype=np.float64))
    >>> actions.to_env(np.array([[-1.0, 0.5]], dtype=np.float32)).tolist()
    [[0.0, 1.0]]
    """

    def __init__(self, space: gymnasium.Space) -> None:
        if not isinstance(space, spaces.Box) or space.dtype.kind != "f":
            raise ValueError(f"the task takes actions of {space}; this agent gives a Box of floats; ppo and dqn give Discrete actions")
        if not space.is_bounded():
            raise ValueError(
                f"the task takes actions of {space}, without bounds; this agent's actions are scaled to bounds: "
                "wrap the environment with gymnasium.wrappers.RescaleAction, or take ppo"
            )
        self.num_dimensions = math.prod(space.shape)
        self._shape, self._low, self._high = space.shape, space.low, space.high
        self._middle, self._half_width = (space.high + space.low) / 2, (space.high - space.low) / 2

    def to_env(self, action: np.ndarray) -> np.ndarray:
        """Actions in the Box [B, ...], of actions in [-1, 1] [B, D]."""
        scaled = self._middle + self._half_width * action.reshape(-1, *self._shape)
        return np.minimum(np.maximum(scaled, self._low), self._high)  # the last bit may be outside

    def uniform(self, rng: np.random.Generator, num_envs: int) -> np.ndarray:
        """Actions anywhere in [-1, 1] [N, D], float32."""
        return 2 * rng.random((num_envs, self.num_dimensions), dtype=np.float32) - 1


def pair_space(input_space: gymnasium.Space, num_dimensions: int) -> spaces.Box:
    """The space of what a critic Q(s, a) reads: an observation and an action in [-1, 1]^D, one behind the other [I + D].

    Raises:
        ValueError: if observations are no vectors of floats.

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
