"""Off-policy evaluation: estimates of a policy's return from transitions of another one, each with its standard error.

Source: D. Precup, R. Sutton, S. Singh, "Eligibility traces for off-policy policy evaluation", 2000, for importance sampling; N. Jiang,
L. Li, "Doubly robust off-policy value evaluation for reinforcement learning", 2016, (9) and (10); H. Le, C. Voloshin, Y. Yue, "Batch
policy learning under constraints", 2019, Algorithm 3, for fitted Q evaluation.
Departures: fitted Q evaluation is a table for numbered states and least squares on random cosines (A. Rahimi, B. Recht, "Random features
for large-scale kernel machines", 2007) for vectors, so that one fit takes milliseconds; its error is the deviation over fits to episodes
drawn again with replacement. Doubly robust uses the same fit for all episodes, without cross-fitting.
Letters: E episodes, L steps of the longest, T transitions, A actions, F features.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy.linalg

from rl_core.recording import PROBABILITY, Recording

NUM_COSINES = 150  # of each action
NUM_ROUNDS = 300  # of fitted Q evaluation, at most
RESAMPLED_FITS = 20
RIDGE = 1e-3


class Estimate(NamedTuple):
    """An estimate of a discounted return, and its standard error."""

    value: float
    error: float


class Episodes(NamedTuple):
    """Episodes side by side, 0 behind their ends.

    Attributes:
        ratio: rho, probability of the action under the policy in question by that under the recorded one [E, L]; 1 behind the end.
        reward: gamma^t r [E, L].
        inside: True within an episode [E, L].
        discount: gamma^t [L].
    """

    ratio: np.ndarray
    reward: np.ndarray
    inside: np.ndarray
    discount: np.ndarray


def side_by_side(values: np.ndarray, starts: np.ndarray, behind: float = 0.0) -> np.ndarray:
    """Return values [T] of episodes one after the other as rows [E, L].

    >>> side_by_side(np.array([1.0, 2.0, 3.0]), np.array([0, 2])).tolist()
    [[1.0, 2.0], [3.0, 0.0]]
    """
    lengths = np.diff([*starts, len(values)])
    rows = np.full((len(starts), int(lengths.max())), behind)
    rows[np.arange(rows.shape[1]) < lengths[:, None]] = values
    return rows


def episodes(ratio: np.ndarray, reward: np.ndarray, starts: np.ndarray, discount: float) -> Episodes:
    """Return ratios [T] and rewards [T] as episodes side by side."""
    rewards = side_by_side(reward.astype(np.float64), starts)
    powers = discount ** np.arange(rewards.shape[1])
    inside = side_by_side(np.ones(len(reward)), starts) > 0
    return Episodes(side_by_side(ratio, starts, 1.0), rewards * powers, inside, powers)


def ordinary(of: Episodes) -> Estimate:
    """Return the mean of rho_0 ... rho_end G: unbiased, and often useless for long episodes.

    >>> ordinary(episodes(np.array([2.0, 1.0]), np.array([1.0, 1.0]), np.array([0, 1]), 1.0))  # returns of 2 and 1
    Estimate(value=1.5, error=0.5)
    """
    return _mean(of.ratio.prod(axis=1) * of.reward.sum(axis=1))


def weighted(of: Episodes) -> Estimate:
    """Return the mean return of the episodes, weighted by rho_0 ... rho_end: biased, with less variance.

    >>> weighted(episodes(np.array([3.0, 1.0]), np.array([1.0, 5.0]), np.array([0, 1]), 1.0)).value  # (3 + 5) / 4
    2.0
    """
    weight, returns = of.ratio.prod(axis=1), of.reward.sum(axis=1)
    total = weight.sum()
    if total == 0.0:
        return Estimate(float("nan"), float("nan"))
    value = float(weight @ returns / total)
    return Estimate(value, float(np.sqrt((weight**2 * (returns - value) ** 2).sum()) / total))


def per_decision(of: Episodes) -> Estimate:
    """Return the mean of sum_t gamma^t rho_0 ... rho_t r_t: a reward is not weighted by what came after it.

    >>> per_decision(episodes(np.array([2.0, 0.0]), np.array([1.0, 1.0]), np.array([0]), 1.0)).value
    2.0
    """
    return _mean((of.ratio.cumprod(axis=1) * of.reward).sum(axis=1))


def doubly_robust(of: Episodes, q: np.ndarray, value: np.ndarray) -> Estimate:
    """Return the mean of sum_t gamma^t (rho_0 ... rho_(t-1) V(s_t) + rho_0 ... rho_t (r_t - Q(s_t, a_t))).

    It is right if either the ratios or the values are; with Q = 0 it is the per-decision estimate.

    Args:
        of: The episodes.
        q: Q(s_t, a_t) [E, L], 0 behind the ends.
        value: V(s_t) of the policy in question [E, L], 0 behind the ends.

    >>> of = episodes(np.array([2.0]), np.array([1.0]), np.array([0]), 1.0)
    >>> doubly_robust(of, np.array([[1.0]]), np.array([[0.8]])).value  # the reward is foreseen: V alone counts
    0.8
    """
    after = of.ratio.cumprod(axis=1)
    before = np.concatenate((np.ones((len(after), 1)), after[:, :-1]), axis=1)
    return _mean((before * of.discount * value + after * (of.reward - of.discount * q)).sum(axis=1))


def _mean(values: np.ndarray) -> Estimate:
    error = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")
    return Estimate(float(values.mean()), error)


class Features:
    """Random cosines of observations, or of observations with continuous actions: an approximate Gaussian kernel.

    Args:
        rows: What the scale is taken from [T, I].
        rng: Source of the frequencies.
    """

    def __init__(self, rows: np.ndarray, rng: np.random.Generator) -> None:
        self._mean, self._deviation = rows.mean(axis=0), np.maximum(rows.std(axis=0), 1e-6)
        width = np.sqrt(rows.shape[1])
        self._frequency = rng.standard_normal((rows.shape[1], NUM_COSINES)) / width
        self._phase = 2 * np.pi * rng.random(NUM_COSINES)

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Return features [T, F] of rows [T, I]: the cosines, the numbers themselves and 1."""
        scaled = (rows - self._mean) / self._deviation
        cosines = np.cos(scaled @ self._frequency + self._phase)
        return np.concatenate((cosines, scaled, np.ones((len(rows), 1))), axis=1)


