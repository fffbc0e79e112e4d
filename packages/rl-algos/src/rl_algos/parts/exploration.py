"""Rules that choose among actions whose values are not yet known.

*Source*: Sutton and Barto, Reinforcement Learning (2nd edition, 2018), sections 2.2, 2.6, 2.7 and 13.1; Auer, Cesa-Bianchi and
Fischer, Finite-time Analysis of the Multiarmed Bandit Problem (2002), for the upper confidence bound; Strehl and Littman (2008), for
the count bonus.

*Departures*: none.

Every rule is a distribution over actions, and one uniform number draws from it. So the rule that acts is also the one that
Expected Sarsa averages with and that importance sampling divides by. Ties among the best are broken at random.

*Letters*: B batch, A actions.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal, NamedTuple

import numpy as np

from dl_nets.fast.kernels import inlined, kernel, shared
from rl_core.config import Doc, NonNegative, Positive, configclass

FORBIDDEN = -1e30
"""The value of an action that is not allowed: no rule takes an action of this value or less, as long as there is another."""
RULES = ("greedy", "random", "epsilon-greedy", "boltzmann", "ucb")
SCHEDULES = ("constant", "linear", "exponential", "visits")
GREEDY, RANDOM, EPSILON_GREEDY, BOLTZMANN, UCB = range(5)
CONSTANT, LINEAR, EXPONENTIAL, VISITS = range(4)


class Explorer(NamedTuple):
    """A rule with its numbers, as compiled loops take it.

    Attributes:
        rule: Index in `RULES`.
        start: The rate at first.
        end: The rate in the end.
        schedule: Index in `SCHEDULES`.
        scale: Unit of the schedule: steps or visits.
    """

    rule: int
    start: float
    end: float
    schedule: int
    scale: float


@configclass
class Exploration:
    """Settings of a rule; the config of an agent that explores extends this one.

    >>> Exploration(exploration_rate=0.1).probabilities(np.array([[1.0, 0.0]])).round(3).tolist()
    [[0.95, 0.05]]
    """

    exploration: Annotated[Literal["greedy", "random", "epsilon-greedy", "boltzmann", "ucb"], Doc("the rule that acts while learning")] = (
        "epsilon-greedy"
    )
    exploration_rate: Annotated[float, Doc("epsilon (at most 1); or temperature T, or width c of ucb, unit of values; >= 0")] = 0.1
    exploration_end: Annotated[NonNegative, Doc("what the rate falls to, unless its schedule is constant")] = 0.0
    exploration_schedule: Annotated[Literal["constant", "linear", "exponential", "visits"], Doc("how the rate falls")] = "constant"
    exploration_steps: Annotated[Positive, Doc("linear: steps until the end; exponential: tau; visits: n of rate * n / (n + N(s))")] = (
        10_000.0
    )

    def __post_init__(self) -> None:
        most = 1.0 if self.exploration == "epsilon-greedy" else math.inf
        for name in ("exploration_rate", "exploration_end"):
            if not 0.0 <= getattr(self, name) <= most:
                raise ValueError(f"{name} is {getattr(self, name)}; with {self.exploration} it must be in [0, {most:g}]")

    def explorer(self) -> Explorer:
        """Return the rule as compiled loops take it."""
        return Explorer(
            RULES.index(self.exploration),
            self.exploration_rate,
            self.exploration_end,
            SCHEDULES.index(self.exploration_schedule),
            self.exploration_steps,
        )

    def probabilities(self, values: np.ndarray, visits: np.ndarray | None = None, step: int = 0) -> np.ndarray:
        """Return probabilities of actions [B, A].

        Args:
            values: [B, A], estimated values of actions.
            visits: [B, A], how often each was tried; needed by ucb and by schedules by visits.
            step: Environment steps so far, for schedules.
        """
        values = np.ascontiguousarray(values, dtype=np.float64)
        visits = np.zeros(values.shape, dtype=np.int64) if visits is None else visits
        result = np.empty(values.shape)
        for row in range(len(values)):
            action_probabilities(self.explorer(), values, visits, row, step, result[row])
        return result

    def act(self, values: np.ndarray, rng: np.random.Generator, visits: np.ndarray | None = None, step: int = 0) -> np.ndarray:
        """Return actions [B] drawn from `probabilities`; one uniform number each."""
        cumulative = np.cumsum(self.probabilities(values, visits, step), axis=1)
        return np.minimum((cumulative <= rng.random(len(values))[:, None]).sum(axis=1), values.shape[1] - 1)


@inlined
def rate_at(explorer: Explorer, step: int, state_visits: int) -> float:
    """Return the rate of a rule after `step` steps, in a state seen `state_visits` times.

    linear: start + (end - start) min(1, t / T); exponential: end + (start - end) exp(-t / tau); visits: max(end, start n / (n + N(s))).

    >>> rate_at(Explorer(EPSILON_GREEDY, 1.0, 0.2, LINEAR, 100.0), 50, 0)
    0.6
    """
    if explorer.schedule == LINEAR:
        return explorer.start + (explorer.end - explorer.start) * min(1.0, step / explorer.scale)
    if explorer.schedule == EXPONENTIAL:
        return explorer.end + (explorer.start - explorer.end) * math.exp(-step / explorer.scale)
    if explorer.schedule == VISITS:
        return max(explorer.end, explorer.start * explorer.scale / (explorer.scale + state_visits))
    return explorer.start


@inlined
def visits_of(visits: np.ndarray, row: int) -> int:
    """Sum of a row of counts [B, A]."""
    total = 0
    for action in range(visits.shape[1]):
        total += visits[row, action]
    return total


@inlined
def largest(values: np.ndarray, row: int) -> float:
    """Return the largest of a row of values [B, A]; NumPy's own is slower on rows as short as these."""
    best = values[row, 0]
    for action in range(1, values.shape[1]):
        best = max(best, values[row, action])
    return best


