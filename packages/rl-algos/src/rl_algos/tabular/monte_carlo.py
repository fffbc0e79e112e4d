"""Monte Carlo control: learning from the returns of whole episodes.

*Source*: Sutton and Barto, Reinforcement Learning (2nd edition, 2018), sections 5.3 (exploring starts) and 5.4 (on-policy control);
Watkins, Learning from Delayed Rewards (1989), section 7.4, for `mc-q-learning`: returns are followed for as long as the actions taken
were greedy, and the best action's value stands for the rest, so that what is learned is q* whatever explores.

*Departures*: an episode that a time limit cuts goes on in the estimate: its return begins with the value of the last state. The book's
control with exploring starts acts greedily; so does this one.

*Letters*: S states, A actions, T steps of an episode.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np

from dl_nets.fast.kernels import borrowed, inlined, kernel
from rl_algos.parts.exploration import Exploration, Explorer, expected_value, explore, largest
from rl_algos.parts.ranges import require_range
from rl_algos.tabular.learner import TabularLearner
from rl_algos.tasks.mdp.simulator import MDPEnvs, Playing, borrow_playing, play
from rl_core.config import Count, Doc, Fraction, configclass

METHODS = ("on-policy", "exploring-starts", "q-learning")
ON_POLICY, EXPLORING_STARTS, Q_LEARNING = range(3)


@configclass
class MonteCarloConfig(Exploration):
    """Settings of Monte Carlo control."""

    method: Annotated[Literal["on-policy", "exploring-starts", "q-learning"], Doc("what a return is taken to say")] = "on-policy"
    visit: Annotated[Literal["first", "every"], Doc("which visits of a pair in an episode count; q-learning takes every one")] = "first"
    learning_rate: Annotated[Fraction, Doc("alpha, constant step size; 0 is the mean of all returns")] = 0.0
    discount: Annotated[Fraction | None, Doc("gamma; null takes the task's, or 1 where it has none")] = None
    initial_value: Annotated[float, Doc("Q_0, unit of return, any number; optimistic when above what can be had")] = 0.0
    max_episode_steps: Annotated[Count, Doc("T, steps after which an episode is learned from though it goes on")] = 10_000
    steps_per_iteration: Annotated[Count, Doc("environment steps between two reports, at least; whole episodes are played")] = 10_000
    compiled: Annotated[bool, Doc("run the whole loop compiled on tasks that show their table; the numbers are the same")] = True

    def __post_init__(self) -> None:
        if self.discount is not None:
            require_range(self, "discount", 0.0, 1.0)
        require_range(self, "max_episode_steps", 1, float("inf"))
        require_range(self, "steps_per_iteration", 1, float("inf"))


@inlined
def value_of(method: int, explorer: Explorer, q: np.ndarray, visits: np.ndarray, state: int, step: int, scratch: np.ndarray) -> float:
    """What a state is worth by the table: under the rule that explores, or under the greedy policy."""
    return expected_value(explorer, q, visits, state, step, scratch) if method == ON_POLICY else largest(q, state)


@inlined
def update_from_episode(
    method: int,
    first_visit: bool,
    learning_rate: float,
    discount: float,
    q: np.ndarray,
    visits: np.ndarray,
    seen: np.ndarray,
    episode: np.ndarray,
    pairs: np.ndarray,
    rewards: np.ndarray,
    length: int,
    rest: float,
) -> None:
    """Q(S, A) <- Q(S, A) + alpha (G - Q(S, A)) for the pairs of an episode, G = R + gamma G of the step after.

    Args:
        method: Index in `METHODS`.
        first_visit: Only the first visit of a pair counts.
        learning_rate: alpha; 0 for 1 / N(S, A).
        discount: gamma.
        q: [S, A].
        visits: [S, A].
        seen: The step of a pair's first visit in this episode [S, A], plus `episode`.
        episode: Counts steps of all episodes, so that `seen` need not be cleared [1].
        pairs: States and actions [T, 2].
        rewards: [T].
        length: Steps of the episode.
        rest: What follows the last step, 0 where the episode ended.
    """
    begin = episode[0]
    if first_visit:
        for index in range(length):
            state, action = pairs[index, 0], pairs[index, 1]
            if seen[state, action] <= begin:
                seen[state, action] = begin + 1 + index
    episode[0] = begin + 1 + length
    return_ = rest
    for index in range(length - 1, -1, -1):
        state, action = pairs[index, 0], pairs[index, 1]
        return_ = rewards[index] + discount * return_
        if first_visit and seen[state, action] != begin + 1 + index:
            continue
        greedy = q[state, action] == largest(q, state)
        visits[state, action] += 1
        rate = learning_rate if learning_rate > 0.0 else 1.0 / visits[state, action]
        q[state, action] += rate * (return_ - q[state, action])
        if method == Q_LEARNING and not greedy:
            return_ = largest(q, state)


@kernel
def learn_on_table(
    playing: Playing,
    num_steps: int,
    first_step: int,
    method: int,
    explorer: Explorer,
    first_visit: bool,
    learning_rate: float,
    discount: float,
    q: np.ndarray,
    visits: np.ndarray,
    seen: np.ndarray,
    episode: np.ndarray,
    starts: np.ndarray,
    pairs: np.ndarray,
    rewards: np.ndarray,
    outcomes: np.random.Generator,
    rng: np.random.Generator,
) -> int:
    """`MonteCarlo._learn_from_envs` on a table of outcomes."""
    memory = np.empty(q.shape[1])
    scratch, q, visits, seen, playing = borrowed(memory), borrowed(q), borrowed(visits), borrowed(seen), borrow_playing(playing)
    pairs, rewards, starts = borrowed(pairs), borrowed(rewards), borrowed(starts)
    taken = 0
    while taken < num_steps:
        length, rest, over = 0, 0.0, False
        while not over and length < len(rewards):
            if method == EXPLORING_STARTS and length == 0:
                pair = starts[int(rng.random() * len(starts))]
                playing.state[0] = pair // q.shape[1]
                action = pair % q.shape[1]
            else:
                action = explore(explorer, q, visits, playing.state[0], first_step + taken, rng.random(), scratch)
            pairs[length, 0], pairs[length, 1] = playing.state[0], action
            reward, next_state, terminated, over = play(playing, action, outcomes)
            rewards[length] = reward
            length += 1
            taken += 1
            if not terminated and (over or length == len(rewards)):
                rest = value_of(method, explorer, q, visits, next_state, first_step + taken, scratch)
        update_from_episode(
            method, first_visit, learning_rate, discount, q, visits, seen, episode, pairs, rewards, length, rest
        )  # fmt: skip
    return taken


class MonteCarlo(TabularLearner):
    """Monte Carlo control on a table of action values."""

    Config = MonteCarloConfig

    def allocate(self) -> None:
        """Make the tables.

        Raises:
            ValueError: if episodes are to start anywhere, and the task cannot be put into a state.
        """
        config, shape = self.config, (self.num_states, self.num_actions)
        self.method = METHODS.index(config.method)
        self.q = self.table("q", (1, *shape), config.initial_value)
        self.visits = self.table("visits", shape, 0, np.int64)
        self.seen = self.table("seen", shape, 0, np.int64)
        self.episode = self.table("episode", (1,), 0, np.int64)
        self.pairs = np.empty((config.max_episode_steps, 2), dtype=np.int64)  # of the episode being played: empty between two steps
        self.rewards = np.empty(config.max_episode_steps)
        self.starts = np.zeros(1, dtype=np.int64)
        if self.method == EXPLORING_STARTS:
            if not isinstance(self.envs, MDPEnvs):
                raise ValueError("exploring starts need a task that can be put into any state, one with a model; take mc-control here")
            live = np.flatnonzero(~self.envs.mdp.is_terminal)
            self.starts = (live[:, None] * self.num_actions + np.arange(self.num_actions)).ravel()

    def learn(self, num_steps: int) -> int:
        """Play whole episodes of at least `num_steps` environment steps, an update after each episode."""
        config, explorer = self.config, self.config.explorer()
        if self.method == EXPLORING_STARTS:
            explorer = explorer._replace(rule=0)
        first_visit = config.visit == "first" and self.method != Q_LEARNING
        if not self.on_table:
            return self._learn_from_envs(num_steps, explorer, first_visit)
        playing = self.envs.playing(num_steps + config.max_episode_steps)
        taken = learn_on_table(
            playing, num_steps, self.progress, self.method, explorer, first_visit, config.learning_rate, self.discount, self.q[0],
            self.visits, self.seen, self.episode, self.starts, self.pairs, self.rewards, self.envs.rng, self.rng,
        )  # fmt: skip
        self.envs.record(playing)
        self.obs = self.envs.state.copy()
        return taken

    def _learn_from_envs(self, num_steps: int, explorer: Explorer, first_visit: bool) -> int:
        """The algorithm as the book writes it, on anything that can be played."""
        q, scratch, taken = self.q[0], np.empty(self.num_actions), 0
        while taken < num_steps:
            length, rest, over = 0, 0.0, False
            while not over and length < self.config.max_episode_steps:
                if self.method == EXPLORING_STARTS and length == 0:
                    pair = int(self.starts[int(self.rng.random() * len(self.starts))])
                    self.envs.state[0], action = divmod(pair, self.num_actions)
                    self.obs = self.envs.state.copy()
                else:
                    action = explore(explorer, q, self.visits, int(self.obs[0]), self.progress + taken, self.rng.random(), scratch)
                self.pairs[length] = int(self.obs[0]), action
                step = self.envs.step(np.array([action]))
                self.obs = step.obs
                self.rewards[length] = step.reward[0]
                length += 1
                taken += 1
                over = bool(step.terminated[0] or step.truncated[0])
                if not step.terminated[0] and (over or length == self.config.max_episode_steps):
                    rest = value_of(
                        self.method, explorer, q, self.visits, int(step.final_obs[0]), self.progress + taken, scratch
                    )  # fmt: skip
            update_from_episode(
                self.method, first_visit, self.config.learning_rate, self.discount, q, self.visits, self.seen, self.episode, self.pairs,
                self.rewards, length, rest,
            )  # fmt: skip
        return taken
