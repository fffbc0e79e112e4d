"""Bandit problems and the agents made for them: one decision, a reward, again.

*Source*: Sutton and Barto, Reinforcement Learning (2nd edition, 2018), chapter 2; Auer, Cesa-Bianchi and Fischer (2002) for UCB1; Thompson,
On the Likelihood that One Unknown Probability Exceeds Another (1933); Russo et al., A Tutorial on Thompson Sampling (2018).

*Departures*: none.

*Letters*: N environments, A arms.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from gymnasium import spaces

from dl_nets.fast.kernels import announced, kernel
from rl_algos.parts.exploration import Exploration, Explorer, draw_action, explore
from rl_algos.parts.ranges import require_range
from rl_core.agent import Agent
from rl_core.config import Count, Doc, Fraction, NonNegative, Positive, Whole, configclass
from rl_core.envs import Envs, Transition
from rl_core.network import Network
from rl_core.seeds import Seeds
from rl_core.task import ControlTask, Task

METHODS = ("values", "gradient", "thompson")
VALUES, GRADIENT, THOMPSON = range(3)


@configclass
class BanditConfig:
    """A bandit with so many arms."""

    num_arms: Annotated[Count, Doc("A")] = 10
    rewards: Annotated[
        Literal["gaussian", "bernoulli"], Doc("with standard deviation 1 around the arm's mean, or 1 with that probability")
    ] = "gaussian"
    means: Annotated[
        tuple[float, ...], Doc("mean reward of each arm, any number; empty: drawn, from N(offset, 1) or uniformly from [0, 1]")
    ] = ()
    offset: Annotated[float, Doc("mean of the gaussian arms' means, unit of reward, any number")] = 0.0
    drift: Annotated[NonNegative, Doc("standard deviation of what each mean moves by after every pull, unit of reward")] = 0.0
    problem: Annotated[Whole, Doc("which drawn problem")] = 0
    max_steps: Annotated[Count, Doc("pulls after which an episode is cut and its rewards are added up")] = 100

    def __post_init__(self) -> None:
        require_range(self, "num_arms", 1, float("inf"))
        require_range(self, "drift", 0.0, float("inf"))
        require_range(self, "problem", 0, float("inf"))
        require_range(self, "max_steps", 1, float("inf"))
        if self.means and len(self.means) != self.num_arms:
            raise ValueError(f"means has {len(self.means)} entries; num_arms is {self.num_arms}")
        if self.rewards == "bernoulli" and (self.drift > 0.0 or any(not 0.0 <= mean <= 1.0 for mean in self.means)):
            raise ValueError(f"means is {self.means} and drift is {self.drift}; bernoulli means are in [0, 1] and stay where they are")


@kernel
def pull(means: np.ndarray, env: int, arm: int, bernoulli: bool, drift: float, rng: np.random.Generator) -> float:
    """The reward of an arm of bandit `env`; the means [N, A] of that bandit drift afterwards."""
    if bernoulli:
        return 1.0 if rng.random() < means[env, arm] else 0.0
    reward = means[env, arm] + rng.standard_normal()
    if drift > 0.0:
        for other in range(means.shape[1]):
            means[env, other] += drift * rng.standard_normal()
    return reward


class BanditEnvs(Envs):
    """N copies of a bandit; an episode is so many pulls, and is cut and not ended, for nothing ever ends a bandit.

    Attributes:
        means: Mean rewards now [N, A].
        rng: The stream of rewards and drift.
    """

    def __init__(self, means: np.ndarray, config: BanditConfig, num_envs: int, seeds: Seeds) -> None:
        super().__init__(num_envs, spaces.Discrete(1), spaces.Discrete(len(means)))
        self.config = config
        self.means = np.tile(means, (num_envs, 1))
        self._streams = seeds.child("bandit")
        self.rng = self._streams.numpy("rewards")

    def reset(self) -> np.ndarray:
        """Zeros [N]: a bandit has one state."""
        return np.zeros(self.num_envs, dtype=np.int64)

    def step(self, actions: np.ndarray) -> Transition:
        """Pull arms [N]."""
        reward = np.empty(self.num_envs, dtype=np.float32)
        for env, arm in enumerate(actions):
            reward[env] = pull(self.means, env, int(arm), self.config.rewards == "bernoulli", self.config.drift, self.rng)
        truncated, zeros = self._length + 1 >= self.config.max_steps, np.zeros(self.num_envs, dtype=np.int64)
        self._count(reward, truncated)
        return Transition(zeros, reward, np.zeros(self.num_envs, dtype=bool), truncated, zeros)

    def state_dict(self) -> dict[str, Any]:
        """Means and the random stream."""
        return {"means": self.means.copy(), "streams": self._streams.state_dict(), **self._counters()}

    def load_state_dict(self, state: Mapping[str, Any]) -> np.ndarray:
        """Go where `state` says; zeros [N]."""
        self.means[:] = state["means"]
        self._streams.load_state_dict(state["streams"])
        self._load_counters(state)
        return self.reset()


class Bandit(ControlTask):
    """A bandit. The score is the mean return of so many pulls of the arm that the agent takes to be the best."""

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
        """Also "bandit"."""
        return super().traits() | {"bandit"}

    def envs(self, num_envs: int, seeds: Seeds) -> BanditEnvs:
        """Copies of the bandit."""
        return BanditEnvs(self.means, self.config, num_envs, seeds)


@configclass
class BanditAgentConfig(Exploration):
    """Settings of bandit agents."""

    method: Annotated[Literal["values", "gradient", "thompson"], Doc("estimate arms and explore; prefer arms; or believe and sample")] = (
        "values"
    )
    learning_rate: Annotated[Fraction, Doc("alpha, step size; 0 is the mean of all rewards (values alone)")] = 0.0
    initial_value: Annotated[float, Doc("Q_0, unit of reward, any number; optimistic when above what can be had")] = 0.0
    baseline: Annotated[bool, Doc("gradient: compare a reward with the mean reward so far")] = True
    prior_deviation: Annotated[Positive, Doc("thompson on gaussian arms: standard deviation of an arm's mean before it is tried")] = 1.0
    pulls_per_iteration: Annotated[Count, Doc("pulls between two reports")] = 100

    def __post_init__(self) -> None:
        require_range(self, "prior_deviation", 0.0, float("inf"), open_low=True)
        require_range(self, "pulls_per_iteration", 1, float("inf"))
        if self.method == "gradient" and self.learning_rate == 0.0:
            raise ValueError("learning_rate is 0.0; with the gradient method it must be > 0")


@kernel
def softmax(preferences: np.ndarray, out: np.ndarray) -> None:
    """pi(a) = exp(H_a) / sum_b exp(H_b) (2.11) of preferences [A], written to `out` [A]."""
    best = preferences.max()
    for arm in range(len(preferences)):
        out[arm] = math.exp(preferences[arm] - best)
    out /= out.sum()


@kernel
def sampled_arm(values: np.ndarray, visits: np.ndarray, bernoulli: bool, deviation: float, rng: np.random.Generator) -> int:
    """Thompson sampling: draw a mean for every arm from what is believed of it, and take the largest.

    Bernoulli arms: Beta(1 + successes, 1 + failures). Gaussian arms of standard deviation 1: N(m, 1 / p), p = 1 / deviation^2 + N,
    m = sum of rewards / p.
    """
    best, chosen = -math.inf, 0
    for arm in range(values.shape[1]):
        count, total = visits[0, arm], values[0, arm] * visits[0, arm]
        if bernoulli:
            sample = rng.beta(1.0 + total, 1.0 + count - total)
        else:
            precision = 1.0 / deviation**2 + count
            sample = total / precision + rng.standard_normal() / math.sqrt(precision)
        if sample > best:
            best, chosen = sample, arm
    return chosen


@kernel
def learn_by_pulling(
    means: np.ndarray,
    bernoulli: bool,
    drift: float,
    num_pulls: int,
    first_pull: int,
    method: int,
    explorer: Explorer,
    learning_rate: float,
    baseline: bool,
    deviation: float,
    values: np.ndarray,
    visits: np.ndarray,
    mean_reward: np.ndarray,
    outcomes: np.random.Generator,
    rng: np.random.Generator,
    rewards: np.ndarray,
    regrets: np.ndarray,
) -> None:
    """Pull and learn, `num_pulls` times; writes rewards [P] and how far the arm's mean was from the best one's [P].

    Values: Q <- Q + alpha (R - Q) (2.5), alpha = 1 / N for the mean (2.3). Thompson: the mean of an arm's rewards. Gradient:
    H_a <- H_a + alpha (R - mean) (1[a = A] - pi_a) (2.12). All of them in `values`.
    """
    scratch = np.empty(values.shape[1])
    for index in range(num_pulls):
        if method == THOMPSON:
            arm = sampled_arm(values, visits, bernoulli, deviation, rng)
        elif method == GRADIENT:
            softmax(values[0], scratch)
            arm = draw_action(scratch, rng.random())
        else:
            arm = explore(explorer, values, visits, 0, first_pull + index, rng.random(), scratch)
        regrets[index] = means[0].max() - means[0, arm]
        reward = pull(means, 0, arm, bernoulli, drift, outcomes)
        rewards[index] = reward
        visits[0, arm] += 1
        if method == GRADIENT:
            compared = mean_reward[0] if baseline else 0.0  # the mean before this reward
            for other in range(values.shape[1]):
                values[0, other] += learning_rate * (reward - compared) * ((other == arm) - scratch[other])
            mean_reward[0] += (reward - mean_reward[0]) / (first_pull + index + 1)
        else:
            rate = learning_rate if learning_rate > 0.0 and method == VALUES else 1.0 / visits[0, arm]
            values[0, arm] += rate * (reward - values[0, arm])


class BanditAgent(Agent):
    """Epsilon-greedy, optimistic, UCB, gradient bandit or Thompson sampling.

    Attributes:
        values: Estimates, or preferences [1, A].
        visits: Pulls of each arm [1, A].
        regret: Sum over pulls of the best arm's mean less the pulled arm's.
    """

    Config = BanditAgentConfig

    def __init__(
        self, config: BanditAgentConfig, task: Task, network: Network | None, *, seeds: Seeds, budget: int, device: str = "auto"
    ) -> None:
        super().__init__(config, task, network, seeds=seeds, budget=budget, device=device)
        if not isinstance(task, Bandit):
            raise ValueError(f"bandit agents learn bandit tasks, not {type(task).__name__}; take a learner such as q-learning")
        num_arms = int(task.output_space.n)
        self.envs = task.envs(1, seeds)
        self.envs.reset()
        self.rng = seeds.numpy("exploration")
        self.values = np.full((1, num_arms), config.initial_value)
        self.visits = np.zeros((1, num_arms), dtype=np.int64)
        self.mean_reward = np.zeros(1)
        self.regret = 0.0

    def step(self) -> dict[str, float]:
        """Mean reward, share of best arms and regret so far, over `pulls_per_iteration` pulls."""
        rewards, regrets = self.pull(max(1, min(self.config.pulls_per_iteration, self.budget - self.progress)))
        return {"mean reward": float(rewards.mean()), "best arm": float((regrets == 0.0).mean()), "regret": self.regret}

    def pull(self, num_pulls: int) -> tuple[np.ndarray, np.ndarray]:
        """Pull and learn; rewards [P], and how much worse than the best arm the pulled ones were [P]."""
        config, bandit = self.config, self.task.config
        rewards, regrets = np.empty(num_pulls), np.empty(num_pulls)
        with announced("the loop of bandits"):
            learn_by_pulling(
                self.envs.means, bandit.rewards == "bernoulli", bandit.drift, num_pulls, self.progress, METHODS.index(config.method),
                config.explorer(), config.learning_rate, config.baseline, config.prior_deviation, self.values, self.visits,
                self.mean_reward, self.envs.rng, self.rng, rewards, regrets,
            )  # fmt: skip
        self.progress += num_pulls
        self.regret += float(regrets.sum())
        return rewards, regrets

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """The best arm known [B]."""
        return np.full(len(inputs), int(self.values[0].argmax()))

    def state_dict(self) -> dict[str, Any]:
        """Estimates, counts and the bandit itself."""
        return {
            "values": self.values,
            "visits": self.visits,
            "mean_reward": self.mean_reward,
            "regret": self.regret,
            "envs": self.envs.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        for name in ("values", "visits", "mean_reward"):
            getattr(self, name)[...] = state[name]
        self.regret = float(state["regret"])
        self.envs.load_state_dict(state["envs"])
