"""Optimisers of action sequences: random shooting, the cross-entropy method, path-integral control and CMA-ES.

Each improves N plans at once, one for each environment. A plan is an array [H, D] of numbers in [-1, 1]; `Actions` maps it to the
actions of a `Box` or a `Discrete` space, so that every optimiser plans for both.

Sources: random shooting, A. Nagabandi and others, "Neural network dynamics for model-based deep reinforcement learning with model-free
fine-tuning", 2018; CEM, K. Chua and others, "Deep reinforcement learning in a handful of trials", 2018, appendix; its time-correlated
noise and kept elites (iCEM), C. Pinneri and others, "Sample-efficient cross-entropy method for real-time planning", 2020; MPPI,
G. Williams and others, "Information theoretic MPC for model-based reinforcement learning", 2017; CMA-ES, see `search.cma_es`.
Departures: a Discrete action of A choices is a number in [-1, 1] that is cut into A equal intervals; for these CEM fits probabilities. Its
deviation is not capped near the bounds: with the cap of Chua and others a mean close to a bound stays there, which costs 24 of
Pendulum-v1's return.
Letters: N plans, P candidates of each, H steps, D numbers of an action.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import numpy as np
from gymnasium import spaces
from scipy import special

from rl_algos.search.cma_es import SearchDistribution

Score = Callable[[np.ndarray], np.ndarray]
"""Predicted returns [N, P] of sequences [N, P, H, D]; NaN counts as minus infinity."""

WIDEST = 2.0  # standard deviations at which normal samples are truncated
LEAST_PROBABILITY = 0.01  # of a choice, so that none is lost for good


class Actions:
    """The map from numbers in [-1, 1] to the actions of a space.

    Args:
        space: A bounded `Box` of floats, or a `Discrete`.

    Attributes:
        size: D, numbers of an action.
        num_choices: A of a `Discrete`; `None` for a `Box`.

    Raises:
        ValueError: if the space is of another kind, or not bounded.

    >>> Actions(spaces.Discrete(3))(np.array([[-1.0], [0.0], [1.0]])).tolist()
    [0, 1, 2]
    >>> Actions(spaces.Box(0.0, 10.0, (1,)))(np.array([[-1.0], [0.5]])).tolist()
    [[0.0], [7.5]]
    """

    def __init__(self, space: spaces.Space) -> None:
        self.size, self.num_choices = 1, int(space.n) if isinstance(space, spaces.Discrete) else None
        self._space = space
        if isinstance(space, spaces.Discrete):
            return
        if not isinstance(space, spaces.Box) or space.dtype.kind != "f" or not (np.isfinite(space.low) & np.isfinite(space.high)).all():
            raise ValueError(f"the task takes actions of {space}; a planner needs a Discrete space or a bounded Box of floats")
        self.size = math.prod(space.shape)
        self._middle, self._half_width = (space.high + space.low).ravel() / 2, (space.high - space.low).ravel() / 2

    def __call__(self, plan: np.ndarray) -> np.ndarray:
        """Return actions [B, ...] of numbers [B, D] in [-1, 1]."""
        if isinstance(self._space, spaces.Discrete):
            return choices(plan[:, 0], int(self._space.n)) + int(self._space.start)
        actions = self._middle + self._half_width * plan
        return actions.reshape(len(plan), *self._space.shape).astype(self._space.dtype)

    def numbers(self, actions: np.ndarray) -> np.ndarray:
        """Return the numbers in [-1, 1] [B, D] that actions [B, ...] have.

        >>> Actions(spaces.Box(0.0, 10.0, (1,))).numbers(np.array([[0.0], [7.5]])).tolist()
        [[-1.0], [0.5]]
        """
        if self.num_choices is not None:
            return ((2 * (actions - int(self._space.start)) + 1) / self.num_choices - 1)[:, None]
        return (actions.reshape(len(actions), -1) - self._middle) / self._half_width


class Optimiser(Protocol):
    """An optimiser of plans."""

    def __call__(self, score: Score, plan: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return better plans [N, H, D] than those given, by the return that `score` predicts."""


