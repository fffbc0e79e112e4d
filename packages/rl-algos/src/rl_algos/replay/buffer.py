"""The replay buffer: what was lived through, to be learned from again and again in another order.

Source: L.-J. Lin, "Self-improving reactive agents based on reinforcement learning, planning and teaching", 1992; n-step returns as
in R. Sutton and A. Barto, "Reinforcement learning", 2nd edition, 2018, (7.1).
Departures: none. Every transition that is kept is drawn with the same probability, with replacement.

Each environment has a ring of rows, one observation a row, in the order of time. The row after a transition's holds where it led, so
nothing is stored twice; an episode's last observation has a row of its own, which no transition starts from. Of a stack of frames
only the newest is stored: an episode begins with rows for the older ones, whatever they are (copies, zeros), so that the rows up to
any observation are its stack, and none reaches into the episode before.

A large buffer is saved in `Block`s: full stretches of rows by their number since the start of the run, which never change.
Letters: N environments, L rows of a ring, S frames of a stack (1 without), D numbers of a frame, A numbers of an action, B batch,
M numbers of a memory's state.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

import gymnasium
import numpy as np

from dl_nets.fast.kernels import announced, kernel
from rl_core.envs import Transition
from rl_core.runs.checkpoint import Block

BLOCK_BYTES = 2**22  # most of a stretch that is saved apart; a buffer of less than four such is saved as plain arrays
RING_BLOCKS = 16  # fewest stretches of a ring then: the newest of each is not full yet, and is written at every checkpoint
NOTHING, GOES_ON, TERMINATES, TRUNCATES = range(4)  # what follows a row; nothing: no transition starts there


class Batch(NamedTuple):
    """Transitions of up to n steps.

    Attributes:
        obs: Where the first action was taken [B, ...].
        action: [B, ...].
        reward: r_1 + gamma r_2 + ... + gamma^(m-1) r_m [B], float32; m is n, or less where the episode, or what is known of it, is over.
        discount: What the value of `next_obs` counts: gamma^m, and 0 where the episode terminated [B], float32.
        next_obs: Where the last of these steps led, before any new episode begins [B, ...].
    """

    obs: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    discount: np.ndarray
    next_obs: np.ndarray


class ReplayBuffer:
    """The newest rows of N environments, drawn from evenly.

    Args:
        capacity: Rows that are drawn from, of all environments together: transitions, and a row or more an episode. At least N.
        num_envs: N, at least 1.
        input_space: Space of one observation: a `Box`, `Discrete`, or any other of one array.
        output_space: Space of one action.
        discount: gamma, in [0, 1].
        num_steps: n of the returns, at least 1.
        stack_axis: Axis of an observation along which frames are stacked, the oldest first; `None` where none are.
        state_size: M, numbers that were remembered before each row, kept in it for a network with a memory (`sequence_replay`).
        storage: "disk" keeps the rows in a memory-mapped file without a name, in the folder for temporary files, gone with the process.
        name: Of the blocks in a checkpoint; the buffers of one agent must differ in it.

    >>> from gymnasium import spaces
    >>> line, two = spaces.Box(0, 9, (1,)), spaces.Discrete(2)
    >>> buffer = ReplayBuffer(100, 1, line, two, discount=0.5, num_steps=2)
    >>> place, yes, no = np.arange(4.0)[:, None, None], np.array([True]), np.array([False])
    >>> for t in range(3):  # 0 -> 1 -> 2 -> 3, which is the end; each step pays 1
    ...     buffer.add(place[t], np.array([1]), Transition(place[t + 1], np.ones(1), yes if t == 2 else no, no, place[t + 1]))
    >>> batch = buffer.read(np.array([0, 1, 2]))
    >>> batch.reward.tolist(), batch.discount.tolist(), batch.next_obs.ravel().tolist()
    ([1.5, 1.5, 1.0], [0.25, 0.0, 0.0], [2.0, 3.0, 3.0])
    """

    def __init__(
        self,
        capacity: int,
        num_envs: int,
        input_space: gymnasium.Space[Any],
        output_space: gymnasium.Space[Any],
        *,
        discount: float,
        num_steps: int = 1,
        stack_axis: int | None = None,
        state_size: int = 0,
        storage: Literal["memory", "disk"] = "memory",
        name: str = "replay",
    ) -> None:
        if capacity < num_envs:
            raise ValueError(f"capacity is {capacity}; it must be at least {num_envs}, a row for each environment")
        self.num_envs, self.name, self._discount, self._num_steps = num_envs, name, discount, num_steps
        self._kept = -(-capacity // num_envs)  # rows drawn from, of each environment
        shape = input_space.shape or ()
        if stack_axis is not None and not 0 <= stack_axis < len(shape):
            raise ValueError(f"stack_axis is {stack_axis}; an observation of {input_space} has the axes 0 to {len(shape) - 1}")
        self._stack_axis, self._stack = stack_axis, 1 if stack_axis is None else shape[stack_axis]
        self._frame_shape = shape if stack_axis is None else tuple(np.delete(shape, stack_axis).tolist())
        self._action_shape = output_space.shape or ()
        row = np.dtype(
            [
                ("obs", _stored_dtype(input_space), (math.prod(self._frame_shape),)),
                ("action", _stored_dtype(output_space), (math.prod(self._action_shape),)),
                ("reward", np.float32),
                ("kind", np.uint8),
                ("state", np.float32, (state_size,)),
            ],
            align=True,
        )
        needed = self._kept + self._stack  # besides those drawn from: the frames before the oldest, and where the newest led
        self._block_rows = 0  # 0: all is saved as plain arrays
        if num_envs * needed * row.itemsize >= 4 * BLOCK_BYTES:
            self._block_rows = max(1, min(BLOCK_BYTES // row.itemsize, needed // RING_BLOCKS))
            needed = -(-needed // self._block_rows) * self._block_rows + self._block_rows  # full blocks, and the one being written
        self._rows = _allocate(num_envs, needed, row, storage)
        self._bytes = self._rows.view(np.uint8).reshape(num_envs, needed, row.itemsize)  # [N, L, bytes of a row]
        self._columns = tuple(self._rows[column] for column in ("obs", "action", "reward", "kind"))  # [N, L, D], [N, L, A], [N, L] twice
        self._flat = tuple(column.reshape(-1, *column.shape[2:]) for column in self._columns)  # views: the rings one after the other
        self._written = np.zeros(num_envs, dtype=np.int64)  # rows that are complete, since the start of the run
        self._in_episode = np.zeros(num_envs, dtype=np.bool_)  # whether the row after those holds the observation that an action awaits

    @property
    def num_rows(self) -> int:
        """L, rows of each environment's ring."""
        return self._rows.shape[1]

    @property
    def states(self) -> np.ndarray:
        """What was remembered before each row [N, L, M], a view to be written to."""
        return self._rows["state"]

    @property
    def nbytes(self) -> int:
        """Bytes of all rings."""
        return self._rows.nbytes

    @property
    def kind(self) -> np.ndarray:
        """What follows each row [N L], a view; `NOTHING` where no transition starts."""
        return self._flat[3]

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Numbers, since the start of the run, of the oldest row that is drawn from and of the first that is not yet complete [N]."""
        return np.maximum(self._written - self._kept, 0), self._written.copy()

    def add(self, obs: np.ndarray, action: np.ndarray, after: Transition) -> None:
        """Take in one step of every environment.

        Args:
            obs: Where it was [N, ...].
            action: What it did, as it shall be learned from [N, ...].
            after: What `Envs.step` gave.

        Raises:
            ValueError: if frames are stacked, and one observation is not the one before it moved on by a frame.
        """
        before, behind = self._frames(obs), self._frames(after.final_obs)
        if self._stack > 1 and not np.array_equal(before[:, 1:], behind[:, :-1]):
            raise ValueError(
                f"stack_axis is {self._stack_axis}, but an observation does not hold the frames of the one before it; set it to none"
            )
        action = np.ascontiguousarray(action, dtype=self._columns[1].dtype).reshape(self.num_envs, -1)
        with announced("the replay buffer"):
            write_rows(*self._columns, self._written, self._in_episode, before, action, *after[1:4], behind)

    def sample(self, rng: np.random.Generator, batch_size: int) -> Batch:
        """Transitions [B], each that is kept with the same probability.

        Raises:
            ValueError: if there is none yet.
        """
        return self.read(self.draw(rng, batch_size))

    def draw(self, rng: np.random.Generator, batch_size: int) -> np.ndarray:
        """Slots [B] of transitions, for `read`: a slot is a row's place in the rings, one after the other."""
        oldest, end = self.bounds()
        widest = int((end - oldest).max())
        if not widest:
            raise ValueError("the replay buffer is empty; add a step before sampling")
        slots = np.empty(batch_size, dtype=np.int64)
        missing = np.arange(batch_size)
        while len(missing):  # a row that no transition starts from is drawn again, which leaves the others equally probable
            env, ahead = np.divmod(rng.integers(self.num_envs * widest, size=len(missing)), widest)
            row = oldest[env] + ahead
            slots[missing] = env * self.num_rows + row % self.num_rows
            missing = missing[(row >= end[env]) | (self.kind[slots[missing]] == NOTHING)]
        return slots

    def read(self, slots: np.ndarray) -> Batch:
        """The transitions that start at slots [B]."""
        obs, action, reward, kind = self._flat
        return_, discount, last = look_ahead(reward, kind, slots, self.num_rows, self._num_steps, self._discount)
        return Batch(
            self._observations(obs, slots), action[slots].reshape(-1, *self._action_shape), return_, discount, self._observations(obs, last)
        )

    def observations(self, slots: np.ndarray) -> np.ndarray:
        """Observations [B, ...] in the rows at slots [B], whether a transition starts there or not."""
        return self._observations(self._flat[0], slots)

    def led_to(self, slots: np.ndarray) -> np.ndarray:
        """Slots [B] of the rows that the transitions at slots [B] led to, by up to n steps."""
        _, _, reward, kind = self._flat
        return look_ahead(reward, kind, slots, self.num_rows, self._num_steps, self._discount)[2]

    def state_dict(self) -> dict[str, Any]:
        """All rows that may be drawn, with what belongs to them; full stretches of a large buffer as blocks that are not copied."""
        rings = []
        for env in range(self.num_envs):
            ring: list[Block | np.ndarray] = []
            for start, stop, is_block in self._stretches(env):
                if is_block:
                    content = self._bytes[env, start % self.num_rows :][: stop - start]
                    ring.append(Block(f"{self.name}-{env}-{start // self._block_rows}", content))
                else:
                    ring.append(self._bytes[env, np.arange(start, stop) % self.num_rows])
            rings.append(ring)
        return {"written": self._written.copy(), "in_episode": self._in_episode.copy(), "rings": rings}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave.

        Raises:
            ValueError: if it is the state of a buffer of other rows.
        """
        if state["written"].shape != (self.num_envs,):
            raise ValueError(f"the saved replay buffer has {state['written'].shape[0]} environments; this one has {self.num_envs}")
        self._written[:], self._in_episode[:] = state["written"], state["in_episode"]
        for env, ring in enumerate(state["rings"]):
            stretches = list(self._stretches(env))
            pieces = [piece.array if isinstance(piece, Block) else piece for piece in ring]
            needed = [(stop - start, self._bytes.shape[2]) for start, stop, _ in stretches]
            if [piece.shape for piece in pieces] != needed:
                raise ValueError("the saved replay buffer has another capacity, or other observations or actions; use the run's own recipe")
            for (start, stop, _), piece in zip(stretches, pieces, strict=True):
                self._bytes[env, np.arange(start, stop) % self.num_rows] = piece

    def _stretches(self, env: int) -> Iterator[tuple[int, int, bool]]:
        """Row numbers (first, behind the last) of the pieces that an environment's ring is saved in, and whether each is a block."""
        stop = int(self._written[env]) + int(self._in_episode[env])
        start = max(0, int(self._written[env]) - self._kept - self._stack + 1)
        if self._block_rows:
            first, last = start // self._block_rows, int(self._written[env]) // self._block_rows
            for block in range(first, last):
                yield block * self._block_rows, (block + 1) * self._block_rows, True
            start = last * self._block_rows
        yield start, stop, False

    def _frames(self, obs: np.ndarray) -> np.ndarray:
        """Observations [N, ...] as frames [N, S, D], as they are stored."""
        if self._stack_axis is not None:
            obs = np.moveaxis(obs, 1 + self._stack_axis, 1)
        return np.ascontiguousarray(obs, dtype=self._columns[0].dtype).reshape(self.num_envs, self._stack, -1)

    def _observations(self, frames: np.ndarray, slots: np.ndarray) -> np.ndarray:
        """Observations [B, ...] whose newest frames are at slots [B], from all frames [N L, D]."""
        if self._stack_axis is None:
            return frames[slots].reshape(-1, *self._frame_shape)
        ring, row = np.divmod(slots, self.num_rows)
        older = (row[:, None] - np.arange(self._stack - 1, -1, -1)) % self.num_rows  # [B, S]
        stacks = frames[ring[:, None] * self.num_rows + older].reshape(-1, self._stack, *self._frame_shape)
        return np.ascontiguousarray(np.moveaxis(stacks, 1, 1 + self._stack_axis))


