"""Dyna-Q and Dyna-Q+: Q-learning from what happens, and again from a model of what has happened.

*Source*: Sutton, Integrated Architectures for Learning, Planning, and Reacting (1990); Sutton and Barto, Reinforcement Learning (2nd
edition, 2018), sections 8.2 and 8.3.

*Departures*: the model keeps several outcomes of a pair with their frequencies and draws from them, so that a world with chance in it
is learned as it is; `outcomes=1` keeps the last one alone, as in the book. Planning draws uniformly from the pairs seen, as the book's
text says (its published code draws a state first).

*Letters*: S states, A actions, K outcomes kept of a pair.
"""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

import numpy as np

from dl_nets.fast.kernels import borrowed, inlined, kernel
from rl_algos.parts.exploration import Exploration, Explorer, explore, largest
from rl_algos.parts.ranges import require_range
from rl_algos.tabular.learner import TabularLearner
from rl_algos.tasks.mdp.simulator import Playing, borrow_playing, play
from rl_core.config import Count, Doc, Fraction, Meta, Whole, configclass


@configclass
class DynaConfig(Exploration):
    """Settings of Dyna-Q and Dyna-Q+."""

    planning_steps: Annotated[Whole, Doc("n, updates from the model after each environment step")] = 10
    time_bonus: Annotated[float, Doc("kappa: sqrt(steps since last tried) times this is added to modelled rewards (Dyna-Q+); >= 0")] = 0.0
    outcomes: Annotated[Count, Doc("K, outcomes of a pair that the model tells apart; 1 keeps the last one alone")] = 8
    learning_rate: Annotated[float, Meta(gt=0, le=1), Doc("alpha, step size")] = 0.1
    discount: Annotated[Fraction | None, Doc("gamma; null takes the task's, or 1 where it has none")] = None
    initial_value: Annotated[float, Doc("Q_0, unit of return, any number; optimistic when above what can be had")] = 0.0
    steps_per_iteration: Annotated[Count, Doc("environment steps between two reports")] = 1_000
    compiled: Annotated[bool, Doc("run the whole loop compiled on tasks that show their table; the numbers are the same")] = True

    def __post_init__(self) -> None:
        require_range(self, "planning_steps", 0, float("inf"))
        require_range(self, "time_bonus", 0.0, float("inf"))
        require_range(self, "outcomes", 1, float("inf"))
        if self.discount is not None:
            require_range(self, "discount", 0.0, 1.0)
        require_range(self, "steps_per_iteration", 1, float("inf"))


