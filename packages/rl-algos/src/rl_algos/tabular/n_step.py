"""n-step Sarsa: between one step and the whole episode.

*Source*: Sutton and Barto, Reinforcement Learning (2nd edition, 2018), section 7.2.

*Departures*: at a time limit the rewards that were seen are kept and the rest is estimated from the last state.

*Letters*: S states, A actions, n steps.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from dl_nets.fast.kernels import borrowed, inlined, kernel
from rl_algos.parts.exploration import Exploration, Explorer, explore
from rl_algos.parts.ranges import require_range
from rl_algos.tabular.learner import StepSize, TabularLearner
from rl_algos.tasks.mdp.simulator import Playing, borrow_playing, play
from rl_core.config import Count, Doc, Fraction, Meta, configclass


@configclass
class NStepSarsaConfig(Exploration):
    """Settings of n-step Sarsa."""

    num_lookahead: Annotated[Count, Doc("n, rewards that a target adds up before it estimates the rest")] = 4
    learning_rate: Annotated[float, Meta(gt=0, le=1), Doc("alpha, step size")] = 0.1
    learning_rate_power: Annotated[float, Doc("omega: the step size is alpha / N(s, a)^omega; in [0, 1], 0 is constant")] = 0.0
    discount: Annotated[Fraction | None, Doc("gamma; null takes the task's, or 1 where it has none")] = None
    initial_value: Annotated[float, Doc("Q_0, unit of return, any number; optimistic when above what can be had")] = 0.0
    steps_per_iteration: Annotated[Count, Doc("environment steps between two reports")] = 10_000
    compiled: Annotated[bool, Doc("run the whole loop compiled on tasks that show their table; the numbers are the same")] = True

    def __post_init__(self) -> None:
        require_range(self, "num_lookahead", 1, float("inf"))
        require_range(self, "learning_rate_power", 0.0, 1.0)
        if self.discount is not None:
            require_range(self, "discount", 0.0, 1.0)
        require_range(self, "steps_per_iteration", 1, float("inf"))


@inlined
def move(q: np.ndarray, visits: np.ndarray, step_size: StepSize, state: int, action: int, goal: float) -> None:
    """Q(S, A) <- Q(S, A) + alpha / N(S, A)^omega (goal - Q(S, A)), in place."""
    visits[state, action] += 1
    rate = step_size.alpha
    if step_size.power > 0.0:
        rate /= visits[state, action] ** step_size.power
    q[state, action] += rate * (goal - q[state, action])


@inlined
def update(
    step_size: StepSize,
    discount: float,
    q: np.ndarray,
    visits: np.ndarray,
    pairs: np.ndarray,
    rewards: np.ndarray,
    count: np.ndarray,
    state: int,
    action: int,
    reward: float,
    estimate: float,
    over: bool,
) -> None:
    """Take a transition in, and update what can be: the oldest pair of n, or all of them when the episode is over.

    G = R_1 + gamma R_2 + ... + gamma^(n-1) R_n + gamma^n Q(S_n, A_n) (7.4).

    Args:
        step_size: alpha and omega.
        discount: gamma.
        q: [S, A].
        visits: [S, A].
        pairs: The last states and actions, oldest first [n, 2].
        rewards: Their rewards [n].
        count: How many there are [1].
        state: S.
        action: A.
        reward: R.
        estimate: Q(S', A'), 0 where the episode ended.
        over: Whether the next transition belongs to another episode.
    """
    size = len(rewards)
    pairs[count[0], 0], pairs[count[0], 1], rewards[count[0]] = state, action, reward
    count[0] += 1
    goal = estimate
    if over:
        for index in range(count[0] - 1, -1, -1):
            goal = rewards[index] + discount * goal
            move(q, visits, step_size, pairs[index, 0], pairs[index, 1], goal)
        count[0] = 0
    elif count[0] == size:
        for index in range(size - 1, -1, -1):
            goal = rewards[index] + discount * goal
        move(q, visits, step_size, pairs[0, 0], pairs[0, 1], goal)
        for index in range(size - 1):
            pairs[index, 0], pairs[index, 1], rewards[index] = pairs[index + 1, 0], pairs[index + 1, 1], rewards[index + 1]
        count[0] -= 1


@kernel
def learn_on_table(
    playing: Playing,
    num_steps: int,
    first_step: int,
    explorer: Explorer,
    step_size: StepSize,
    discount: float,
    q: np.ndarray,
    visits: np.ndarray,
    pairs: np.ndarray,
    rewards: np.ndarray,
    count: np.ndarray,
    pending: np.ndarray,
    outcomes: np.random.Generator,
    rng: np.random.Generator,
) -> None:
    """`NStepSarsa._learn_from_envs` on a table of outcomes."""
    memory = np.empty(q.shape[1])
    scratch, q, visits, playing = borrowed(memory), borrowed(q), borrowed(visits), borrow_playing(playing)
    pairs, rewards, count = borrowed(pairs), borrowed(rewards), borrowed(count)
    action = pending[0]
    for step in range(first_step, first_step + num_steps):
        state = playing.state[0]
        if action < 0:
            action = explore(explorer, q, visits, state, step, rng.random(), scratch)
        reward, next_state, terminated, over = play(playing, action, outcomes)
        next_action, estimate = -1, 0.0
        if not terminated:
            next_action = explore(explorer, q, visits, next_state, step, rng.random(), scratch)
            estimate = q[next_state, next_action]
        update(step_size, discount, q, visits, pairs, rewards, count, state, action, reward, estimate, over)
        action = -1 if over else next_action
    pending[0] = action


class NStepSarsa(TabularLearner):
    """n-step Sarsa on a table of action values."""

    Config = NStepSarsaConfig

    def allocate(self) -> None:
        """Make the tables."""
        config = self.config
        self.step_size = StepSize(config.learning_rate, config.learning_rate_power)
        self.q = self.table("q", (1, self.num_states, self.num_actions), config.initial_value)
        self.visits = self.table("visits", (self.num_states, self.num_actions), 0, np.int64)
        self.pending = self.table("pending", (1,), -1, np.int64)  # the action that was already drawn, -1 for none
        self.pairs = self.table("pairs", (config.num_lookahead, 2), 0, np.int64)
        self.rewards = self.table("rewards", (config.num_lookahead,))
        self.count = self.table("count", (1,), 0, np.int64)

    def learn(self, num_steps: int) -> int:
        """Take `num_steps` environment steps, an update n steps after each."""
        config, explorer, q = self.config, self.config.explorer(), self.q[0]
        window = (self.pairs, self.rewards, self.count)
        if self.on_table:
            playing = self.envs.playing(num_steps)
            learn_on_table(
                playing, num_steps, self.progress, explorer, self.step_size, self.discount, q, self.visits, *window, self.pending,
                self.envs.rng, self.rng,
            )  # fmt: skip
            self.envs.record(playing)
        else:
            self._learn_from_envs(num_steps, config.explorer(), q, window)
        return num_steps

    def _learn_from_envs(self, num_steps: int, explorer: Explorer, q: np.ndarray, window: tuple[np.ndarray, ...]) -> None:
        """The algorithm as the book writes it, on anything that can be played."""
        scratch, action = np.empty(self.num_actions), int(self.pending[0])
        for step in range(self.progress, self.progress + num_steps):
            state = int(self.obs[0])
            if action < 0:
                action = explore(explorer, q, self.visits, state, step, self.rng.random(), scratch)
            taken = self.envs.step(np.array([action]))
            self.obs = taken.obs
            next_action, estimate, next_state = -1, 0.0, int(taken.final_obs[0])
            if not taken.terminated[0]:
                next_action = explore(explorer, q, self.visits, next_state, step, self.rng.random(), scratch)
                estimate = float(q[next_state, next_action])
            over = bool(taken.terminated[0] or taken.truncated[0])
            update(
                self.step_size, self.discount, q, self.visits, *window, state, action, float(taken.reward[0]), estimate, over
            )  # fmt: skip
            action = -1 if over else next_action
        self.pending[0] = action
