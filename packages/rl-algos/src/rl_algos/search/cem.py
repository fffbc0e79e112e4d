"""CEM, the cross-entropy method over the parameters of a policy: draw candidates, keep the best, draw the next ones like those.

Source: I. Szita, A. Lorincz. "Learning tetris using the noisy cross-entropy method", 2006, section 2; the method itself from
R. Y. Rubinstein, "The cross-entropy method for combinatorial and continuous optimization", 1999.
Departures: the added variance may fall as 1/k besides linearly; nothing is smoothed; the mean of the Gaussian is judged.
Letters: P candidates, K elites, n parameters, k generations.
"""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal

import numpy as np

from rl_algos.search.population import PolicySearch, Scores, SearchConfig
from rl_core.config import Count, Doc, Meta, NonNegative, Positive, configclass


@configclass
class CEMConfig(SearchConfig):
    """Settings of the cross-entropy method, in addition to `SearchConfig`."""

    population_size: Annotated[int, Meta(ge=2), Doc("P, candidates of a generation")] = 40
    elite_fraction: Annotated[float, Meta(gt=0, le=1), Doc("rho, part of the candidates that is kept")] = 0.2
    first_std: Annotated[Positive, Doc("sigma_0, deviation of the first candidates")] = 1.0
    extra_variance: Annotated[NonNegative, Doc("Z_1, added to the variance after the first generation")] = 1.0
    extra_variance_schedule: Annotated[Literal["inverse", "linear"], Doc("Z_1 / k, or linearly down to 0 after extra_generations")] = (
        "inverse"
    )
    extra_generations: Annotated[Count, Doc("k_1, generations after which a linear Z_k is 0")] = 50


def elites(candidates: np.ndarray, scores: np.ndarray, fraction: float) -> np.ndarray:
    """Return the ceil(rho P) candidates [K, n] with the highest scores [P], best first.

    >>> elites(np.array([[1.0], [2.0], [3.0]]), np.array([5.0, 9.0, 7.0]), 0.5).tolist()
    [[2.0], [3.0]]
    """
    count = math.ceil(fraction * len(scores))
    return candidates[np.argsort(-scores, kind="stable")[:count]]


def extra_variance(first: float, schedule: str, generation: int, generations: int) -> float:
    """Return Z_k after generation k = 1, 2, ...: Z_1 / k, or Z_1 max(0, 1 - (k - 1) / k_1).

    >>> extra_variance(2.0, "inverse", 4, 50), extra_variance(2.0, "linear", 26, 50)
    (0.5, 1.0)
    """
    if schedule == "inverse":
        return first / generation
    return first * max(0.0, 1 - (generation - 1) / generations)


def refit(best: np.ndarray, extra: float) -> tuple[np.ndarray, np.ndarray]:
    """Return mean [n] and deviation [n] of the elites [K, n], with `extra` added to the variance: without it they collapse too early.

    >>> refit(np.array([[1.0], [3.0]]), 3.0)
    (array([2.]), array([2.]))
    """
    return best.mean(axis=0), np.sqrt(best.var(axis=0) + extra)


class CEM(PolicySearch):
    """The agent: a Gaussian with independent dimensions over the parameters of a policy."""

    Config: ClassVar[type] = CEMConfig
    config: CEMConfig
    state_fields = (*PolicySearch.state_fields, "mean", "std", "generation")

    def setup(self) -> None:
        """Start the Gaussian."""
        super().setup()
        self.mean = self.first
        self.std = np.full_like(self.mean, self.config.first_std)
        self.generation = 0

    @property
    def num_candidates(self) -> int:
        """P."""
        return self.config.population_size

    @property
    def centre(self) -> np.ndarray:
        """The mean [n]."""
        return self.mean

    def candidates(self) -> np.ndarray:
        """Draw from the Gaussian."""
        return self.mean + self.std * self.noise.standard_normal((self.config.population_size, len(self.mean)))

    def recombine(self, candidates: np.ndarray, scores: Scores) -> dict[str, float]:
        """Fit the Gaussian to the best."""
        config = self.config
        self.generation += 1
        best = elites(candidates, scores.returns.mean(axis=1), config.elite_fraction)
        extra = extra_variance(config.extra_variance, config.extra_variance_schedule, self.generation, config.extra_generations)
        self.mean, self.std = refit(best, extra)
        return {"std": float(self.std.mean()), "generation": self.generation}

    def parameters(self) -> dict[str, np.ndarray]:
        """Return mean and deviation [n]."""
        return {"mean": self.mean, "std": self.std}
