"""Any environment with a vector of numbers cut into bins: `binned:<id>`, so that tables can learn it.

*Source*: Michie and Chambers, BOXES: An Experiment in Adaptive Control (1968).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces

from rl_core.config import Count, Doc, Fraction, configclass
from rl_core.envs import Envs
from rl_core.gym_envs import GymEnvs
from rl_core.seeds import Seeds
from rl_core.task import ControlTask

PROBE_EPISODES = 100
KNOWN = {"CartPole-v1": ((1, 3, 8, 10), (1.5, 2.0, 0.2, 2.0))}
"""Bins, and how far they reach to both sides, of environments whose own bounds and whose random play give no useful range."""
LARGE = 1e6  # a bound above this says nothing


@configclass
class BinnedConfig:
    """Settings of the environment and of the bins of its observations."""

    id: Annotated[str, Doc("id in Gymnasium's registry, of an environment with a vector of observations and discrete actions")] = (
        "CartPole-v1"
    )
    bins: Annotated[tuple[Count, ...], Doc("bins of each number each; empty: those known to do, or 8 each")] = ()
    low: Annotated[
        tuple[float, ...], Doc("where the first bin of each number starts, unit of the observation, any number; empty: see `high`")
    ] = ()
    high: Annotated[
        tuple[float, ...],
        Doc("where the last bin of each number ends, any number; empty: known, or what random actions reach"),
    ] = ()
    discount: Annotated[Fraction, Doc("gamma")] = 0.99
    target: Annotated[float | None, Doc("mean return that counts as solved, any number; null takes Gymnasium's threshold")] = None
    options: Annotated[Mapping[str, Any], Doc("keyword arguments of gymnasium.make")] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if any(not low < high for low, high in zip(self.low, self.high, strict=False)):
            raise ValueError(f"low is {self.low} and high is {self.high}; each low must be below its high")


class Binned(ControlTask):
    """A Gymnasium environment whose observation [D] is replaced by the number of its cell.

    Raises:
        ValueError: if Gymnasium does not know the id, or the environment has no vector of observations or no discrete actions.
    """

    Config: ClassVar[type] = BinnedConfig

    def __init__(self, config: BinnedConfig) -> None:
        super().__init__(config)
        try:
            env = self._make_plain()
        except (gymnasium.error.Error, TypeError, ImportError) as error:
            raise ValueError(f"Gymnasium cannot make {config.id!r}: {error}") from error
        space = env.observation_space
        if not isinstance(space, spaces.Box) or len(space.shape) != 1 or not isinstance(env.action_space, spaces.Discrete):
            raise ValueError(
                f"{config.id!r} takes {env.action_space} and shows {space}; bins need a vector of numbers and discrete actions"
            )
        size = space.shape[0]
        known_bins, known_reach = KNOWN.get(config.id, ((8,) * size, ()))
        self.bins = config.bins or known_bins
        for name in ("bins", "low", "high"):
            given = getattr(config, name)
            if given and len(given) != size:
                raise ValueError(f"{name} has {len(given)} entries; {config.id!r} shows {size} numbers")
        if known_reach:
            low, high = -np.array(known_reach), np.array(known_reach)
        elif not (config.low and config.high):
            low, high = _covered(env)
        low = np.array(config.low) if config.low else low
        high = np.array(config.high) if config.high else high
        # the outer bins are open: all beyond low and high falls into them
        self.edges = [np.linspace(low[index], high[index], count + 1)[1:-1] for index, count in enumerate(self.bins)]
        self.input_space = spaces.Discrete(int(np.prod(self.bins)))
        self.output_space = env.action_space
        self.discount = config.discount
        self.target = config.target if config.target is not None else env.spec.reward_threshold
        env.close()

    def envs(self, num_envs: int, seeds: Seeds) -> Envs:
        """Return environments one after the other, replayed on resume."""
        return GymEnvs(lambda: _Cells(self._make_plain(), self.edges), num_envs, seeds)

    def _make_plain(self) -> gymnasium.Env:
        return gymnasium.make(self.config.id, disable_env_checker=True, **self.config.options)


def cell_of(observation: np.ndarray, edges: list[np.ndarray]) -> int:
    """Return the number of the cell that an observation [D] falls into, given the inner edges of the bins of each number.

    >>> cell_of(np.array([0.2, 5.0]), [np.array([0.0]), np.array([1.0, 2.0])])
    5
    """
    number = 0
    for value, cuts in zip(observation, edges, strict=True):
        number = number * (len(cuts) + 1) + int(np.searchsorted(cuts, value, side="right"))
    return number


class _Cells(gymnasium.ObservationWrapper):
    def __init__(self, env: gymnasium.Env, edges: list[np.ndarray]) -> None:
        super().__init__(env)
        self.edges = edges
        self.observation_space = spaces.Discrete(int(np.prod([len(cuts) + 1 for cuts in edges])))

    def observation(self, observation: np.ndarray) -> int:
        return cell_of(observation, self.edges)


def _covered(env: gymnasium.Env) -> tuple[np.ndarray, np.ndarray]:
    """Return the space's own bounds where they are finite, else the range [D] that 100 episodes at random cover; always the same."""
    space = env.observation_space
    rng = np.random.Generator(np.random.PCG64(0))
    seen = []
    for episode in range(PROBE_EPISODES):
        obs, over = env.reset(seed=episode)[0], False
        while not over:
            seen.append(obs)
            obs, _, terminated, truncated, _ = env.step(int(rng.integers(env.action_space.n)))
            over = terminated or truncated
    low, high = np.min(seen, axis=0), np.max(seen, axis=0)
    bounded = (np.abs(space.low) < LARGE) & (np.abs(space.high) < LARGE)
    return np.where(bounded, space.low, low).astype(np.float64), np.where(bounded, space.high, np.maximum(high, low + 1e-9))