class RandomShooting:
    """Uniform candidates, of which the best is taken; the given plan is one of them.

    Args:
        num_candidates: P.
        hold: Steps that each action is held for.
    """

    def __init__(self, num_candidates: int, hold: int = 1) -> None:
        self._num_candidates, self._hold = num_candidates, max(1, hold)

    def __call__(self, score: Score, plan: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the candidate of each plan that scores best [N, H, D]."""
        num_plans, horizon, size = plan.shape
        drawn = rng.uniform(-1.0, 1.0, (num_plans, self._num_candidates, -(-horizon // self._hold), size))
        candidates = np.repeat(drawn, self._hold, axis=2)[:, :, :horizon] if self._hold > 1 else drawn
        candidates[:, 0] = plan
        return best(candidates, checked(score, candidates))


class CrossEntropy:
    """The cross-entropy method: a normal distribution over plans that is fitted to its own best samples.

    Args:
        num_candidates: P of the first iteration.
        num_iterations: Fits for each decision.
        elite_fraction: Share of the candidates that the distribution is fitted to.
        smoothing: alpha, weight of the old mean and variance.
        noise_exponent: beta of the power spectrum 1 / f^beta of the noise along time; 0 is white noise.
        kept_fraction: Share of the elites that compete again in the next iteration.
        shrink: Factor on the number of candidates from one iteration to the next.
    """

    def __init__(
        self,
        num_candidates: int,
        num_iterations: int,
        elite_fraction: float = 0.1,
        smoothing: float = 0.1,
        noise_exponent: float = 0.0,
        kept_fraction: float = 0.0,
        shrink: float = 1.0,
    ) -> None:
        self._num_candidates, self._num_iterations = num_candidates, num_iterations
        self._elite_fraction, self._smoothing, self._noise_exponent = elite_fraction, smoothing, noise_exponent
        self._kept_fraction, self._shrink = kept_fraction, shrink

    def __call__(self, score: Score, plan: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the mean [N, H, D] after the last fit; with coloured noise the best candidate of the last iteration."""
        num_elites = max(2, math.ceil(self._elite_fraction * self._num_candidates))
        num_kept = math.ceil(self._kept_fraction * num_elites) if self._kept_fraction else 0
        mean, variance = plan.copy(), np.full_like(plan, 0.25)  # ((high - low) / 4)^2 with bounds of -1 and 1
        kept = np.zeros((len(plan), 0, *plan.shape[1:]))
        for iteration in range(self._num_iterations):
            size = population(self._num_candidates, self._shrink, iteration, num_elites)
            std = np.sqrt(variance)
            noise = self._noise(rng, (len(plan), size, *plan.shape[1:]))
            candidates = np.clip(mean[:, None] + std[:, None] * noise, -1.0, 1.0)
            if self._noise_exponent and iteration == self._num_iterations - 1:
                candidates[:, 0] = mean
            candidates = np.concatenate([candidates, kept], axis=1)
            order = np.argsort(-checked(score, candidates), axis=1, kind="stable")[:, :num_elites]
            elites = np.take_along_axis(candidates, order[:, :, None, None], axis=1)
            kept = elites[:, :num_kept]
            mean = self._smoothing * mean + (1 - self._smoothing) * elites.mean(axis=1)
            variance = self._smoothing * variance + (1 - self._smoothing) * elites.var(axis=1)
        return elites[:, 0] if self._noise_exponent else mean

    def _noise(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        if self._noise_exponent:
            return coloured_noise(rng, shape, self._noise_exponent)
        low, high = special.ndtr([-WIDEST, WIDEST])
        return special.ndtri(low + (high - low) * rng.random(shape))


class CategoricalCrossEntropy:
    """The cross-entropy method for choices: probabilities of each step's actions, which move towards their frequency among the best.

    The mean of numbers that stand for choices is not a plan: the best plan of all iterations is taken.

    Args:
        num_actions: A, choices of each step.
        num_candidates: P of the first iteration.
        num_iterations: Fits for each decision.
        elite_fraction: Share of the candidates whose frequencies count.
        smoothing: alpha, weight of the old probabilities.
        kept_fraction: Share of the elites that compete again in the next iteration.
        shrink: Factor on the number of candidates from one iteration to the next.
    """

    def __init__(
        self,
        num_actions: int,
        num_candidates: int,
        num_iterations: int,
        elite_fraction: float = 0.1,
        smoothing: float = 0.1,
        kept_fraction: float = 0.0,
        shrink: float = 1.0,
    ) -> None:
        self._num_actions, self._num_candidates, self._num_iterations = num_actions, num_candidates, num_iterations
        self._elite_fraction, self._smoothing, self._kept_fraction, self._shrink = elite_fraction, smoothing, kept_fraction, shrink

    def __call__(self, score: Score, plan: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the best plans seen [N, H, 1]; the given ones are among the candidates."""
        num_elites = max(2, math.ceil(self._elite_fraction * self._num_candidates))
        num_kept = max(1, math.ceil(self._kept_fraction * num_elites))  # the best plan competes in any case
        probability = np.full((*plan.shape[:2], self._num_actions), 1 / self._num_actions)
        kept = choices(plan[..., 0], self._num_actions)[:, None]
        for iteration in range(self._num_iterations):
            size = population(self._num_candidates, self._shrink, iteration, num_elites)
            bounds = probability.cumsum(axis=2)[:, None, :, :-1]
            drawn = (rng.random((len(plan), size, plan.shape[1], 1)) > bounds).sum(axis=3)
            candidates = np.concatenate([drawn, kept], axis=1)
            returns = checked(score, ((2 * candidates + 1) / self._num_actions - 1)[..., None])
            order = np.argsort(-returns, axis=1, kind="stable")[:, :num_elites]
            elites = np.take_along_axis(candidates, order[:, :, None], axis=1)
            kept = elites[:, :num_kept]
            frequency = (elites[..., None] == np.arange(self._num_actions)).mean(axis=1)
            probability = np.maximum(self._smoothing * probability + (1 - self._smoothing) * frequency, LEAST_PROBABILITY)
            probability /= probability.sum(axis=2, keepdims=True)
        return ((2 * elites[:, 0] + 1) / self._num_actions - 1)[..., None]


class PathIntegral:
    """Model-predictive path-integral control: the mean of noisy plans, weighted by the exponential of their returns.

    Args:
        num_candidates: P.
        num_iterations: Updates for each decision.
        std: sigma of the noise, in half widths of the range of actions.
        temperature: lambda, in the unit of the return: the smaller, the more the best candidates count.
    """

    def __init__(self, num_candidates: int, num_iterations: int, std: float = 0.5, temperature: float = 5.0) -> None:
        self._num_candidates, self._num_iterations, self._std, self._temperature = num_candidates, num_iterations, std, temperature

    def __call__(self, score: Score, plan: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the weighted mean [N, H, D] of the last candidates."""
        for _ in range(self._num_iterations):
            noise = rng.standard_normal((len(plan), self._num_candidates, *plan.shape[1:]))
            candidates = np.clip(plan[:, None] + self._std * noise, -1.0, 1.0)
            weights = special.softmax(checked(score, candidates) / self._temperature, axis=1)
            plan = np.einsum("np,nphd->nhd", weights, candidates)
        return plan


class CovarianceMatrixAdaptation:
    """CMA-ES over each plan as one vector of H D numbers; only the mean is kept from one decision to the next.

    Args:
        num_candidates: P of a generation.
        num_iterations: Generations for each decision.
        std: First step size, in half widths of the range of actions.
        take_best: Whether the best plan seen is taken in place of the mean, which is not a plan where actions are choices.
    """

    def __init__(self, num_candidates: int, num_iterations: int, std: float = 0.3, take_best: bool = False) -> None:
        self._num_candidates, self._num_iterations, self._std, self._take_best = num_candidates, num_iterations, std, take_best

    def __call__(self, score: Score, plan: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the means [N, H, D] after the last generation, or the best plans seen, the given ones among them."""
        size = plan[0].size
        found, found_returns = plan, checked(score, plan[:, None])[:, 0] if self._take_best else np.zeros(len(plan))
        searches = [SearchDistribution(row.ravel(), self._std, self._num_candidates, diagonal=size > 50) for row in plan]
        for _ in range(self._num_iterations):
            asked = np.stack([search.ask(rng) for search in searches])
            inside = np.clip(asked, -1.0, 1.0)
            candidates = inside.reshape(len(plan), -1, *plan.shape[1:])
            returns = checked(score, candidates)
            if self._take_best:
                better = returns.max(axis=1) > found_returns
                found = np.where(better[:, None, None], best(candidates, returns), found)
                found_returns = np.maximum(returns.max(axis=1), found_returns)
            spread = np.where(np.isfinite(returns), returns, np.nan)
            scale = np.nan_to_num(np.nanmax(spread, axis=1) - np.nanmin(spread, axis=1)) + 1e-12
            penalty = scale[:, None] * ((asked - inside) ** 2).sum(axis=2)  # what leaves the bounds is drawn back
            for search, steps, losses in zip(searches, asked, penalty - returns, strict=True):
                search.tell(steps, losses)
        if self._take_best:
            return found
        return np.clip(np.stack([search.mean for search in searches]).reshape(plan.shape), -1.0, 1.0)


def population(first: int, shrink: float, iteration: int, num_elites: int) -> int:
    """Return the candidates of an iteration: a falling number, and at least twice the elites.

    >>> [population(100, 0.5, iteration, 10) for iteration in range(4)]
    [100, 50, 25, 20]
    """
    return max(round(first * shrink**iteration), 2 * num_elites)


def choices(plan: np.ndarray, num_actions: int) -> np.ndarray:
    """Return the choices [...] in 0 to A - 1 that numbers in [-1, 1] [...] stand for: [-1, 1] is cut into A equal intervals.

    >>> choices(np.array([-1.0, -0.4, 0.0, 1.0]), 3).tolist()
    [0, 0, 1, 2]
    """
    return np.minimum(((plan + 1) * (num_actions / 2)).astype(np.int64), num_actions - 1)


def checked(score: Score, candidates: np.ndarray) -> np.ndarray:
    """Return the scores [N, P] of candidates, with minus infinity for NaN: a model that diverges never wins."""
    returns = score(candidates)
    return np.where(np.isnan(returns), -np.inf, returns)


def best(candidates: np.ndarray, returns: np.ndarray) -> np.ndarray:
    """Return the candidate with the highest return for each plan [N, H, D].

    >>> best(np.arange(4.0).reshape(1, 4, 1, 1), np.array([[0.0, 3.0, -np.inf, 1.0]])).tolist()
    [[[1.0]]]
    """
    return candidates[np.arange(len(candidates)), returns.argmax(axis=1)]


def coloured_noise(rng: np.random.Generator, shape: tuple[int, ...], exponent: float) -> np.ndarray:
    """Return noise [N, P, H, D] of deviation 1 whose power spectrum along H falls as 1 / f^exponent.

    Source: J. Timmer and M. Koenig, "On generating power law noise", 1995.

    >>> noise = coloured_noise(np.random.default_rng(0), (1, 2000, 16, 1), 3.0)[0, :, :, 0]
    >>> bool(abs(noise.std() - 1) < 0.05), bool(np.corrcoef(noise[:, 0], noise[:, 1])[0, 1] > 0.8)
    (True, True)
    """
    horizon = shape[2]
    if horizon == 1:
        return rng.standard_normal(shape)
    frequency = np.fft.rfftfreq(horizon)
    frequency[0] = frequency[1]  # the lowest frequency stands for the constant part
    amplitude = frequency ** (-exponent / 2)
    size = (shape[0], shape[1], shape[3], len(frequency))
    spectrum = (rng.standard_normal(size) + 1j * rng.standard_normal(size)) * amplitude
    spectrum[..., 0] = spectrum[..., 0].real * math.sqrt(2)
    if horizon % 2 == 0:
        spectrum[..., -1] = spectrum[..., -1].real * math.sqrt(2)
    weights = np.full(len(frequency), 2.0)
    weights[0] = 1.0
    if horizon % 2 == 0:
        weights[-1] = 1.0
    deviation = math.sqrt(2 * (weights * amplitude**2).sum()) / horizon
    return np.moveaxis(np.fft.irfft(spectrum, n=horizon, axis=-1), -1, 2) / deviation
