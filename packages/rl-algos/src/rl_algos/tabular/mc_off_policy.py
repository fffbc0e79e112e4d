"""Off-policy Monte Carlo control: the greedy policy is learned from the episodes of another one.

*Source*: Sutton and Barto, Reinforcement Learning (2nd edition, 2018), section 5.7.

*Departures*: of equally good actions the target policy takes the first, always (to follow any of them would give the episodes that do too
much weight). The exploration's rule is the behaviour policy; its probabilities at the time of acting are kept, and they divide. Beside the
book's weighted importance sampling there is the ordinary one. An episode that a time limit cuts goes on in the estimate.

*Letters*: S states, A actions, T steps of an episode.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np

from dl_nets.fast.kernels import borrowed, inlined, kernel
from rl_algos.parts.exploration import Exploration, Explorer, action_probabilities, draw_action, first_best, largest
from rl_algos.parts.ranges import require_range
from rl_algos.tabular.learner import TabularLearner
from rl_algos.tasks.mdp.simulator import Playing, borrow_playing, play
from rl_core.config import Count, Doc, Fraction, configclass


@configclass
class MCOffPolicyConfig(Exploration):
    """Settings of off-policy Monte Carlo control."""

    importance: Annotated[Literal["ordinary", "weighted"], Doc("divide the weighted returns by their number, or by their weight")] = (
        "weighted"
    )
    discount: Annotated[Fraction | None, Doc("gamma; null takes the task's, or 1 where it has none")] = None
    initial_value: Annotated[float, Doc("Q_0, unit of return, any number; optimistic when above what can be had")] = 0.0
    max_episode_steps: Annotated[Count, Doc("T, steps after which an episode is learned from though it goes on")] = 10_000
    steps_per_iteration: Annotated[Count, Doc("environment steps between two reports, at least; whole episodes are played")] = 10_000
    compiled: Annotated[bool, Doc("run the whole loop compiled on tasks that show their table; the numbers are the same")] = True

    def __post_init__(self) -> None:
        if self.exploration in ("greedy", "ucb"):
            raise ValueError(
                f"exploration is {self.exploration!r}; the behaviour must try every action: epsilon-greedy, boltzmann or random"
            )
        if self.discount is not None:
            require_range(self, "discount", 0.0, 1.0)
        require_range(self, "max_episode_steps", 1, float("inf"))
        require_range(self, "steps_per_iteration", 1, float("inf"))


@inlined
def update_from_episode(
    weighted: bool,
    discount: float,
    q: np.ndarray,
    weights: np.ndarray,
    pairs: np.ndarray,
    rewards: np.ndarray,
    chances: np.ndarray,
    length: int,
    rest: float,
) -> None:
    """Walk an episode backwards for as long as its actions are greedy: C <- C + W, Q <- Q + (W / C) (G - Q), W <- W / b(A | S).

    Ordinary importance sampling averages W G over all visits in its place, those of weight 0 included.

    Args:
        weighted: By weighted importance sampling.
        discount: gamma.
        q: [S, A].
        weights: C, or the number of visits [S, A].
        pairs: States and actions [T, 2].
        rewards: [T].
        chances: b(A | S) when it was taken [T].
        length: Steps of the episode.
        rest: What follows the last step, 0 where the episode ended.
    """
    return_, weight = rest, 1.0
    for index in range(length - 1, -1, -1):
        state, action = pairs[index, 0], pairs[index, 1]
        return_ = rewards[index] + discount * return_
        if weighted:
            weights[state, action] += weight
            q[state, action] += weight / weights[state, action] * (return_ - q[state, action])
        else:
            weights[state, action] += 1.0
            q[state, action] += (weight * return_ - q[state, action]) / weights[state, action]
        if action == first_best(q, state):
            weight /= chances[index]
        elif weighted:
            break  # what comes before has weight 0, which moves no weighted mean
        else:
            weight = 0.0  # an ordinary mean counts it


@kernel
def learn_on_table(
    playing: Playing,
    num_steps: int,
    first_step: int,
    explorer: Explorer,
    weighted: bool,
    discount: float,
    q: np.ndarray,
    visits: np.ndarray,
    weights: np.ndarray,
    pairs: np.ndarray,
    rewards: np.ndarray,
    chances: np.ndarray,
    outcomes: np.random.Generator,
    rng: np.random.Generator,
) -> int:
    """`MCOffPolicy._learn_from_envs` on a table of outcomes."""
    memory = np.empty(q.shape[1])
    scratch, q, visits, weights, playing = borrowed(memory), borrowed(q), borrowed(visits), borrowed(weights), borrow_playing(playing)
    pairs, rewards, chances = borrowed(pairs), borrowed(rewards), borrowed(chances)
    taken = 0
    while taken < num_steps:
        length, rest, over = 0, 0.0, False
        while not over and length < len(rewards):
            state = playing.state[0]
            action_probabilities(explorer, q, visits, state, first_step + taken, scratch)
            action = draw_action(scratch, rng.random())
            pairs[length, 0], pairs[length, 1], chances[length] = state, action, scratch[action]
            visits[state, action] += 1
            reward, next_state, terminated, over = play(playing, action, outcomes)
            rewards[length] = reward
            length += 1
            taken += 1
            if not terminated and (over or length == len(rewards)):
                rest = largest(q, next_state)
        update_from_episode(weighted, discount, q, weights, pairs, rewards, chances, length, rest)
    return taken


class MCOffPolicy(TabularLearner):
    """Off-policy Monte Carlo control on a table of action values."""

    Config = MCOffPolicyConfig

    def allocate(self) -> None:
        """Make the tables."""
        config, shape = self.config, (self.num_states, self.num_actions)
        self.q = self.table("q", (1, *shape), config.initial_value)
        self.visits = self.table("visits", shape, 0, np.int64)
        self.weights = self.table("weights", shape)
        self.pairs = np.empty((config.max_episode_steps, 2), dtype=np.int64)  # of the episode being played: empty between two steps
        self.rewards = np.empty(config.max_episode_steps)
        self.chances = np.empty(config.max_episode_steps)

    def learn(self, num_steps: int) -> int:
        """Play whole episodes of at least `num_steps` environment steps, an update after each episode."""
        config = self.config
        if not self.on_table:
            return self._learn_from_envs(num_steps, config.explorer(), config.importance == "weighted")
        playing = self.envs.playing(num_steps + config.max_episode_steps)
        taken = learn_on_table(
            playing, num_steps, self.progress, config.explorer(), config.importance == "weighted", self.discount, self.q[0], self.visits,
            self.weights, self.pairs, self.rewards, self.chances, self.envs.rng, self.rng,
        )  # fmt: skip
        self.envs.record(playing)
        return taken

    def _learn_from_envs(self, num_steps: int, explorer: Explorer, weighted: bool) -> int:
        """The algorithm as the book writes it, on anything that can be played."""
        q, scratch, taken, limit = self.q[0], np.empty(self.num_actions), 0, self.config.max_episode_steps
        while taken < num_steps:
            length, rest, over = 0, 0.0, False
            while not over and length < limit:
                state = int(self.obs[0])
                action_probabilities(explorer, q, self.visits, state, self.progress + taken, scratch)
                action = draw_action(scratch, self.rng.random())
                self.pairs[length], self.chances[length] = (state, action), scratch[action]
                self.visits[state, action] += 1
                step = self.envs.step(np.array([action]))
                self.obs = step.obs
                self.rewards[length] = step.reward[0]
                length += 1
                taken += 1
                over = bool(step.terminated[0] or step.truncated[0])
                if not step.terminated[0] and (over or length == limit):
                    rest = float(largest(q, int(step.final_obs[0])))
            update_from_episode(weighted, self.discount, q, self.weights, self.pairs, self.rewards, self.chances, length, rest)
        return taken
