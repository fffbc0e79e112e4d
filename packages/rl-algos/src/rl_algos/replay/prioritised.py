"""Prioritised replay: transitions with a large TD error are drawn more often, and weigh less for it.

Source: T. Schaul, J. Quan, I. Antonoglou, D. Silver. "Prioritized experience replay", 2016, sections 3.3 and 3.4, the proportional
variant, and its appendix B.2.1 for the sum tree.
Departures: none. The paper leaves open whose maximum the weights are divided by; here it is the batch's. A TD error that is not finite
leaves a priority as it was: the loss shows that learning diverged.
Errata: the paper's Algorithm 1 draws from P(i) = p_i^alpha / sum_k p_k^alpha but does not say when p_i is raised to alpha; here when it
enters the tree, so that the tree's sum is the denominator.
Letters: B batch, N environments, L rows of a ring, as in `buffer`; the tree has a leaf for each of the N L slots.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np

from dl_nets.fast.kernels import announced, kernel
from rl_algos.replay.buffer import EMPTY_SLOT, ReplayBuffer, ReplaySettings
from rl_core.envs import Transition
from rl_core.memory import require_memory


class PrioritisedReplay(ReplayBuffer):
    """A replay buffer whose transitions are drawn in proportion to a power of their TD error.

    Args:
        settings: Size and form.
        input_space: Space of one observation.
        output_space: Space of one action.
        exponent: alpha; 0 draws evenly, 1 in proportion to the TD error; >= 0.
        least: epsilon, added to a TD error, so that every transition may be drawn; > 0.

    >>> from gymnasium import spaces
    >>> buffer = PrioritisedReplay(ReplaySettings(10, discount=0.9), spaces.Discrete(3), spaces.Discrete(2), exponent=1.0, least=0.5)
    >>> no = np.array([False])
    >>> for place in range(2):
    ...     buffer.add(np.array([place]), np.array([0]), Transition(np.array([place + 1]), np.ones(1), no, no, np.array([place + 1])))
    >>> buffer.revalue(np.array([0, 1]), np.array([-2.5, 0.5], dtype=np.float32))  # priorities 3 and 1: drawn with 3/4 and 1/4
    >>> slots, weights = buffer.draw(np.random.default_rng(0), 4, correction=1.0)
    >>> print(slots, weights.round(4))  # (2 * 3/4)^-1 = 2/3 and (2 * 1/4)^-1 = 2, divided by the larger
    [0 0 0 1] [0.3333 0.3333 0.3333 1.    ]
    """

    def __init__(
        self,
        settings: ReplaySettings,
        input_space: gymnasium.Space[Any],
        output_space: gymnasium.Space[Any],
        *,
        exponent: float,
        least: float = 1e-6,
        num_masked: int = 0,
    ) -> None:
        super().__init__(settings, input_space, output_space, num_masked=num_masked)
        self._exponent, self._least = exponent, least
        self._num_leaves = 2 ** int(np.ceil(np.log2(self.num_envs * self.num_rows)))
        require_memory(16 * self._num_leaves, f"buffer_size: priorities of {self.num_envs * self.num_rows:,} rows", "take a smaller one")
        self._tree = np.zeros(2 * self._num_leaves)  # node i sums nodes 2 i and 2 i + 1; the root is node 1, leaves are last
        self._largest = 1.0  # p of what is new, so that everything is drawn soon
        self._oldest, self._end = self.bounds()
        with announced("the sum tree"):
            self._follow()

    def add(self, obs: np.ndarray, action: np.ndarray, after: Transition) -> None:
        """Add one step of every environment, with the largest priority so far; see `ReplayBuffer.add`."""
        super().add(obs, action, after)
        self._follow()

    def draw(self, rng: np.random.Generator, batch_size: int, correction: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
        """Return slots [B] of transitions, and their weights (N P(i))^-beta over the largest of them [B], float32.

        One is drawn from each of B equal parts of the sum, so that a batch is spread over all priorities.

        Args:
            rng: Source of the numbers.
            batch_size: B.
            correction: beta; 1 makes the weighted gradient that of even draws, in expectation; in [0, 1].

        Raises:
            ValueError: if the buffer is empty.
        """
        if not self._tree[1] > 0:
            raise ValueError("the replay buffer holds no transition; add a step before sampling")
        return find(self._tree, rng.random(batch_size), correction)

    def revalue(self, slots: np.ndarray, td_error: np.ndarray) -> None:
        """Set p = |delta| + epsilon of transitions that were learned from.

        Args:
            slots: [B].
            td_error: delta [B].
        """
        self._largest = max(self._largest, revalue(self._tree, slots, td_error, self._exponent, self._least))

    def probabilities(self) -> np.ndarray:
        """Return P(i) of every slot [N L]."""
        return self._leaves() / self._tree[1]

    def state_dict(self) -> dict[str, Any]:
        """Return the rows, the leaves p^alpha, and the largest p; all else follows from them."""
        return super().state_dict() | {"leaves": self._leaves().copy(), "largest": self._largest}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned.

        Raises:
            ValueError: if it is the state of another buffer, or a priority is negative, not finite, or that of no transition.
        """
        super().load_state_dict(state)
        leaves, largest = np.asarray(state["leaves"]), float(state["largest"])
        if leaves.shape != self._leaves().shape or leaves.dtype != self._tree.dtype:
            raise ValueError(f"the saved priorities are {leaves.dtype}{list(leaves.shape)}; this buffer has float64{[len(self._leaves())]}")
        if not (np.isfinite(leaves).all() and (leaves >= 0).all() and not leaves[self.kind == EMPTY_SLOT].any() and 0 < largest < np.inf):
            raise ValueError("a saved priority is negative, not finite, or that of no transition; its checkpoint was altered")
        self._leaves()[:], self._largest = leaves, largest
        for node in range(self._num_leaves.bit_length() - 1, 0, -1):  # the levels, from above the leaves to the root
            level = slice(2 ** (node - 1), 2**node)
            self._tree[level] = self._tree[2 * level.start : 2 * level.stop : 2] + self._tree[2 * level.start + 1 : 2 * level.stop : 2]
        self._oldest, self._end = self.bounds()

    def _follow(self) -> None:
        """Enter the rows that were added, with the largest priority so far, and drop those that are no longer drawn from."""
        oldest, end = self.bounds()
        for rows_out, rows_in in ((self._oldest, oldest), (self._end, end)):
            enter(self._tree, self.kind, self.num_rows, rows_out, rows_in, oldest, self._largest**self._exponent)
        self._oldest, self._end = oldest, end

    def _leaves(self) -> np.ndarray:
        """Return a view of the leaves that belong to slots [N L]."""
        return self._tree[self._num_leaves : self._num_leaves + self.num_envs * self.num_rows]