class FittedQ:
    """Fitted Q evaluation: Q <- the fit of r + gamma sum_a pi(a|s') Q(s', a), round by round.

    Args:
        recording: Transitions.
        policy: Probabilities pi(a|s) [T, A] at observations, or actions [T, D] of a deterministic policy with continuous actions.
        discount: gamma.
        num_actions: A; 0 for continuous actions.
        first_action: Number of the first action.
        first_state: Number of the first state, for numbered ones.
    """

    def __init__(
        self,
        recording: Recording,
        policy: Callable[[np.ndarray], np.ndarray],
        *,
        discount: float,
        num_actions: int,
        first_action: int = 0,
        first_state: int = 0,
    ) -> None:
        arrays, self._starts = recording.arrays, recording.starts
        self._lengths = np.diff([*self._starts, len(arrays["reward"])])
        self._reward, self._keep = arrays["reward"].astype(np.float64), discount * ~arrays["terminated"]
        least, most = min(0.0, float(self._reward.min())), max(0.0, float(self._reward.max()))
        self._bounds = least / (1.0 - discount), most / (1.0 - discount)
        obs, after = arrays["obs"], arrays["final_obs"]
        self._num_actions = num_actions
        if obs.ndim == 1:  # numbered states
            obs, after = obs - first_state, after - first_state
            self._states = int(max(obs.max(), after.max())) + 1
        rng = np.random.Generator(np.random.PCG64(0))
        if num_actions:
            self._action = arrays["action"] - first_action
            self._next_policy, self._policy = policy(arrays["final_obs"]), policy(arrays["obs"])
            self._phi = obs if obs.ndim == 1 else Features(obs, rng)(obs)
            self._next_phi = after if obs.ndim == 1 else _with_scale_of(obs, after)
        else:
            recorded = arrays["action"].reshape(len(obs), -1)
            pairs = np.concatenate((obs, recorded), axis=1)
            own = [np.concatenate((rows, policy(given).reshape(len(rows), -1)), axis=1) for rows, given in ((obs, obs), (after, after))]
            features = Features(pairs, rng)
            self._phi, self._own_phi, self._next_phi = features(pairs), features(own[0]), features(own[1])

    def fit(self, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return Q(s, a) [T] and V(s) [T] at the recorded transitions, fitted to transitions of a weight [T].

        Where the policy leaves the data, the fit of one round is an extrapolation, and that of many would grow without end: values stay
        within what the rewards allow.
        """
        solve, target = self._solver(weight), self._reward.copy()
        for _ in range(NUM_ROUNDS):
            new = self._reward + self._keep * np.clip(self._next_values(solve(target)), *self._bounds)
            moved, target = float(np.abs(new - target).max()), new
            if moved < 1e-4 * max(1.0, float(np.abs(target).max())):
                break
        solution = solve(target)
        return self._values(solution)

    def estimate(self, num_fits: int = RESAMPLED_FITS) -> tuple[Estimate, np.ndarray, np.ndarray]:
        """Return the mean V of first observations with its error, and Q(s, a) [T] and V(s) [T] of the fit to all episodes."""
        q, value = self.fit(np.ones(len(self._reward)))
        rng, means = np.random.Generator(np.random.PCG64(1)), []
        for _ in range(num_fits):
            drawn = np.bincount(rng.integers(0, len(self._starts), len(self._starts)), minlength=len(self._starts))
            again = self.fit(np.repeat(drawn, self._lengths).astype(np.float64))[1][self._starts]
            means.append(float(drawn @ again / drawn.sum()))
        return Estimate(float(value[self._starts].mean()), float(np.std(means))), q, value

    def _solver(self, weight: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """Return the function from targets [T] to parameters: a table [S, A], or weights [A, F]."""
        if self._phi.ndim == 1:
            cell, size = self._phi * self._num_actions + self._action, self._states * self._num_actions
            count = np.bincount(cell, weight, minlength=size)
            return lambda target: np.bincount(cell, weight * target, minlength=size) / np.maximum(count, 1e-9)
        groups = [np.flatnonzero(self._action == a) for a in range(self._num_actions)] if self._num_actions else [slice(None)]
        factors = []
        for rows in groups:
            phi = self._phi[rows] * weight[rows, None]
            factors.append((scipy.linalg.cho_factor(phi.T @ self._phi[rows] + RIDGE * np.eye(phi.shape[1])), phi, rows))
        return lambda target: np.stack([scipy.linalg.cho_solve(factor, phi.T @ target[rows]) for factor, phi, rows in factors])

    def _next_values(self, solution: np.ndarray) -> np.ndarray:
        if self._phi.ndim == 1:
            values: np.ndarray = (solution.reshape(-1, self._num_actions)[self._next_phi] * self._next_policy).sum(axis=1)
        elif self._num_actions:
            values = ((self._next_phi @ solution.T) * self._next_policy).sum(axis=1)
        else:
            values = self._next_phi @ solution[0]
        return values

    def _values(self, solution: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if not self._num_actions:
            return self._phi @ solution[0], self._own_phi @ solution[0]
        table = solution.reshape(-1, self._num_actions)[self._phi] if self._phi.ndim == 1 else self._phi @ solution.T
        return table[np.arange(len(table)), self._action], (table * self._policy).sum(axis=1)


def _with_scale_of(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return features [T, F] of rows by the scale and the frequencies of `rows`."""
    return Features(rows, np.random.Generator(np.random.PCG64(0)))(others)


def ratios(recording: Recording, probabilities: np.ndarray, first_action: int = 0) -> np.ndarray:
    """Return rho [T] of the recorded actions, for probabilities pi(a|s) [T, A].

    Raises:
        ValueError: if the recording does not say how likely its actions were.
    """
    arrays = recording.arrays
    if PROBABILITY not in arrays:
        raise ValueError("the recording has no array 'probability', which importance sampling divides by; make one with rl-core collect")
    taken: np.ndarray = probabilities[np.arange(len(probabilities)), arrays["action"] - first_action]
    return taken / arrays[PROBABILITY]
