"""n-step Sarsa: between one step and the whole episode.

*Source*: Sutton and Barto, Reinforcement Learning (2nd edition, 2018), section 7.2.

*Departures*: at a time limit the rewards that were seen are kept and the rest is estimated from the last state.

*Letters*: S states, A actions, n steps.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, NamedTuple

import numpy as np

from dl_nets.fast.kernels import inlined, kernel
from rl_algos.parts.exploration import Exploration, Explorer, explore
from rl_algos.tabular.learner import OPEN, Course, Kernels, Sample, StepSize, StepSizes, TabularConfig, TabularLearner, table_loop
from rl_core.config import Doc, Meta, configclass


@configclass
class NStepSarsaConfig(StepSizes, TabularConfig, Exploration):
    """Settings of n-step Sarsa."""

    num_lookahead: Annotated[int, Meta(ge=1, le=10_000), Doc("n, rewards that a target adds up before it estimates the rest")] = 4


class Memory(NamedTuple):
    """Tables and settings of n-step Sarsa.

    Attributes:
        explorer: Rule that acts.
        step_size: alpha and omega.
        discount: gamma.
        q: Action values [S, A].
        visits: Updates of each pair [S, A].
        pairs: The last states and actions, oldest first [n, 2].
        rewards: Their rewards [n].
        filled: Number of them [1].
        scratch: Work space [A].
    """

    explorer: Explorer
    step_size: StepSize
    discount: float
    q: np.ndarray
    visits: np.ndarray
    pairs: np.ndarray
    rewards: np.ndarray
    filled: np.ndarray
    scratch: np.ndarray


@inlined
def move(memory: Memory, index: int, goal: float) -> None:
    """Update Q(S, A) <- Q(S, A) + alpha / N(S, A)^omega (goal - Q(S, A)) for the pair at `index` of the last n, in place."""
    state, action = memory.pairs[index, 0], memory.pairs[index, 1]
    memory.visits[state, action] += 1
    rate = memory.step_size.alpha
    if memory.step_size.power > 0.0:
        rate /= memory.visits[state, action] ** memory.step_size.power
    memory.q[state, action] += rate * (goal - memory.q[state, action])


@inlined
def update(memory: Memory, sample: Sample, estimate: float) -> None:
    """Take a transition in, and update what can be: the oldest pair of n, or all of them when the episode is over.

    G = R_1 + gamma R_2 + ... + gamma^(n-1) R_n + gamma^n Q(S_n, A_n) (7.4).

    Args:
        memory: Tables and settings.
        sample: The transition.
        estimate: Q(S', A'), 0 where the episode ended.
    """
    pairs, rewards, filled = memory.pairs, memory.rewards, memory.filled
    size = len(rewards)
    pairs[filled[0], 0], pairs[filled[0], 1], rewards[filled[0]] = sample.state, sample.action, sample.reward
    filled[0] += 1
    goal = estimate
    if sample.over:
        for index in range(filled[0] - 1, -1, -1):
            goal = rewards[index] + memory.discount * goal
            move(memory, index, goal)
        filled[0] = 0
    elif filled[0] == size:
        for index in range(size - 1, -1, -1):
            goal = rewards[index] + memory.discount * goal
        move(memory, 0, goal)
        for index in range(size - 1):
            pairs[index, 0], pairs[index, 1], rewards[index] = pairs[index + 1, 0], pairs[index + 1, 1], rewards[index + 1]
        filled[0] -= 1


@inlined
def begin(memory: Memory, state: int, step: int, rng: np.random.Generator) -> tuple[int, int]:
    """Return the state and the action to take there."""
    return state, explore(memory.explorer, memory.q, memory.visits, state, step, rng.random(), memory.scratch)


@inlined
def learn(memory: Memory, sample: Sample, step: int, rng: np.random.Generator) -> int:
    """Draw the next action, update, and return it."""
    next_action, estimate = OPEN, 0.0
    if not sample.terminated:
        next_action = explore(memory.explorer, memory.q, memory.visits, sample.next_state, step, rng.random(), memory.scratch)
        estimate = memory.q[sample.next_state, next_action]
    update(memory, sample, estimate)
    return next_action


@kernel
def loop(memory: Memory, course: Course) -> int:
    """Run `table_loop` with this algorithm's kernels."""
    return table_loop(begin, learn, memory, course)


class NStepSarsa(TabularLearner):
    """n-step Sarsa on a table of action values."""

    Config: ClassVar[type] = NStepSarsaConfig
    kernels: ClassVar[Kernels] = Kernels(begin, learn, loop)

    @property
    def updates_per_step(self) -> int:
        """Return n: the target of each step adds up n rewards."""
        return self.config.num_lookahead

    def allocate(self) -> Memory:
        """Make the tables."""
        config, shape, size = self.config, (self.num_states, self.num_actions), self.config.num_lookahead
        self.q = self.table("q", (1, *shape), config.initial_value)
        self.visits = self.table("visits", shape, 0, np.int64)
        self.pairs = self.index_table("pairs", (size, 2), 0, np.array([self.num_states, self.num_actions]))
        self.rewards = self.table("rewards", (size,))
        self.count = self.index_table("count", (1,), 0, size)
        return Memory(
            config.explorer(),
            config.step_size(),
            self.discount,
            self.q[0],
            self.visits,
            self.pairs,
            self.rewards,
            self.count,
            np.empty(self.num_actions),
        )