@kernel
def set_leaf(tree: np.ndarray, slot: int, value: float) -> None:
    """Set a leaf and the sums above it; each is the sum of two, never a running difference, so that no rounding builds up.

    >>> tree = np.zeros(8)
    >>> set_leaf(tree, 1, 3.0); set_leaf(tree, 2, 4.0)
    >>> tree.tolist()
    [0.0, 7.0, 3.0, 4.0, 0.0, 3.0, 4.0, 0.0]
    """
    node = len(tree) // 2 + slot
    tree[node] = value
    node //= 2
    while node:
        tree[node] = tree[2 * node] + tree[2 * node + 1]
        node //= 2


@kernel
def enter(
    tree: np.ndarray, kind: np.ndarray, num_rows: int, start: np.ndarray, stop: np.ndarray, oldest: np.ndarray, priority: float
) -> None:
    """Set the leaves of the rows `start` to `stop`: to `priority` where a transition that is kept starts, else to 0.

    Args:
        tree: Changed in place.
        kind: Kind of each row [N L].
        num_rows: L.
        start: Numbers of the first rows [N].
        stop: Numbers of the rows behind the last [N].
        oldest: Numbers of the oldest rows that are kept [N].
        priority: p^alpha of what is new.
    """
    for n in range(len(start)):
        for row in range(start[n], stop[n]):
            slot = n * num_rows + row % num_rows
            set_leaf(tree, slot, priority if row >= oldest[n] and kind[slot] != EMPTY_SLOT else 0.0)


@kernel
def revalue(tree: np.ndarray, slots: np.ndarray, td_error: np.ndarray, exponent: float, least: float) -> float:
    """Set the leaves of slots [B] to (|td_error| + least)^exponent, where that is finite; return the largest |td_error| + least.

    >>> tree = np.zeros(4)
    >>> revalue(tree, np.array([0, 1]), np.array([3.0, np.inf]), 2.0, 1.0), tree.tolist()
    (4.0, [0.0, 16.0, 16.0, 0.0])
    """
    largest = 0.0
    for b in range(len(slots)):
        priority = abs(td_error[b]) + least
        if not priority < np.inf or not priority**exponent < np.inf:
            continue
        largest = max(largest, priority)
        set_leaf(tree, slots[b], priority**exponent)
    return largest


@kernel
def find(tree: np.ndarray, uniform: np.ndarray, correction: float) -> tuple[np.ndarray, np.ndarray]:
    """Return slots [B], the b-th where the running sum of the leaves passes (b + uniform_b) / B of the whole, and their weights [B].

    w_i = (N P(i))^-beta / max_j w_j, where the N, the same for all, falls out; so does the sum. (Section 3.4)

    >>> tree = np.zeros(8)
    >>> set_leaf(tree, 0, 1.0); set_leaf(tree, 3, 4.0)
    >>> slots, weights = find(tree, np.array([0.3, 0.0]), 0.5)
    >>> slots.tolist(), weights.tolist()  # 0.15 * 5 < 1, and 0.5 * 5 >= 1; (4 / 1)^-0.5
    ([0, 3], [1.0, 0.5])
    """
    size, num_leaves = len(uniform), len(tree) // 2
    slots, weights = np.empty(size, dtype=np.int64), np.empty(size, dtype=np.float32)
    smallest = np.inf
    for b in range(size):
        target, node = (b + uniform[b]) / size * tree[1], 1
        while node < num_leaves:
            node *= 2
            if target >= tree[node] and tree[node + 1] > 0.0:  # rounding must not lead to a leaf of 0
                target -= tree[node]
                node += 1
        slots[b] = node - num_leaves
        smallest = min(smallest, tree[node])
    for b in range(size):
        weights[b] = (tree[num_leaves + slots[b]] / smallest) ** -correction
    return slots, weights