@kernel
def write_rows(
    obs_rows: np.ndarray,
    action_rows: np.ndarray,
    reward_rows: np.ndarray,
    kind_rows: np.ndarray,
    written: np.ndarray,
    in_episode: np.ndarray,
    obs: np.ndarray,
    action: np.ndarray,
    reward: np.ndarray,
    terminated: np.ndarray,
    truncated: np.ndarray,
    final_obs: np.ndarray,
) -> None:
    """Write one step of every environment into its ring.

    Args:
        obs_rows: Newest frames [N, L, D].
        action_rows: [N, L, A].
        reward_rows: [N, L].
        kind_rows: [N, L].
        written: Rows that are complete [N]; raised.
        in_episode: Whether an episode is under way [N]; changed.
        obs: Where it was [N, S, D].
        action: [N, A].
        reward: [N].
        terminated: [N].
        truncated: [N].
        final_obs: Where it came to [N, S, D].
    """
    num_envs, num_rows, _ = obs_rows.shape
    newest = obs.shape[1] - 1
    for n in range(num_envs):
        if not in_episode[n]:
            for s in range(newest):  # the older frames of the first stack
                clear_row(obs_rows, action_rows, reward_rows, kind_rows, n, written[n] % num_rows, obs[n, s])
                written[n] += 1
            in_episode[n] = True
        slot = written[n] % num_rows
        clear_row(obs_rows, action_rows, reward_rows, kind_rows, n, slot, obs[n, newest])
        for a in range(action.shape[1]):
            action_rows[n, slot, a] = action[n, a]
        reward_rows[n, slot] = reward[n]
        kind_rows[n, slot] = TERMINATES if terminated[n] else TRUNCATES if truncated[n] else GOES_ON
        written[n] += 1
        clear_row(obs_rows, action_rows, reward_rows, kind_rows, n, written[n] % num_rows, final_obs[n, newest])
        if terminated[n] or truncated[n]:
            written[n] += 1
            in_episode[n] = False


