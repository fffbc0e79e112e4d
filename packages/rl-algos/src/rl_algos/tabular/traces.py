"""Sarsa(lambda): one-step updates that reach back along a trace of the pairs that led here.

*Source*: Sutton and Barto, Reinforcement Learning (2nd edition, 2018), section 12.7; Singh and Sutton, Reinforcement Learning with
Replacing Eligibility Traces (1996).

*Departures*: at a time limit the error is computed as at any other step, and then the trace is cleared.

*Letters*: S states, A actions.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np

from dl_nets.fast.kernels import borrowed, inlined, kernel
from rl_algos.parts.exploration import Exploration, Explorer, explore
from rl_algos.parts.ranges import require_range
from rl_algos.tabular.learner import StepSize, TabularLearner
from rl_algos.tasks.mdp.simulator import Playing, borrow_playing, play
from rl_core.config import Count, Doc, Fraction, Meta, configclass

NEGLIGIBLE = 1e-12  # traces below this are forgotten


@configclass
class SarsaLambdaConfig(Exploration):
    """Settings of Sarsa(lambda)."""

    trace_decay: Annotated[Fraction, Doc("lambda: 0 is Sarsa, 1 is a Monte Carlo method")] = 0.9
    trace: Annotated[Literal["accumulating", "replacing"], Doc("whether a pair that comes again adds to its trace or renews it")] = (
        "replacing"
    )
    learning_rate: Annotated[float, Meta(gt=0, le=1), Doc("alpha, step size")] = 0.1
    learning_rate_power: Annotated[float, Doc("omega: the step size is alpha / N(s, a)^omega; in [0, 1], 0 is constant")] = 0.0
    discount: Annotated[Fraction | None, Doc("gamma; null takes the task's, or 1 where it has none")] = None
    initial_value: Annotated[float, Doc("Q_0, unit of return, any number; optimistic when above what can be had")] = 0.0
    steps_per_iteration: Annotated[Count, Doc("environment steps between two reports")] = 10_000
    compiled: Annotated[bool, Doc("run the whole loop compiled on tasks that show their table; the numbers are the same")] = True

    def __post_init__(self) -> None:
        require_range(self, "learning_rate_power", 0.0, 1.0)
        if self.discount is not None:
            require_range(self, "discount", 0.0, 1.0)
        require_range(self, "steps_per_iteration", 1, float("inf"))


@inlined
def mark(trace: np.ndarray, active: np.ndarray, count: np.ndarray, entry: int, replacing: bool) -> None:
    """Raise the trace of a table's entry by one, or to one, and note it among the active ones.

    Args:
        trace: [N].
        active: Entries with a trace [N], the first `count` of them.
        count: [1].
        entry: In [0, N).
        replacing: Raise to one.
    """
    if trace[entry] == 0.0:
        active[count[0]] = entry
        count[0] += 1
    trace[entry] = 1.0 if replacing else trace[entry] + 1.0


@inlined
def spread(
    table: np.ndarray,
    visits: np.ndarray,
    trace: np.ndarray,
    active: np.ndarray,
    count: np.ndarray,
    step_size: StepSize,
    td_error: float,
    decay: float,
    over: bool,
) -> None:
    """table <- table + alpha delta trace (12.7), trace <- gamma lambda trace, for the entries that have one; cleared when over.

    Args:
        table: Values [N].
        visits: [N].
        trace: [N].
        active: [N].
        count: [1].
        step_size: alpha and omega.
        td_error: delta.
        decay: gamma lambda.
        over: Whether the episode is over.
    """
    kept = 0
    for index in range(count[0]):
        entry = active[index]
        rate = step_size.alpha
        if step_size.power > 0.0:
            rate /= visits[entry] ** step_size.power
        table[entry] += rate * td_error * trace[entry]
        trace[entry] *= decay
        if over or trace[entry] < NEGLIGIBLE:
            trace[entry] = 0.0
        else:
            active[kept] = entry
            kept += 1
    count[0] = kept


@kernel
def learn_on_table(
    playing: Playing,
    num_steps: int,
    first_step: int,
    explorer: Explorer,
    step_size: StepSize,
    discount: float,
    decay: float,
    replacing: bool,
    q: np.ndarray,
    visits: np.ndarray,
    trace: np.ndarray,
    active: np.ndarray,
    count: np.ndarray,
    pending: np.ndarray,
    outcomes: np.random.Generator,
    rng: np.random.Generator,
) -> None:
    """`SarsaLambda._learn_from_envs` on a table of outcomes."""
    memory, flat_values, flat_counts = np.empty(q.shape[1]), q.ravel(), visits.ravel()
    scratch, flat_q, flat_visits, playing = borrowed(memory), borrowed(flat_values), borrowed(flat_counts), borrow_playing(playing)
    q, visits, trace, active, count = borrowed(q), borrowed(visits), borrowed(trace), borrowed(active), borrowed(count)
    action = pending[0]
    for step in range(first_step, first_step + num_steps):
        state = playing.state[0]
        if action < 0:
            action = explore(explorer, q, visits, state, step, rng.random(), scratch)
        reward, next_state, terminated, over = play(playing, action, outcomes)
        visits[state, action] += 1
        next_action, td_error = -1, reward - q[state, action]
        if not terminated:
            next_action = explore(explorer, q, visits, next_state, step, rng.random(), scratch)
            td_error += discount * q[next_state, next_action]
        mark(trace, active, count, state * q.shape[1] + action, replacing)
        spread(flat_q, flat_visits, trace, active, count, step_size, td_error, decay, over)
        action = -1 if over else next_action
    pending[0] = action


class SarsaLambda(TabularLearner):
    """Sarsa(lambda) on a table of action values."""

    Config = SarsaLambdaConfig

    def allocate(self) -> None:
        """Make the tables."""
        config, entries = self.config, self.num_states * self.num_actions
        self.step_size = StepSize(config.learning_rate, config.learning_rate_power)
        self.q = self.table("q", (1, self.num_states, self.num_actions), config.initial_value)
        self.visits = self.table("visits", (self.num_states, self.num_actions), 0, np.int64)
        self.pending = self.table("pending", (1,), -1, np.int64)  # the action that was already drawn, -1 for none
        self.trace = self.table("trace", (entries,))
        self.active = self.table("active", (entries,), 0, np.int64)
        self.count = self.table("count", (1,), 0, np.int64)

    def learn(self, num_steps: int) -> int:
        """Take `num_steps` environment steps, an update of all traced pairs after each."""
        config, explorer = self.config, self.config.explorer()
        decay, replacing = self.discount * config.trace_decay, config.trace == "replacing"
        if self.on_table:
            playing = self.envs.playing(num_steps)
            learn_on_table(
                playing, num_steps, self.progress, explorer, self.step_size, self.discount, decay, replacing, self.q[0], self.visits,
                self.trace, self.active, self.count, self.pending, self.envs.rng, self.rng,
            )  # fmt: skip
            self.envs.record(playing)
        else:
            self._learn_from_envs(num_steps, explorer, decay, replacing)
        return num_steps

    def _learn_from_envs(self, num_steps: int, explorer: Explorer, decay: float, replacing: bool) -> None:
        """The algorithm as the book writes it, on anything that can be played."""
        q, visits, scratch, action = self.q[0], self.visits, np.empty(self.num_actions), int(self.pending[0])
        flat_q, flat_visits = q.reshape(-1), visits.reshape(-1)
        for step in range(self.progress, self.progress + num_steps):
            state = int(self.obs[0])
            if action < 0:
                action = explore(explorer, q, visits, state, step, self.rng.random(), scratch)
            taken = self.envs.step(np.array([action]))
            self.obs = taken.obs
            visits[state, action] += 1
            next_action, td_error, next_state = -1, float(taken.reward[0]) - q[state, action], int(taken.final_obs[0])
            if not taken.terminated[0]:
                next_action = explore(explorer, q, visits, next_state, step, self.rng.random(), scratch)
                td_error += self.discount * q[next_state, next_action]
            over = bool(taken.terminated[0] or taken.truncated[0])
            mark(self.trace, self.active, self.count, state * self.num_actions + action, replacing)
            spread(flat_q, flat_visits, self.trace, self.active, self.count, self.step_size, td_error, decay, over)
            action = -1 if over else next_action
        self.pending[0] = action
