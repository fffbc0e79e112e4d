"""Off-policy Monte Carlo control: the greedy policy is learned from the episodes of another one.

*Source*: Sutton and Barto, Reinforcement Learning (2nd edition, 2018), section 5.7.

*Departures*: of equally good actions the target policy always takes the first (following any of them would give too much weight to the
episodes that do). The exploration's rule is the behaviour policy; its probabilities at the time of acting are kept, and returns are
divided by them. Ordinary importance sampling is offered beside the book's weighted one. An episode that a time limit cuts continues in the
estimate.

*Letters*: S states, A actions, T steps of an episode.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, NamedTuple

import numpy as np

from dl_nets.fast.kernels import inlined, kernel
from rl_algos.parts.exploration import Exploration, Explorer, action_probabilities, draw_action, first_best, largest
from rl_algos.tabular.episodes import Episode, Episodes, new_episode, play_episode
from rl_algos.tabular.learner import EPISODE_GOES_ON, OPEN, Course, Kernels, Sample, TabularConfig, TabularLearner, table_loop
from rl_core.config import Doc, configclass


@configclass
class MCOffPolicyConfig(Episodes, TabularConfig, Exploration):
    """Settings of off-policy Monte Carlo control."""

    importance: Annotated[Literal["ordinary", "weighted"], Doc("divide the weighted returns by their number, or by their weight")] = (
        "weighted"
    )

    def __post_init__(self) -> None:
        if self.exploration in ("greedy", "ucb"):
            raise ValueError(
                f"exploration is {self.exploration!r}; the behaviour must try every action: epsilon-greedy, boltzmann or random"
            )


class Memory(NamedTuple):
    """Tables and settings of off-policy Monte Carlo control.

    Attributes:
        explorer: Behaviour policy.
        weighted: Whether importance sampling is weighted.
        discount: gamma.
        q: Action values [S, A].
        visits: How often each pair was taken [S, A].
        weights: C, or the number of visits [S, A].
        episode: The episode being played.
        scratch: Work space [A].
    """

    explorer: Explorer
    weighted: bool
    discount: float
    q: np.ndarray
    visits: np.ndarray
    weights: np.ndarray
    episode: Episode
    scratch: np.ndarray


@inlined
def update_from_episode(memory: Memory, rest: float) -> None:
    """Walk an episode backwards for as long as its actions are greedy: C <- C + W, Q <- Q + (W / C) (G - Q), W <- W / b(A | S).

    Ordinary importance sampling averages W G over all visits instead, including those of weight 0.

    Args:
        memory: Tables and settings.
        rest: Value of what follows the last step, 0 where the episode ended.
    """
    q, weights, episode = memory.q, memory.weights, memory.episode
    return_, weight = rest, 1.0
    for index in range(episode.length[0] - 1, -1, -1):
        state, action = episode.pairs[index, 0], episode.pairs[index, 1]
        return_ = episode.rewards[index] + memory.discount * return_
        if memory.weighted:
            weights[state, action] += weight
            q[state, action] += weight / weights[state, action] * (return_ - q[state, action])
        else:
            weights[state, action] += 1.0
            q[state, action] += (weight * return_ - q[state, action]) / weights[state, action]
        if action == first_best(q, state):
            weight /= episode.chances[index]
        elif memory.weighted:
            break  # earlier steps have weight 0, which moves no weighted mean
        else:
            weight = 0.0  # an ordinary mean counts it
    episode.length[0] = 0


@inlined
def begin(memory: Memory, state: int, step: int, rng: np.random.Generator) -> tuple[int, int]:
    """Return the state and the action to take there; note how probable it was."""
    action_probabilities(memory.explorer, memory.q, memory.visits, state, step, memory.scratch)
    action = draw_action(memory.scratch, rng.random())
    memory.episode.chances[memory.episode.length[0]] = memory.scratch[action]
    memory.visits[state, action] += 1
    return state, action


@inlined
def learn(memory: Memory, sample: Sample, step: int, rng: np.random.Generator) -> int:
    """Add a transition to the episode, and update from it when it is complete."""
    if not play_episode(memory.episode, sample):
        return EPISODE_GOES_ON
    update_from_episode(memory, 0.0 if sample.terminated else largest(memory.q, sample.next_state))
    return OPEN


@kernel
def loop(memory: Memory, course: Course) -> int:
    """Run `table_loop` with this algorithm's kernels."""
    return table_loop(begin, learn, memory, course)


class MCOffPolicy(TabularLearner):
    """Off-policy Monte Carlo control on a table of action values."""

    Config: ClassVar[type] = MCOffPolicyConfig
    kernels: ClassVar[Kernels] = Kernels(begin, learn, loop)

    def allocate(self) -> Memory:
        """Make the tables."""
        config, shape = self.config, (self.num_states, self.num_actions)
        self.longest_episode = config.max_episode_steps
        self.q = self.table("q", (1, *shape), config.initial_value)
        self.visits = self.table("visits", shape, 0, np.int64)
        self.weights = self.table("weights", shape)
        return Memory(
            config.explorer(),
            config.importance == "weighted",
            self.discount,
            self.q[0],
            self.visits,
            self.weights,
            new_episode(config.max_episode_steps),
            np.empty(self.num_actions),
        )
