"""ARS, augmented random search: try directions both ways, and move along the best of them by the difference of both returns.

Source: H. Mania, A. Guy, B. Recht. "Simple random search of static linear policies is competitive for reinforcement learning", 2018,
Algorithm 2; V1 sees observations as they are, V2 normalised ones (`normalise_obs`), V1-t and V2-t keep the top b < N directions.
Departures: the policy may be any network, and the linear one has a bias; actions of a Discrete space are the argmax of the outputs;
no step is taken where all kept returns are equal, because then sigma_R is 0.
Letters: N directions, b kept ones, n parameters.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np

from rl_algos.search.population import PolicySearch, Scores, SearchConfig
from rl_core.config import Count, Doc, Positive, configclass


@configclass
class ARSConfig(SearchConfig):
    """Settings of augmented random search, in addition to `SearchConfig`; the defaults are those of the authors' program."""

    num_directions: Annotated[Count, Doc("N, directions tried in an iteration, each both ways")] = 8
    num_top: Annotated[Count | None, Doc("b, directions that are kept, in [1, N]; none for all")] = None
    learning_rate: Annotated[Positive, Doc("alpha, step size in units of the deviation of returns")] = 0.02
    noise_std: Annotated[Positive, Doc("nu, how far a direction is tried")] = 0.03
    alive_bonus: Annotated[
        float, Doc("what is taken off every step's reward, so that staying alive does not drown the rest, any number")
    ] = 0.0

    def __post_init__(self) -> None:
        """Refuse to keep more directions than there are."""
        if self.num_top is not None and self.num_top > self.num_directions:
            raise ValueError(f"num_top is {self.num_top}; it must be in [1, {self.num_directions}], the number of directions")


def top_directions(plus: np.ndarray, minus: np.ndarray, count: int) -> np.ndarray:
    """Return indices [b] of the directions whose better way, max(r+, r-), has the highest return; best first.

    >>> top_directions(np.array([1.0, 5.0, 2.0]), np.array([4.0, 0.0, 3.0]), 2).tolist()
    [1, 0]
    """
    return np.argsort(-np.maximum(plus, minus), kind="stable")[:count]


def movement(plus: np.ndarray, minus: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Return the step of the policy [n] for a learning rate of 1: mean of (r+ - r-) delta, by the deviation of all these returns.

    Args:
        plus: r+ of the kept directions [b].
        minus: r- of the kept directions [b].
        directions: delta [b, n].

    >>> movement(np.array([3.0]), np.array([1.0]), np.array([[0.5, -1.0]])).tolist()  # (3 - 1) delta / 1
    [1.0, -2.0]
    >>> movement(np.array([500.0]), np.array([500.0]), np.array([[0.5, -1.0]])).tolist()
    [0.0, 0.0]
    """
    deviation = np.concatenate([plus, minus]).std()
    if deviation < 1e-8:
        return np.zeros(directions.shape[1])
    return (plus - minus) @ directions / (len(directions) * deviation)


class ARS(PolicySearch):
    """The agent: one policy, moved along the directions that paid best."""

    Config: ClassVar[type] = ARSConfig
    config: ARSConfig
    state_fields = (*PolicySearch.state_fields, "vector")

    def setup(self) -> None:
        """Start the policy."""
        super().setup()
        self.vector = self.first
        self.directions = np.zeros((0, len(self.vector)))  # of the generation under way

    @property
    def num_candidates(self) -> int:
        """Each direction is tried both ways."""
        return 2 * self.config.num_directions

    @property
    def centre(self) -> np.ndarray:
        """The policy [n]."""
        return self.vector

    def candidates(self) -> np.ndarray:
        """Draw directions, and take each both ways."""
        self.directions = self.noise.standard_normal((self.config.num_directions, len(self.vector)))
        shift = self.config.noise_std * self.directions
        return np.concatenate([self.vector + shift, self.vector - shift])

    def recombine(self, candidates: np.ndarray, scores: Scores) -> dict[str, float]:
        """Take a step along the best directions."""
        config = self.config
        earned = (scores.returns - config.alive_bonus * scores.lengths).mean(axis=1)
        plus, minus = earned[: config.num_directions], earned[config.num_directions :]
        kept = top_directions(plus, minus, config.num_top or config.num_directions)
        step = config.learning_rate * movement(plus[kept], minus[kept], self.directions[kept])
        self.vector = self.vector + step
        return {"step_norm": float(np.linalg.norm(step)), "parameter_norm": float(np.linalg.norm(self.vector))}

    def parameters(self) -> dict[str, np.ndarray]:
        """Return the policy [n]."""
        return {"vector": self.vector}
