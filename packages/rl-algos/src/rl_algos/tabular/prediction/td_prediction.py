"""What a policy is worth, learned step by step: TD(0) and TD(lambda).

*Source*: Sutton, Learning to Predict by the Methods of Temporal Differences (1988); Sutton and Barto, Reinforcement Learning (2nd edition,
2018), sections 6.1 and 12.2.

*Departures*: at a time limit the error is computed as at any other step, and then the trace is cleared.

*Letters*: S states, A actions.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import numpy as np

from dl_nets.fast.kernels import borrowed, kernel
from rl_algos.parts.exploration import draw_action
from rl_algos.parts.ranges import require_range
from rl_algos.planning.policy import fixed_policy, policy_score, true_values
from rl_algos.tabular.learner import StepSize, TabularLearner, draw_values
from rl_algos.tabular.traces import mark, spread
from rl_algos.tasks.mdp.simulator import Playing, borrow_playing, play
from rl_core.config import Count, Doc, Fraction, Meta, configclass
from rl_core.seeds import Seeds


@configclass
class TDPredictionConfig:
    """Settings of TD(0) and TD(lambda)."""

    policy: Annotated[
        Literal["task", "uniform", "optimal"], Doc("pi: the one that the task is about, every action alike, or an optimal one")
    ] = "task"
    trace_decay: Annotated[Fraction, Doc("lambda: 0 is TD(0), 1 is a Monte Carlo method")] = 0.0
    trace: Annotated[Literal["accumulating", "replacing"], Doc("whether a state that comes again adds to its trace or renews it")] = (
        "accumulating"
    )
    learning_rate: Annotated[float, Meta(gt=0, le=1), Doc("alpha, step size")] = 0.1
    learning_rate_power: Annotated[float, Doc("omega: the step size is alpha / N(s)^omega; in [0, 1], 0 is constant")] = 0.0
    discount: Annotated[Fraction | None, Doc("gamma; null takes the task's, or 1 where it has none")] = None
    initial_value: Annotated[float, Doc("V_0, unit of return, any number")] = 0.0
    steps_per_iteration: Annotated[Count, Doc("environment steps between two reports")] = 10_000
    compiled: Annotated[bool, Doc("run the whole loop compiled on tasks that show their table; the numbers are the same")] = True

    def __post_init__(self) -> None:
        require_range(self, "learning_rate_power", 0.0, 1.0)
        if self.discount is not None:
            require_range(self, "discount", 0.0, 1.0)
        require_range(self, "steps_per_iteration", 1, float("inf"))


@kernel
def learn_on_table(
    playing: Playing,
    num_steps: int,
    policy: np.ndarray,
    step_size: StepSize,
    discount: float,
    decay: float,
    replacing: bool,
    values: np.ndarray,
    visits: np.ndarray,
    trace: np.ndarray,
    active: np.ndarray,
    count: np.ndarray,
    outcomes: np.random.Generator,
    rng: np.random.Generator,
) -> None:
    """`TDPrediction._learn_from_envs` on a table of outcomes."""
    values, visits, playing = borrowed(values), borrowed(visits), borrow_playing(playing)
    trace, active, count = borrowed(trace), borrowed(active), borrowed(count)
    for _ in range(num_steps):
        state = playing.state[0]
        action = draw_action(policy[state], rng.random())
        reward, next_state, terminated, over = play(playing, action, outcomes)
        visits[state] += 1
        td_error = reward - values[state]  # (6.5)
        if not terminated:
            td_error += discount * values[next_state]
        mark(trace, active, count, state, replacing)
        spread(values, visits, trace, active, count, step_size, td_error, decay, over)


class Predictor(TabularLearner):
    """An agent that learns what a given policy is worth; subclasses learn `values` [S]."""

    values: np.ndarray

    def allocate(self) -> None:
        """Make the tables, and look the policy up."""
        self.policy = fixed_policy(self.task, self.config.policy)
        self.truth = true_values(self.task, self.policy, self.discount)
        self.values = self.table("values", (self.num_states,), self.config.initial_value)

    def step(self) -> dict[str, float]:
        """Metrics of the episodes that ended; on tasks whose model is known, also the distance from the true values."""
        metrics = super().step()
        if self.truth is not None:
            true, states = self.truth
            metrics["rms error"] = float(np.sqrt(np.mean((self.values - true)[states] ** 2)))
        return metrics

    def action_values(self) -> np.ndarray:
        """The policy's probabilities [S, A], whose largest is the action to predict; a predictor has no action values."""
        return self.policy

    def evaluate(self, *, episodes: int, seeds: Seeds) -> dict[str, float]:
        """The task's score of the policy that is learned about, actions drawn from it."""
        return policy_score(self.task, self.policy, episodes=episodes, seeds=seeds)

    def draw(self, folder: Path) -> None:
        """The values over the states."""
        draw_values(self.task, folder, self.values, None)


class TDPrediction(Predictor):
    """TD(0) and TD(lambda) on a table of state values."""

    Config = TDPredictionConfig

    def allocate(self) -> None:
        """Make the tables."""
        super().allocate()
        self.step_size = StepSize(self.config.learning_rate, self.config.learning_rate_power)
        self.visits = self.table("visits", (self.num_states,), 0, np.int64)
        self.trace = self.table("trace", (self.num_states,))
        self.active = self.table("active", (self.num_states,), 0, np.int64)
        self.count = self.table("count", (1,), 0, np.int64)

    def learn(self, num_steps: int) -> int:
        """Take `num_steps` environment steps, an update of all traced states after each."""
        config = self.config
        decay, replacing = self.discount * config.trace_decay, config.trace == "replacing"
        if self.on_table:
            playing = self.envs.playing(num_steps)
            learn_on_table(
                playing, num_steps, self.policy, self.step_size, self.discount, decay, replacing, self.values, self.visits, self.trace,
                self.active, self.count, self.envs.rng, self.rng,
            )  # fmt: skip
            self.envs.record(playing)
        else:
            self._learn_from_envs(num_steps, decay, replacing)
        return num_steps

    def _learn_from_envs(self, num_steps: int, decay: float, replacing: bool) -> None:
        """The algorithm as the book writes it, on anything that can be played."""
        for _ in range(num_steps):
            state = int(self.obs[0])
            taken = self.envs.step(np.array([draw_action(self.policy[state], self.rng.random())]))
            self.obs = taken.obs
            self.visits[state] += 1
            td_error = float(taken.reward[0]) - self.values[state]  # (6.5)
            if not taken.terminated[0]:
                td_error += self.discount * self.values[int(taken.final_obs[0])]
            mark(self.trace, self.active, self.count, state, replacing)
            over = bool(taken.terminated[0] or taken.truncated[0])
            spread(self.values, self.visits, self.trace, self.active, self.count, self.step_size, td_error, decay, over)
