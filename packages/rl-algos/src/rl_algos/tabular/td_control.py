"""Learning action values from one step to the next: Sarsa, Expected Sarsa, Q-learning and Double Q-learning.

*Source*: Sutton and Barto, Reinforcement Learning (2nd edition, 2018), sections 6.4 to 6.7; Watkins, Learning from Delayed Rewards
(1989); van Hasselt, Double Q-learning (2010); van Seijen et al., A Theoretical and Empirical Analysis of Expected Sarsa (2009).

*Departures*: a time limit cuts an episode without ending it: the target then bootstraps from the last state as it does from any other,
so that the limit does not move the fixed point. Step sizes may fall with visits, alpha / N(s, a)^omega, which the proofs of convergence
ask for when 1/2 < omega <= 1.

*Letters*: S states, A actions, K tables (2 for Double Q-learning, else 1).
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, NamedTuple

import numpy as np

from dl_nets.fast.kernels import inlined, kernel
from rl_algos.parts.exploration import Exploration, Explorer, count_bonus, expected_value, explore, first_best, largest
from rl_algos.tabular.learner import OPEN, Course, Kernels, Sample, StepSize, StepSizes, TabularConfig, TabularLearner, table_loop
from rl_core.config import Doc, NonNegative, configclass

TARGETS = ("sarsa", "expected-sarsa", "q-learning", "double-q-learning")
SARSA, EXPECTED_SARSA, Q_LEARNING, DOUBLE_Q_LEARNING = range(4)


@configclass
class TDControlConfig(StepSizes, TabularConfig, Exploration):
    """Settings of one-step learners of action values."""

    target: Annotated[Literal["sarsa", "expected-sarsa", "q-learning", "double-q-learning"], Doc("what an estimate moves towards")] = (
        "q-learning"
    )
    count_bonus: Annotated[NonNegative, Doc("beta, unit of reward: beta / sqrt(N(s, a)) is added to rewards while learning")] = 0.0


class Memory(NamedTuple):
    """Tables and settings of one-step learners.

    Attributes:
        target: Index in `TARGETS`; double learning acts on the mean of both tables.
        explorer: Rule that acts.
        step_size: alpha and omega.
        discount: gamma.
        bonus: beta of the count bonus.
        q: Action values [S, A].
        second: Second table of double learning [S, A]; else `q` again.
        visits: Updates of each pair [S, A].
        scratch: Work space [2, A].
    """

    target: int
    explorer: Explorer
    step_size: StepSize
    discount: float
    bonus: float
    q: np.ndarray
    second: np.ndarray
    visits: np.ndarray
    scratch: np.ndarray


@inlined
def choose(memory: Memory, state: int, step: int, uniform: float) -> int:
    """Return the action to take in a state by the exploration's rule, drawn with one uniform number in [0, 1)."""
    values, visits, row = memory.q, memory.visits, state
    if memory.target == DOUBLE_Q_LEARNING:
        values, visits, row = memory.scratch[1:], memory.visits[state : state + 1], 0
        for action in range(memory.q.shape[1]):
            values[0, action] = (memory.q[state, action] + memory.second[state, action]) / 2.0
    return explore(memory.explorer, values, visits, row, step, uniform, memory.scratch[0])  # once: each call is compiled in anew


@inlined
def begin(memory: Memory, state: int, step: int, rng: np.random.Generator) -> tuple[int, int]:
    """Return the state and the action to take there."""
    return state, choose(memory, state, step, rng.random())


@inlined
def learn(memory: Memory, sample: Sample, step: int, rng: np.random.Generator) -> int:
    """Update Q(S, A) <- Q(S, A) + alpha (G - Q(S, A)), in place; return Sarsa's next action, or `OPEN`.

    G = R + gamma times the value of the successor: Q(S', A') for Sarsa (6.7), sum_a pi(a | S') Q(S', a) for Expected Sarsa (6.9),
    max_a Q(S', a) for Q-learning (6.8), Q_2(S', argmax_a Q_1(S', a)) for Double Q-learning (6.10), where a coin decides which of
    the tables is Q_1, the one that moves.
    """
    state, action, q, second = sample.state, sample.action, memory.q, memory.second
    memory.visits[state, action] += 1
    goal = sample.reward
    if memory.bonus > 0.0:
        goal += count_bonus(memory.bonus, memory.visits[state, action])
    rate = memory.step_size.alpha
    if memory.step_size.power > 0.0:
        rate /= memory.visits[state, action] ** memory.step_size.power
    next_action = OPEN
    if memory.target == DOUBLE_Q_LEARNING:
        if rng.random() < 0.5:
            if not sample.terminated:
                goal += memory.discount * second[sample.next_state, first_best(q, sample.next_state)]
            q[state, action] += rate * (goal - q[state, action])
        else:
            if not sample.terminated:
                goal += memory.discount * q[sample.next_state, first_best(second, sample.next_state)]
            second[state, action] += rate * (goal - second[state, action])
    else:
        if not sample.terminated:
            if memory.target == SARSA:
                next_action = choose(memory, sample.next_state, step, rng.random())
                goal += memory.discount * q[sample.next_state, next_action]
            elif memory.target == EXPECTED_SARSA:
                goal += memory.discount * expected_value(memory.explorer, q, memory.visits, sample.next_state, step, memory.scratch[0])
            else:
                goal += memory.discount * largest(q, sample.next_state)
        q[state, action] += rate * (goal - q[state, action])
    return next_action


@kernel
def loop(memory: Memory, course: Course) -> int:
    """Run `table_loop` with this algorithm's kernels."""
    return table_loop(begin, learn, memory, course)


class TDControl(TabularLearner):
    """Sarsa, Expected Sarsa, Q-learning or Double Q-learning on a table of action values."""

    Config: ClassVar[type] = TDControlConfig
    kernels: ClassVar[Kernels] = Kernels(begin, learn, loop)

    def allocate(self) -> Memory:
        """Make the tables."""
        config, shape = self.config, (self.num_states, self.num_actions)
        target = TARGETS.index(config.target)
        self.q = self.table("q", (2 if target == DOUBLE_Q_LEARNING else 1, *shape), config.initial_value)
        self.visits = self.table("visits", shape, 0, np.int64)
        return Memory(
            target,
            config.explorer(),
            config.step_size(),
            self.discount,
            config.count_bonus,
            self.q[0],
            self.q[-1],
            self.visits,
            np.empty((2, self.num_actions)),
        )