class Memory(NamedTuple):
    """The learned model.

    Attributes:
        next_state: [S * A, K].
        reward: Mean reward of an outcome [S * A, K].
        terminated: [S * A, K], bool.
        frequency: How often it was seen [S * A, K].
        tried: The step at which a pair was last taken [S * A].
        known: Pairs to plan with, the first `num_pairs` of them [S * A].
        place: Where a pair stands in `known`, -1 for nowhere [S * A].
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


@inlined
def borrow_memory(memory: Memory) -> Memory:
    """The same without reference counts, inside a kernel."""
    return Memory(
        borrowed(memory.next_state),
        borrowed(memory.reward),
        borrowed(memory.terminated),
        borrowed(memory.frequency),
        borrowed(memory.tried),
        borrowed(memory.known),
        borrowed(memory.place),
        borrowed(memory.num_pairs),
    )


@inlined
def remember(
    memory: Memory, num_actions: int, state: int, action: int, reward: float, next_state: int, terminated: bool, step: int, untried: bool
) -> None:
    """Note an outcome. With `untried`, all actions of a state are planned with once it was seen, as if they stayed for nothing."""
    pair = state * num_actions + action
    for other in range(num_actions):
        candidate = state * num_actions + other
        if (untried or other == action) and memory.place[candidate] < 0:
            memory.place[candidate] = memory.num_pairs[0]
            memory.known[memory.num_pairs[0]] = candidate
            memory.num_pairs[0] += 1
            memory.tried[candidate] = 0
    memory.tried[pair] = step
    slot, rarest = -1, 0
    for outcome in range(memory.frequency.shape[1]):
        seen = memory.frequency[pair, outcome]
        if seen > 0 and memory.next_state[pair, outcome] == next_state and memory.terminated[pair, outcome] == terminated:
            slot = outcome
            break
        if seen < memory.frequency[pair, rarest]:
            rarest = outcome
    if slot < 0:
        slot = rarest
        memory.frequency[pair, slot] = 0
        memory.next_state[pair, slot], memory.terminated[pair, slot], memory.reward[pair, slot] = next_state, terminated, 0.0
    memory.frequency[pair, slot] += 1
    memory.reward[pair, slot] += (reward - memory.reward[pair, slot]) / memory.frequency[pair, slot]


@inlined
def move(
    q: np.ndarray, learning_rate: float, discount: float, state: int, action: int, reward: float, next_state: int, terminated: bool
) -> None:
    """Q(S, A) <- Q(S, A) + alpha (R + gamma max_a Q(S', a) - Q(S, A)) (6.8), in place."""
    goal = reward
    if not terminated:
        goal += discount * largest(q, next_state)
    q[state, action] += learning_rate * (goal - q[state, action])


@inlined
def plan(
    memory: Memory,
    q: np.ndarray,
    num_updates: int,
    bonus: float,
    learning_rate: float,
    discount: float,
    step: int,
    rng: np.random.Generator,
) -> None:
    """Update pairs drawn from the model; two uniform numbers each, one where a pair has a single outcome."""
    for _ in range(num_updates):
        pair = memory.known[int(rng.random() * memory.num_pairs[0])]
        state, action = pair // q.shape[1], pair % q.shape[1]
        total, used = 0, 0
        for outcome in range(memory.frequency.shape[1]):
            total += memory.frequency[pair, outcome]
            used += memory.frequency[pair, outcome] > 0
        reward, next_state, terminated = 0.0, state, False
        if used > 0:
            slot = 0
            if used > 1:
                rank = rng.random() * total
                while rank >= memory.frequency[pair, slot]:
                    rank -= memory.frequency[pair, slot]
                    slot += 1
            reward, next_state, terminated = memory.reward[pair, slot], memory.next_state[pair, slot], memory.terminated[pair, slot]
        if bonus > 0.0:
            reward += bonus * math.sqrt(step - memory.tried[pair])
        move(q, learning_rate, discount, state, action, reward, next_state, terminated)


@kernel
def learn_on_table(
    playing: Playing,
    num_steps: int,
    first_step: int,
    explorer: Explorer,
    planning_steps: int,
    bonus: float,
    learning_rate: float,
    discount: float,
    q: np.ndarray,
    visits: np.ndarray,
    memory: Memory,
    outcomes: np.random.Generator,
    rng: np.random.Generator,
    model_rng: np.random.Generator,
) -> None:
    """`Dyna._learn_from_envs` on a table of outcomes."""
    row = np.empty(q.shape[1])
    scratch, q, visits, playing, memory = borrowed(row), borrowed(q), borrowed(visits), borrow_playing(playing), borrow_memory(memory)
    for step in range(first_step, first_step + num_steps):
        state = playing.state[0]
        action = explore(explorer, q, visits, state, step, rng.random(), scratch)
        visits[state, action] += 1
        reward, next_state, terminated, _ = play(playing, action, outcomes)
        move(q, learning_rate, discount, state, action, reward, next_state, terminated)
        remember(memory, q.shape[1], state, action, reward, next_state, terminated, step, bonus > 0.0)
        plan(memory, q, planning_steps, bonus, learning_rate, discount, step, model_rng)


class Dyna(TabularLearner):
    """Dyna-Q, and with a time bonus Dyna-Q+."""

    Config = DynaConfig

    def allocate(self) -> None:
        """Make the tables and the empty model."""
        config, pairs = self.config, self.num_states * self.num_actions
        self.q = self.table("q", (1, self.num_states, self.num_actions), config.initial_value)
        self.visits = self.table("visits", (self.num_states, self.num_actions), 0, np.int64)
        self.memory = Memory(
            self.table("model_next_state", (pairs, config.outcomes), 0, np.int64),
            self.table("model_reward", (pairs, config.outcomes)),
            self.table("model_terminated", (pairs, config.outcomes), False, np.bool_),
            self.table("model_frequency", (pairs, config.outcomes), 0, np.int64),
            self.table("model_tried", (pairs,), 0, np.int64),
            self.table("model_known", (pairs,), 0, np.int64),
            self.table("model_place", (pairs,), -1, np.int64),
            self.table("model_count", (1,), 0, np.int64),
        )
        self.model_rng = self.seeds.numpy("planning")

    def learn(self, num_steps: int) -> int:
        """Take `num_steps` environment steps, a real and n imagined updates after each."""
        config = self.config
        if self.on_table:
            playing = self.envs.playing(num_steps)
            learn_on_table(
                playing, num_steps, self.progress, config.explorer(), config.planning_steps, config.time_bonus, config.learning_rate,
                self.discount, self.q[0], self.visits, self.memory, self.envs.rng, self.rng, self.model_rng,
            )  # fmt: skip
            self.envs.record(playing)
            self.obs = self.envs.state.copy()
        else:
            self._learn_from_envs(num_steps)
        return num_steps

    def _learn_from_envs(self, num_steps: int) -> None:
        """The algorithm as the book writes it, on anything that can be played."""
        config, explorer, q, scratch = self.config, self.config.explorer(), self.q[0], np.empty(self.num_actions)
        for step in range(self.progress, self.progress + num_steps):
            state = int(self.obs[0])
            action = explore(explorer, q, self.visits, state, step, self.rng.random(), scratch)
            self.visits[state, action] += 1
            taken = self.envs.step(np.array([action]))
            self.obs = taken.obs
            happened = float(taken.reward[0]), int(taken.final_obs[0]), bool(taken.terminated[0])
            move(q, config.learning_rate, self.discount, state, action, *happened)
            remember(self.memory, self.num_actions, state, action, *happened, step, config.time_bonus > 0.0)
            plan(
                self.memory, q, config.planning_steps, config.time_bonus, config.learning_rate, self.discount, step, self.model_rng
            )  # fmt: skip
