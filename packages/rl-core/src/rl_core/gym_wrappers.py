"""Changes of an environment that a task's settings ask for: stacked frames, sticky actions, one choice for several, flat observations.

Every wrapper is a function of (seed of the episode, actions since), so that what is wrapped is still restored by replay.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from rl_core import structured

MOST_CHOICES = 4096  # of one choice in place of several


class StackedFrames(gymnasium.Wrapper):
    """An environment whose observation is the last k ones, side by side along the last axis; at first the first one, k times.

    Args:
        env: With observations of a `Box` of one axis or more.
        count: k.

    Raises:
        ValueError: if observations are of another kind.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], count: int) -> None:
        super().__init__(env)
        space = env.observation_space
        if not isinstance(space, spaces.Box) or not space.shape:
            raise ValueError(f"frame_stack is {count}, and observations are {space}; only those of a Box can be laid side by side")
        low, high = np.concatenate([space.low] * count, axis=-1), np.concatenate([space.high] * count, axis=-1)
        self.observation_space = spaces.Box(low, high, dtype=space.dtype.type)
        self._frames: deque[np.ndarray] = deque(maxlen=count)

    def reset(self, **options: Any) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode."""
        obs, info = self.env.reset(**options)
        self._frames.extend([np.asarray(obs)] * (self._frames.maxlen or 1))
        return np.concatenate(self._frames, axis=-1), info

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Take an action."""
        obs, reward, terminated, truncated, info = self.env.step(action)
        self._frames.append(np.asarray(obs))
        return np.concatenate(self._frames, axis=-1), float(reward), terminated, truncated, info


class StickyActions(gymnasium.Wrapper):
    """An environment that takes the action before instead, with a probability.

    Source: M. Machado and others, "Revisiting the arcade learning environment", 2018, section 5.

    Args:
        env: The environment.
        probability: That of the action before.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], probability: float) -> None:
        super().__init__(env)
        self._probability, self._last = probability, None
        self._draws = np.random.default_rng(0)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode, and the stream of its own that decides, from the episode's seed."""
        self._last, self._draws = None, np.random.default_rng([0 if seed is None else seed, 1])
        return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> Any:
        """Take an action, or the one before."""
        if self._draws.random() < self._probability and self._last is not None:
            action = self._last
        self._last = action
        return self.env.step(action)


class OneChoice(gymnasium.Wrapper):
    """An environment with one `Discrete` action in place of several choices, so that agents that value each action take it.

    Args:
        env: With actions of `MultiDiscrete`, `MultiBinary`, or a `Dict` or `Tuple` of these and `Discrete`.

    Raises:
        ValueError: if actions are of another kind, or there are too many combinations.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        self._structure = structured.StructuredActions(env.action_space)
        sizes: list[int] = []
        first: list[int] = []
        for leaf in self._structure.leaves:
            if not isinstance(leaf.space, structured.CHOICES):
                raise ValueError(f"one_choice is true, and {leaf.name} of the action is {leaf.space}; only choices can be combined")
            part_sizes, part_first = structured.choices_of(leaf.space)
            sizes += part_sizes.tolist()
            first += part_first.tolist()
        if math.prod(sizes) > MOST_CHOICES:
            raise ValueError(
                f"one_choice is true, and there are {math.prod(sizes):,} combinations of actions; expected at most {MOST_CHOICES:,}"
            )
        self._sizes, self._first = tuple(sizes), np.array(first)
        self.action_space = spaces.Discrete(math.prod(sizes))

    def step(self, action: Any) -> Any:
        """Take the combination of that number."""
        numbers = np.array(np.unravel_index(int(action), self._sizes)) + self._first
        return self.env.step(self._structure.unflatten(numbers.astype(np.float64)))


def wrapped(
    env: gymnasium.Env[Any, Any], *, time_limit: int | None, sticky_actions: float, flatten: bool, frame_stack: int, one_choice: bool
) -> gymnasium.Env[Any, Any]:
    """Return an environment with the wrappers that a task's settings ask for, or as it is."""
    if time_limit is not None:
        env = gymnasium.wrappers.TimeLimit(env, time_limit)
    if sticky_actions:
        env = StickyActions(env, sticky_actions)
    if flatten:
        env = gymnasium.wrappers.FlattenObservation(env)
    if frame_stack > 1:
        env = StackedFrames(env, frame_stack)
    return OneChoice(env) if one_choice else env
