"""ES, evolution strategies as a gradient method: ascend the mean return of a cloud of policies around the present one.

Source: T. Salimans, J. Ho, X. Chen, S. Sidor, I. Sutskever. "Evolution strategies as a scalable alternative to reinforcement
learning", 2017, section 2 and Algorithm 1, with mirrored candidates and centred ranks as in section 2.1.
Departures: ties share the mean of their ranks, so that episodes which all end alike move nothing; the estimate is divided by sigma
as the paper writes, which the authors' program leaves out. Statistics of observations are those of all episodes.
Letters: m pairs, n parameters.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
from scipy.stats import rankdata

from dl_nets.fast.mlp import FlatAdam
from rl_algos.search.population import PolicySearch, Scores, SearchConfig
from rl_core.config import Count, Doc, NonNegative, Positive, configclass


@configclass
class ESConfig(SearchConfig):
    """Settings of evolution strategies, in addition to `SearchConfig`."""

    num_pairs: Annotated[Count, Doc("m, mirrored pairs of candidates in a generation")] = 10
    noise_std: Annotated[Positive, Doc("sigma, deviation of the candidates")] = 0.1
    learning_rate: Annotated[Positive, Doc("alpha, step size of Adam")] = 0.05
    weight_decay: Annotated[NonNegative, Doc("lambda, how strongly parameters are pulled to 0")] = 0.005


def centred_ranks(scores: np.ndarray) -> np.ndarray:
    """Return ranks of scores [...] among all of them, from -1/2 for the lowest to 1/2 for the highest; ties share their mean.

    >>> centred_ranks(np.array([[10.0, -3.0], [7.0, 10.0]])).round(4).tolist()
    [[0.3333, -0.5], [-0.1667, 0.3333]]
    """
    ranks = rankdata(scores, method="average").reshape(scores.shape) - 1
    return ranks / max(scores.size - 1, 1) - 0.5


def gradient(plus: np.ndarray, minus: np.ndarray, noise: np.ndarray, noise_std: float) -> np.ndarray:
    """Return the gradient [n] of E[F(theta + sigma eps)]: mean over pairs of (F+ - F-) eps / (2 sigma).

    Args:
        plus: F(theta + sigma eps_i), or its rank [m].
        minus: F(theta - sigma eps_i), or its rank [m].
        noise: eps [m, n].
        noise_std: sigma.

    >>> gradient(np.array([4.0]), np.array([2.0]), np.array([[1.0, -1.0]]), 0.5).tolist()  # (4 - 2) / (2 * 0.5) eps
    [2.0, -2.0]
    """
    return (plus - minus) @ noise / (2 * len(noise) * noise_std)


class ES(PolicySearch):
    """The agent: one policy, and mirrored pairs of others around it, which give the slope."""

    Config: ClassVar[type] = ESConfig
    config: ESConfig
    state_fields = (*PolicySearch.state_fields, "vector", "adam")

    def setup(self) -> None:
        """Start the policy and its optimiser."""
        super().setup()
        self.vector = self.first.astype(np.float32)
        self._descent = np.zeros_like(self.vector)
        self.adam = FlatAdam(self.vector, self._descent)
        self.directions = np.zeros((0, len(self.vector)))  # eps of the generation under way

    @property
    def num_candidates(self) -> int:
        """Candidates are drawn in pairs."""
        return 2 * self.config.num_pairs

    @property
    def centre(self) -> np.ndarray:
        """The policy in the middle [n]."""
        return self.vector

    def candidates(self) -> np.ndarray:
        """Draw pairs of candidates, mirrored at the policy."""
        self.directions = self.noise.standard_normal((self.config.num_pairs, len(self.vector)))
        shift = self.config.noise_std * self.directions
        return np.concatenate([self.vector + shift, self.vector - shift])

    def recombine(self, candidates: np.ndarray, scores: Scores) -> dict[str, float]:
        """Take one step of Adam up the estimated gradient."""
        config = self.config
        plus, minus = centred_ranks(scores.returns.mean(axis=1).reshape(2, -1))  # one ranking of both halves
        ascent = gradient(plus, minus, self.directions, config.noise_std) - config.weight_decay * self.vector
        self._descent[:] = -ascent  # Adam goes down
        norm = self.adam.step(config.learning_rate)
        return {"gradient_norm": norm, "parameter_norm": float(np.linalg.norm(self.vector))}

    def parameters(self) -> dict[str, np.ndarray]:
        """Return the policy [n]."""
        return {"vector": self.vector}

    def state_dict(self) -> dict[str, Any]:
        """Return the policy, as a copy, Adam's moments, and the state of the population."""
        return {**super().state_dict(), "vector": self.vector.copy()}
