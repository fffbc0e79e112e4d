"""Monte Carlo prediction: the values of a policy as means of returns, from its own episodes or from another policy's.

*Source*: Sutton and Barto, Reinforcement Learning (2nd edition, 2018), sections 5.1 (first visit), 5.5 and 5.6 (off-policy, by ordinary
and by weighted importance sampling).

*Departures*: an episode that a time limit cuts continues in the estimate: its return begins with the value of the last state.

*Letters*: S states, A actions, T steps of an episode.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, NamedTuple

import numpy as np

from dl_nets.fast.kernels import inlined, kernel
from rl_algos.parts.exploration import draw_action
from rl_algos.planning.policy import fixed_policy
from rl_algos.tabular.episodes import Episode, Episodes, new_episode, play_episode
from rl_algos.tabular.learner import EPISODE_GOES_ON, OPEN, Course, Kernels, Sample, TabularConfig, table_loop
from rl_algos.tabular.prediction.td_prediction import PredictionConfig, Predictor
from rl_core.config import Doc, Fraction, configclass

WEIGHTINGS = ("none", "ordinary", "weighted")
NONE, ORDINARY, WEIGHTED = range(3)


@configclass
class MCPredictionConfig(PredictionConfig, Episodes, TabularConfig):
    """Settings of Monte Carlo prediction."""

    behaviour: Annotated[
        Literal["policy", "uniform"], Doc("b, the policy that acts: the one predicted, or the uniform one (off-policy)")
    ] = "policy"
    importance: Annotated[
        Literal["ordinary", "weighted"], Doc("off-policy: divide the weighted returns by their number, or by their weight")
    ] = "weighted"
    visit: Annotated[Literal["first", "every"], Doc("which visits of a state in an episode count")] = "first"
    learning_rate: Annotated[Fraction, Doc("alpha, constant step size; 0 is the mean of all returns")] = 0.0

    def __post_init__(self) -> None:
        if self.learning_rate > 0.0 and self.behaviour == "uniform":
            raise ValueError(f"learning_rate is {self.learning_rate}; off-policy returns are averaged, so it must be 0")


class Memory(NamedTuple):
    """Tables and settings of Monte Carlo prediction.

    Attributes:
        weighting: Index in `WEIGHTINGS`.
        first_visit: Whether only the first visit of a state counts.
        learning_rate: alpha; 0 for the mean.
        discount: gamma.
        values: V [S].
        weights: N or C [S].
        seen: Clock of a state's first visit in its last episode [S].
        clock: Steps of all episodes, so that `seen` need not be cleared [1].
        policy: pi [S, A].
        behaviour: b [S, A].
        episode: The episode being played.
    """

    weighting: int
    first_visit: bool
    learning_rate: float
    discount: float
    values: np.ndarray
    weights: np.ndarray
    seen: np.ndarray
    clock: np.ndarray
    policy: np.ndarray
    behaviour: np.ndarray
    episode: Episode


@inlined
def update_from_episode(memory: Memory, rest: float) -> None:
    """Average the returns of an episode's states into their values.

    On-policy: V <- V + (G - V) / N. Ordinary importance sampling (5.5): V <- V + (rho G - V) / N. Weighted (5.7, 5.8): C <- C + rho,
    V <- V + (rho / C) (G - V). rho is the product of pi(A | S) / b(A | S) from the state on.

    Args:
        memory: Tables and settings.
        rest: Value of what follows the last step, 0 where the episode ended.
    """
    values, weights, seen, pairs, length = memory.values, memory.weights, memory.seen, memory.episode.pairs, memory.episode.length[0]
    begin = memory.clock[0]
    for index in range(length):
        if seen[pairs[index, 0]] <= begin:
            seen[pairs[index, 0]] = begin + 1 + index
    memory.clock[0] = begin + 1 + length
    return_, ratio = rest, 1.0
    for index in range(length - 1, -1, -1):
        state, action = pairs[index, 0], pairs[index, 1]
        return_ = memory.episode.rewards[index] + memory.discount * return_
        if memory.weighting != NONE:
            ratio *= memory.policy[state, action] / memory.behaviour[state, action]
        if memory.first_visit and seen[state] != begin + 1 + index:
            continue
        if memory.weighting == WEIGHTED:
            weights[state] += ratio
            if ratio > 0.0:
                values[state] += ratio / weights[state] * (return_ - values[state])
        else:
            weights[state] += 1.0
            rate = memory.learning_rate if memory.learning_rate > 0.0 else 1.0 / weights[state]
            values[state] += rate * (ratio * return_ - values[state])
    memory.episode.length[0] = 0


@inlined
def begin(memory: Memory, state: int, step: int, rng: np.random.Generator) -> tuple[int, int]:
    """Return the state and the action that the behaviour policy draws there."""
    return state, draw_action(memory.behaviour[state], rng.random())


@inlined
def learn(memory: Memory, sample: Sample, step: int, rng: np.random.Generator) -> int:
    """Add a transition to the episode, and update from it when it is complete."""
    if not play_episode(memory.episode, sample):
        return EPISODE_GOES_ON
    update_from_episode(memory, 0.0 if sample.terminated else memory.values[sample.next_state])
    return OPEN


@kernel
def loop(memory: Memory, course: Course) -> int:
    """Run `table_loop` with this algorithm's kernels."""
    return table_loop(begin, learn, memory, course)


class MCPrediction(Predictor):
    """Monte Carlo prediction on a table of state values."""

    Config: ClassVar[type] = MCPredictionConfig
    kernels: ClassVar[Kernels] = Kernels(begin, learn, loop)

    def allocate(self) -> Memory:
        """Make the tables, and look both policies up."""
        self.prepare()
        config, off_policy = self.config, self.config.behaviour == "uniform"
        self.longest_episode = config.max_episode_steps
        self.weights = self.table("weights", (self.num_states,))
        return Memory(
            WEIGHTINGS.index(config.importance) if off_policy else NONE,
            config.visit == "first",
            config.learning_rate,
            self.discount,
            self.values,
            self.weights,
            self.table("seen", (self.num_states,), 0, np.int64),
            self.table("episode", (1,), 0, np.int64),
            self.policy,
            fixed_policy(self.task, "uniform") if off_policy else self.policy,
            new_episode(config.max_episode_steps),
        )
