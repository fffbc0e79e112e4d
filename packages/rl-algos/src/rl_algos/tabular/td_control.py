"""Learning action values from one step to the next: Sarsa, Expected Sarsa, Q-learning and Double Q-learning.

*Source*: Sutton and Barto, Reinforcement Learning (2nd edition, 2018), sections 6.4 to 6.7; Watkins, Learning from Delayed Rewards
(1989); van Hasselt, Double Q-learning (2010); van Seijen et al., A Theoretical and Empirical Analysis of Expected Sarsa (2009).

*Departures*: a time limit cuts an episode without ending it: the target then looks on from the last state as it does from any
other, so that the limit leaves the fixed point where it was. Step sizes may fall with visits, alpha / N(s, a)^omega, which
the proofs of convergence ask for when 1/2 < omega <= 1.

*Letters*: S states, A actions, K tables (2 for Double Q-learning, else 1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from rl_core.network import Network
from rl_core.seeds import Seeds
from rl_core.task import Task

from rl_algos.compiled import borrowed, inlined, kernel
from rl_algos.exploration import Exploration, Explorer, action_probabilities, count_bonus, explore, largest
from rl_algos.mdp.model import Table
from rl_algos.mdp.simulator import borrowed_table, draw_outcome, draw_start
from rl_algos.tabular.learner import StepSize, TabularLearner, require_range

TARGETS = ("sarsa", "expected-sarsa", "q-learning", "double-q-learning")
SARSA, EXPECTED_SARSA, Q_LEARNING, DOUBLE_Q_LEARNING = range(4)


@dataclass(frozen=True)
class TDControlConfig(Exploration):
    """Settings of one-step learners of action values."""

    target: Literal["sarsa", "expected-sarsa", "q-learning", "double-q-learning"] = "q-learning"  # what an estimate moves towards
    learning_rate: float = 0.1  # alpha, step size, in (0, 1]
    learning_rate_power: float = 0.0  # omega: the step size is alpha / N(s, a)^omega; in [0, 1], 0 is constant
    discount: float | None = None  # gamma, in [0, 1]; null takes the task's, or 1 where it has none
    initial_value: float = 0.0  # Q_0, unit of return; optimistic when above what can be had
    count_bonus: float = 0.0  # beta, unit of reward: beta / sqrt(N(s, a)) is added to rewards while learning; >= 0
    steps_per_iteration: int = 10_000  # environment steps between two reports, >= 1
    compiled: bool = True  # run the whole loop compiled on tasks that show their table; the numbers are the same

    def __post_init__(self) -> None:
        super().__post_init__()
        require_range(self, "learning_rate", 0.0, 1.0, open_low=True)
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
def expected_value(explorer: Explorer, q: np.ndarray, visits: np.ndarray, state: int, step: int, scratch: np.ndarray) -> float:
    """sum_a pi(a | s) Q(s, a) under the exploration's own rule pi."""
    action_probabilities(explorer, q, visits, state, step, scratch)
    total = 0.0
    for action in range(q.shape[1]):
        total += scratch[action] * q[state, action]
    return total


@inlined
def first_best(q: np.ndarray, state: int) -> int:
    """argmax_a of Q(s, a), the first of equal ones."""
    best = 0
    for action in range(1, q.shape[1]):
        if q[state, action] > q[state, best]:
            best = action
    return best


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
    table: Table,
    max_steps: int,
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
    place: np.ndarray,
    elapsed: np.ndarray,
    running_return: np.ndarray,
    running_length: np.ndarray,
    outcomes: np.random.Generator,
    rng: np.random.Generator,
    returns: np.ndarray,
    lengths: np.ndarray,
) -> int:
    """`TDControl._learn_from_envs` on a table of outcomes; the number of episodes that ended, whose returns and lengths are written."""
    memory = np.empty((2, q.shape[1]))
    scratch, q, second, visits, table = borrowed(memory), borrowed(q), borrowed(second), borrowed(visits), borrowed_table(table)
    state, action, finished = place[0], pending[0], 0
    for step in range(first_step, first_step + num_steps):
        if action < 0:
            action = choose(target, explorer, q, second, visits, state, step, rng.random(), scratch)
        outcome = draw_outcome(table, state, action, outcomes.random())
        reward, next_state, terminated = table.reward[outcome], table.next_state[outcome], table.terminated[outcome]
        elapsed[0] += 1
        running_return[0] += reward
        running_length[0] += 1
        over = terminated or (max_steps > 0 and elapsed[0] >= max_steps)
        first_state = draw_start(table, outcomes.random()) if over else next_state
        action = update(
            target, explorer, step_size, discount, bonus, q, second, visits, state, action, reward, terminated, next_state, step, rng,
            scratch,
        )  # fmt: skip
        state = first_state
        if over:
            action = -1
            returns[finished], lengths[finished] = running_return[0], running_length[0]
            finished += 1
            running_return[0], running_length[0], elapsed[0] = 0.0, 0, 0
    place[0], pending[0] = state, action
    return finished


class TDControl(TabularLearner):
    """Sarsa, Expected Sarsa, Q-learning or Double Q-learning on a table of action values."""

    Config = TDControlConfig

    def __init__(
        self, config: TDControlConfig, task: Task, network: Network | None, *, seeds: Seeds, budget: int, device: str = "auto"
    ) -> None:
        self.target = TARGETS.index(config.target)
        self.num_tables = 2 if self.target == DOUBLE_Q_LEARNING else 1
        super().__init__(config, task, network, seeds=seeds, budget=budget, device=device)
        self.step_size = StepSize(config.learning_rate, config.learning_rate_power)
        self.pending = np.array([-1])  # the action that Sarsa has already drawn, -1 for none

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
        state, action = int(self.obs[0]), int(self.pending[0])
        for step in range(self.progress, self.progress + num_steps):
            if action < 0:
                action = choose(target, explorer, q, second, visits, state, step, self.rng.random(), scratch)
            taken = self.envs.step(np.array([action]))
            action = update(
                target, explorer, self.step_size, self.discount, self.config.count_bonus, q, second, visits, state, action,
                float(taken.reward[0]), bool(taken.terminated[0]), int(taken.final_obs[0]), step, self.rng, scratch,
            )  # fmt: skip
            state = int(taken.obs[0])
            if taken.terminated[0] or taken.truncated[0]:
                action = -1
        self.obs, self.pending[0] = np.array([state]), action

    def _learn_on_table(self, num_steps: int) -> None:
        envs = self.envs
        returns, lengths = np.empty(num_steps), np.empty(num_steps, dtype=np.int64)
        finished = learn_on_table(
            envs.mdp.table, envs.max_steps, num_steps, self.progress, self.target, self.config.explorer(), self.step_size, self.discount,
            self.config.count_bonus, self.q[0], self.q[-1], self.visits, self.pending, envs.state, envs.elapsed, envs.running_return,
            envs.running_length, envs.rng, self.rng, returns, lengths,
        )  # fmt: skip
        envs.record(returns[:finished], lengths[:finished])
        self.obs = envs.state.copy()

    def state_dict(self) -> dict[str, Any]:
        """Tables, position, and the action that Sarsa has already drawn."""
        return {**super().state_dict(), "pending": self.pending}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        super().load_state_dict(state)
        self.pending[:] = state["pending"]
