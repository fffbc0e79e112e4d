"""Sarsa(lambda): one-step updates that reach back along a trace of the pairs that led here.

*Source*: Sutton and Barto, Reinforcement Learning (2nd edition, 2018), section 12.7; Singh and Sutton, Reinforcement Learning with
Replacing Eligibility Traces (1996).

*Departures*: at a time limit the error is computed as at any other step, and then the trace is cleared.

*Letters*: S states, A actions, N entries of a table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, NamedTuple

import numpy as np

from dl_nets.fast.kernels import inlined, kernel
from rl_algos.parts.exploration import Exploration, Explorer, explore
from rl_algos.tabular.learner import OPEN, Course, Kernels, Sample, StepSize, StepSizes, TabularConfig, TabularLearner, table_loop
from rl_core.config import Doc, Fraction, configclass

NEGLIGIBLE = 1e-12  # traces below this are forgotten


class Traces(NamedTuple):
    """Eligibility traces of the entries of a table, and how they decay.

    Attributes:
        decay: gamma lambda.
        replacing: Whether a mark raises a trace to one instead of by one.
        trace: Trace of each entry [N].
        active: Entries whose trace is not 0, the first `num_active` of them [N].
        num_active: [1].
    """

    decay: float
    replacing: bool
    trace: np.ndarray
    active: np.ndarray
    num_active: np.ndarray


def new_traces(learner: TabularLearner, num_entries: int) -> Traces:
    """Return traces of a table with `num_entries` entries, saved and restored with the learner."""
    return Traces(
        learner.discount * learner.config.trace_decay,
        learner.config.trace == "replacing",
        learner.table("trace", (num_entries,)),
        learner.index_table("active", (num_entries,), 0, num_entries),
        learner.index_table("count", (1,), 0, num_entries + 1),
    )


def check_traces(tables: Mapping[str, np.ndarray]) -> None:
    """Refuse saved traces whose list of active entries is not exactly those with a trace.

    Raises:
        ValueError: if it is not.
    """
    active = np.sort(tables["active"][: int(tables["count"][0])])
    if not np.array_equal(active, np.flatnonzero(tables["trace"])):
        raise ValueError("the saved table 'active' does not list the entries of 'trace' that are not 0; the state was altered")


@inlined
def mark(traces: Traces, entry: int) -> None:
    """Raise the trace of a table's entry by one, or to one, and note it among the active ones."""
    if traces.trace[entry] == 0.0:
        traces.active[traces.num_active[0]] = entry
        traces.num_active[0] += 1
    traces.trace[entry] = 1.0 if traces.replacing else traces.trace[entry] + 1.0


@inlined
def spread(traces: Traces, table: np.ndarray, visits: np.ndarray, step_size: StepSize, td_error: float, over: bool) -> None:
    """Update table <- table + alpha delta trace (12.7), trace <- gamma lambda trace, for the entries that have one; cleared when over.

    Args:
        traces: The traces.
        table: Values [N].
        visits: [N].
        step_size: alpha and omega.
        td_error: delta.
        over: Whether the episode is over.
    """
    kept = 0
    for index in range(traces.num_active[0]):
        entry = traces.active[index]
        rate = step_size.alpha
        if step_size.power > 0.0:
            rate /= visits[entry] ** step_size.power
        table[entry] += rate * td_error * traces.trace[entry]
        traces.trace[entry] *= traces.decay
        if over or traces.trace[entry] < NEGLIGIBLE:
            traces.trace[entry] = 0.0
        else:
            traces.active[kept] = entry
            kept += 1
    traces.num_active[0] = kept


@configclass
class SarsaLambdaConfig(StepSizes, TabularConfig, Exploration):
    """Settings of Sarsa(lambda)."""

    trace_decay: Annotated[Fraction, Doc("lambda: 0 is Sarsa, 1 is a Monte Carlo method")] = 0.9
    trace: Annotated[Literal["accumulating", "replacing"], Doc("whether a repeated pair adds to its trace or renews it")] = "replacing"


class Memory(NamedTuple):
    """Tables and settings of Sarsa(lambda).

    Attributes:
        explorer: Rule that acts.
        step_size: alpha and omega.
        discount: gamma.
        q: Action values [S, A].
        flat_q: The same memory [S * A].
        visits: Updates of each pair [S, A].
        flat_visits: The same memory [S * A].
        traces: Traces of the pairs.
        scratch: Work space [A].
    """

    explorer: Explorer
    step_size: StepSize
    discount: float
    q: np.ndarray
    flat_q: np.ndarray
    visits: np.ndarray
    flat_visits: np.ndarray
    traces: Traces
    scratch: np.ndarray


@inlined
def begin(memory: Memory, state: int, step: int, rng: np.random.Generator) -> tuple[int, int]:
    """Return the state and the action to take there."""
    return state, explore(memory.explorer, memory.q, memory.visits, state, step, rng.random(), memory.scratch)


@inlined
def learn(memory: Memory, sample: Sample, step: int, rng: np.random.Generator) -> int:
    """Draw the next action, update all traced pairs, and return it."""
    state, action, q = sample.state, sample.action, memory.q
    memory.visits[state, action] += 1
    next_action, td_error = OPEN, sample.reward - q[state, action]
    if not sample.terminated:
        next_action = explore(memory.explorer, q, memory.visits, sample.next_state, step, rng.random(), memory.scratch)
        td_error += memory.discount * q[sample.next_state, next_action]
    mark(memory.traces, state * q.shape[1] + action)
    spread(memory.traces, memory.flat_q, memory.flat_visits, memory.step_size, td_error, sample.over)
    return next_action


@kernel
def loop(memory: Memory, course: Course) -> int:
    """Run `table_loop` with this algorithm's kernels."""
    return table_loop(begin, learn, memory, course)


class SarsaLambda(TabularLearner):
    """Sarsa(lambda) on a table of action values."""

    Config: ClassVar[type] = SarsaLambdaConfig
    kernels: ClassVar[Kernels] = Kernels(begin, learn, loop)

    def allocate(self) -> Memory:
        """Make the tables."""
        config, shape = self.config, (self.num_states, self.num_actions)
        self.q = self.table("q", (1, *shape), config.initial_value)
        self.visits = self.table("visits", shape, 0, np.int64)
        return Memory(
            config.explorer(),
            config.step_size(),
            self.discount,
            self.q[0],
            self.q[0].reshape(-1),
            self.visits,
            self.visits.reshape(-1),
            new_traces(self, self.num_states * self.num_actions),
            np.empty(self.num_actions),
        )

    def check_tables(self, tables: Mapping[str, np.ndarray]) -> None:
        """Refuse traces that contradict their list of active entries."""
        check_traces(tables)
