"""CMA-ES, evolution with an adapted covariance: learn the shape of the slope from the best candidates.

Source: N. Hansen. "The CMA evolution strategy: a tutorial", 2016 (arXiv 1604.00772), Figure 6 and Table 1, with weights of both signs;
the diagonal form from R. Ros, N. Hansen, "A simple modification in CMA-ES achieving linear time and space complexity", 2008.
Departures: none in the search itself; it neither stops nor restarts by itself (a run has a budget), eigenvalues are held above 1e-20,
and the mean is judged in the end, not the best candidate, whose score was luck in part.
Errata: the published purecma.py is a simplification with other constants; numbers are compared with the package `cma`.
Letters: n parameters, P = lambda candidates, mu parents, k generations.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np

from rl_algos.search.population import PolicySearch, Scores, SearchConfig
from rl_core.config import Doc, Meta, Positive, configclass
from rl_core.state import restore_state, saved_state

FULL_UP_TO = 300  # parameters: decomposing a larger covariance takes longer than the episodes of a generation


@configclass
class CMAESConfig(SearchConfig):
    """Settings of CMA-ES, in addition to `SearchConfig`: all others follow from the number of parameters."""

    population_size: Annotated[Annotated[int, Meta(ge=4)] | None, Doc("lambda, candidates of a generation; none for 4 + floor(3 ln n)")] = (
        None
    )
    first_std: Annotated[Positive, Doc("sigma_0, deviation of the first candidates: a third of the range of plausible parameters")] = 0.5
    covariance: Annotated[Literal["auto", "full", "diagonal"], Doc("the matrix that is adapted; auto: full for up to 300 parameters")] = (
        "auto"
    )


class Constants(NamedTuple):
    """The constants of table 1, which follow from n and lambda.

    Attributes:
        weights: w of the candidates, best first [P]; the first mu are positive and sum to 1.
        num_parents: mu.
        mu_eff: How many parents the weighted mean is worth.
        c_path: c_c, share of a step in the path of the covariance.
        c_sigma: Share of a step in the path of the step size.
        c_one: c_1, share of the path in the covariance.
        c_mu: Share of the candidates in the covariance.
        damping: d_sigma.
        expected_norm: E|N(0, I)|, approximately.
    """

    weights: np.ndarray
    num_parents: int
    mu_eff: float
    c_path: float
    c_sigma: float
    c_one: float
    c_mu: float
    damping: float
    expected_norm: float


def constants(n: int, population_size: int, diagonal: bool = False) -> Constants:
    """Return table 1 (equations 49 to 58) for n parameters and lambda candidates; a diagonal has less to learn and does so faster.

    >>> table = constants(10, 10)
    >>> table.num_parents, round(float(table.mu_eff), 3), round(float(table.weights[:5].sum()), 9)
    (5, 3.167, 1.0)
    """
    raw = math.log((population_size + 1) / 2) - np.log(np.arange(1, population_size + 1))  # (49)
    parents = population_size // 2
    positive, negative = raw[:parents], raw[parents:]
    mu_eff = positive.sum() ** 2 / (positive**2).sum()
    mu_eff_negative = negative.sum() ** 2 / (negative**2).sum()
    c_path = (4 + mu_eff / n) / (n + 4 + 2 * mu_eff / n)  # (56)
    c_sigma = (mu_eff + 2) / (n + mu_eff + 5)  # (55)
    c_one = 2 / ((n + 1.3) ** 2 + mu_eff)  # (57)
    c_mu = min(1 - c_one, 2 * (0.25 + mu_eff + 1 / mu_eff - 2) / ((n + 2) ** 2 + mu_eff))  # (58)
    if diagonal:  # Ros and Hansen, section 3
        c_one = min(1.0, c_one * (n + 2) / 3)
        c_mu = min(1 - c_one, c_mu * (n + 2) / 3)
    most = min(1 + c_one / c_mu, 1 + 2 * mu_eff_negative / (mu_eff + 2), (1 - c_one - c_mu) / (n * c_mu))  # (50) to (52)
    weights = np.where(raw > 0, raw / raw[raw > 0].sum(), most * raw / max(-raw[raw < 0].sum(), 1e-300))  # (53)
    damping = 1 + 2 * max(0.0, math.sqrt((mu_eff - 1) / (n + 1)) - 1) + c_sigma  # (55)
    expected_norm = math.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n * n))
    return Constants(weights, parents, mu_eff, c_path, c_sigma, c_one, c_mu, damping, expected_norm)


class SearchDistribution:
    """N(m, sigma^2 C) over vectors, which `tell` moves to where losses are low; it is independent of policies.

    Args:
        mean: m, where the search begins [n].
        std: sigma, > 0.
        population_size: lambda; none for 4 + floor(3 ln n).
        diagonal: Whether only variances are adapted, [n] numbers in place of [n, n].

    >>> search, rng = SearchDistribution(np.array([3.0, -2.0]), 1.0), np.random.default_rng(0)
    >>> for _ in range(60):
    ...     candidates = search.ask(rng)
    ...     search.tell(candidates, (candidates**2).sum(axis=1))
    >>> float(np.abs(search.mean).max()) < 1e-5
    True
    """

    _STATE = ("mean", "std", "generation", "path", "sigma_path", "covariance", "axes", "lengths", "_decomposed")

    def __init__(self, mean: np.ndarray, std: float, population_size: int | None = None, *, diagonal: bool = False) -> None:
        n, self._diagonal = len(mean), diagonal
        self.population_size = population_size or 4 + math.floor(3 * math.log(n))
        self.constants = constants(n, self.population_size, diagonal)
        self.mean, self.std, self.generation = np.array(mean, dtype=np.float64), float(std), 0
        self.path, self.sigma_path = np.zeros(n), np.zeros(n)  # p_c and p_sigma
        self.covariance: np.ndarray = np.ones(n) if diagonal else np.eye(n)  # C = B D^2 B^T
        self.axes: np.ndarray = np.zeros((0, 0)) if diagonal else np.eye(n)  # B
        self.lengths: np.ndarray = np.ones(n)  # D
        self._decomposed = 0  # the generation when it was decomposed

    def ask(self, rng: np.random.Generator) -> np.ndarray:
        """Return candidates [P, n]: m + sigma B D z."""
        noise = rng.standard_normal((self.population_size, len(self.mean)))
        steps = noise * self.lengths
        return self.mean + self.std * (steps if self._diagonal else steps @ self.axes.T)  # (38) to (40)

    def tell(self, candidates: np.ndarray, losses: np.ndarray) -> None:
        """Move by the candidates [P, n] of `ask` and their losses [P], where less is better."""
        w, mu, mu_eff, c_path, c_sigma, c_one, c_mu, damping, expected_norm = self.constants
        n, steps = len(self.mean), (candidates[np.argsort(losses, kind="stable")] - self.mean) / self.std  # y, best first
        whitened = steps / self.lengths if self._diagonal else (steps @ self.axes / self.lengths) @ self.axes.T  # C^(-1/2) y
        mean_step = w[:mu] @ steps[:mu]  # (41)
        self.mean = self.mean + self.std * mean_step  # (42)

        self.sigma_path = (1 - c_sigma) * self.sigma_path + math.sqrt(c_sigma * (2 - c_sigma) * mu_eff) * (w[:mu] @ whitened[:mu])  # (43)
        norm = float(np.linalg.norm(self.sigma_path))
        unbiased = norm / math.sqrt(1 - (1 - c_sigma) ** (2 * (self.generation + 1)))
        steady = 1.0 if unbiased < (1.4 + 2 / (n + 1)) * expected_norm else 0.0  # h_sigma: the path stalls while sigma grows fast
        self.path = (1 - c_path) * self.path + steady * math.sqrt(c_path * (2 - c_path) * mu_eff) * mean_step  # (45)

        shares = np.where(w >= 0, w, w * n / np.maximum((whitened**2).sum(axis=1), 1e-300))  # (46)
        keep = 1 + c_one * (1 - steady) * c_path * (2 - c_path) - c_one - c_mu * w.sum()
        rank_one = self.path**2 if self._diagonal else np.outer(self.path, self.path)
        rank_mu = shares @ steps**2 if self._diagonal else (shares * steps.T) @ steps
        self.covariance = keep * self.covariance + c_one * rank_one + c_mu * rank_mu  # (47)
        self.std *= math.exp(min(1.0, c_sigma / damping * (norm / expected_norm - 1)))  # (44)
        self.generation += 1
        if self.generation - self._decomposed >= 1 / (10 * n * (c_one + c_mu)):
            self._decompose()

    def _decompose(self) -> None:
        variances = self.covariance
        if not self._diagonal:
            self.covariance = (self.covariance + self.covariance.T) / 2
            variances, self.axes = np.linalg.eigh(self.covariance)
        self.lengths = np.sqrt(np.maximum(variances, 1e-20))
        self._decomposed = self.generation

    def state_dict(self) -> dict[str, Any]:
        """Return mean, step size, paths, the covariance and its last decomposition, which may be some generations old."""
        return saved_state(self, self._STATE)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        restore_state(self, self._STATE, state)


class CMAES(PolicySearch):
    """The agent: a Gaussian over the parameters of a policy, whose covariance follows the shape of the slope."""

    Config: ClassVar[type] = CMAESConfig
    config: CMAESConfig
    state_fields = (*PolicySearch.state_fields, "search")

    def setup(self) -> None:
        """Start the Gaussian."""
        super().setup()
        config = self.config
        diagonal = config.covariance == "diagonal" or (config.covariance == "auto" and len(self.first) > FULL_UP_TO)
        self.search = SearchDistribution(self.first, config.first_std, config.population_size, diagonal=diagonal)

    @property
    def centre(self) -> np.ndarray:
        """The mean [n]."""
        return self.search.mean

    def candidates(self) -> np.ndarray:
        """Draw from the Gaussian."""
        return self.search.ask(self.noise)

    def recombine(self, candidates: np.ndarray, scores: Scores) -> dict[str, float]:
        """Adapt mean, step size and covariance."""
        self.search.tell(candidates, -scores.returns.mean(axis=1))
        lengths = self.search.lengths
        return {"std": self.search.std, "axis_ratio": float(lengths.max() / lengths.min())}

    def parameters(self) -> dict[str, np.ndarray]:
        """Return mean [n] and covariance, [n, n] or [n]."""
        return {"mean": self.search.mean, "covariance": self.search.covariance}