@inlined
def first_best(values: np.ndarray, row: int) -> int:
    """Return the action of the largest of a row of values [B, A], the first of equal ones."""
    best = 0
    for action in range(1, values.shape[1]):
        if values[row, action] > values[row, best]:
            best = action
    return best


@inlined
def num_allowed(values: np.ndarray, row: int) -> int:
    """Return how many actions of a row of values [B, A] are allowed."""
    count = 0
    for action in range(values.shape[1]):
        count += not values[row, action] <= FORBIDDEN
    return count


@kernel
def greedy_probabilities(values: np.ndarray, row: int, out: np.ndarray) -> None:
    """Write to `out` [A] the uniform distribution over the largest of a row of `values` [B, A]."""
    best = largest(values, row)
    ties = 0
    for action in range(values.shape[1]):
        ties += values[row, action] == best
    share = 1.0 / ties
    for action in range(values.shape[1]):
        out[action] = share if values[row, action] == best else 0.0


@kernel
def upper_confidence(values: np.ndarray, visits: np.ndarray, row: int, width: float) -> np.ndarray:
    """Return Q(a) + c sqrt(ln t / N(a)) (2.10) of a row [1, A]; infinite for an action never tried."""
    score = np.empty((1, values.shape[1]))
    log_total = math.log(max(visits_of(visits, row), 1))
    for action in range(values.shape[1]):
        if values[row, action] <= FORBIDDEN:
            score[0, action] = FORBIDDEN
        elif visits[row, action] == 0:
            score[0, action] = math.inf
        else:
            score[0, action] = values[row, action] + width * math.sqrt(log_total / visits[row, action])
    return score


@kernel
def action_probabilities(explorer: Explorer, values: np.ndarray, visits: np.ndarray, row: int, step: int, out: np.ndarray) -> None:
    """Write to `out` [A] the probability of each action in one row.

    Args:
        explorer: The rule.
        values: [B, A].
        visits: How often each was tried [B, A].
        row: Which of the B.
        step: Environment steps so far.
        out: [A].
    """
    num_actions = values.shape[1]
    if explorer.rule == RANDOM:
        allowed = num_allowed(values, row)
        for action in range(num_actions):
            out[action] = 0.0 if values[row, action] <= FORBIDDEN else 1.0 / allowed
        return
    rate = rate_at(explorer, step, visits_of(visits, row) if explorer.schedule == VISITS else 0)
    if explorer.rule == UCB:
        greedy_probabilities(upper_confidence(values, visits, row, rate), 0, out)
    elif explorer.rule == BOLTZMANN and rate > 0.0:  # pi(a) = exp(Q_a / T) / sum_b exp(Q_b / T), the largest taken out first
        best = largest(values, row)
        total = 0.0
        for action in range(num_actions):
            out[action] = math.exp((values[row, action] - best) / rate)
            total += out[action]
        for action in range(num_actions):
            out[action] /= total
    else:
        greedy_probabilities(values, row, out)
        if explorer.rule == EPSILON_GREEDY:
            share = rate / num_allowed(values, row)
            for action in range(num_actions):
                out[action] = (1.0 - rate) * out[action] + (0.0 if values[row, action] <= FORBIDDEN else share)


