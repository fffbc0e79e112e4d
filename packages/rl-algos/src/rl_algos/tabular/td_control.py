"""Learning action values from one step to the next: Sarsa, Expected Sarsa, Q-learning and Double Q-learning.

*Source*: Sutton and Barto, Reinforcement Learning (2nd edition, 2018), sections 6.4 to 6.7; Watkins, Learning from Delayed Rewards
(1989); van Hasselt, Double Q-learning (2010); van Seijen et al., A Theoretical and Empirical Analysis of Expected Sarsa (2009).

*Departures*: a time limit cuts an episode without ending it: the target then looks on from the last state as it does from any
other, so that the limit leaves the fixed point where it was. Step sizes may fall with visits, alpha / N(s, a)^omega, which
the proofs of convergence ask for when 1/2 < omega <= 1.

*Letters*: S states, A actions, K tables (2 for Double Q-learning, else 1).
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np

from dl_nets.fast.kernels import borrowed, inlined, kernel
from rl_algos.parts.exploration import Exploration, Explorer, count_bonus, expected_value, explore, first_best, largest
from rl_algos.parts.ranges import require_range
from rl_algos.tabular.learner import StepSize, TabularLearner
from rl_algos.tasks.mdp.simulator import Playing, borrow_playing, play
from rl_core.config import Count, Doc, Fraction, Meta, configclass

TARGETS = ("sarsa", "expected-sarsa", "q-learning", "double-q-learning")
SARSA, EXPECTED_SARSA, Q_LEARNING, DOUBLE_Q_LEARNING = range(4)


@configclass
class TDControlConfig(Exploration):
    """Settings of one-step learners of action values."""

    target: Annotated[Literal["sarsa", "expected-sarsa", "q-learning", "double-q-learning"], Doc("what an estimate moves towards")] = (
        "q-learning"
    )
    learning_rate: Annotated[float, Meta(gt=0, le=1), Doc("alpha, step size")] = 0.1
    learning_rate_power: Annotated[float, Doc("omega: the step size is alpha / N(s, a)^omega; in [0, 1], 0 is constant")] = 0.0
    discount: Annotated[Fraction | None, Doc("gamma; null takes the task's, or 1 where it has none")] = None
    initial_value: Annotated[float, Doc("Q_0, unit of return, any number; optimistic when above what can be had")] = 0.0
    count_bonus: Annotated[float, Doc("beta, unit of reward: beta / sqrt(N(s, a)) is added to rewards while learning; >= 0")] = 0.0
    steps_per_iteration: Annotated[Count, Doc("environment steps between two reports")] = 10_000
    compiled: Annotated[bool, Doc("run the whole loop compiled on tasks that show their table; the numbers are the same")] = True

    def __post_init__(self) -> None:
        require_range(self, "learning_rate_power", 0.0, 1.0)
        if self.discount is not None:
            require_range(self, "discount", 0.0, 1.0)
        require_range(self, "count_bonus", 0.0, float("inf"))
        require_range(self, "steps_per_iteration", 1, float("inf"))


@inlined
def choose(
    target: int,
    explorer: Explorer,
    q: np.ndarray,
    second: np.ndarray,
    visits: np.ndarray,
    state: int,
    step: int,
    uniform: float,
    scratch: np.ndarray,
) -> int:
    """The action to take in a state by the exploration's rule, from one table [S, A] or from the mean of two.

    Args:
        target: Index in `TARGETS`; double learning reads both tables.
        explorer: The rule.
        q: [S, A].
        second: The second table of double learning [S, A].
        visits: [S, A].
        state: Where.
        step: Environment steps so far.
        uniform: In [0, 1).
        scratch: [2, A], written to.
    """
    if target != DOUBLE_Q_LEARNING:
        return explore(explorer, q, visits, state, step, uniform, scratch[0])
    for action in range(q.shape[1]):
        scratch[1, action] = (q[state, action] + second[state, action]) / 2.0
    return explore(explorer, scratch[1:], visits[state : state + 1], 0, step, uniform, scratch[0])


@inlined
def update(
    target: int,
    explorer: Explorer,
    step_size: StepSize,
    discount: float,
    bonus: float,
    q: np.ndarray,
    second: np.ndarray,
    visits: np.ndarray,
    state: int,
    action: int,
    reward: float,
    terminated: bool,
    next_state: int,
    step: int,
    rng: np.random.Generator,
    scratch: np.ndarray,
) -> int:
    """Q(S, A) <- Q(S, A) + alpha (G - Q(S, A)), in place; Sarsa's next action, or -1 when it is still open.

    G = R + gamma times what the successor is worth: Q(S', A') for Sarsa (6.7), sum_a pi(a | S') Q(S', a) for Expected Sarsa (6.9),
    max_a Q(S', a) for Q-learning (6.8), Q_2(S', argmax_a Q_1(S', a)) for Double Q-learning (6.10), where a coin says which of
    the tables is Q_1, the one that moves.
    """
    visits[state, action] += 1
    goal = reward
    if bonus > 0.0:
        goal += count_bonus(bonus, visits[state, action])
    rate = step_size.alpha
    if step_size.power > 0.0:
        rate /= visits[state, action] ** step_size.power
    next_action = -1
    if target == DOUBLE_Q_LEARNING:
        if rng.random() < 0.5:
            if not terminated:
                goal += discount * second[next_state, first_best(q, next_state)]
            q[state, action] += rate * (goal - q[state, action])
        else:
            if not terminated:
                goal += discount * q[next_state, first_best(second, next_state)]
            second[state, action] += rate * (goal - second[state, action])
    else:
        if not terminated:
            if target == SARSA:
                next_action = choose(target, explorer, q, second, visits, next_state, step, rng.random(), scratch)
                goal += discount * q[next_state, next_action]
            elif target == EXPECTED_SARSA:
                goal += discount * expected_value(explorer, q, visits, next_state, step, scratch[0])
            else:
                goal += discount * largest(q, next_state)
        q[state, action] += rate * (goal - q[state, action])
    return next_action


@kernel
def learn_on_table(
    playing: Playing,
    num_steps: int,
    first_step: int,
    target: int,
    explorer: Explorer,
    step_size: StepSize,
    discount: float,
    bonus: float,
    q: np.ndarray,
    second: np.ndarray,
    visits: np.ndarray,
    pending: np.ndarray,
    outcomes: np.random.Generator,
    rng: np.random.Generator,
) -> None:
    """`TDControl._learn_from_envs` on a table of outcomes."""
    memory = np.empty((2, q.shape[1]))
    scratch, q, second, visits, playing = borrowed(memory), borrowed(q), borrowed(second), borrowed(visits), borrow_playing(playing)
    action = pending[0]
    for step in range(first_step, first_step + num_steps):
        state = playing.state[0]
        if action < 0:
            action = choose(target, explorer, q, second, visits, state, step, rng.random(), scratch)
        reward, next_state, terminated, over = play(playing, action, outcomes)
        action = update(
            target, explorer, step_size, discount, bonus, q, second, visits, state, action, reward, terminated, next_state, step, rng,
            scratch,
        )  # fmt: skip
        if over:
            action = -1
    pending[0] = action


class TDControl(TabularLearner):
    """Sarsa, Expected Sarsa, Q-learning or Double Q-learning on a table of action values."""

    Config = TDControlConfig

    def allocate(self) -> None:
        """Make the tables."""
        config = self.config
        self.target = TARGETS.index(config.target)
        self.step_size = StepSize(config.learning_rate, config.learning_rate_power)
        num_tables = 2 if self.target == DOUBLE_Q_LEARNING else 1
        self.q = self.table("q", (num_tables, self.num_states, self.num_actions), config.initial_value)
        self.visits = self.table("visits", (self.num_states, self.num_actions), 0, np.int64)
        self.pending = self.table("pending", (1,), -1, np.int64)  # the action that Sarsa has already drawn, -1 for none

    def learn(self, num_steps: int) -> int:
        """Take `num_steps` environment steps, an update after each."""
        if self.on_table:
            self._learn_on_table(num_steps)
        else:
            self._learn_from_envs(num_steps)
        return num_steps

    def _learn_from_envs(self, num_steps: int) -> None:
        """The algorithm as the book writes it, on anything that can be played."""
        target, explorer, q, second, visits = self.target, self.config.explorer(), self.q[0], self.q[-1], self.visits
        scratch = np.empty((2, self.num_actions))
        action = int(self.pending[0])
        for step in range(self.progress, self.progress + num_steps):
            state = int(self.obs[0])
            if action < 0:
                action = choose(target, explorer, q, second, visits, state, step, self.rng.random(), scratch)
            taken = self.envs.step(np.array([action]))
            self.obs = taken.obs
            action = update(
                target, explorer, self.step_size, self.discount, self.config.count_bonus, q, second, visits, state, action,
                float(taken.reward[0]), bool(taken.terminated[0]), int(taken.final_obs[0]), step, self.rng, scratch,
            )  # fmt: skip
            if taken.terminated[0] or taken.truncated[0]:
                action = -1
        self.pending[0] = action

    def _learn_on_table(self, num_steps: int) -> None:
        playing = self.envs.playing(num_steps)
        learn_on_table(
            playing, num_steps, self.progress, self.target, self.config.explorer(), self.step_size, self.discount,
            self.config.count_bonus, self.q[0], self.q[-1], self.visits, self.pending, self.envs.rng, self.rng,
        )  # fmt: skip
        self.envs.record(playing)
