"""Windows of experience as latent models learn from them: what an observation followed on is kept beside it.

Letters: W rows, B windows, N environments, L rows of a ring, A numbers of an action's code.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium import spaces
from torch import nn

from rl_algos.continuous.bounded_actions import BoundedAction, BoundedActions
from rl_algos.model_based.sequences import Actions
from rl_algos.parts.exported import LargestAction
from rl_algos.replay.buffer import EMPTY_SLOT, TERMINATES, ReplaySettings
from rl_algos.replay.sequence import SequenceReplay


class Windows(NamedTuple):
    """Stretches of rows, which continue over the ends of episodes.

    Attributes:
        obs: Observations [W, B, ...].
        action: Code of the action that led to each [W, B, A]; 0 in the first row, and where an episode starts.
        reward: What that action paid [W, B], float32.
        is_paid: 1 where there was such an action [W, B], float32.
        goes_on: 0 where an episode terminated with this observation, else 1 [W, B], float32.
        starts: 1 where an episode starts with this observation [W, B], float32.
    """

    obs: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    is_paid: np.ndarray
    goes_on: np.ndarray
    starts: np.ndarray


class ActionCode:
    """Actions as numbers that a model reads: a Box in [-1, 1], choices as one-hot vectors.

    Args:
        space: A bounded `Box` of floats, or a `Discrete`.

    Attributes:
        size: A.
        is_choice: Whether it is a `Discrete`.
        stored: Space of the actions as a replay buffer keeps them.

    Raises:
        ValueError: if the space is of another kind.

    >>> code = ActionCode(spaces.Discrete(3, start=5))
    >>> code.of(np.array([2])).tolist(), code.to_env(np.array([2])).tolist()
    ([[0.0, 0.0, 1.0]], [7])
    """

    def __init__(self, space: gymnasium.Space[Any]) -> None:
        self._actions, self.is_choice, self._space = Actions(space), isinstance(space, spaces.Discrete), space
        self._start = int(space.start) if isinstance(space, spaces.Discrete) else 0
        self.size = self._actions.num_choices or self._actions.size
        self.stored = spaces.Discrete(self.size) if self.is_choice else spaces.Box(-1.0, 1.0, (self.size,), np.float32)

    def of(self, kept: np.ndarray) -> np.ndarray:
        """Return codes [..., A], float32, of kept actions: numbers of choices [...], or numbers in [-1, 1] [..., A]."""
        return np.eye(self.size, dtype=np.float32)[kept] if self.is_choice else kept.astype(np.float32)

    def to_env(self, kept: np.ndarray) -> np.ndarray:
        """Return the task's actions [B, ...] of kept ones [B] or [B, A]."""
        return kept + self._start if self.is_choice else self._actions(kept)

    def layer(self) -> nn.Module:
        """Return the layer from logits of choices, or numbers before tanh [B, A], to the task's actions [B, ...]."""
        return LargestAction(self._start) if self.is_choice else BoundedAction(BoundedActions(self._space))

    def random(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Return kept actions [B] or [B, A], each with the same probability."""
        if self.is_choice:
            return rng.integers(self.size, size=count)
        return rng.uniform(-1.0, 1.0, (count, self.size)).astype(np.float32)


def replay_of(capacity: int, num_envs: int, num_rows: int, input_space: gymnasium.Space[Any], code: ActionCode) -> SequenceReplay:
    """Return an empty buffer of single steps that is read in windows.

    Args:
        capacity: Rows that are kept, of all environments.
        num_envs: N.
        num_rows: W.
        input_space: Space of observations.
        code: Of the actions.
    """
    settings = ReplaySettings(capacity, num_envs, discount=1.0)
    return SequenceReplay(settings, input_space, code.stored, state_size=0, sequence_steps=num_rows - 1, burn_in_steps=0)


def windows_at(replay: SequenceReplay, slots: np.ndarray, code: ActionCode) -> Windows:
    """Return the windows of the rows at slots [W, B]."""
    obs, batch = replay.observations(slots.ravel()), replay.read(slots[:-1].ravel())
    kind, shape = replay.kind[slots[:-1]], slots[:-1].shape
    took = kind != EMPTY_SLOT  # else the row is an episode's last observation, and the next one starts another
    action = code.of(batch.action.reshape(*shape, *batch.action.shape[1:])) * took[..., None]
    reward = batch.reward.reshape(shape) * took

    def behind(column: np.ndarray, first: float) -> np.ndarray:
        return np.concatenate([np.full_like(column[:1], first), column]).astype(np.float32)

    return Windows(
        obs.reshape(*slots.shape, *obs.shape[1:]),
        behind(action, 0.0),
        behind(reward, 0.0),
        behind(took.astype(np.float32), 0.0),
        behind((kind != TERMINATES).astype(np.float32), 1.0),
        behind((~took).astype(np.float32), 0.0),
    )


def newest_windows(replay: SequenceReplay, num_rows: int, count: int) -> np.ndarray:
    """Return slots [W, B] of up to B windows of the first environment's newest steps, each within one episode, at least W / 2 apart.

    They are spread over half of the buffer: in the newest episode alone there may be nothing to predict, since everything is at rest.
    """
    oldest, end = (int(bound[0]) for bound in replay.bounds())
    found: list[np.ndarray] = []
    first, apart = end - num_rows, max(num_rows // 2, (end - oldest) // (2 * count), 1)
    while first >= oldest and len(found) < count:
        slots = (first + np.arange(num_rows)) % replay.num_rows
        if (replay.kind[slots[:-1]] != EMPTY_SLOT).all():
            found.append(slots)
        first -= apart
    return np.stack(found, axis=1) if found else np.zeros((num_rows, 0), dtype=np.int64)
