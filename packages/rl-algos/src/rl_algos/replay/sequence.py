"""Sequences of a replay buffer's rows, each with the state that a recurrent network had before it, which its rows keep.

Source: stored states, S. Kapturowski and others, "Recurrent experience replay in distributed reinforcement learning" (R2D2), 2019,
section 3.
Departures: sequences begin at any row and continue over the end of an episode; they overlap, and are drawn evenly.
Letters: T steps learned from, n steps of reward, W rows unrolled (burn-in, T and n), B sequences, N environments, L rows of a ring,
M numbers of a state.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import gymnasium
import numpy as np

from rl_algos.replay.buffer import EMPTY_SLOT, ReplayBuffer, ReplaySettings


class SequenceBatch(NamedTuple):
    """Sequences of rows as a replay buffer has them: an episode's last observation is a row of its own.

    Attributes:
        obs: Observations [W, B, ...].
        starts: Whether an episode starts with this row [W, B].
        state: The network's state before the first row [B, M].
        action: [T, B], of the rows behind the burn-in, as all that follows.
        reward: Of up to n steps [T, B], float32.
        discount: Weight of the value of the rows that they led to [T, B], float32.
        ahead: How many rows further they led [T, B].
        counts: 1 where an action was taken, 0 for an episode's last observation [T, B], float32.
    """

    obs: np.ndarray
    starts: np.ndarray
    state: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    discount: np.ndarray
    ahead: np.ndarray
    counts: np.ndarray


class SequenceReplay(ReplayBuffer):
    """A replay buffer that keeps a recurrent network's state with each row, and is read in sequences.

    Args:
        settings: Size and form; no frames are stacked.
        input_space: Space of one observation.
        output_space: Space of one action.
        state_size: M.
        sequence_steps: T.
        burn_in_steps: Rows before them.

    Raises:
        ValueError: if the buffer is too small for one sequence of each environment.
    """

    def __init__(
        self,
        settings: ReplaySettings,
        input_space: gymnasium.Space[Any],
        output_space: gymnasium.Space[Any],
        *,
        state_size: int,
        sequence_steps: int,
        burn_in_steps: int,
    ) -> None:
        self._num_steps, self._burn_in = sequence_steps, burn_in_steps
        self._length = burn_in_steps + sequence_steps + settings.num_steps  # W
        if settings.kept < self._length:
            raise ValueError(
                f"buffer_size is {settings.capacity}; it must be at least {self._length * settings.num_envs}: {self._length} rows "
                "(burn-in, steps learned from and steps of reward) of each environment"
            )
        super().__init__(settings, input_space, output_space, state_size)

    def remember(self, state: np.ndarray, next_state: np.ndarray) -> None:
        """Keep the states [N, M] before and after the step that is added next."""
        envs, rows = np.arange(len(state)), self.bounds()[1]
        self.states[envs, rows % self.num_rows] = state
        self.states[envs, (rows + 1) % self.num_rows] = next_state  # within an episode the next step writes it again

    @property
    def can_draw(self) -> bool:
        """True if the buffer holds a whole sequence."""
        return self.num_sequences > 0

    @property
    def num_sequences(self) -> int:
        """Number of sequences that may be drawn."""
        return int(self._windows().sum())

    def draw(self, rng: np.random.Generator, batch_size: int, correction: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
        """Return slots [W, B] of sequences with `batch_size` steps together, each with the same probability, and weights of 1 [B]."""
        num_sequences = max(1, batch_size // self._num_steps)
        windows = self._windows()
        numbers, behind = rng.integers(windows.sum(), size=num_sequences), np.cumsum(windows)
        env = np.searchsorted(behind, numbers, side="right")
        first = self.bounds()[0][env] + numbers - (behind - windows)[env]
        slots = env * self.num_rows + (first + np.arange(self._length)[:, None]) % self.num_rows
        return slots, np.ones(num_sequences, dtype=np.float32)

    def read_sequences(self, slots: np.ndarray) -> SequenceBatch:
        """Return the sequences at the slots [W, B] of consecutive rows."""
        learned = slots[self._burn_in : self._burn_in + self._num_steps]
        kind = self.kind[slots]
        starts = np.concatenate([np.zeros_like(kind[:1], dtype=np.bool_), kind[:-1] == EMPTY_SLOT])  # a first row's state is 0 if it starts
        obs = self.observations(slots.ravel())
        batch, last = self.read(learned.ravel()), self.led_to(learned.ravel())
        shape = learned.shape
        return SequenceBatch(
            obs.reshape(*slots.shape, *obs.shape[1:]),
            starts,
            self.states[tuple(np.divmod(slots[0], self.num_rows))],
            batch.action.reshape(shape),
            batch.reward.reshape(shape),
            batch.discount.reshape(shape),
            (last.reshape(shape) - learned) % self.num_rows,
            (self.kind[learned] != EMPTY_SLOT).astype(np.float32),
        )

    def _windows(self) -> np.ndarray:
        """Return the number of sequences that each environment's ring holds [N]."""
        oldest, end = self.bounds()
        return np.maximum(end - oldest - self._length + 1, 0)
