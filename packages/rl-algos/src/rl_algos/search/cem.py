"""CEM, the cross-entropy method over the parameters of a policy: draw candidates, keep the best, draw the next ones like those.

Source: I. Szita, A. Lorincz. "Learning tetris using the noisy cross-entropy method", 2006, section 2; the method itself from
R. Y. Rubinstein, "The cross-entropy method for combinatorial and continuous optimization", 1999.
Departures: the added variance may fall as 1/k besides linearly; nothing is smoothed; what is judged is the mean of the Gaussian.
Letters: P candidates, K elites, n parameters, k generations.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from dl_nets.fast.mlp import one_thread
from rl_algos.parts.ranges import require_range
from rl_algos.search.population import Population
from rl_core.agent import Agent
from rl_core.config import Count, Doc, Meta, NonNegative, Positive, configclass
from rl_core.network import Network
from rl_core.seeds import Seeds
from rl_core.task import ControlTask


@configclass
class CEMConfig:
    """Settings of the cross-entropy method."""

    population_size: Annotated[int, Meta(ge=2), Doc("P, candidates of a generation")] = 40
    elite_fraction: Annotated[float, Meta(gt=0, le=1), Doc("rho, part of the candidates that is kept")] = 0.2
    first_std: Annotated[Positive, Doc("sigma_0, deviation of the first candidates")] = 1.0
    extra_variance: Annotated[NonNegative, Doc("Z_1, what is added to the variance after the first generation")] = 1.0
    extra_variance_schedule: Annotated[Literal["inverse", "linear"], Doc("Z_1 / k, or linearly down to 0 after extra_generations")] = (
        "inverse"
    )
    extra_generations: Annotated[Count, Doc("k_1, generations after which a linear Z_k is 0")] = 50
    start: Annotated[Literal["zero", "network"], Doc("the first mean: 0, or the network as it is initialised")] = "zero"
    num_episodes: Annotated[Count, Doc("E, episodes that judge a candidate")] = 1
    normalise_obs: Annotated[bool, Doc("observations to mean 0 and deviation 1, with the statistics of earlier generations")] = False
    num_envs: Annotated[Count, Doc("N, environments stepped together where episodes are not compiled")] = 8
    compiled: Annotated[bool, Doc("whether a plain perceptron on an array task plays compiled episodes; their starts are others")] = True

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        for name, low in (("population_size", 2), ("extra_variance", 0), ("extra_generations", 1), ("num_episodes", 1), ("num_envs", 1)):
            require_range(self, name, low, math.inf)


def elites(candidates: np.ndarray, scores: np.ndarray, fraction: float) -> np.ndarray:
    """The ceil(rho P) candidates [K, n] with the highest scores [P], best first.

    >>> elites(np.array([[1.0], [2.0], [3.0]]), np.array([5.0, 9.0, 7.0]), 0.5).tolist()
    [[2.0], [3.0]]
    """
    count = math.ceil(fraction * len(scores))
    return candidates[np.argsort(-scores, kind="stable")[:count]]


def extra_variance(first: float, schedule: str, generation: int, generations: int) -> float:
    """Z_k after generation k = 1, 2, ...: Z_1 / k, or Z_1 max(0, 1 - (k - 1) / k_1).

    >>> extra_variance(2.0, "inverse", 4, 50), extra_variance(2.0, "linear", 26, 50)
    (0.5, 1.0)
    """
    if schedule == "inverse":
        return first / generation
    return first * max(0.0, 1 - (generation - 1) / generations)


def refit(best: np.ndarray, extra: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean [n] and deviation [n] of the elites [K, n], with `extra` added to the variance: without it they collapse too early.

    >>> refit(np.array([[1.0], [3.0]]), 3.0)
    (array([2.]), array([2.]))
    """
    return best.mean(axis=0), np.sqrt(best.var(axis=0) + extra)


class CEM(Agent):
    """The agent: a Gaussian with independent dimensions over the parameters of a policy."""

    Config: ClassVar[type] = CEMConfig
    headline = "episode_return"
    config: CEMConfig

    def __init__(self, config: CEMConfig, task: ControlTask, network: Network, *, seeds: Seeds, budget: int, device: str = "auto") -> None:
        super().__init__(config, task, network, seeds=seeds, budget=budget, device=device)
        self.population = Population(
            task,
            network,
            seeds=seeds,
            num_envs=min(config.num_envs, config.population_size * config.num_episodes),
            normalise_obs=config.normalise_obs,
            compiled=config.compiled,
            device=device,
        )
        first = self.population.first
        self.mean = first.copy() if config.start == "network" else np.zeros_like(first)
        self.std = np.full_like(first, config.first_std)
        self.generation = 0
        self.noise = seeds.numpy("candidates")

    @one_thread
    def step(self) -> dict[str, float]:
        """One generation: candidates, their episodes, and the Gaussian of the best."""
        config = self.config
        candidates = self.mean + self.std * self.noise.standard_normal((config.population_size, len(self.mean)))
        scores = self.population.play(candidates, config.num_episodes)
        self.progress += scores.steps
        self.generation += 1

        best = elites(candidates, scores.returns.mean(axis=1), config.elite_fraction)
        extra = extra_variance(config.extra_variance, config.extra_variance_schedule, self.generation, config.extra_generations)
        self.mean, self.std = refit(best, extra)
        return scores.metrics() | {"std": float(self.std.mean()), "generation": self.generation}

    @one_thread
    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Actions [B, ...] of the mean at observations [B, ...]."""
        return self.population.predict(self.mean, inputs)

    def parameters(self) -> dict[str, np.ndarray]:
        """Mean and deviation [n]."""
        return {"mean": self.mean, "std": self.std}

    def state_dict(self) -> dict[str, Any]:
        """The Gaussian, the number of generations, and what the population keeps."""
        return {"mean": self.mean, "std": self.std, "generation": self.generation, "population": self.population.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        self.mean, self.std = np.array(state["mean"]), np.array(state["std"])
        self.generation = int(state["generation"])
        self.population.load_state_dict(state["population"])
