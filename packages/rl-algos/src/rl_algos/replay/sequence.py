"""Sequences of a replay buffer's rows, each with what a network remembered before it, which its rows keep.

Source: stored states, S. Kapturowski and others, "Recurrent experience replay in distributed reinforcement learning" (R2D2), 2019,
section 3.
Departures: sequences begin at any row and go on over the end of an episode; they overlap, and are drawn evenly.
Letters: T steps learned from, n steps of reward, W rows replayed (burn-in, T and n), B sequences, N environments, L rows of a ring,
S numbers of a state.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rl_algos.replay.buffer import NOTHING, ReplayBuffer


class Replayed(NamedTuple):
    """Sequences of rows as a replay buffer has them: an episode's last observation is a row of its own.

    Attributes:
        inputs: Observations [W, B, ...].
        starts: Whether an episode starts with this row [W, B].
        state: What was remembered before the first row [B, S].
        action: [T, B], of the rows behind the burn-in, as all that follows.
        reward: Of up to n steps [T, B], float32.
        discount: What the value of where they led counts [T, B], float32.
        ahead: How many rows further they led [T, B].
        counts: 1 where an action was taken, 0 for an episode's last observation [T, B], float32.
    """

    inputs: np.ndarray
    starts: np.ndarray
    state: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    discount: np.ndarray
    ahead: np.ndarray
    counts: np.ndarray


class SequenceReplay:
    """What was remembered before each row of a replay buffer, and sequences of such rows.

    Args:
        replay: The rows, which keep states and no stacked frames.
        num_steps: T.
        burn_in_steps: Rows before them.
        return_steps: n.
    """

    def __init__(self, replay: ReplayBuffer, *, num_steps: int, burn_in_steps: int, return_steps: int) -> None:
        self._replay, self._num_steps, self._burn_in = replay, num_steps, burn_in_steps
        self._length = burn_in_steps + num_steps + return_steps  # W

    def add(self, state: np.ndarray, next_state: np.ndarray) -> None:
        """Keep the states [N, S] before and after a step which the replay buffer takes in next."""
        envs, rows, num_rows = np.arange(len(state)), self._replay.bounds()[1], self._replay.num_rows
        self._replay.states[envs, rows % num_rows] = state
        self._replay.states[envs, (rows + 1) % num_rows] = next_state  # where the episode goes on, the next step writes it again

    @property
    def num_sequences(self) -> int:
        """How many sequences there are to be drawn."""
        return int(self._windows().sum())

    def sample(self, rng: np.random.Generator, batch_size: int) -> Replayed:
        """Sequences [W, B], each with the same probability."""
        windows, num_rows = self._windows(), self._replay.num_rows
        numbers, behind = rng.integers(windows.sum(), size=batch_size), np.cumsum(windows)
        env = np.searchsorted(behind, numbers, side="right")
        first = self._replay.bounds()[0][env] + numbers - (behind - windows)[env]
        return self.read(env * num_rows + (first + np.arange(self._length)[:, None]) % num_rows)

    def read(self, slots: np.ndarray) -> Replayed:
        """The sequences at the slots [W, B] of consecutive rows."""
        num_rows, learned = self._replay.num_rows, slots[self._burn_in : self._burn_in + self._num_steps]
        kind = self._replay.kind[slots]
        starts = np.concatenate([np.zeros_like(kind[:1], dtype=np.bool_), kind[:-1] == NOTHING])  # the first state is 0 if it is a new one
        inputs = self._replay.observations(slots.ravel())
        batch, last = self._replay.read(learned.ravel()), self._replay.led_to(learned.ravel())
        shape = learned.shape
        return Replayed(
            inputs.reshape(*slots.shape, *inputs.shape[1:]),
            starts,
            self._replay.states[tuple(np.divmod(slots[0], num_rows))],
            batch.action.reshape(shape),
            batch.reward.reshape(shape),
            batch.discount.reshape(shape),
            (last.reshape(shape) - learned) % num_rows,
            (self._replay.kind[learned] != NOTHING).astype(np.float32),
        )

    def _windows(self) -> np.ndarray:
        """How many sequences each environment's ring holds [N]."""
        oldest, end = self._replay.bounds()
        return np.maximum(end - oldest - self._length + 1, 0)
