"""ARS, augmented random search: try directions both ways, and move along the best of them by what the two ways differed.

Source: H. Mania, A. Guy, B. Recht. "Simple random search of static linear policies is competitive for reinforcement learning", 2018,
Algorithm 2; V1 sees observations as they are, V2 normalised ones (`normalise_obs`), V1-t and V2-t keep the top b < N directions.
Departures: the policy may be any network, and the linear one has a bias; actions of a Discrete space are the argmax of the outputs;
no step is taken where all kept returns are equal, because then sigma_R is 0.
Letters: N directions, b kept ones, n parameters.
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
from rl_core.config import Count, Doc, Positive, configclass
from rl_core.network import Network
from rl_core.seeds import Seeds
from rl_core.task import ControlTask


@configclass
class ARSConfig:
    """Settings of augmented random search; the defaults are those of the authors' program."""

    num_directions: Annotated[Count, Doc("N, directions tried in an iteration, each both ways")] = 8
    num_top: Annotated[int | None, Doc("b, directions that are kept, in [1, N]; none for all")] = None
    learning_rate: Annotated[Positive, Doc("alpha, step size in units of the deviation of returns")] = 0.02
    noise_std: Annotated[Positive, Doc("nu, how far a direction is tried")] = 0.03
    alive_bonus: Annotated[
        float, Doc("what is taken off every step's reward, so that staying alive does not drown the rest, any number")
    ] = 0.0
    start: Annotated[Literal["zero", "network"], Doc("the first parameters: 0, or the network as it is initialised")] = "zero"
    num_episodes: Annotated[Count, Doc("E, episodes that judge a candidate")] = 1
    normalise_obs: Annotated[bool, Doc("V2: observations to mean 0 and deviation 1, with the statistics of earlier iterations")] = False
    num_envs: Annotated[Count, Doc("environments stepped together where episodes are not compiled")] = 8
    compiled: Annotated[bool, Doc("whether a plain perceptron on an array task plays compiled episodes; their starts are others")] = True

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        for name in ("num_directions", "num_episodes", "num_envs"):
            require_range(self, name, 1, math.inf)
        if self.num_top is not None:
            require_range(self, "num_top", 1, self.num_directions)
        for name in ("learning_rate", "noise_std"):
            require_range(self, name, 0, math.inf, open_low=True)


def top_directions(plus: np.ndarray, minus: np.ndarray, count: int) -> np.ndarray:
    """Indices [b] of the directions whose better way, max(r+, r-), has the highest return; best first.

    >>> top_directions(np.array([1.0, 5.0, 2.0]), np.array([4.0, 0.0, 3.0]), 2).tolist()
    [1, 0]
    """
    return np.argsort(-np.maximum(plus, minus), kind="stable")[:count]


def movement(plus: np.ndarray, minus: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """What is added to the policy [n] for a learning rate of 1: mean of (r+ - r-) delta, by the deviation of all these returns.

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


class ARS(Agent):
    """The agent: one policy, moved along the directions that paid best."""

    Config: ClassVar[type] = ARSConfig
    headline = "episode_return"
    config: ARSConfig

    def __init__(self, config: ARSConfig, task: ControlTask, network: Network, *, seeds: Seeds, budget: int, device: str = "auto") -> None:
        super().__init__(config, task, network, seeds=seeds, budget=budget, device=device)
        self.population = Population(
            task,
            network,
            seeds=seeds,
            num_envs=min(config.num_envs, 2 * config.num_directions * config.num_episodes),
            normalise_obs=config.normalise_obs,
            compiled=config.compiled,
            device=device,
        )
        first = self.population.first
        self.vector = first.copy() if config.start == "network" else np.zeros_like(first)
        self.noise = seeds.numpy("candidates")

    @one_thread
    def step(self) -> dict[str, float]:
        """One iteration: directions tried both ways, and a step along the best of them."""
        config = self.config
        directions = self.noise.standard_normal((config.num_directions, len(self.vector)))
        shift = config.noise_std * directions
        scores = self.population.play(np.concatenate([self.vector + shift, self.vector - shift]), config.num_episodes)
        self.progress += scores.steps

        earned = (scores.returns - config.alive_bonus * scores.lengths).mean(axis=1)
        plus, minus = earned[: config.num_directions], earned[config.num_directions :]
        kept = top_directions(plus, minus, config.num_top or config.num_directions)
        step = config.learning_rate * movement(plus[kept], minus[kept], directions[kept])
        self.vector = self.vector + step
        return scores.metrics() | {"step_norm": float(np.linalg.norm(step)), "parameter_norm": float(np.linalg.norm(self.vector))}

    @one_thread
    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Actions [B, ...] of the policy at observations [B, ...]."""
        return self.population.predict(self.vector, inputs)

    def parameters(self) -> dict[str, np.ndarray]:
        """The policy [n]."""
        return {"vector": self.vector}

    def state_dict(self) -> dict[str, Any]:
        """The policy, and what the population keeps: the statistics of observations are part of the policy."""
        return {"vector": self.vector, "population": self.population.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        self.vector = np.array(state["vector"])
        self.population.load_state_dict(state["population"])
