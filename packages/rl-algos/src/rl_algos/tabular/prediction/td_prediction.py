"""TD(0) and TD(lambda): the values of a given policy, learned step by step.

*Source*: Sutton, Learning to Predict by the Methods of Temporal Differences (1988); Sutton and Barto, Reinforcement Learning (2nd edition,
2018), sections 6.1 and 12.2.

*Departures*: at a time limit the error is computed as at any other step, and then the trace is cleared.

*Letters*: S states, A actions.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal, NamedTuple

import numpy as np

from dl_nets.fast.kernels import inlined, kernel
from rl_algos.parts.exploration import draw_action
from rl_algos.planning.policy import fixed_policy, policy_score, true_values
from rl_algos.tabular.learner import (
    OPEN,
    Course,
    Kernels,
    Sample,
    StepSize,
    StepSizes,
    TabularConfig,
    TabularLearner,
    table_loop,
)
from rl_algos.tabular.traces import Traces, check_traces, mark, new_traces, spread
from rl_algos.tasks.mdp.picture import draw_values
from rl_core.config import Doc, Fraction, configclass
from rl_core.seeds import Seeds


@configclass
class PredictionConfig:
    """Settings of every predictor."""

    policy: Annotated[
        Literal["task", "uniform", "optimal"], Doc("pi: the policy that the task is stated with, the uniform one, or an optimal one")
    ] = "task"


@configclass
class TDPredictionConfig(PredictionConfig, StepSizes, TabularConfig):
    """Settings of TD(0) and TD(lambda)."""

    trace_decay: Annotated[Fraction, Doc("lambda: 0 is TD(0), 1 is a Monte Carlo method")] = 0.0
    trace: Annotated[Literal["accumulating", "replacing"], Doc("whether a repeated state adds to its trace or renews it")] = "accumulating"


class Memory(NamedTuple):
    """Tables and settings of TD(0) and TD(lambda).

    Attributes:
        policy: Probabilities of actions [S, A].
        step_size: alpha and omega.
        discount: gamma.
        values: V [S].
        visits: Updates of each state [S].
        traces: Traces of the states.
    """

    policy: np.ndarray
    step_size: StepSize
    discount: float
    values: np.ndarray
    visits: np.ndarray
    traces: Traces


@inlined
def begin(memory: Memory, state: int, step: int, rng: np.random.Generator) -> tuple[int, int]:
    """Return the state and the action that the policy draws there."""
    return state, draw_action(memory.policy[state], rng.random())


@inlined
def learn(memory: Memory, sample: Sample, step: int, rng: np.random.Generator) -> int:
    """Update the values of all traced states by the TD error (6.5)."""
    memory.visits[sample.state] += 1
    td_error = sample.reward - memory.values[sample.state]
    if not sample.terminated:
        td_error += memory.discount * memory.values[sample.next_state]
    mark(memory.traces, sample.state)
    spread(memory.traces, memory.values, memory.visits, memory.step_size, td_error, sample.over)
    return OPEN


@kernel
def loop(memory: Memory, course: Course) -> int:
    """Run `table_loop` with this algorithm's kernels."""
    return table_loop(begin, learn, memory, course)


class Predictor(TabularLearner):
    """An agent that learns the values of a given policy; subclasses learn `values` [S]."""

    values: np.ndarray

    def setup(self) -> None:
        """Make the tables, and look the policy and its true values up."""
        super().setup()
        self.truth = true_values(self.task, self.policy, self.discount)

    def prepare(self) -> None:
        """Make the table of values, and look the policy up."""
        self.policy = fixed_policy(self.task, self.config.policy)
        self.values = self.table("values", (self.num_states,), self.config.initial_value)

    def step(self) -> dict[str, float]:
        """Return metrics of the episodes that ended; on tasks whose model is known, also the distance from the true values."""
        metrics = super().step()
        if self.truth is not None:
            true, states = self.truth
            metrics["rms_error"] = float(np.sqrt(np.mean((self.values - true)[states] ** 2)))
        return metrics

    def action_values(self) -> np.ndarray:
        """Return the policy's probabilities [S, A], whose largest is the action to predict; a predictor has no action values."""
        return self.policy

    def evaluate(self, *, episodes: int, seeds: Seeds) -> dict[str, float]:
        """Return the task's score of the policy that is learned about, actions drawn from it."""
        return policy_score(self.task, self.policy, episodes=episodes, seeds=seeds)

    def draw(self, folder: Path) -> None:
        """Draw the values over the states into `folder`."""
        draw_values(self.task, folder, f"value of the policy {self.config.policy!r}", self.values, None)


class TDPrediction(Predictor):
    """TD(0) and TD(lambda) on a table of state values."""

    Config: ClassVar[type] = TDPredictionConfig
    kernels: ClassVar[Kernels] = Kernels(begin, learn, loop)

    def allocate(self) -> Memory:
        """Make the tables."""
        self.prepare()
        self.visits = self.table("visits", (self.num_states,), 0, np.int64)
        traces = new_traces(self, self.num_states)
        return Memory(self.policy, self.config.step_size(), self.discount, self.values, self.visits, traces)

    def check_tables(self, tables: Mapping[str, np.ndarray]) -> None:
        """Refuse traces that contradict their list of active entries."""
        check_traces(tables)
