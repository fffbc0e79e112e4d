"""Markov chains and Markov reward processes.

*Source*: Norris, Markov Chains (1997), chapter 1; Silver, Lectures on Reinforcement Learning (2015), lecture 2, for the
reward process.

*Letters*: S states, T time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph
from scipy.sparse.linalg import spsolve

TOLERANCE = 1e-8  # how far from one a row of probabilities in double precision may sum


def tolerance_of(probabilities: Any) -> float:
    """Return how far from one probabilities may sum: rounding of their type, at least 1e-8.

    >>> tolerance_of(np.float64(1.0)), bool(tolerance_of(np.float32(1.0)) < 1e-5)
    (1e-08, True)
    """
    dtype = getattr(probabilities, "dtype", np.dtype(np.float64))
    return max(TOLERANCE, 32.0 * float(np.finfo(dtype).eps)) if dtype.kind == "f" else TOLERANCE


class MarkovChain:
    """States and the probabilities to move between them.

    Args:
        transition: P [S, S], dense or sparse; rows sum to one.

    Raises:
        ValueError: naming the state whose row is wrong.

    >>> weather = MarkovChain(np.array([[0.9, 0.1], [0.5, 0.5]]))
    >>> weather.stationary_distribution().round(6).tolist()
    [0.833333, 0.166667]
    """

    def __init__(self, transition: Any) -> None:
        self.transition = _stochastic(transition, at_most=False)
        self.num_states = self.transition.shape[0]

    def recurrent_classes(self) -> list[np.ndarray]:
        """Return the sets of states that are never left once entered, in order of their first state."""
        count, label = csgraph.connected_components(self.transition, directed=True, connection="strong")
        entries = self.transition.tocoo()
        leaves = np.zeros(count, dtype=bool)
        crossing = (label[entries.row] != label[entries.col]) & (entries.data > 0.0)
        leaves[label[entries.row[crossing]]] = True
        classes = [np.flatnonzero(label == index) for index in range(count) if not leaves[index]]
        return sorted(classes, key=lambda states: int(states[0]))

    def stationary_distribution(self) -> np.ndarray:
        """Return mu [S] with mu = mu P, the only one.

        Raises:
            ValueError: if there are several, because the chain has more than one recurrent class.
        """
        classes = self.recurrent_classes()
        if len(classes) > 1:
            raise ValueError(
                f"the chain has {len(classes)} recurrent classes (states {classes[0][0]} and {classes[1][0]} are in two of them), so its "
                "stationary distribution is not unique; take one class's rows and columns alone"
            )
        states = classes[0]
        size = len(states)
        balance = (self.transition[states][:, states].T - sparse.eye_array(size)).tolil()
        balance[0, :] = 1.0  # one of the equations follows from the others: the sum takes its place
        right = np.zeros(size)
        right[0] = 1.0
        distribution = np.zeros(self.num_states)
        distribution[states] = np.atleast_1d(spsolve(balance.tocsc(), right))
        return distribution

    def absorption(self) -> tuple[np.ndarray, np.ndarray]:
        """Return where the chain ends: probabilities [S, K] of the K recurrent classes, and the expected steps [S] until one is entered."""
        classes = self.recurrent_classes()
        transient = np.setdiff1d(np.arange(self.num_states), np.concatenate(classes))
        chances = np.zeros((self.num_states, len(classes)))
        steps = np.zeros(self.num_states)
        for index, states in enumerate(classes):
            chances[states, index] = 1.0
        if len(transient):
            fundamental = sparse.csc_array(sparse.eye_array(len(transient)) - self.transition[transient][:, transient])
            for index, states in enumerate(classes):
                chances[transient, index] = spsolve(fundamental, self.transition[transient][:, states].sum(axis=1))
            steps[transient] = spsolve(fundamental, np.ones(len(transient)))
        return chances, steps

    def sample_paths(self, rng: np.random.Generator, start: np.ndarray, num_steps: int) -> np.ndarray:
        """Return states [B, T + 1] of B paths that begin in the states `start` [B], T = `num_steps`."""
        cumulative = np.cumsum(self.transition.toarray(), axis=1)
        paths = np.empty((len(start), num_steps + 1), dtype=np.int64)
        paths[:, 0] = start
        for step in range(num_steps):
            uniform = rng.random(len(start))[:, None]
            paths[:, step + 1] = np.minimum((cumulative[paths[:, step]] <= uniform).sum(1), self.num_states - 1)
        return paths


class MarkovRewardProcess:
    """States, the probabilities to move on, a reward for each step, and a discount.

    Args:
        transition: P [S, S], dense or sparse. Rows sum to at most one; what is missing to one is the chance that the episode ends.
        reward: Expected reward of the step that leaves a state [S].
        discount: gamma, in [0, 1].

    >>> walk = MarkovRewardProcess(np.array([[0.0, 0.5], [0.5, 0.0]]), np.array([0.0, 0.5]), discount=1.0)
    >>> walk.values().round(6).tolist()  # a walk between two states that ends with 0 on the left and with 1 on the right
    [0.333333, 0.666667]
    """

    def __init__(self, transition: Any, reward: np.ndarray, *, discount: float) -> None:
        self.transition = _stochastic(transition, at_most=True)
        self.num_states = self.transition.shape[0]
        self.reward = np.asarray(reward, dtype=np.float64)
        self.discount = float(discount)
        if self.reward.shape != (self.num_states,):
            raise ValueError(f"reward has shape {list(self.reward.shape)}; it must be [{self.num_states}], one for each state")
        if not np.isfinite(self.reward).all():
            raise ValueError(f"state {np.flatnonzero(~np.isfinite(self.reward))[0]}: its reward is not finite")
        if not 0.0 <= self.discount <= 1.0:
            raise ValueError(f"discount is {discount}; it must be in [0, 1]")

    def chain(self) -> MarkovChain:
        """Return the Markov chain underneath, with one more state: the end of the episode, which is never left."""
        ending = np.clip(1.0 - self.transition.sum(axis=1), 0.0, 1.0)
        return MarkovChain(
            sparse.block_array([[self.transition, sparse.csr_array(ending[:, None])], [None, sparse.csr_array(np.ones((1, 1)))]])
        )

    def values(self) -> np.ndarray:
        """Return v [S] in closed form: v = (I - gamma P)^-1 r, the Bellman equation (3.14) as one linear system.

        Raises:
            ValueError: if gamma is 1 and some state never reaches the end of the episode but for a reward.
        """
        endless = np.zeros(self.num_states, dtype=bool)
        if self.discount == 1.0:
            endless = self._endless()
            if (self.reward[endless] != 0.0).any():
                state = int(np.flatnonzero(endless & (self.reward != 0.0))[0])
                raise ValueError(
                    f"state {state} is never left for good and its reward is {self.reward[state]}, so its undiscounted value is not "
                    "finite; a discount below 1 is needed"
                )
        values = np.zeros(self.num_states)
        rest = np.flatnonzero(~endless)
        if len(rest):
            inner = self.transition[rest][:, rest]
            matrix = sparse.csc_array(sparse.eye_array(len(rest)) - self.discount * inner)
            values[rest] = spsolve(matrix, self.reward[rest])
            values[rest] += spsolve(matrix, self.reward[rest] - matrix @ values[rest])  # one refinement takes rounding away
        return values

    def values_by_iteration(self, tolerance: float = 1e-10, max_sweeps: int = 1_000_000) -> tuple[np.ndarray, int]:
        """Return v [S] by repeating v <- r + gamma P v until no state moves by more than `tolerance`; and the number of sweeps."""
        values = np.zeros(self.num_states)
        for sweep in range(1, max_sweeps + 1):
            updated = self.reward + self.discount * (self.transition @ values)
            change = float(np.abs(updated - values).max())
            values = updated
            if change <= tolerance:
                return values, sweep
        return values, max_sweeps

    def expected_steps(self) -> np.ndarray:
        """Return the expected steps of an episode from each state [S]; infinite where it may never end."""
        endless = self._endless()
        reaches = np.asarray(self.transition @ endless.astype(np.float64)) > 0.0
        doomed = endless | reaches
        while True:  # a state from which an endless one can be reached may never end
            grown = doomed | (np.asarray(self.transition @ doomed.astype(np.float64)) > 0.0)
            if (grown == doomed).all():
                break
            doomed = grown
        steps = np.full(self.num_states, np.inf)
        rest = np.flatnonzero(~doomed)
        if len(rest):
            steps[rest] = spsolve(sparse.csc_array(sparse.eye_array(len(rest)) - self.transition[rest][:, rest]), np.ones(len(rest)))
        return steps

    def sample_paths(self, rng: np.random.Generator, start: np.ndarray, num_steps: int) -> tuple[np.ndarray, np.ndarray]:
        """Return states [B, T + 1], the number S standing for the end, and rewards [B, T] of B paths."""
        states = self.chain().sample_paths(rng, start, num_steps)
        return states, np.append(self.reward, 0.0)[states[:, :-1]]

    def _endless(self) -> np.ndarray:
        """Return states in recurrent classes that no episode leaves [S]."""
        endless = np.zeros(self.num_states + 1, dtype=bool)
        for states in self.chain().recurrent_classes():
            if self.num_states not in states:
                endless[states] = True
        return endless[:-1]


def _stochastic(transition: Any, *, at_most: bool) -> sparse.csr_array:
    """Return a checked transition matrix in double precision; rows that were rounded to another type are normalised again."""
    tolerance, matrix = tolerance_of(transition), _square(transition)
    _check_rows(matrix, tolerance, at_most=at_most)
    if tolerance > TOLERANCE:
        sums = np.asarray(matrix.sum(axis=1)).ravel()
        rounded = (sums > 1.0) if at_most else np.ones(len(sums), dtype=bool)
        matrix = sparse.csr_array(sparse.diags_array(1.0 / np.where(rounded, sums, 1.0)) @ matrix)
    return matrix


def _square(transition: Any) -> sparse.csr_array:
    matrix = sparse.csr_array(transition, dtype=np.float64)
    if matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"the transition matrix has shape {list(matrix.shape)}; it must be square, [S, S]")
    return matrix


def _check_rows(matrix: sparse.csr_array, tolerance: float, *, at_most: bool) -> None:
    wrong = np.flatnonzero(~((matrix.data >= 0.0) & np.isfinite(matrix.data)))
    if len(wrong):
        state = int(np.searchsorted(matrix.indptr, wrong[0], side="right")) - 1
        raise ValueError(f"state {state}: a probability is {matrix.data[wrong[0]]}; it must be in [0, 1]")
    sums = np.asarray(matrix.sum(axis=1)).ravel()
    excess = sums - 1.0 if at_most else np.abs(sums - 1.0)
    wrong = np.flatnonzero(excess > tolerance)
    if len(wrong):
        needed = "at most 1" if at_most else "1"
        raise ValueError(f"state {wrong[0]}: its row of probabilities sums to {sums[wrong[0]]:.10g}; it must sum to {needed}")
