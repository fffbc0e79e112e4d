"""Agents for multi-armed bandits: action values with a rule of exploration, gradient bandits, and Thompson sampling.

*Source*: Sutton and Barto, Reinforcement Learning (2nd edition, 2018), chapter 2; Auer, Cesa-Bianchi and Fischer (2002) for UCB1; Thompson,
On the Likelihood that One Unknown Probability Exceeds Another (1933); Russo et al., A Tutorial on Thompson Sampling (2018); Garivier and
Cappe, The KL-UCB Algorithm for Bounded Stochastic Bandits and Beyond (2011), Algorithm 1 with c = 0.

*Departures*: none.

*Letters*: P pulls, B batch, A arms.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np

from dl_nets.fast.kernels import announced, kernel
from rl_algos.parts.exploration import Exploration, Explorer, draw_action, explore
from rl_algos.parts.ranges import require_array
from rl_algos.tasks.bandit import Arms, BanditEnvs, pull
from rl_core.agent import Agent
from rl_core.config import Doc, Fraction, Meta, Positive, configclass
from rl_core.task import ControlTask

METHODS = ("values", "gradient", "thompson", "kl-ucb")
VALUES, GRADIENT, THOMPSON, KL_UCB = range(4)
BISECTIONS = 30  # of an index of KL-UCB


@configclass
class BanditAgentConfig(Exploration):
    """Settings of bandit agents."""

    method: Annotated[
        Literal["values", "gradient", "thompson", "kl-ucb"],
        Doc("estimate means and explore; learn preferences; sample means; or take the largest plausible mean"),
    ] = "values"
    learning_rate: Annotated[Fraction, Doc("alpha, step size; 0 is the mean of all rewards (values alone)")] = 0.0
    initial_value: Annotated[float, Doc("Q_0, unit of reward, any number; optimistic when above the largest mean")] = 0.0
    baseline: Annotated[bool, Doc("gradient: compare a reward with the mean reward so far")] = True
    prior_deviation: Annotated[Positive, Doc("thompson on gaussian arms: standard deviation of an arm's mean before it is tried")] = 1.0
    pulls_per_iteration: Annotated[int, Meta(ge=1, le=1_000_000), Doc("pulls between two reports")] = 100

    def __post_init__(self) -> None:
        if self.method == "gradient" and self.learning_rate == 0.0:
            raise ValueError("learning_rate is 0.0; with the gradient method it must be > 0")


class Memory(NamedTuple):
    """Tables and settings of a bandit agent.

    Attributes:
        method: Index in `METHODS`.
        explorer: Rule that acts, with values.
        learning_rate: alpha; 0 for 1 / N.
        baseline: Whether the gradient method compares with the mean reward.
        deviation: Standard deviation of the prior of Thompson sampling on gaussian arms.
        values: Estimates, or preferences [1, A].
        visits: Pulls of each arm [1, A].
        mean_reward: Mean of all rewards [1].
    """

    method: int
    explorer: Explorer
    learning_rate: float
    baseline: bool
    deviation: float
    values: np.ndarray
    visits: np.ndarray
    mean_reward: np.ndarray


@kernel
def softmax(preferences: np.ndarray, out: np.ndarray) -> None:
    """Write pi(a) = exp(H_a) / sum_b exp(H_b) (2.11) of preferences [A] to `out` [A]."""
    best = preferences.max()
    for arm in range(len(preferences)):
        out[arm] = math.exp(preferences[arm] - best)
    out /= out.sum()


@kernel
def sampled_arm(memory: Memory, bernoulli: bool, rng: np.random.Generator) -> int:
    """Draw a mean for every arm from its posterior, and return the arm of the largest (Thompson sampling).

    Bernoulli arms: Beta(1 + successes, 1 + failures). Gaussian arms of standard deviation 1: N(m, 1 / p), p = 1 / deviation^2 + N,
    m = sum of rewards / p.
    """
    best, chosen = -math.inf, 0
    for arm in range(memory.values.shape[1]):
        count, total = memory.visits[0, arm], memory.values[0, arm] * memory.visits[0, arm]
        if bernoulli:
            sample = rng.beta(1.0 + total, 1.0 + count - total)
        else:
            precision = 1.0 / memory.deviation**2 + count
            sample = total / precision + rng.standard_normal() / math.sqrt(precision)
        if sample > best:
            best, chosen = sample, arm
    return chosen


@kernel
def bernoulli_divergence(p: float, q: float) -> float:
    """Return d(p, q) = p ln(p / q) + (1 - p) ln((1 - p) / (1 - q)) in nats, of p and q in [0, 1].

    >>> round(bernoulli_divergence(0.5, 0.75), 4), bernoulli_divergence(0.5, 1.0)  # ln(2 / sqrt 3)
    (0.1438, inf)
    """
    total = 0.0
    if p > 0.0:
        total += p * math.log(p / q) if q > 0.0 else math.inf
    if p < 1.0:
        total += (1.0 - p) * math.log((1.0 - p) / (1.0 - q)) if q < 1.0 else math.inf
    return total


@kernel
def plausible_mean(mean: float, count: int, pulls: int, bernoulli: bool) -> float:
    """Return the largest q with N d(mean, q) <= ln t of an arm pulled N times in t pulls; d is that of deviation 1 if not Bernoulli.

    >>> round(plausible_mean(0.0, 10, 100, True), 6)  # 1 - exp(-ln(100) / 10)
    0.369043
    >>> round(plausible_mean(0.0, 8, 100, False), 4)  # sqrt(2 ln(100) / 8)
    1.073
    """
    allowed = math.log(pulls) / count
    if not bernoulli:
        return mean + math.sqrt(2.0 * allowed)
    low, high = mean, 1.0
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        if bernoulli_divergence(mean, middle) > allowed:
            high = middle
        else:
            low = middle
    return low


@kernel
def plausible_arm(memory: Memory, bernoulli: bool, pulls: int, rng: np.random.Generator) -> int:
    """Return the arm of the largest plausible mean after some pulls, one that was never pulled first; ties are broken at random."""
    best, chosen, ties = -math.inf, 0, 0
    for arm in range(memory.values.shape[1]):
        count = memory.visits[0, arm]
        index = math.inf if count == 0 else plausible_mean(memory.values[0, arm], count, max(pulls, 1), bernoulli)
        if index > best:
            best, chosen, ties = index, arm, 1
        elif index == best:
            ties += 1
            if rng.random() * ties < 1.0:
                chosen = arm
    return chosen


@kernel
def learn_by_pulling(
    memory: Memory, arms: Arms, first_pull: int, outcomes: np.random.Generator, rng: np.random.Generator, rewards: np.ndarray
) -> np.ndarray:
    """Pull and learn once for each entry of `rewards` [P], which is written to; return the regret of each pull [P].

    Values: Q <- Q + alpha (R - Q) (2.5), alpha = 1 / N for the mean (2.3). Thompson, KL-UCB: the mean of an arm's rewards. Gradient:
    H_a <- H_a + alpha (R - mean) (1[a = A] - pi_a) (2.12). The regret is the best arm's mean less the pulled arm's.
    """
    values, visits = memory.values, memory.visits
    scratch, regrets = np.empty(values.shape[1]), np.empty(len(rewards))
    for index in range(len(rewards)):
        if memory.method == THOMPSON:
            arm = sampled_arm(memory, arms.bernoulli, rng)
        elif memory.method == KL_UCB:
            arm = plausible_arm(memory, arms.bernoulli, first_pull + index, rng)
        elif memory.method == GRADIENT:
            softmax(values[0], scratch)
            arm = draw_action(scratch, rng.random())
        else:
            arm = explore(memory.explorer, values, visits, 0, first_pull + index, rng.random(), scratch)
        regrets[index] = arms.means[0].max() - arms.means[0, arm]
        reward = pull(arms, 0, arm, outcomes)
        rewards[index] = reward
        visits[0, arm] += 1
        if memory.method == GRADIENT:
            compared = memory.mean_reward[0] if memory.baseline else 0.0  # the mean before this reward
            for other in range(values.shape[1]):
                values[0, other] += memory.learning_rate * (reward - compared) * ((other == arm) - scratch[other])
            memory.mean_reward[0] += (reward - memory.mean_reward[0]) / (first_pull + index + 1)
        else:
            rate = memory.learning_rate if memory.learning_rate > 0.0 and memory.method == VALUES else 1.0 / visits[0, arm]
            values[0, arm] += rate * (reward - values[0, arm])
    return regrets


class BanditAgent(Agent):
    """Epsilon-greedy, optimistic, UCB, KL-UCB, gradient bandit or Thompson sampling.

    Attributes:
        values: Estimates, or preferences [1, A].
        visits: Pulls of each arm [1, A].
        regret: Sum over pulls of the best arm's mean less the pulled arm's.
    """

    Config: ClassVar[type] = BanditAgentConfig
    headline: ClassVar[str] = "reward"
    export_formats = ("arrays",)
    state_fields: ClassVar[tuple[str, ...]] = ("values", "visits", "mean_reward", "regret", "envs")
    task: ControlTask
    envs: BanditEnvs

    def setup(self) -> None:
        """Make the bandit and the tables.

        Raises:
            ValueError: if the task is not a bandit.
        """
        if "bandit" not in self.task.traits():
            raise ValueError(f"bandit agents learn bandit tasks, not {type(self.task).__name__}; take a learner such as q-learning")
        num_arms = int(self.task.output_space.n)
        self.envs = self.task.envs(1, self.seeds)  # type: ignore[assignment]
        self.envs.reset()
        self.rng = self.seeds.numpy("exploration")
        self.visits = np.zeros((1, num_arms), dtype=np.int64)
        self.regret = 0.0
        self.allocate(num_arms)

    def allocate(self, num_arms: int) -> None:
        """Make the tables of what is learned."""
        config = self.config
        self.values = np.full((1, num_arms), config.initial_value)
        self.mean_reward = np.zeros(1)
        self.memory = Memory(
            METHODS.index(config.method),
            config.explorer(),
            config.learning_rate,
            config.baseline,
            config.prior_deviation,
            self.values,
            self.visits,
            self.mean_reward,
        )

    def step(self) -> dict[str, float]:
        """Return mean reward, share of best arms and regret so far, over `pulls_per_iteration` pulls."""
        rewards, regrets = self.pull(max(1, min(self.config.pulls_per_iteration, self.budget - self.progress)))
        return {"reward": float(rewards.mean()), "best_arm": float((regrets == 0.0).mean()), "regret": self.regret}

    def pull(self, num_pulls: int) -> tuple[np.ndarray, np.ndarray]:
        """Pull and learn; return rewards [P], and how much worse than the best arm the pulled ones were [P]."""
        rewards = np.empty(num_pulls)
        regrets = self.learn(rewards)
        self.progress += num_pulls
        self.regret += float(regrets.sum())
        return rewards, regrets

    def learn(self, rewards: np.ndarray) -> np.ndarray:
        """Pull and learn once for each entry of `rewards` [P], which is written to; return the regret of each pull [P]."""
        with announced("the loop of bandits"):
            regrets: np.ndarray = learn_by_pulling(self.memory, self.envs.arms, self.progress, self.envs.rng, self.rng, rewards)
        return regrets

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the estimate, or preference, and the pulls of each arm [A]."""
        return {"values": self.values[0], "visits": self.visits[0]}

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return the arm of the largest estimate [B]."""
        return np.full(len(inputs), int(self.values[0].argmax()))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned.

        Raises:
            ValueError: if an array has another shape or type than the agent's own, or a count is negative.
        """
        require_array("visits", state["visits"], self.visits, 0)
        super().load_state_dict(state)
