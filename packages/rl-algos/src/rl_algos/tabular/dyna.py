"""Dyna-Q and Dyna-Q+: Q-learning from what happens, and again from a model of what has happened.

*Source*: Sutton, Integrated Architectures for Learning, Planning, and Reacting (1990); Sutton and Barto, Reinforcement Learning (2nd
edition, 2018), sections 8.2 and 8.3.

*Departures*: the model keeps several outcomes of a pair with their frequencies and draws from them, so that a stochastic environment is
learned as it is; `outcomes=1` keeps only the last one, as in the book. Planning draws uniformly from the pairs seen, as the book's text
says (its published code draws a state first).

*Letters*: S states, A actions, K outcomes kept of a pair.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, ClassVar, NamedTuple

import numpy as np

from dl_nets.fast.kernels import inlined, kernel
from rl_algos.parts.exploration import Exploration, Explorer, explore, largest
from rl_algos.tabular.learner import OPEN, Course, Kernels, Sample, TabularConfig, TabularLearner, table_loop
from rl_core.config import Count, Doc, Meta, NonNegative, configclass

MANY = 2**48  # a frequency above this is an altered state


@configclass
class DynaConfig(TabularConfig, Exploration):
    """Settings of Dyna-Q and Dyna-Q+."""

    planning_steps: Annotated[int, Meta(ge=0, le=1_000_000), Doc("n, updates from the model after each environment step")] = 10
    time_bonus: Annotated[NonNegative, Doc("kappa: sqrt(steps since last tried) times this is added to modelled rewards (Dyna-Q+)")] = 0.0
    outcomes: Annotated[Count, Doc("K, outcomes of a pair that the model keeps apart; 1 keeps only the last one")] = 8
    learning_rate: Annotated[float, Meta(gt=0, le=1), Doc("alpha, step size")] = 0.1
    steps_per_iteration: Annotated[Count, Doc("environment steps between two reports, fewer if they would take long")] = 1_000


class Model(NamedTuple):
    """The learned model.

    Attributes:
        next_state: [S * A, K].
        reward: Mean reward of an outcome [S * A, K].
        terminated: [S * A, K], bool.
        frequency: How often it was seen [S * A, K].
        tried: Step at which a pair was last taken [S * A].
        known: Pairs to plan with, the first `num_pairs` of them [S * A].
        place: Index of a pair in `known`, -1 if it is not there [S * A].
        num_pairs: [1].
    """

    next_state: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    frequency: np.ndarray
    tried: np.ndarray
    known: np.ndarray
    place: np.ndarray
    num_pairs: np.ndarray


class Memory(NamedTuple):
    """Tables and settings of Dyna.

    Attributes:
        explorer: Rule that acts.
        planning_steps: n.
        bonus: kappa.
        learning_rate: alpha.
        discount: gamma.
        q: Action values [S, A].
        visits: How often each pair was taken [S, A].
        model: The learned model.
        model_rng: Stream that planning draws from.
        scratch: Work space [A].
    """

    explorer: Explorer
    planning_steps: int
    bonus: float
    learning_rate: float
    discount: float
    q: np.ndarray
    visits: np.ndarray
    model: Model
    model_rng: np.random.Generator
    scratch: np.ndarray


@inlined
def remember(model: Model, sample: Sample, num_actions: int, step: int, untried: bool) -> None:
    """Note an outcome. With `untried`, all actions of a seen state are planned with, as if they stayed there without reward."""
    pair = sample.state * num_actions + sample.action
    for other in range(num_actions):
        candidate = sample.state * num_actions + other
        if (untried or other == sample.action) and model.place[candidate] < 0:
            model.place[candidate] = model.num_pairs[0]
            model.known[model.num_pairs[0]] = candidate
            model.num_pairs[0] += 1
            model.tried[candidate] = 0
    model.tried[pair] = step
    slot, rarest = -1, 0
    for outcome in range(model.frequency.shape[1]):
        seen = model.frequency[pair, outcome]
        same = model.next_state[pair, outcome] == sample.next_state and model.terminated[pair, outcome] == sample.terminated
        if seen > 0 and same:
            slot = outcome
            break
        if seen < model.frequency[pair, rarest]:
            rarest = outcome
    if slot < 0:
        slot = rarest
        model.frequency[pair, slot] = 0
        model.next_state[pair, slot], model.terminated[pair, slot], model.reward[pair, slot] = sample.next_state, sample.terminated, 0.0
    model.frequency[pair, slot] += 1
    model.reward[pair, slot] += (sample.reward - model.reward[pair, slot]) / model.frequency[pair, slot]


@inlined
def move(memory: Memory, sample: Sample) -> None:
    """Update Q(S, A) <- Q(S, A) + alpha (R + gamma max_a Q(S', a) - Q(S, A)) (6.8), in place."""
    goal = sample.reward
    if not sample.terminated:
        goal += memory.discount * largest(memory.q, sample.next_state)
    memory.q[sample.state, sample.action] += memory.learning_rate * (goal - memory.q[sample.state, sample.action])


@inlined
def plan(memory: Memory, step: int) -> None:
    """Update pairs drawn from the model; two uniform numbers each, one where a pair has a single outcome."""
    model, rng = memory.model, memory.model_rng
    for _ in range(memory.planning_steps):
        pair = model.known[int(rng.random() * model.num_pairs[0])]
        state, action = pair // memory.q.shape[1], pair % memory.q.shape[1]
        total, used = 0, 0
        for outcome in range(model.frequency.shape[1]):
            total += model.frequency[pair, outcome]
            used += model.frequency[pair, outcome] > 0
        reward, next_state, terminated = 0.0, state, False
        if used > 0:
            slot = 0
            if used > 1:
                rank = rng.random() * total
                while rank >= model.frequency[pair, slot]:
                    rank -= model.frequency[pair, slot]
                    slot += 1
            reward, next_state, terminated = model.reward[pair, slot], model.next_state[pair, slot], model.terminated[pair, slot]
        if memory.bonus > 0.0:
            reward += memory.bonus * math.sqrt(step - model.tried[pair])
        move(memory, Sample(state, action, reward, next_state, terminated, False))


@inlined
def begin(memory: Memory, state: int, step: int, rng: np.random.Generator) -> tuple[int, int]:
    """Return the state and the action to take there."""
    return state, explore(memory.explorer, memory.q, memory.visits, state, step, rng.random(), memory.scratch)


@inlined
def learn(memory: Memory, sample: Sample, step: int, rng: np.random.Generator) -> int:
    """Update from a transition, then n times from the model."""
    memory.visits[sample.state, sample.action] += 1
    move(memory, sample)
    remember(memory.model, sample, memory.q.shape[1], step, memory.bonus > 0.0)
    plan(memory, step)
    return OPEN


@kernel
def loop(memory: Memory, course: Course) -> int:
    """Run `table_loop` with this algorithm's kernels."""
    return table_loop(begin, learn, memory, course)


class Dyna(TabularLearner):
    """Dyna-Q, and with a time bonus Dyna-Q+."""

    Config: ClassVar[type] = DynaConfig
    kernels: ClassVar[Kernels] = Kernels(begin, learn, loop)

    @property
    def updates_per_step(self) -> int:
        """Return one update from the environment and n from the model."""
        return 1 + self.config.planning_steps

    def allocate(self) -> Memory:
        """Make the tables and the empty model."""
        config, shape, pairs = self.config, (self.num_states, self.num_actions), self.num_states * self.num_actions
        self.q = self.table("q", (1, *shape), config.initial_value)
        self.visits = self.table("visits", shape, 0, np.int64)
        self.model = Model(
            self.index_table("model_next_state", (pairs, config.outcomes), 0, self.num_states),
            self.table("model_reward", (pairs, config.outcomes)),
            self.table("model_terminated", (pairs, config.outcomes), False, np.bool_),
            self.index_table("model_frequency", (pairs, config.outcomes), 0, MANY),
            self.table("model_tried", (pairs,), 0, np.int64),
            self.index_table("model_known", (pairs,), 0, pairs),
            self.index_table("model_place", (pairs,), -1, pairs, fill=-1),
            self.index_table("model_count", (1,), 0, pairs + 1),
        )
        return Memory(
            config.explorer(),
            config.planning_steps,
            config.time_bonus,
            config.learning_rate,
            self.discount,
            self.q[0],
            self.visits,
            self.model,
            self.seeds.numpy("planning"),
            np.empty(self.num_actions),
        )

    def check_tables(self, tables: Mapping[str, np.ndarray]) -> None:
        """Refuse a model whose list of known pairs and places in it contradict each other."""
        known, place = tables["model_known"][: int(tables["model_count"][0])], tables["model_place"]
        if not (place[known] == np.arange(len(known))).all() or (place >= 0).sum() != len(known):
            raise ValueError("the saved tables 'model_known' and 'model_place' contradict each other; the state was altered")
