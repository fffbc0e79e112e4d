"""Contextual bandits: a user arrives, an item is shown, a rating or a click comes back, and nothing else follows.

Source: L. Li, W. Chu, J. Langford, R. Schapire, "A contextual-bandit approach to personalized news article recommendation", 2010,
section 2.1, for the problem; the numbers are drawn from a seed. Departures: contexts are normal and independent.
Letters: N environments, A arms, I numbers of a context.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from gymnasium import spaces

from rl_algos.parts.ranges import require_array
from rl_core.config import Count, Doc, NonNegative, Whole, configclass
from rl_core.envs import Envs, Transition
from rl_core.seeds import Seeds
from rl_core.task import ControlTask


@configclass
class ContextualBanditConfig:
    """Arms, contexts and rewards."""

    num_arms: Annotated[Count, Doc("A")] = 5
    num_features: Annotated[Count, Doc("I, numbers that describe a user")] = 8
    rewards: Annotated[Literal["linear", "clicks"], Doc("x . theta_a and noise; or 1 with the logistic probability of it")] = "linear"
    noise: Annotated[NonNegative, Doc("standard deviation of linear rewards, unit of reward")] = 0.5
    problem: Annotated[Whole, Doc("seed of the arms' weights")] = 0
    max_steps: Annotated[Count, Doc("users of an episode")] = 100


class ContextualBanditEnvs(Envs):
    """N streams of users. An episode is cut after `max_steps` of them; it never ends by itself.

    Args:
        weights: theta, of each arm [A, I].
        config: Settings.
        num_envs: N.
        seeds: The stream `environments` gives users and rewards.
    """

    def __init__(self, weights: np.ndarray, config: ContextualBanditConfig, num_envs: int, seeds: Seeds) -> None:
        super().__init__(num_envs, *_spaces(config))
        self.weights, self.config = weights, config
        self._rng = seeds.numpy("environments")
        self._obs = np.zeros((num_envs, config.num_features), dtype=np.float32)

    def reset(self) -> np.ndarray:
        """Return the first users [N, I]."""
        self._obs = self._rng.standard_normal(self._obs.shape, dtype=np.float32)
        return self._obs

    def means(self) -> np.ndarray:
        """Return the mean reward of each arm for the users at hand [N, A]."""
        score: np.ndarray = self._obs @ self.weights.T
        return score if self.config.rewards == "linear" else 1.0 / (1.0 + np.exp(-score))

    def step(self, actions: np.ndarray) -> Transition:
        """Show items [N]; the next users arrive.

        Raises:
            ValueError: if an arm does not exist.
        """
        actions = np.asarray(actions)
        if ((actions < 0) | (actions >= self.config.num_arms)).any():
            raise ValueError(f"arms are {actions.tolist()[:8]}; each must be in [0, {self.config.num_arms})")
        mean = self.means()[np.arange(self.num_envs), actions]
        if self.config.rewards == "linear":
            reward = mean + self.config.noise * self._rng.standard_normal(self.num_envs)
        else:
            reward = self._rng.random(self.num_envs) < mean
        reward = reward.astype(np.float32)
        truncated = self._length + 1 >= self.config.max_steps
        obs = final_obs = self.reset()
        if truncated.any():  # the next episode has users of its own
            obs = self._obs = final_obs.copy()
            obs[truncated] = self._rng.standard_normal((int(truncated.sum()), obs.shape[1]), dtype=np.float32)
        self._count(reward, truncated)
        return Transition(obs, reward, np.zeros(self.num_envs, dtype=np.bool_), truncated, final_obs)

    def state_dict(self) -> dict[str, Any]:
        """Return the users at hand; the stream is saved with the run."""
        return {"obs": self._obs.copy(), **self._counters()}

    def load_state_dict(self, state: Mapping[str, Any]) -> np.ndarray:
        """Restore `state`; return its users.

        Raises:
            ValueError: if the users have another shape or type than here.
        """
        self._obs = require_array("obs", state["obs"], self._obs).copy()
        self._load_counters(state)
        return self._obs


def _spaces(config: ContextualBanditConfig) -> tuple[spaces.Box, spaces.Discrete]:
    return spaces.Box(-np.inf, np.inf, (config.num_features,), np.float32), spaces.Discrete(config.num_arms)


class ContextualBandit(ControlTask):
    """Users and items. The score is the mean return of `max_steps` users; it offers the trait `contextual`.

    Attributes:
        weights: theta, of each arm [A, I], of length 1 on average.
    """

    Config: ClassVar[type] = ContextualBanditConfig

    def __init__(self, config: ContextualBanditConfig) -> None:
        super().__init__(config)
        shape = (config.num_arms, config.num_features)
        drawn = np.random.Generator(np.random.PCG64(config.problem)).standard_normal(shape)
        self.weights = (drawn / np.sqrt(config.num_features)).astype(np.float32)
        self.input_space, self.output_space = _spaces(config)
        self.discount = 0.0

    def traits(self) -> frozenset[str]:
        """Return the traits, with `contextual`: an action changes nothing but its reward, and `envs` know the arms' means."""
        return super().traits() | {"contextual"}

    def envs(self, num_envs: int, seeds: Seeds) -> ContextualBanditEnvs:
        """Return streams of users."""
        return ContextualBanditEnvs(self.weights, self.config, num_envs, seeds)