@kernel
def clear_row(
    obs_rows: np.ndarray, action_rows: np.ndarray, reward_rows: np.ndarray, kind_rows: np.ndarray, n: int, slot: int, frame: np.ndarray
) -> None:
    """Make a row hold a frame [D] and nothing else: what stood there before must not come into a checkpoint."""
    for d in range(len(frame)):
        obs_rows[n, slot, d] = frame[d]
    for a in range(action_rows.shape[2]):
        action_rows[n, slot, a] = 0
    reward_rows[n, slot] = 0.0
    kind_rows[n, slot] = NOTHING


@kernel
def look_ahead(
    reward: np.ndarray, kind: np.ndarray, slots: np.ndarray, num_rows: int, num_steps: int, discount: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns of up to n steps [B], the discounts behind them [B], and the slots where they led [B].

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
            if what != GOES_ON or kind[slot] == NOTHING:
                break
        return_[b], ahead[b], last[b] = total, weight, slot
    return return_, ahead, last


def _stored_dtype(space: gymnasium.Space[Any]) -> np.dtype:
    """Numbers of a space as they are stored: what computes on floats computes on float32."""
    if space.shape is None or space.dtype is None:
        raise ValueError(f"the space is {space}; a replay buffer keeps observations and actions that are one array each")
    return np.dtype(np.float32) if np.dtype(space.dtype).kind == "f" else np.dtype(space.dtype)


def _allocate(num_envs: int, num_rows: int, row: np.dtype, storage: str) -> np.ndarray:
    """Empty rings [N, L]. Memory, or the disk's, is taken as rows are written."""
    if storage == "memory":
        return np.zeros((num_envs, num_rows), dtype=row)
    with tempfile.TemporaryFile(prefix="rl-algos-replay-") as file:
        return np.memmap(file, dtype=row, mode="w+", shape=(num_envs, num_rows)).view(np.ndarray)
