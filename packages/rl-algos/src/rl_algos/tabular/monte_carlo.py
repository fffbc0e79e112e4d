"""Monte Carlo control: learning from the returns of whole episodes.

*Source*: Sutton and Barto, Reinforcement Learning (2nd edition, 2018), sections 5.3 (exploring starts) and 5.4 (on-policy control);
Watkins, Learning from Delayed Rewards (1989), section 7.4, for `mc-q-learning`: returns are followed for as long as the actions taken
were greedy, and the best action's value replaces the rest, so that q* is learned whatever the exploration.

*Departures*: an episode that a time limit cuts continues in the estimate: its return begins with the value of the last state. The book's
control with exploring starts acts greedily; so does this one.

*Letters*: S states, A actions, T steps of an episode.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, NamedTuple, cast

import numpy as np

from dl_nets.fast.kernels import inlined, kernel
from rl_algos.parts.exploration import GREEDY, Exploration, Explorer, expected_value, explore, largest
from rl_algos.tabular.episodes import Episode, Episodes, new_episode, play_episode
from rl_algos.tabular.learner import EPISODE_GOES_ON, OPEN, Course, Kernels, Sample, TabularConfig, TabularLearner, table_loop
from rl_algos.tasks.mdp.task import MDPTask
from rl_core.config import Doc, Fraction, configclass

METHODS = ("on-policy", "exploring-starts", "q-learning")
ON_POLICY, EXPLORING_STARTS, Q_LEARNING = range(3)


@configclass
class MonteCarloConfig(Episodes, TabularConfig, Exploration):
    """Settings of Monte Carlo control."""

    method: Annotated[Literal["on-policy", "exploring-starts", "q-learning"], Doc("what a return is an estimate of")] = "on-policy"
    visit: Annotated[Literal["first", "every"], Doc("which visits of a pair in an episode count; q-learning takes every one")] = "first"
    learning_rate: Annotated[Fraction, Doc("alpha, constant step size; 0 is the mean of all returns")] = 0.0


class Memory(NamedTuple):
    """Tables and settings of Monte Carlo control.

    Attributes:
        method: Index in `METHODS`.
        explorer: Rule that acts.
        first_visit: Whether only the first visit of a pair counts.
        learning_rate: alpha; 0 for 1 / N(S, A).
        discount: gamma.
        q: Action values [S, A].
        visits: Updates of each pair [S, A].
        seen: Clock of a pair's first visit in its last episode [S, A].
        clock: Steps of all episodes, so that `seen` need not be cleared [1].
        starts: Pairs s * A + a that an episode may start with.
        episode: The episode being played.
        scratch: Work space [A].
    """

    method: int
    explorer: Explorer
    first_visit: bool
    learning_rate: float
    discount: float
    q: np.ndarray
    visits: np.ndarray
    seen: np.ndarray
    clock: np.ndarray
    starts: np.ndarray
    episode: Episode
    scratch: np.ndarray


@inlined
def update_from_episode(memory: Memory, rest: float) -> None:
    """Update Q(S, A) <- Q(S, A) + alpha (G - Q(S, A)) for the pairs of the episode, G = R + gamma G of the step after.

    Args:
        memory: Tables and settings.
        rest: Value of what follows the last step, 0 where the episode ended.
    """
    q, visits, seen, pairs, length = memory.q, memory.visits, memory.seen, memory.episode.pairs, memory.episode.length[0]
    begin = memory.clock[0]
    if memory.first_visit:
        for index in range(length):
            state, action = pairs[index, 0], pairs[index, 1]
            if seen[state, action] <= begin:
                seen[state, action] = begin + 1 + index
    memory.clock[0] = begin + 1 + length
    return_ = rest
    for index in range(length - 1, -1, -1):
        state, action = pairs[index, 0], pairs[index, 1]
        return_ = memory.episode.rewards[index] + memory.discount * return_
        if memory.first_visit and seen[state, action] != begin + 1 + index:
            continue
        greedy = q[state, action] == largest(q, state)
        visits[state, action] += 1
        rate = memory.learning_rate if memory.learning_rate > 0.0 else 1.0 / visits[state, action]
        q[state, action] += rate * (return_ - q[state, action])
        if memory.method == Q_LEARNING and not greedy:
            return_ = largest(q, state)
    memory.episode.length[0] = 0


@inlined
def begin(memory: Memory, state: int, step: int, rng: np.random.Generator) -> tuple[int, int]:
    """Return the state and the action to take there; an exploring start moves the episode to another state."""
    if memory.method == EXPLORING_STARTS and memory.episode.length[0] == 0:
        pair = memory.starts[int(rng.random() * len(memory.starts))]
        return pair // memory.q.shape[1], pair % memory.q.shape[1]
    return state, explore(memory.explorer, memory.q, memory.visits, state, step, rng.random(), memory.scratch)


@inlined
def learn(memory: Memory, sample: Sample, step: int, rng: np.random.Generator) -> int:
    """Add a transition to the episode, and update from it when it is complete."""
    if not play_episode(memory.episode, sample):
        return EPISODE_GOES_ON
    rest = 0.0
    if not sample.terminated:
        if memory.method == ON_POLICY:
            rest = expected_value(memory.explorer, memory.q, memory.visits, sample.next_state, step + 1, memory.scratch)
        else:
            rest = largest(memory.q, sample.next_state)
    update_from_episode(memory, rest)
    return OPEN


@kernel
def loop(memory: Memory, course: Course) -> int:
    """Run `table_loop` with this algorithm's kernels."""
    return table_loop(begin, learn, memory, course)


class MonteCarlo(TabularLearner):
    """Monte Carlo control on a table of action values."""

    Config: ClassVar[type] = MonteCarloConfig
    kernels: ClassVar[Kernels] = Kernels(begin, learn, loop)

    def allocate(self) -> Memory:
        """Make the tables.

        Raises:
            ValueError: if episodes are to start anywhere, and the task cannot be put into a state.
        """
        config, shape = self.config, (self.num_states, self.num_actions)
        method, explorer = METHODS.index(config.method), config.explorer()
        self.longest_episode = config.max_episode_steps
        self.q = self.table("q", (1, *shape), config.initial_value)
        self.visits = self.table("visits", shape, 0, np.int64)
        starts = np.zeros(1, dtype=np.int64)
        if method == EXPLORING_STARTS:
            if "mdp" not in self.task.traits() or not hasattr(self.envs, "state"):
                raise ValueError("exploring starts need a task that can be put into any state, one with a model; take mc-control here")
            live = np.flatnonzero(~cast(MDPTask, self.task).mdp.is_terminal)
            starts = (live[:, None] * self.num_actions + np.arange(self.num_actions)).ravel()
            explorer = explorer._replace(rule=GREEDY)
        return Memory(
            method,
            explorer,
            config.visit == "first" and method != Q_LEARNING,
            config.learning_rate,
            self.discount,
            self.q[0],
            self.visits,
            self.table("seen", shape, 0, np.int64),
            self.table("episode", (1,), 0, np.int64),
            starts,
            new_episode(config.max_episode_steps),
            np.empty(self.num_actions),
        )
