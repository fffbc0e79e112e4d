"""ES, evolution strategies as a gradient method: ascend the mean return of a cloud of policies around the present one.

Source: T. Salimans, J. Ho, X. Chen, S. Sidor, I. Sutskever. "Evolution strategies as a scalable alternative to reinforcement
learning", 2017, section 2 and Algorithm 1, with mirrored candidates and centred ranks as in section 2.1.
Departures: ties share the mean of their ranks, so that episodes which all end alike move nothing; the estimate is divided by sigma
as the paper writes, which the authors' program leaves out; one process. Statistics of observations are those of all episodes.
Letters: m pairs, n parameters.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from scipy.stats import rankdata

from dl_nets.fast.mlp import FlatAdam, one_thread
from rl_algos.parts.ranges import require_range
from rl_algos.search.population import Population
from rl_core.agent import Agent
from rl_core.config import Count, Doc, NonNegative, Positive, configclass
from rl_core.network import Network
from rl_core.seeds import Seeds
from rl_core.task import ControlTask


@configclass
class ESConfig:
    """Settings of evolution strategies."""

    num_pairs: Annotated[Count, Doc("m, mirrored pairs of candidates in a generation")] = 10
    noise_std: Annotated[Positive, Doc("sigma, deviation of the candidates")] = 0.1
    learning_rate: Annotated[Positive, Doc("alpha, step size of Adam")] = 0.05
    weight_decay: Annotated[NonNegative, Doc("lambda, how strongly parameters are pulled to 0")] = 0.005
    start: Annotated[Literal["zero", "network"], Doc("the first parameters: 0, or the network as it is initialised")] = "zero"
    num_episodes: Annotated[Count, Doc("E, episodes that judge a candidate")] = 1
    normalise_obs: Annotated[bool, Doc("observations to mean 0 and deviation 1, with the statistics of earlier generations")] = False
    num_envs: Annotated[Count, Doc("N, environments stepped together where episodes are not compiled")] = 8
    compiled: Annotated[bool, Doc("whether a plain perceptron on an array task plays compiled episodes; their starts are others")] = True

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        for name, low in (("num_pairs", 1), ("weight_decay", 0), ("num_episodes", 1), ("num_envs", 1)):
            require_range(self, name, low, math.inf)
        for name in ("noise_std", "learning_rate"):
            require_range(self, name, 0, math.inf, open_low=True)


def centred_ranks(scores: np.ndarray) -> np.ndarray:
    """Ranks of scores [...] among all of them, from -1/2 for the lowest to 1/2 for the highest; ties share their mean.

    >>> centred_ranks(np.array([[10.0, -3.0], [7.0, 10.0]])).round(4).tolist()
    [[0.3333, -0.5], [-0.1667, 0.3333]]
    """
    ranks = rankdata(scores, method="average").reshape(scores.shape) - 1
    return ranks / max(scores.size - 1, 1) - 0.5


def gradient(plus: np.ndarray, minus: np.ndarray, noise: np.ndarray, noise_std: float) -> np.ndarray:
    """The gradient [n] of E[F(theta + sigma eps)]: mean over pairs of (F+ - F-) eps / (2 sigma).

    Args:
        plus: F(theta + sigma eps_i), or its rank [m].
        minus: F(theta - sigma eps_i), or its rank [m].
        noise: eps [m, n].
        noise_std: sigma.

    >>> gradient(np.array([4.0]), np.array([2.0]), np.array([[1.0, -1.0]]), 0.5).tolist()  # (4 - 2) / (2 * 0.5) eps
    [2.0, -2.0]
    """
    return (plus - minus) @ noise / (2 * len(noise) * noise_std)


class ES(Agent):
    """The agent: one policy, and mirrored pairs of others around it that say which way is up."""

    Config: ClassVar[type] = ESConfig
    headline = "episode_return"
    config: ESConfig

    def __init__(self, config: ESConfig, task: ControlTask, network: Network, *, seeds: Seeds, budget: int, device: str = "auto") -> None:
        super().__init__(config, task, network, seeds=seeds, budget=budget, device=device)
        self.population = Population(
            task,
            network,
            seeds=seeds,
            num_envs=min(config.num_envs, 2 * config.num_pairs * config.num_episodes),
            normalise_obs=config.normalise_obs,
            compiled=config.compiled,
            device=device,
        )
        first = self.population.first.astype(np.float32)
        self.vector = first.copy() if config.start == "network" else np.zeros_like(first)
        self._descent = np.zeros_like(first)
        self._adam = FlatAdam(self.vector, self._descent)
        self.noise = seeds.numpy("candidates")

    @one_thread
    def step(self) -> dict[str, float]:
        """One generation: pairs of candidates, their episodes, and one step of Adam up the estimated gradient."""
        config = self.config
        noise = self.noise.standard_normal((config.num_pairs, len(self.vector)))
        shift = config.noise_std * noise
        scores = self.population.play(np.concatenate([self.vector + shift, self.vector - shift]), config.num_episodes)
        self.progress += scores.steps

        plus, minus = centred_ranks(scores.returns.mean(axis=1).reshape(2, -1))  # one ranking of both halves
        ascent = gradient(plus, minus, noise, config.noise_std) - config.weight_decay * self.vector
        self._descent[:] = -ascent  # Adam goes down
        norm = self._adam.step(config.learning_rate)
        return scores.metrics() | {"gradient_norm": norm, "parameter_norm": float(np.linalg.norm(self.vector))}

    @one_thread
    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Actions [B, ...] of the policy in the middle at observations [B, ...]."""
        return self.population.predict(self.vector, inputs)

    def parameters(self) -> dict[str, np.ndarray]:
        """The policy [n]."""
        return {"vector": self.vector}

    def state_dict(self) -> dict[str, Any]:
        """The policy, Adam's moments, and what the population keeps."""
        return {"vector": self.vector.copy(), "adam": self._adam.state_dict(), "population": self.population.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        self.vector[:] = state["vector"]
        self._adam.load_state_dict(state["adam"])
        self.population.load_state_dict(state["population"])
