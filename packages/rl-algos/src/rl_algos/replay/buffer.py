"""The replay buffer: transitions that are learned from again and again, in another order than they were made in.

Source: L.-J. Lin, "Self-improving reactive agents based on reinforcement learning, planning and teaching", 1992; n-step returns as
in R. Sutton and A. Barto, "Reinforcement learning", 2nd edition, 2018, (7.1).
Departures: none. Every transition that is kept is drawn with the same probability, with replacement.

Each environment has a ring of rows, one observation a row, in the order of time. The row after a transition's holds the observation
that it led to, so that nothing is stored twice; an episode's last observation has a row of its own, from which no transition starts.
Of a stack of frames only the newest is stored: an episode begins with rows for the older ones, whatever they are (copies, zeros), so
that the rows up to any observation are its stack, and no stack reaches into the episode before.

A large buffer is saved in `Block`s: full stretches of rows by their number since the start of the run, which never change.
Letters: N environments, L rows of a ring, S frames of a stack (1 without), D numbers of a frame, A numbers of an action, B batch,
M numbers of a network's state.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium import spaces

from dl_nets.fast.kernels import announced, kernel
from rl_algos.replay.storage import Storage, allocate
from rl_core.envs import Transition
from rl_core.memory import require_memory
from rl_core.runs.checkpoint import Block
from rl_core.state import restore_state

BLOCK_BYTES = 2**22  # most of a stretch that is saved apart; a buffer of less than four such is saved as plain arrays
RING_BLOCKS = 16  # fewest stretches of a ring then: the newest of each is not full yet, and is written at every checkpoint
EMPTY_SLOT, GOES_ON, TERMINATES, TRUNCATES = range(4)  # kinds of rows; no transition starts from an empty slot
MAX_DRAWS = 10_000  # rounds of drawing again, each of which finds a transition with a probability of 1 / (S + 1) at least


class Batch(NamedTuple):
    """Transitions of up to n steps.

    Attributes:
        obs: Observations that the first actions were taken at [B, ...].
        action: [B, ...].
        reward: r_1 + gamma r_2 + ... + gamma^(m-1) r_m [B], float32; m is n, or less where the episode, or what is known of it, is over.
        discount: Weight of the value of `next_obs`: gamma^m, and 0 where the episode terminated [B], float32.
        next_obs: Observations that the last of these steps led to, before any new episode begins [B, ...].
    """

    obs: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    discount: np.ndarray
    next_obs: np.ndarray


class MaskedBatch(NamedTuple):
    """A `Batch` of a task that says which actions are allowed.

    Attributes:
        next_legal: Which were at `next_obs` [B, A], bool.
    """

    obs: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    discount: np.ndarray
    next_obs: np.ndarray
    next_legal: np.ndarray


class ReplaySettings(NamedTuple):
    """Size and form of a replay buffer.

    Attributes:
        capacity: Rows that are drawn from, of all environments together: transitions, and a row or more an episode; at least N + 1.
        num_envs: N, at least 1.
        discount: gamma, in [0, 1].
        num_steps: n of the returns, at least 1.
        stack_axis: Axis of an observation along which frames are stacked, the oldest first; `None` where none are.
        storage: "disk" keeps the rows in a memory-mapped file.
    """

    capacity: int
    num_envs: int = 1
    discount: float = 0.99
    num_steps: int = 1
    stack_axis: int | None = None
    storage: Storage = "memory"

    @property
    def kept(self) -> int:
        """Rows of each environment that are drawn from."""
        return -(-self.capacity // self.num_envs)


class Rings(NamedTuple):
    """Columns of the rows, of which each environment has a ring.

    Attributes:
        obs: Newest frames [N, L, D].
        action: [N, L, A].
        reward: [N, L].
        kind: `EMPTY_SLOT`, `GOES_ON`, `TERMINATES` or `TRUNCATES` [N, L].
    """

    obs: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    kind: np.ndarray


class Step(NamedTuple):
    """One step of every environment: frames [N, S, D] before and after it, actions [N, A], rewards and ends [N]."""

    frames: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    final_frames: np.ndarray


class ReplayBuffer:
    """The newest rows of N environments, drawn from evenly.

    Args:
        settings: Size and form.
        input_space: Space of one observation: a `Box`, `Discrete`, or any other of one array.
        output_space: Space of one action; a `Discrete` one is stored counted from 0.
        state_size: M, numbers of a recurrent network's state that each row keeps (`sequence.SequenceReplay`).
        num_masked: A of a task that says which actions are allowed at an observation, which each row then keeps; else 0.

    Raises:
        ValueError: if a setting is out of range, or the rows need more memory or disk than there is.

    >>> line, two = spaces.Box(0, 9, (1,)), spaces.Discrete(2)
    >>> buffer = ReplayBuffer(ReplaySettings(100, discount=0.5, num_steps=2), line, two)
    >>> place, yes, no = np.arange(4.0)[:, None, None], np.array([True]), np.array([False])
    >>> for t in range(3):  # 0 -> 1 -> 2 -> 3, which is the end; each step pays 1
    ...     buffer.add(place[t], np.array([1]), Transition(place[t + 1], np.ones(1), yes if t == 2 else no, no, place[t + 1]))
    >>> batch = buffer.read(np.array([0, 1, 2]))
    >>> batch.reward.tolist(), batch.discount.tolist(), batch.next_obs.ravel().tolist()
    ([1.5, 1.5, 1.0], [0.25, 0.0, 0.0], [2.0, 3.0, 3.0])
    """

    def __init__(
        self,
        settings: ReplaySettings,
        input_space: gymnasium.Space[Any],
        output_space: gymnasium.Space[Any],
        state_size: int = 0,
        num_masked: int = 0,
    ) -> None:
        capacity, num_envs, _, _, stack_axis, storage = settings
        if capacity <= num_envs:
            raise ValueError(
                f"buffer_size is {capacity}; it must be at least {num_envs + 1}: two rows of an environment, since the last row of an "
                "episode is not learned from, and one of each other"
            )
        shape = input_space.shape or ()
        if stack_axis is not None and not 0 <= stack_axis < len(shape):
            raise ValueError(f"stack_axis is {stack_axis}; an observation of {input_space} has the axes 0 to {len(shape) - 1}")
        self.settings, self.num_envs = settings, num_envs
        self._stack = 1 if stack_axis is None else shape[stack_axis]
        self._frame_shape = shape if stack_axis is None else tuple(np.delete(shape, stack_axis).tolist())
        self._action_shape = output_space.shape or ()
        self._num_actions = int(output_space.n) if isinstance(output_space, spaces.Discrete) else None
        row = np.dtype(
            [
                ("obs", _stored_dtype(input_space), (math.prod(self._frame_shape),)),
                ("action", _stored_dtype(output_space), (math.prod(self._action_shape),)),
                ("reward", np.float32),
                ("kind", np.uint8),
                ("state", np.float32, (state_size,)),
                *([("legal", np.bool_, (num_masked,))] if num_masked else []),
            ],
            align=True,
        )
        needed = settings.kept + self._stack  # besides those drawn from: the frames before the oldest, and the newest observation
        self._block_rows = 0  # 0: all is saved as plain arrays
        if num_envs * needed * row.itemsize >= 4 * BLOCK_BYTES:
            self._block_rows = max(1, min(BLOCK_BYTES // row.itemsize, needed // RING_BLOCKS))
            needed = -(-needed // self._block_rows) * self._block_rows + self._block_rows  # full blocks, and the one being written
        self._rows = allocate(num_envs, needed, row, storage)
        self._bytes = self._rows.view(np.uint8).reshape(num_envs, needed, row.itemsize)  # [N, L, bytes of a row]
        self._rings = Rings(*(self._rows[column] for column in Rings._fields))
        self._flat = Rings(*(column.reshape(-1, *column.shape[2:]) for column in self._rings))  # views: one ring after the other
        self.written = np.zeros(num_envs, dtype=np.int64)  # rows that are complete, since the start of the run
        self.in_episode = np.zeros(num_envs, dtype=np.bool_)  # whether the row after those holds the observation that an action awaits
        with announced("the replay buffer"):  # of no environment: this compiles, and writes nothing
            write_rows(Rings(*(column[:0] for column in self._rings)), self.written[:0], self.in_episode[:0], self._no_step())

    @property
    def num_rows(self) -> int:
        """L, rows of each environment's ring."""
        return self._rows.shape[1]

    @property
    def states(self) -> np.ndarray:
        """A recurrent network's state before each row [N, L, M], a view to be written to."""
        return self._rows["state"]

    def permit(self, legal: np.ndarray, final_legal: np.ndarray) -> None:
        """Keep which actions were allowed [N, A] at the observations before and after the step that was added last."""
        envs, last = np.arange(self.num_envs), self.written - 1
        ended = self._rings.kind[envs, last % self.num_rows] == EMPTY_SLOT  # the last complete row is that of an episode's last observation
        self._rows["legal"][envs, (last - ended) % self.num_rows] = legal
        self._rows["legal"][envs, (last - ended + 1) % self.num_rows] = final_legal

    def legal(self, slots: np.ndarray) -> np.ndarray:
        """Return which actions were allowed [B, A] in the rows at slots [B]."""
        return self._rows["legal"].reshape(-1, self._rows["legal"].shape[2])[slots]

    @property
    def nbytes(self) -> int:
        """Bytes of all rings."""
        return self._rows.nbytes

    @property
    def kind(self) -> np.ndarray:
        """Kind of each row [N L], a view; `EMPTY_SLOT` where no transition starts."""
        return self._flat.kind

    @property
    def can_draw(self) -> bool:
        """True if the buffer holds a transition to draw."""
        return bool(self.written.any())

    def require_batch(self, batch_size: int) -> None:
        """Refuse batches that memory has no room for.

        Raises:
            ValueError: if that is so; it names `batch_size`.
        """
        numbers = math.prod(self._frame_shape) * self._stack
        require_memory(16 * batch_size * (numbers + 4), f"batch_size: {batch_size:,} transitions of a batch", "take a smaller one")

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the numbers, since the start of the run, of the oldest row that is drawn from and of the first incomplete one [N]."""
        return np.maximum(self.written - self.settings.kept, 0), self.written.copy()

    def remember(self, state: np.ndarray, next_state: np.ndarray) -> None:
        """Keep a network's states [N, M] before and after the step that is added next; a buffer of single transitions keeps none."""

    def add(self, obs: np.ndarray, action: np.ndarray, after: Transition) -> None:
        """Add one step of every environment.

        Args:
            obs: Observations before it [N, ...].
            action: Actions, as they are learned from [N, ...].
            after: Result of `Envs.step`.

        Raises:
            ValueError: if frames are stacked, and one observation is not the one before it moved on by a frame.
        """
        before, behind = self._frames(obs), self._frames(after.final_obs)
        if self._stack > 1 and not np.array_equal(before[:, 1:], behind[:, :-1]):
            raise ValueError(
                f"stack_axis is {self.settings.stack_axis}, but an observation does not hold the frames of the one before it; "
                "set it to none"
            )
        action = np.ascontiguousarray(action, dtype=self._rings.action.dtype).reshape(self.num_envs, -1)
        reward = np.asarray(after.reward, dtype=np.float32)
        write_rows(self._rings, self.written, self.in_episode, Step(before, action, reward, after.terminated, after.truncated, behind))

    def sample(self, rng: np.random.Generator, batch_size: int) -> Batch:
        """Return transitions [B], each that is kept with the same probability.

        Raises:
            ValueError: if there is none yet.
        """
        return self.read(self.draw(rng, batch_size)[0])

    def draw(self, rng: np.random.Generator, batch_size: int, correction: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
        """Return slots [B] of transitions, for `read`, and the weights of their losses [B], float32.

        A slot is a row's place in the rings, one after the other. Even draws weigh 1, whatever the correction.

        Raises:
            ValueError: if the buffer is empty.
        """
        oldest, end = self.bounds()
        widest = int((end - oldest).max())
        slots, missing = np.empty(batch_size, dtype=np.int64), np.arange(batch_size)
        for _ in range(MAX_DRAWS if widest else 0):  # an empty slot is drawn again, which leaves the others equally probable
            env, ahead = np.divmod(rng.integers(self.num_envs * widest, size=len(missing)), widest)
            row = oldest[env] + ahead
            slots[missing] = env * self.num_rows + row % self.num_rows
            missing = missing[(row >= end[env]) | (self.kind[slots[missing]] == EMPTY_SLOT)]
            if not len(missing):
                return slots, np.ones(batch_size, dtype=np.float32)
        raise ValueError("the replay buffer holds no transition; add a step before sampling")

    def revalue(self, slots: np.ndarray, td_error: np.ndarray) -> None:
        """Note the TD errors of transitions that were learned from; even draws do not depend on them."""

    def read(self, slots: np.ndarray) -> Batch:
        """Return the transitions that start at slots [B]."""
        obs, action, reward, kind = self._flat
        return_, discount, last = look_ahead(reward, kind, slots, self.num_rows, self.settings.num_steps, self.settings.discount)
        return Batch(
            self._observations(obs, slots), action[slots].reshape(-1, *self._action_shape), return_, discount, self._observations(obs, last)
        )

    def observations(self, slots: np.ndarray) -> np.ndarray:
        """Return the observations [B, ...] in the rows at slots [B], whether a transition starts there or not."""
        return self._observations(self._flat.obs, slots)

    def read_masked(self, slots: np.ndarray) -> MaskedBatch:
        """Return the transitions that start at slots [B], with the actions allowed behind them."""
        return MaskedBatch(*self.read(slots), self.legal(self.led_to(slots)))

    def led_to(self, slots: np.ndarray) -> np.ndarray:
        """Return the slots [B] of the rows that the transitions at slots [B] led to, by up to n steps."""
        reward, kind = self._flat.reward, self._flat.kind
        return look_ahead(reward, kind, slots, self.num_rows, self.settings.num_steps, self.settings.discount)[2]

    def state_dict(self) -> dict[str, Any]:
        """Return all rows that may be drawn, with what belongs to them; full stretches of a large buffer as blocks, not copied."""
        rings = []
        for env in range(self.num_envs):
            ring: list[Block | np.ndarray] = []
            for start, stop, is_block in self._stretches(env):
                if is_block:
                    content = self._bytes[env, start % self.num_rows :][: stop - start]
                    ring.append(Block(f"replay-{env}-{start // self._block_rows}", content))
                else:
                    ring.append(self._bytes[env, np.arange(start, stop) % self.num_rows])
            rings.append(ring)
        return {"written": self.written.copy(), "in_episode": self.in_episode.copy(), "rings": rings}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned.

        Raises:
            ValueError: if it is the state of a buffer of other rows, or holds what no buffer writes.
        """
        restore_state(self, ("written", "in_episode"), state)
        if self.written.min() < 0 or self.written.max() > 2**62 or len(state["rings"]) != self.num_envs:
            raise ValueError(f"the saved replay buffer has {self.written.tolist()} rows in {len(state['rings'])} rings, which cannot be")
        for env, ring in enumerate(state["rings"]):
            stretches = list(self._stretches(env))
            pieces = [np.ascontiguousarray(piece.array if isinstance(piece, Block) else piece) for piece in ring]
            needed = [(stop - start, self._bytes.shape[2]) for start, stop, _ in stretches]
            if [piece.shape for piece in pieces] != needed or any(piece.dtype != np.uint8 for piece in pieces):
                raise ValueError("the saved replay buffer has another capacity, or other observations or actions; use the run's own recipe")
            for (start, stop, _), piece in zip(stretches, pieces, strict=True):
                self._require_sound(piece.view(self._rows.dtype))
                self._bytes[env, np.arange(start, stop) % self.num_rows] = piece

    def _require_sound(self, rows: np.ndarray) -> None:
        """Refuse rows of a kind, or with an action, that does not exist: compiled loops take both as indices."""
        actions, num_actions = rows["action"], self._num_actions
        if (rows["kind"] > TRUNCATES).any() or (num_actions is not None and ((actions < 0) | (actions >= num_actions)).any()):
            raise ValueError("the saved replay buffer holds kinds of rows, or actions, that do not exist; its checkpoint was altered")

    def _stretches(self, env: int) -> Iterator[tuple[int, int, bool]]:
        """Yield the row numbers (first, behind the last) of the pieces that a ring is saved in, and whether each is a block."""
        stop = int(self.written[env]) + int(self.in_episode[env])
        start = max(0, int(self.written[env]) - self.settings.kept - self._stack + 1)
        if self._block_rows:
            first, last = start // self._block_rows, int(self.written[env]) // self._block_rows
            for block in range(first, last):
                yield block * self._block_rows, (block + 1) * self._block_rows, True
            start = last * self._block_rows
        yield start, stop, False

    def _frames(self, obs: np.ndarray) -> np.ndarray:
        """Return observations [N, ...] as frames [N, S, D], as they are stored."""
        if self.settings.stack_axis is not None:
            obs = np.moveaxis(obs, 1 + self.settings.stack_axis, 1)
        return np.ascontiguousarray(obs, dtype=self._rings.obs.dtype).reshape(self.num_envs, self._stack, -1)

    def _observations(self, frames: np.ndarray, slots: np.ndarray) -> np.ndarray:
        """Return the observations [B, ...] whose newest frames are at slots [B], from all frames [N L, D]."""
        if self.settings.stack_axis is None:
            return frames[slots].reshape(-1, *self._frame_shape)
        ring, row = np.divmod(slots, self.num_rows)
        older = (row[:, None] - np.arange(self._stack - 1, -1, -1)) % self.num_rows  # [B, S]
        stacks = frames[ring[:, None] * self.num_rows + older].reshape(-1, self._stack, *self._frame_shape)
        return np.ascontiguousarray(np.moveaxis(stacks, 1, 1 + self.settings.stack_axis))

    def _no_step(self) -> Step:
        """Return a step of no environment."""
        frames = np.zeros((0, self._stack, self._rings.obs.shape[2]), dtype=self._rings.obs.dtype)
        action, flags = np.zeros((0, self._rings.action.shape[2]), dtype=self._rings.action.dtype), np.zeros(0, dtype=np.bool_)
        return Step(frames, action, np.zeros(0, dtype=np.float32), flags, flags, frames)


@kernel
def write_rows(rings: Rings, written: np.ndarray, in_episode: np.ndarray, step: Step) -> None:
    """Write one step of every environment into its ring.

    Args:
        rings: Changed in place.
        written: Rows that are complete [N]; raised.
        in_episode: Whether an episode is under way [N]; changed.
        step: What is written.
    """
    num_rows, newest = rings.obs.shape[1], step.frames.shape[1] - 1
    for n in range(len(written)):
        if not in_episode[n]:
            for s in range(newest):  # the older frames of the first stack
                clear_row(rings, n, written[n] % num_rows, step.frames[n, s])
                written[n] += 1
            in_episode[n] = True
        slot = written[n] % num_rows
        clear_row(rings, n, slot, step.frames[n, newest])
        for a in range(step.action.shape[1]):
            rings.action[n, slot, a] = step.action[n, a]
        rings.reward[n, slot] = step.reward[n]
        rings.kind[n, slot] = TERMINATES if step.terminated[n] else TRUNCATES if step.truncated[n] else GOES_ON
        written[n] += 1
        clear_row(rings, n, written[n] % num_rows, step.final_frames[n, newest])
        if step.terminated[n] or step.truncated[n]:
            written[n] += 1
            in_episode[n] = False


@kernel
def clear_row(rings: Rings, n: int, slot: int, frame: np.ndarray) -> None:
    """Make a row hold a frame [D] and nothing else: its former content must not reach a checkpoint."""
    for d in range(len(frame)):
        rings.obs[n, slot, d] = frame[d]
    for a in range(rings.action.shape[2]):
        rings.action[n, slot, a] = 0
    rings.reward[n, slot] = 0.0
    rings.kind[n, slot] = EMPTY_SLOT


@kernel
def look_ahead(
    reward: np.ndarray, kind: np.ndarray, slots: np.ndarray, num_rows: int, num_steps: int, discount: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the returns of up to n steps [B], the discounts behind them [B], and the slots that they led to [B].

    The sum stops at the end of an episode, either way, and at the newest row of its ring.

    Args:
        reward: [N L].
        kind: [N L].
        slots: [B].
        num_rows: L.
        num_steps: n.
        discount: gamma.
    """
    size = len(slots)
    return_, ahead = np.empty(size, dtype=np.float32), np.empty(size, dtype=np.float32)
    last = np.empty(size, dtype=np.int64)
    for b in range(size):
        first = slots[b] // num_rows * num_rows
        slot, total, weight = slots[b], 0.0, 1.0
        for _ in range(num_steps):
            total += weight * reward[slot]
            weight *= discount
            what = kind[slot]
            slot = first + (slot - first + 1) % num_rows
            if what == TERMINATES:
                weight = 0.0
            if what != GOES_ON or kind[slot] == EMPTY_SLOT:
                break
        return_[b], ahead[b], last[b] = total, weight, slot
    return return_, ahead, last


def _stored_dtype(space: gymnasium.Space[Any]) -> np.dtype:
    """Return the type that a space's numbers are stored as: float32 for all floats."""
    if space.shape is None or space.dtype is None:
        raise ValueError(f"the space is {space}; a replay buffer keeps observations and actions that are one array each")
    return np.dtype(np.float32) if np.dtype(space.dtype).kind == "f" else np.dtype(space.dtype)
