"""Multi-armed bandit problems: one state, one decision, a reward.

*Source*: Sutton and Barto, Reinforcement Learning (2nd edition, 2018), sections 2.1 and 2.3.

*Departures*: none.

*Letters*: N environments, A arms.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
from gymnasium import spaces

from dl_nets.fast.kernels import kernel
from rl_algos.parts.ranges import require_array
from rl_core.config import Doc, Meta, NonNegative, Whole, configclass
from rl_core.envs import Envs, Transition
from rl_core.seeds import Seeds
from rl_core.task import ControlTask


@configclass
class BanditConfig:
    """Number and rewards of the arms."""

    num_arms: Annotated[int, Meta(ge=1, le=1_000_000), Doc("A")] = 10
    rewards: Annotated[
        Literal["gaussian", "bernoulli"], Doc("with standard deviation 1 around the arm's mean, or 1 with that probability")
    ] = "gaussian"
    means: Annotated[
        tuple[float, ...], Doc("mean reward of each arm, any number; empty: drawn, from N(offset, 1) or uniformly from [0, 1]")
    ] = ()
    offset: Annotated[float, Doc("mean of the gaussian arms' means, unit of reward, any number")] = 0.0
    drift: Annotated[NonNegative, Doc("standard deviation of the change of each mean after every pull, unit of reward")] = 0.0
    switch_pulls: Annotated[Whole, Doc("pulls after which every arm takes over the mean of the one before it; 0 for never")] = 0
    problem: Annotated[Whole, Doc("seed of the drawn means")] = 0
    max_steps: Annotated[int, Meta(ge=1), Doc("pulls after which an episode is cut and its rewards are added up")] = 100

    def __post_init__(self) -> None:
        if self.means and len(self.means) != self.num_arms:
            raise ValueError(f"means has {len(self.means)} entries; num_arms is {self.num_arms}")
        if self.rewards == "bernoulli" and (self.drift > 0.0 or any(not 0.0 <= mean <= 1.0 for mean in self.means)):
            raise ValueError(f"means is {self.means} and drift is {self.drift}; bernoulli means are in [0, 1] and do not drift")


class Arms(NamedTuple):
    """The arms of N bandits inside a compiled loop.

    Attributes:
        means: Mean rewards now [N, A]; moved in place where they drift.
        bernoulli: Whether rewards are 1 or 0.
        drift: Standard deviation of the change of each mean after a pull.
        switch_pulls: Pulls after which the means move on by one arm; 0 for never.
        pulled: Pulls so far [N].
    """

    means: np.ndarray
    bernoulli: bool
    drift: float
    switch_pulls: int
    pulled: np.ndarray


@kernel
def pull(arms: Arms, env: int, arm: int, rng: np.random.Generator) -> float:
    """Return the reward of an arm of bandit `env`; the means of that bandit drift, or move on, afterwards."""
    means = arms.means[env]
    reward = (1.0 if rng.random() < means[arm] else 0.0) if arms.bernoulli else means[arm] + rng.standard_normal()
    if arms.drift > 0.0:
        for other in range(len(means)):
            means[other] += arms.drift * rng.standard_normal()
    arms.pulled[env] += 1
    if arms.switch_pulls > 0 and arms.pulled[env] % arms.switch_pulls == 0:
        last = means[-1]
        for other in range(len(means) - 1, 0, -1):
            means[other] = means[other - 1]
        means[0] = last
    return reward


class BanditEnvs(Envs):
    """N copies of a bandit. An episode is `max_steps` pulls; it is cut, not ended, because a bandit never ends.

    Attributes:
        arms: The arms of all copies.
        rng: Stream of rewards and drift.
    """

    def __init__(self, means: np.ndarray, config: BanditConfig, num_envs: int, seeds: Seeds) -> None:
        super().__init__(num_envs, spaces.Discrete(1), spaces.Discrete(len(means)))
        self.config = config
        pulled = np.zeros(num_envs, dtype=np.int64)
        self.arms = Arms(np.tile(means, (num_envs, 1)), config.rewards == "bernoulli", config.drift, config.switch_pulls, pulled)
        self._streams = seeds.child("bandit")
        self.rng = self._streams.numpy("rewards")

    def reset(self) -> np.ndarray:
        """Return zeros [N]: a bandit has one state."""
        return np.zeros(self.num_envs, dtype=np.int64)

    def step(self, actions: np.ndarray) -> Transition:
        """Pull arms [N].

        Raises:
            ValueError: if an arm does not exist.
        """
        actions = np.asarray(actions)
        if ((actions < 0) | (actions >= self.arms.means.shape[1])).any():
            raise ValueError(f"arms are {actions.tolist()[:8]}; each must be in [0, {self.arms.means.shape[1]})")
        reward = np.empty(self.num_envs, dtype=np.float32)
        for env, arm in enumerate(actions):
            reward[env] = pull(self.arms, env, int(arm), self.rng)
        truncated, zeros = self._length + 1 >= self.config.max_steps, np.zeros(self.num_envs, dtype=np.int64)
        self._count(reward, truncated)
        return Transition(zeros, reward, np.zeros(self.num_envs, dtype=bool), truncated, zeros)

    def state_dict(self) -> dict[str, Any]:
        """Return means, pulls and the random stream."""
        return {
            "means": self.arms.means.copy(),
            "pulled": self.arms.pulled.copy(),
            "streams": self._streams.state_dict(),
            **self._counters(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> np.ndarray:
        """Restore `state`; return zeros [N].

        Raises:
            ValueError: if means or pulls have another shape or type than here.
        """
        self.arms.means[:] = require_array("means", state["means"], self.arms.means)
        self.arms.pulled[:] = require_array("pulled", state["pulled"], self.arms.pulled, 0)
        self._streams.load_state_dict(state["streams"])
        self._load_counters(state)
        return self.reset()


class Bandit(ControlTask):
    """A bandit. The score is the mean return of `max_steps` pulls of the arm that the agent considers the best."""

    Config: ClassVar[type] = BanditConfig

    def __init__(self, config: BanditConfig) -> None:
        super().__init__(config)
        rng = np.random.Generator(np.random.PCG64(config.problem))
        if config.means:
            self.means = np.array(config.means)
        elif config.rewards == "bernoulli":
            self.means = rng.random(config.num_arms)
        else:
            self.means = config.offset + rng.standard_normal(config.num_arms)
        self.input_space, self.output_space = spaces.Discrete(1), spaces.Discrete(config.num_arms)
        self.discount = 0.0

    def traits(self) -> frozenset[str]:
        """Return the traits of a control task, and "bandit": its `envs` are `BanditEnvs`."""
        return super().traits() | {"bandit"}

    def envs(self, num_envs: int, seeds: Seeds) -> BanditEnvs:
        """Return copies of the bandit."""
        return BanditEnvs(self.means, self.config, num_envs, seeds)