@shared
def expected_value(explorer: Explorer, q: np.ndarray, visits: np.ndarray, state: int, step: int, scratch: np.ndarray) -> float:
    """Return sum_a pi(a | s) Q(s, a) under the exploration's own rule pi."""
    action_probabilities(explorer, q, visits, state, step, scratch)
    total = 0.0
    for action in range(q.shape[1]):
        total += scratch[action] * q[state, action]
    return total


@kernel
def draw_action(probabilities: np.ndarray, uniform: float) -> int:
    """Return the action [A] that a uniform number in [0, 1) picks."""
    total = 0.0
    last = 0
    for action in range(len(probabilities)):
        if probabilities[action] > 0.0:
            last = action
            total += probabilities[action]
            if uniform < total:
                break
    return last


@shared
def explore(explorer: Explorer, values: np.ndarray, visits: np.ndarray, row: int, step: int, uniform: float, scratch: np.ndarray) -> int:
    """Return an action drawn from `action_probabilities` with one uniform number in [0, 1).

    Epsilon-greedy, by far the most used, takes a shorter way to the same distribution: the numbers below epsilon stand for
    exploring, the rest for the best actions in equal parts.

    Args:
        explorer: The rule.
        values: [B, A].
        visits: [B, A].
        row: Which of the B.
        step: Environment steps so far.
        uniform: In [0, 1).
        scratch: [A], written to.
    """
    if explorer.rule > EPSILON_GREEDY:
        action_probabilities(explorer, values, visits, row, step, scratch)
        return draw_action(scratch, uniform)
    rate = 0.0
    if explorer.rule == RANDOM:
        rate = 1.0
    elif explorer.rule == EPSILON_GREEDY:
        rate = rate_at(explorer, step, visits_of(visits, row) if explorer.schedule == VISITS else 0)
    num_actions = values.shape[1]
    if uniform < rate:
        allowed = num_allowed(values, row)
        rank = min(int(uniform / rate * allowed), allowed - 1)
        if allowed == num_actions:
            return rank
        for action in range(num_actions):
            if not values[row, action] <= FORBIDDEN:
                if rank == 0:
                    return action
                rank -= 1
    best, ties = -math.inf, 0
    for action in range(num_actions):
        if values[row, action] > best:
            best, ties = values[row, action], 1
        elif values[row, action] == best:
            ties += 1
    rank = min(int((uniform - rate) / (1.0 - rate) * ties), ties - 1)
    for action in range(num_actions):
        if values[row, action] == best:
            if rank == 0:
                return action
            rank -= 1
    return 0


@kernel
def explore_rows(explorer: Explorer, values: np.ndarray, visits: np.ndarray, step: int, uniform: np.ndarray) -> np.ndarray:
    """Return actions [B], one for each row of values [B, A], drawn with one uniform number [B] each.

    Args:
        explorer: The rule.
        values: [B, A].
        visits: How often each was tried [B, A].
        step: Environment steps so far.
        uniform: In [0, 1) [B].

    >>> values, visits = np.array([[1.0, 0.0], [0.0, 1.0]]), np.zeros((2, 2), dtype=np.int64)
    >>> explore_rows(Explorer(EPSILON_GREEDY, 0.5, 0.0, CONSTANT, 1.0), values, visits, 0, np.array([0.3, 0.9])).tolist()
    [1, 1]
    """
    actions, scratch = np.empty(len(values), dtype=np.int64), np.empty(values.shape[1])
    for row in range(len(values)):
        actions[row] = explore(explorer, values, visits, row, step, uniform[row], scratch)
    return actions


@inlined
def count_bonus(beta: float, visits: int) -> float:
    """Return beta / sqrt(N), what is added to a reward seen N times, this time included.

    >>> count_bonus(0.5, 4)
    0.25
    """
    return beta / math.sqrt(max(visits, 1))
