"""What a policy is worth, as the mean of returns: Monte Carlo prediction on the policy's own episodes, or on another's.

*Source*: Sutton and Barto, Reinforcement Learning (2nd edition, 2018), sections 5.1 (first visit), 5.5 and 5.6 (off-policy, by ordinary
and by weighted importance sampling).

*Departures*: an episode that a time limit cuts goes on in the estimate: its return begins with the value of the last state.

*Letters*: S states, A actions, T steps of an episode.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np

from dl_nets.fast.kernels import borrowed, inlined, kernel
from rl_algos.parts.exploration import draw_action
from rl_algos.parts.ranges import require_range
from rl_algos.planning.policy import fixed_policy
from rl_algos.tabular.prediction.td_prediction import Predictor
from rl_algos.tasks.mdp.simulator import Playing, borrow_playing, play
from rl_core.config import Count, Doc, Fraction, configclass

WEIGHTINGS = ("none", "ordinary", "weighted")
NONE, ORDINARY, WEIGHTED = range(3)


@configclass
class MCPredictionConfig:
    """Settings of Monte Carlo prediction."""

    policy: Annotated[
        Literal["task", "uniform", "optimal"], Doc("pi: the one that the task is about, every action alike, or an optimal one")
    ] = "task"
    behaviour: Annotated[Literal["policy", "uniform"], Doc("b, what acts: the policy itself, or every action alike (off-policy)")] = (
        "policy"
    )
    importance: Annotated[
        Literal["ordinary", "weighted"], Doc("off-policy: divide the weighted returns by their number, or by their weight")
    ] = "weighted"
    visit: Annotated[Literal["first", "every"], Doc("which visits of a state in an episode count")] = "first"
    learning_rate: Annotated[Fraction, Doc("alpha, constant step size; 0 is the mean of all returns")] = 0.0
    discount: Annotated[Fraction | None, Doc("gamma; null takes the task's, or 1 where it has none")] = None
    initial_value: Annotated[float, Doc("V_0, unit of return, any number")] = 0.0
    max_episode_steps: Annotated[Count, Doc("T, steps after which an episode is learned from though it goes on")] = 10_000
    steps_per_iteration: Annotated[Count, Doc("environment steps between two reports, at least; whole episodes are played")] = 10_000
    compiled: Annotated[bool, Doc("run the whole loop compiled on tasks that show their table; the numbers are the same")] = True

    def __post_init__(self) -> None:
        if self.learning_rate > 0.0 and self.behaviour == "uniform":
            raise ValueError(f"learning_rate is {self.learning_rate}; off-policy returns are averaged, so it must be 0")
        if self.discount is not None:
            require_range(self, "discount", 0.0, 1.0)
        require_range(self, "max_episode_steps", 1, float("inf"))
        require_range(self, "steps_per_iteration", 1, float("inf"))


@inlined
def update_from_episode(
    weighting: int,
    first_visit: bool,
    learning_rate: float,
    discount: float,
    values: np.ndarray,
    weights: np.ndarray,
    seen: np.ndarray,
    episode: np.ndarray,
    policy: np.ndarray,
    behaviour: np.ndarray,
    pairs: np.ndarray,
    rewards: np.ndarray,
    length: int,
    rest: float,
) -> None:
    """Average the returns of an episode's states into their values.

    On-policy: V <- V + (G - V) / N. Ordinary importance sampling (5.5): V <- V + (rho G - V) / N. Weighted (5.7, 5.8): C <- C + rho,
    V <- V + (rho / C) (G - V). rho is the product of pi(A | S) / b(A | S) from the state on.

    Args:
        weighting: Index in `WEIGHTINGS`.
        first_visit: Only the first visit of a state counts.
        learning_rate: alpha; 0 for the mean.
        discount: gamma.
        values: V [S].
        weights: N or C [S].
        seen: The step of a state's first visit in this episode [S], plus `episode`.
        episode: Counts steps of all episodes, so that `seen` need not be cleared [1].
        policy: pi [S, A].
        behaviour: b [S, A].
        pairs: States and actions [T, 2].
        rewards: [T].
        length: Steps of the episode.
        rest: What follows the last step, 0 where the episode ended.
    """
    begin = episode[0]
    for index in range(length):
        if seen[pairs[index, 0]] <= begin:
            seen[pairs[index, 0]] = begin + 1 + index
    episode[0] = begin + 1 + length
    return_, ratio = rest, 1.0
    for index in range(length - 1, -1, -1):
        state, action = pairs[index, 0], pairs[index, 1]
        return_ = rewards[index] + discount * return_
        if weighting != NONE:
            ratio *= policy[state, action] / behaviour[state, action]
        if first_visit and seen[state] != begin + 1 + index:
            continue
        if weighting == WEIGHTED:
            weights[state] += ratio
            if ratio > 0.0:
                values[state] += ratio / weights[state] * (return_ - values[state])
        else:
            weights[state] += 1.0
            rate = learning_rate if learning_rate > 0.0 else 1.0 / weights[state]
            values[state] += rate * (ratio * return_ - values[state])


@kernel
def learn_on_table(
    playing: Playing,
    num_steps: int,
    weighting: int,
    first_visit: bool,
    learning_rate: float,
    discount: float,
    values: np.ndarray,
    weights: np.ndarray,
    seen: np.ndarray,
    episode: np.ndarray,
    policy: np.ndarray,
    behaviour: np.ndarray,
    pairs: np.ndarray,
    rewards: np.ndarray,
    outcomes: np.random.Generator,
    rng: np.random.Generator,
) -> int:
    """`MCPrediction._learn_from_envs` on a table of outcomes."""
    values, weights, seen, playing = borrowed(values), borrowed(weights), borrowed(seen), borrow_playing(playing)
    policy, behaviour, pairs, rewards = borrowed(policy), borrowed(behaviour), borrowed(pairs), borrowed(rewards)
    taken = 0
    while taken < num_steps:
        length, rest, over = 0, 0.0, False
        while not over and length < len(rewards):
            state = playing.state[0]
            action = draw_action(behaviour[state], rng.random())
            pairs[length, 0], pairs[length, 1] = state, action
            reward, next_state, terminated, over = play(playing, action, outcomes)
            rewards[length] = reward
            length += 1
            if not terminated and (over or length == len(rewards)):
                rest = values[next_state]
        taken += length
        update_from_episode(
            weighting, first_visit, learning_rate, discount, values, weights, seen, episode, policy, behaviour, pairs, rewards, length,
            rest,
        )  # fmt: skip
    return taken


class MCPrediction(Predictor):
    """Monte Carlo prediction on a table of state values."""

    Config = MCPredictionConfig

    def allocate(self) -> None:
        """Make the tables, and look both policies up."""
        super().allocate()
        config = self.config
        off_policy = config.behaviour == "uniform"
        self.behaviour = fixed_policy(self.task, "uniform") if off_policy else self.policy
        self.weighting = WEIGHTINGS.index(config.importance) if off_policy else NONE
        self.weights = self.table("weights", (self.num_states,))
        self.seen = self.table("seen", (self.num_states,), 0, np.int64)
        self.episode = self.table("episode", (1,), 0, np.int64)
        self.pairs = np.empty((config.max_episode_steps, 2), dtype=np.int64)  # of the episode being played: empty between two steps
        self.rewards = np.empty(config.max_episode_steps)

    def learn(self, num_steps: int) -> int:
        """Play whole episodes of at least `num_steps` environment steps, an update after each episode."""
        config, first_visit = self.config, self.config.visit == "first"
        if not self.on_table:
            return self._learn_from_envs(num_steps, first_visit)
        playing = self.envs.playing(num_steps + config.max_episode_steps)
        taken = learn_on_table(
            playing, num_steps, self.weighting, first_visit, config.learning_rate, self.discount, self.values, self.weights, self.seen,
            self.episode, self.policy, self.behaviour, self.pairs, self.rewards, self.envs.rng, self.rng,
        )  # fmt: skip
        self.envs.record(playing)
        self.obs = self.envs.state.copy()
        return taken

    def _learn_from_envs(self, num_steps: int, first_visit: bool) -> int:
        """The algorithm as the book writes it, on anything that can be played."""
        taken, limit = 0, self.config.max_episode_steps
        while taken < num_steps:
            length, rest, over = 0, 0.0, False
            while not over and length < limit:
                state = int(self.obs[0])
                action = draw_action(self.behaviour[state], self.rng.random())
                self.pairs[length] = state, action
                step = self.envs.step(np.array([action]))
                self.obs = step.obs
                self.rewards[length] = step.reward[0]
                length += 1
                over = bool(step.terminated[0] or step.truncated[0])
                if not step.terminated[0] and (over or length == limit):
                    rest = float(self.values[int(step.final_obs[0])])
            taken += length
            update_from_episode(
                self.weighting, first_visit, self.config.learning_rate, self.discount, self.values, self.weights, self.seen, self.episode,
                self.policy, self.behaviour, self.pairs, self.rewards, length, rest,
            )  # fmt: skip
        return taken
