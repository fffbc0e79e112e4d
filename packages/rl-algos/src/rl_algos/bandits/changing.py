"""Bandits that change: discounted UCB, which forgets, and monitored UCB, which starts anew when an arm's rewards have changed.

Source: A. Garivier, E. Moulines, "On upper-confidence bound policies for switching bandit problems", 2011, section 3.1, for discounted UCB;
Y. Cao, Z. Wen, B. Kveton, Y. Xie, "Nearly optimal adaptive procedure with change detection for piecewise-stationary bandit", 2019,
Algorithms 1 and 2, for monitored UCB.
Departures: the width of the confidence bound is a setting in place of 2 B sqrt(xi), which is too wide in practice.
Letters: P pulls, A arms, W rewards of a window.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np

from dl_nets.fast.kernels import announced, kernel
from rl_algos.bandits.agents import BanditAgent
from rl_algos.parts.ranges import require_array
from rl_algos.tasks.bandit import Arms, pull
from rl_core.config import Doc, Fraction, Meta, Positive, configclass


@configclass
class ChangingBanditConfig:
    """Settings of bandit agents for arms that change."""

    method: Annotated[Literal["discounted", "monitored"], Doc("forget what is long ago, or start anew after a change was detected")] = (
        "discounted"
    )
    forgetting: Annotated[Fraction, Doc("discounted: gamma, weight of a reward after each later pull; 1 forgets nothing")] = 0.998
    width: Annotated[Positive, Doc("c of the upper bound: mean + c sqrt(ln n / N)")] = 0.5
    window: Annotated[int, Meta(ge=2, le=100_000), Doc("monitored: W, last rewards of an arm whose halves are compared; even")] = 100
    threshold: Annotated[Positive, Doc("monitored: b, difference of the halves' sums that counts as a change")] = 18.0
    monitoring: Annotated[Fraction, Doc("monitored: share of pulls that go to all arms in turn, so that no change stays unseen")] = 0.05
    pulls_per_iteration: Annotated[int, Meta(ge=1, le=1_000_000), Doc("pulls between two reports")] = 100

    def __post_init__(self) -> None:
        """Refuse a window without halves."""
        if self.window % 2:
            raise ValueError(f"window is {self.window}; expected an even number, whose halves are compared")


class Seen(NamedTuple):
    """Memory of an agent.

    Attributes:
        weights: Pulls of each arm, discounted or since the last change [A].
        sums: Rewards of each arm, discounted or since the last change [A].
        recent: Last rewards of each arm since the last change, as a ring [A, W].
        counts: Pulls of each arm since the last change [A].
        clock: Pulls since the last change, and changes so far [2].
    """

    weights: np.ndarray
    sums: np.ndarray
    recent: np.ndarray
    counts: np.ndarray
    clock: np.ndarray


@kernel
def highest_bound(weights: np.ndarray, sums: np.ndarray, width: float) -> int:
    """Return the arm of the largest mean + c sqrt(ln n / N), n the sum of all weights N; one without weight first.

    >>> highest_bound(np.array([10.0, 1.0]), np.array([6.0, 0.5]), 1.0)  # 0.6 + sqrt(ln 11 / 10) < 0.5 + sqrt(ln 11)
    1
    """
    log = math.log(max(weights.sum(), 1.0))
    best, chosen = -math.inf, 0
    for arm in range(len(weights)):
        if weights[arm] < 1e-6:
            return arm
        bound = sums[arm] / weights[arm] + width * math.sqrt(log / weights[arm])
        if bound > best:
            best, chosen = bound, arm
    return chosen


@kernel
def has_changed(recent: np.ndarray, count: int, threshold: float) -> bool:
    """Return whether the sums of the older and the newer half of the last W rewards [W] differ by more than a threshold.

    Args:
        recent: As a ring; the reward of pull i is at i modulo W.
        count: Rewards so far; with less than W nothing has changed.
        threshold: b.

    >>> has_changed(np.array([1.0, 0.0, 0.0, 1.0]), 5, 1.5)  # from old to new 0, 0, 1, 1
    True
    >>> has_changed(np.array([1.0, 0.0, 0.0, 1.0]), 3, 1.5)
    False
    """
    size = len(recent)
    if count < size:
        return False
    difference = 0.0
    for i in range(size):
        difference += recent[(count + i) % size] if i >= size // 2 else -recent[(count + i) % size]
    return abs(difference) > threshold


@kernel
def learn_by_watching(
    seen: Seen, arms: Arms, settings: tuple[float, float, float, int], outcomes: np.random.Generator, pulls: np.ndarray, rewards: np.ndarray
) -> np.ndarray:
    """Pull and learn once for each entry of `rewards` [P], which is written to; return the regret of each pull [P].

    Args:
        seen: Changes in place.
        arms: The bandit.
        settings: gamma, c, b, and the pulls of a round of monitoring, 0 for none.
        outcomes: Stream of the rewards.
        pulls: Of each arm in all [A]; changes in place.
        rewards: [P].
    """
    forgetting, width, threshold, period = settings
    regrets, num_arms = np.empty(len(rewards)), len(seen.weights)
    for index in range(len(rewards)):
        turn = seen.clock[0] % period if period > 0 else num_arms
        arm = turn if turn < num_arms else highest_bound(seen.weights, seen.sums, width)
        regrets[index] = arms.means[0].max() - arms.means[0, arm]
        reward = pull(arms, 0, arm, outcomes)
        rewards[index] = reward
        pulls[arm] += 1
        for other in range(num_arms):
            seen.weights[other] *= forgetting
            seen.sums[other] *= forgetting
        seen.weights[arm] += 1.0
        seen.sums[arm] += reward
        seen.recent[arm, seen.counts[arm] % seen.recent.shape[1]] = reward
        seen.counts[arm] += 1
        seen.clock[0] += 1
        if period > 0 and has_changed(seen.recent[arm], seen.counts[arm], threshold):
            seen.weights[:] = 0.0
            seen.sums[:] = 0.0
            seen.counts[:] = 0
            seen.clock[0] = 0
            seen.clock[1] += 1
    return regrets


class ChangingBandit(BanditAgent):
    """Discounted or monitored UCB.

    Attributes:
        tables: What is remembered, by the names of `Seen`.
    """

    Config: ClassVar[type] = ChangingBanditConfig
    config: ChangingBanditConfig
    state_fields: ClassVar[tuple[str, ...]] = ("values", "visits", "regret", "envs", "tables")

    def allocate(self, num_arms: int) -> None:
        """Make the tables."""
        self.values = np.zeros((1, num_arms))
        counts, clock = np.zeros(num_arms, dtype=np.int64), np.zeros(2, dtype=np.int64)
        self.seen = Seen(np.zeros(num_arms), np.zeros(num_arms), np.zeros((num_arms, self.config.window)), counts, clock)
        self.tables = self.seen._asdict()

    def step(self) -> dict[str, float]:
        """Return what `BanditAgent` returns, and the changes detected so far."""
        return super().step() | {"changes": float(self.seen.clock[1])}

    def learn(self, rewards: np.ndarray) -> np.ndarray:
        """Pull and learn once for each entry of `rewards` [P], which is written to; return the regret of each pull [P]."""
        config, num_arms = self.config, self.visits.shape[1]
        monitored = config.method == "monitored"
        period = max(num_arms, math.floor(num_arms / config.monitoring)) if monitored and config.monitoring > 0 else 0
        settings = (1.0 if monitored else config.forgetting, config.width, config.threshold, period)
        with announced("the loop of bandits that change"):
            regrets: np.ndarray = learn_by_watching(self.seen, self.envs.arms, settings, self.envs.rng, self.visits[0], rewards)
        self.values[0] = self.seen.sums / np.maximum(self.seen.weights, 1e-6)
        return regrets

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned.

        Raises:
            ValueError: if an array has another shape or type than the agent's own, or a count is negative.
        """
        for name in ("counts", "clock"):
            require_array(name, state["tables"][name], self.tables[name], 0)
        super().load_state_dict(state)
