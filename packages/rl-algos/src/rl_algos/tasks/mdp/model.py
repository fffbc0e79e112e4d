"""The finite Markov decision process that every planner reads.

*Source*: Sutton and Barto, Reinforcement Learning (2nd edition, 2018), chapter 3; Puterman, Markov Decision Processes (1994).

A process is kept as a list of *outcomes* for every pair of a state and an action: how likely, where to, for which reward, and
whether the episode ends there. An ending belongs to the outcome and not to the state, as in Gymnasium's tables: a state may
both end an episode and go on. Outcomes of the pair (s, a) are the entries `offset[s * A + a]` to `offset[s * A + a + 1]`.

*Letters*: S states, A actions, N outcomes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from rl_algos.tasks.mdp.chain import TOLERANCE, MarkovRewardProcess, tolerance_of


class Table(NamedTuple):
    """The arrays of a process that compiled loops read.

    Attributes:
        offset: First outcome of each pair [S * A + 1].
        cumulative: Probability of an outcome of its pair or of one before it [N]; the last of a pair is 2, which no draw exceeds.
        next_state: [N].
        reward: [N], rounded to single precision.
        terminated: Whether the episode ends with the outcome [N], bool.
        start: Probability that an episode starts in a state or one before it [S]; the last is 2.
        num_actions: A.
    """

    offset: np.ndarray
    cumulative: np.ndarray
    next_state: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    start: np.ndarray
    num_actions: int


class MDP:
    """A finite Markov decision process, validated.

    Args:
        offset: [S * A + 1], int64, from 0 to N without falling; every pair has an outcome.
        probability: [N], each in [0, 1]; those of a pair sum to one.
        next_state: [N], in [0, S).
        reward: [N], finite.
        terminated: [N], bool: no reward follows.
        discount: gamma, in [0, 1].
        start: Distribution of the first state [S].
        num_actions: A.

    Raises:
        ValueError: naming the state and the action whose entry is wrong.

    >>> coin = MDP.from_arrays(np.array([[[0.5, 0.5]], [[0.0, 1.0]]]), np.array([[1.0], [0.0]]), discount=0.9, terminal=[1])
    >>> coin.num_states, coin.num_actions, coin.expected_reward.tolist()
    (2, 1, [[1.0], [0.0]])
    """

    def __init__(
        self,
        *,
        offset: np.ndarray,
        probability: np.ndarray,
        next_state: np.ndarray,
        reward: np.ndarray,
        terminated: np.ndarray,
        discount: float,
        start: np.ndarray,
        num_actions: int,
    ) -> None:
        self._tolerance = max(tolerance_of(probability), tolerance_of(start))
        self.offset = np.ascontiguousarray(offset, dtype=np.int64)
        self.probability = np.ascontiguousarray(probability, dtype=np.float64)
        self.next_state = np.ascontiguousarray(next_state, dtype=np.int64)
        self.reward = np.ascontiguousarray(reward, dtype=np.float64)
        self.terminated = np.ascontiguousarray(terminated, dtype=np.bool_)
        self.start = np.ascontiguousarray(start, dtype=np.float64)
        self.discount = float(discount)
        self.num_actions = int(num_actions)
        self.num_states = len(self.start)
        self._validate()
        if self._tolerance > TOLERANCE:  # rounded to another type: the sums are made exact again
            counts = np.diff(self.offset)
            self.probability = self.probability / np.repeat(np.add.reduceat(self.probability, self.offset[:-1]), counts)
            self.start = self.start / self.start.sum()

    @classmethod
    def from_arrays(
        cls,
        transition: np.ndarray,
        reward: np.ndarray | Sequence[Any],
        *,
        discount: float,
        terminal: Sequence[int] = (),
        start: np.ndarray | None = None,
    ) -> MDP:
        """Return a process from one array of probabilities [S, A, S'].

        Args:
            transition: p(s' | s, a), an array [S, A, S']. One matrix for each action is what `from_matrices` takes.
            reward: [S], [S, A] or [S, A, S'].
            discount: gamma, in [0, 1].
            terminal: States in which an episode is over; what leaves them is not read.
            start: Distribution of the first state [S]; uniform over the states that are not terminal when missing.

        Raises:
            ValueError: if an array has another shape, or a list of matrices is given: whether its first axis is S or A is ambiguous
                where both are equal.
        """
        for name, given in (("transition", transition), ("reward", reward)):
            if not isinstance(given, np.ndarray) and (
                name == "transition" or any(np.ndim(row) > 1 or sparse.issparse(row) for row in given)
            ):
                raise ValueError(
                    f"{name} is a {type(given).__name__}; from_arrays takes one array [S, A, S']. If it has one matrix [S, S'] for each "
                    "action, call MDP.from_matrices"
                )
        if transition.ndim != 3 or transition.shape[0] != transition.shape[2]:
            raise ValueError(f"transition has shape {list(transition.shape)}; it must be [S, A, S']")
        matrices = [transition[:, action, :] for action in range(transition.shape[1])]
        return cls.from_matrices(matrices, np.asarray(reward), discount=discount, terminal=terminal, start=start)

    @classmethod
    def from_matrices(
        cls,
        transition: Sequence[Any],
        reward: np.ndarray | Sequence[Any],
        *,
        discount: float,
        terminal: Sequence[int] = (),
        start: np.ndarray | None = None,
    ) -> MDP:
        """Return a process from one matrix for each action, dense or sparse.

        Args:
            transition: A matrices [S, S'], NumPy or SciPy sparse, in a list or tuple.
            reward: An array [S], [S, A] or [S, A, S'], or a list of A matrices [S, S'] (an entry missing from a sparse one is 0).
            discount: gamma, in [0, 1].
            terminal: States in which an episode is over; what leaves them is not read.
            start: Distribution of the first state [S]; uniform over the states that are not terminal when missing.
        """
        if isinstance(transition, np.ndarray):
            raise ValueError(
                "transition is one array; from_matrices takes a list of A matrices [S, S']. Call MDP.from_arrays for [S, A, S']"
            )
        matrices = list(transition)
        num_actions, num_states = len(matrices), matrices[0].shape[0]
        for action, matrix in enumerate(matrices):
            if matrix.shape != (num_states, num_states):
                raise ValueError(
                    f"the transition matrix of action {action} has shape {list(matrix.shape)}; it must be {[num_states, num_states]}"
                )
        pair, next_state, probability = [], [], []
        for action, matrix in enumerate(matrices):
            entries = sparse.coo_array(matrix)
            pair.append(entries.row.astype(np.int64) * num_actions + action)
            next_state.append(entries.col.astype(np.int64))
            probability.append(entries.data)
        pairs, successors, chances = np.concatenate(pair), np.concatenate(next_state), np.concatenate(probability)
        is_terminal = np.zeros(num_states, dtype=bool)
        for state in terminal:
            if not 0 <= state < num_states:
                raise ValueError(f"terminal state {state} is not one of the {num_states} states 0 to {num_states - 1}")
            is_terminal[state] = True
        kept = ~is_terminal[pairs // num_actions]
        stay = np.repeat(np.flatnonzero(is_terminal), num_actions) * num_actions + np.tile(np.arange(num_actions), is_terminal.sum())
        pairs = np.concatenate([pairs[kept], stay])
        successors = np.concatenate([successors[kept], stay // num_actions])
        chances = np.concatenate([chances[kept], np.ones(len(stay), dtype=chances.dtype)])
        order = np.lexsort((successors, pairs))
        pairs, successors, chances = pairs[order], successors[order], chances[order]
        rewards = _reward_of(reward, pairs // num_actions, pairs % num_actions, successors, num_states, num_actions)
        rewards[is_terminal[pairs // num_actions]] = 0.0
        if start is None:
            start = np.where(is_terminal, 0.0, 1.0)
            start = start / max(start.sum(), 1.0)
        return cls(
            offset=np.searchsorted(pairs, np.arange(num_states * num_actions + 1)),
            probability=chances,
            next_state=successors,
            reward=rewards,
            terminated=is_terminal[successors],
            discount=discount,
            start=start,
            num_actions=num_actions,
        )

    @classmethod
    def from_table(cls, table: Any, *, discount: float, start: np.ndarray) -> MDP:
        """Return a process from Gymnasium's `P`: state to action to outcomes (probability, next state, reward, terminated).

        A state that leads only to itself without a reward, ending the episode, is how Gymnasium represents a terminal state.

        Raises:
            ValueError: if a state or an action is missing, or an outcome does not have these four numbers.
        """
        try:
            num_actions = len(table[0])
            rows = [table[state][action] for state in range(len(table)) for action in range(num_actions)]
            if any(len(table[state]) != num_actions for state in range(len(table))):
                raise KeyError("an action")
            outcomes = [(float(chance), int(state), float(gain), bool(ends)) for row in rows for chance, state, gain, ends in row]
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise ValueError(
                f"the table is not complete ({type(error).__name__}: {error}); it must map each state 0, 1, ... to each action "
                "0, 1, ... to a list of outcomes (probability, next state, reward, terminated)"
            ) from error
        single = any(isinstance(outcome[0], np.float32) for row in rows for outcome in row)
        return cls(
            offset=np.concatenate([[0], np.cumsum([len(row) for row in rows])]),
            probability=np.array([outcome[0] for outcome in outcomes], dtype=np.float32 if single else np.float64),
            next_state=np.array([outcome[1] for outcome in outcomes]),
            reward=np.array([outcome[2] for outcome in outcomes]),
            terminated=np.array([outcome[3] for outcome in outcomes]),
            discount=discount,
            start=start,
            num_actions=num_actions,
        )

    def with_discount(self, discount: float) -> MDP:
        """Return the same process with another gamma; shares the arrays."""
        return MDP(
            offset=self.offset,
            probability=self.probability,
            next_state=self.next_state,
            reward=self.reward,
            terminated=self.terminated,
            discount=discount,
            start=self.start,
            num_actions=self.num_actions,
        )

    @cached_property
    def expected_reward(self) -> np.ndarray:
        """Return r(s, a) [S, A], equation (3.5)."""
        pairs = np.repeat(np.arange(self.num_states * self.num_actions), np.diff(self.offset))
        weights = self.probability * self.reward
        return np.bincount(pairs, weights, minlength=self.num_states * self.num_actions).reshape(self.num_states, self.num_actions)

    @cached_property
    def continuation(self) -> sparse.csr_array:
        """Probability to go on from a pair in a state [S * A, S]: rows sum to one less the chance that the episode ends."""
        going_on = np.where(self.terminated, 0.0, self.probability)
        matrix = sparse.csr_array(
            (going_on, self.next_state.copy(), self.offset.copy()), shape=(self.num_states * self.num_actions, self.num_states)
        )
        matrix.sum_duplicates()
        return matrix

    @cached_property
    def table(self) -> Table:
        """Return the arrays that compiled loops read."""
        pairs = np.repeat(np.arange(len(self.offset) - 1), np.diff(self.offset))
        total = np.concatenate([[0.0], np.cumsum(self.probability)])
        cumulative = total[1:] - total[self.offset[:-1]][pairs]
        cumulative[self.offset[1:] - 1] = 2.0
        start = np.cumsum(self.start)
        start[np.flatnonzero(self.start)[-1] :] = 2.0
        reward = self.reward.astype(np.float32).astype(np.float64)  # as `Transition` hands it out, so that both ways of playing agree
        return Table(self.offset, cumulative, self.next_state, reward, self.terminated, start, self.num_actions)

    @cached_property
    def is_terminal(self) -> np.ndarray:
        """Return states whose every outcome ends the episode where it is, for nothing [S]: no decision is ever taken there."""
        source = np.repeat(np.arange(self.num_states), np.diff(self.offset[:: self.num_actions]))
        decides = ~(self.terminated & (self.next_state == source) & (self.reward == 0.0))
        return np.bincount(source, decides.astype(np.float64), minlength=self.num_states) == 0

    def action_values(self, values: np.ndarray) -> np.ndarray:
        """Return q(s, a) = r(s, a) + gamma sum_s' p(s' | s, a) v(s') [S, A] from values [S], equation (4.6).

        Source: Sutton and Barto (2018), section 4.2.
        """
        return self.expected_reward + self.discount * (self.continuation @ values).reshape(self.num_states, self.num_actions)

    def under(self, policy: np.ndarray) -> MarkovRewardProcess:
        """Return the Markov reward process that a fixed policy makes of this one: an MDP with a policy *is* an MRP.

        Args:
            policy: Actions [S], or probabilities of actions [S, A].
        """
        weights = self.policy_matrix(policy)
        num_states, num_actions = weights.shape
        averaging = sparse.csr_array(
            (weights.ravel().copy(), np.arange(num_states * num_actions), np.arange(num_states + 1) * num_actions),
            shape=(num_states, num_states * num_actions),
        )
        averaging.eliminate_zeros()
        return MarkovRewardProcess(averaging @ self.continuation, (weights * self.expected_reward).sum(1), discount=self.discount)

    def policy_matrix(self, policy: np.ndarray) -> np.ndarray:
        """Return probabilities of actions [S, A] from actions [S] or from themselves, validated.

        Raises:
            ValueError: if the shape is neither, an action does not exist, or a state's probabilities do not sum to one.
        """
        policy = np.asarray(policy)
        if policy.shape == (self.num_states,):
            wrong = np.flatnonzero((policy < 0) | (policy >= self.num_actions))
            if len(wrong):
                raise ValueError(f"state {wrong[0]}: the policy takes action {policy[wrong[0]]} of {self.num_actions}")
            return np.eye(self.num_actions)[policy.astype(np.int64)]
        if policy.shape != (self.num_states, self.num_actions):
            raise ValueError(
                f"the policy has shape {list(policy.shape)}; it must be [{self.num_states}] (actions) or "
                f"[{self.num_states}, {self.num_actions}] (probabilities)"
            )
        tolerance, policy = tolerance_of(policy), policy.astype(np.float64)
        wrong = np.flatnonzero((np.abs(policy.sum(1) - 1.0) > tolerance) | (policy < 0.0).any(1))
        if len(wrong):
            raise ValueError(
                f"state {wrong[0]}: the policy's probabilities are {policy[wrong[0]].tolist()}; they must sum to 1, none below 0"
            )
        return policy / policy.sum(axis=1, keepdims=True) if tolerance > TOLERANCE else policy

    def _pair(self, outcome: int) -> str:
        pair = int(np.searchsorted(self.offset, outcome, side="right")) - 1
        return f"state {pair // self.num_actions}, action {pair % self.num_actions}"

    def _validate(self) -> None:
        num_pairs, count = self.num_states * self.num_actions, len(self.probability)
        if not 0.0 <= self.discount <= 1.0:
            raise ValueError(f"discount is {self.discount}; it must be in [0, 1]")
        if self.num_states < 1 or self.num_actions < 1:
            raise ValueError(f"there are {self.num_states} states and {self.num_actions} actions; at least one of each is needed")
        if self.offset.shape != (num_pairs + 1,) or self.offset[0] != 0 or self.offset[-1] != count:
            raise ValueError(
                f"offset must run from 0 to the {count} outcomes in {num_pairs + 1} entries; it has shape {list(self.offset.shape)}"
            )
        for name in ("next_state", "reward", "terminated"):
            if getattr(self, name).shape != (count,):
                raise ValueError(f"{name} has shape {list(getattr(self, name).shape)}; it must be [{count}], one entry for each outcome")
        empty = np.flatnonzero(np.diff(self.offset) <= 0)
        if len(empty):
            pair = int(empty[0])
            raise ValueError(
                f"state {pair // self.num_actions}, action {pair % self.num_actions}: it has 0 outcomes; at least one is needed"
            )
        for name, wrong, needed in (
            ("probability", ~((self.probability >= 0.0) & (self.probability <= 1.0 + self._tolerance)), "in [0, 1]"),
            ("reward", ~np.isfinite(self.reward), "finite"),
            ("next_state", (self.next_state < 0) | (self.next_state >= self.num_states), f"in [0, {self.num_states})"),
        ):
            if wrong.any():
                outcome = int(np.flatnonzero(wrong)[0])
                raise ValueError(f"{self._pair(outcome)}: an outcome's {name} is {getattr(self, name)[outcome]}; it must be {needed}")
        sums = np.add.reduceat(self.probability, self.offset[:-1])
        wrong_sums = np.flatnonzero(np.abs(sums - 1.0) > self._tolerance)
        if len(wrong_sums):
            pair = int(wrong_sums[0])
            raise ValueError(
                f"state {pair // self.num_actions}, action {pair % self.num_actions}: the probabilities of its outcomes sum to "
                f"{sums[pair]:.10g}; they must sum to 1"
            )
        if not (self.start >= 0.0).all() or abs(self.start.sum() - 1.0) > self._tolerance:
            raise ValueError(f"the start distribution sums to {self.start.sum():.10g}; it must sum to 1, none below 0")


def _reward_of(reward: Any, state: np.ndarray, action: np.ndarray, successor: np.ndarray, num_states: int, num_actions: int) -> np.ndarray:
    if isinstance(reward, np.ndarray):
        if reward.shape == (num_states,):
            return reward[state].astype(np.float64)
        if reward.shape == (num_states, num_actions):
            return reward[state, action].astype(np.float64)
        if reward.shape == (num_states, num_actions, num_states):
            return reward[state, action, successor].astype(np.float64)
        raise ValueError(
            f"reward has shape {list(reward.shape)}; it must be [{num_states}], [{num_states}, {num_actions}] or "
            f"[{num_states}, {num_actions}, {num_states}]"
        )
    matrices = [sparse.csr_array(matrix) for matrix in reward]
    rewards = np.zeros(len(state))
    for index, matrix in enumerate(matrices):
        chosen = action == index
        rewards[chosen] = np.asarray(matrix[state[chosen], successor[chosen]]).ravel()
    return rewards
