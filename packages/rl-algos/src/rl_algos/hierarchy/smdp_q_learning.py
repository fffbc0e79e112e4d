"""Q-learning over given options: after an option ended (SMDP), or at each step for all options that would have acted so.

Source: R. Sutton, D. Precup, S. Singh, "Between MDPs and semi-MDPs", 1999, section 3.2 for SMDP Q-learning and section 6.2, (20), for
intra-option learning.
Departures: none. Letters: S states, K options.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np

from dl_nets.fast.kernels import inlined, kernel
from rl_algos.hierarchy import pictures
from rl_algos.hierarchy.options import Options, primitive, together
from rl_algos.tabular.learner import OPEN, Course, Kernels, Sample, TabularConfig, TabularLearner, table_loop
from rl_core.config import Doc, Fraction, Meta, configclass
from rl_core.task import Predict


@configclass
class SMDPConfig(TabularConfig):
    """Settings of Q-learning over options."""

    learning_rate: Annotated[float, Meta(gt=0, le=1), Doc("alpha, step size")] = 0.25
    exploration_rate: Annotated[Fraction, Doc("epsilon of the choice among options")] = 0.1
    learning: Annotated[Literal["smdp", "intra-option"], Doc("smdp: the option that ran learns, at its end; else all that agree")] = "smdp"
    actions: Annotated[bool, Doc("whether single actions are options, too")] = True


class Memory(NamedTuple):
    """Tables and settings of Q-learning over options.

    Attributes:
        q: Values of options [S, K].
        usage: Steps of each option in each state [K, S].
        policy: Action of each option [K, S].
        termination: beta [K, S].
        initiation: Where an option may begin [K, S], bool.
        running: The option that runs, -1 for none, and the state it began in [2].
        gained: Discounted reward of the option so far, and gamma^k [2].
        settings: gamma, alpha and epsilon [3].
        intra: Whether all options learn from each step.
    """

    q: np.ndarray
    usage: np.ndarray
    policy: np.ndarray
    termination: np.ndarray
    initiation: np.ndarray
    running: np.ndarray
    gained: np.ndarray
    settings: np.ndarray
    intra: bool


@inlined
def best_of(memory: Memory, state: int) -> float:
    """Return the largest value of an option that may begin in a state."""
    best = -math.inf
    for option in range(memory.q.shape[1]):
        if memory.initiation[option, state]:
            best = max(best, memory.q[state, option])
    return best


@inlined
def begin(memory: Memory, state: int, step: int, rng: np.random.Generator) -> tuple[int, int]:
    """Return the state and the action there, of the option that runs, or of one that is chosen now."""
    if memory.running[0] < 0:
        explores, best, ties, chosen = rng.random() < memory.settings[2], best_of(memory, state), 0, 0
        for option in range(memory.q.shape[1]):
            if memory.initiation[option, state] and (explores or memory.q[state, option] == best):
                ties += 1
                if rng.random() * ties < 1.0:
                    chosen = option
        memory.running[0], memory.running[1] = chosen, state
        memory.gained[0], memory.gained[1] = 0.0, 1.0
    option = memory.running[0]
    memory.usage[option, state] += 1
    return state, memory.policy[option, state]


@inlined
def learn(memory: Memory, sample: Sample, step: int, rng: np.random.Generator) -> int:
    """Update values in place; the option may end in the state that was entered.

    SMDP: Q(s, o) <- Q(s, o) + alpha (sum gamma^i r_i + gamma^k max Q(s_k, .) - Q(s, o)). Intra-option: at each step, for every option
    that takes this action here, towards r + gamma ((1 - beta(s')) Q(s', o) + beta(s') max Q(s', .)).
    """
    discount, rate, _ = memory.settings
    option, entered = memory.running[0], sample.next_state
    memory.gained[0] += memory.gained[1] * sample.reward
    memory.gained[1] *= discount
    after = 0.0 if sample.terminated else best_of(memory, entered)
    if memory.intra:
        for other in range(memory.q.shape[1]):
            if memory.policy[other, sample.state] == sample.action and memory.initiation[other, sample.state]:
                ends = memory.termination[other, entered]
                value = 0.0 if sample.terminated else (1.0 - ends) * memory.q[entered, other] + ends * after
                memory.q[sample.state, other] += rate * (sample.reward + discount * value - memory.q[sample.state, other])
    if sample.over or rng.random() < memory.termination[option, entered]:
        if not memory.intra:
            began = memory.running[1]
            memory.q[began, option] += rate * (memory.gained[0] + memory.gained[1] * after - memory.q[began, option])
        memory.running[0] = -1
    return OPEN


@kernel
def loop(memory: Memory, course: Course) -> int:
    """Run `table_loop` with this algorithm's kernels."""
    return table_loop(begin, learn, memory, course)


class OptionPlayer:
    """A policy that follows in each row the option with the largest value, until it ends; one that ends by chance does so from 1/2 on.

    Args:
        worth: Values of options [S, K], minus infinity where one may not begin.
        options: The options.
    """

    def __init__(self, worth: np.ndarray, options: Options) -> None:
        self._worth, self._options = worth, options
        self._running = np.zeros(0, dtype=np.int64)

    def begin(self, starts: np.ndarray) -> None:
        """End the options of the rows whose episode starts [B]."""
        same = len(self._running) == len(starts)
        self._running = np.where(starts, -1, self._running) if same else np.full(len(starts), -1)

    def __call__(self, inputs: np.ndarray, /) -> np.ndarray:
        """Return actions [B] in states [B]."""
        states = np.asarray(inputs)
        if len(self._running) != len(states):
            self._running = np.full(len(states), -1)
        ended = (self._running < 0) | (self._options.termination[self._running, states] >= 0.5)
        self._running = np.where(ended, self._worth[states].argmax(axis=1), self._running)
        actions: np.ndarray = self._options.policy[self._running, states]
        return actions


class SMDPQLearning(TabularLearner):
    """An agent that values the options a task gives; its answer is the action of the best one."""

    Config: ClassVar[type] = SMDPConfig
    kernels: ClassVar[Kernels] = Kernels(begin, learn, loop)
    memory: Memory
    config: SMDPConfig
    task: Any

    def allocate(self) -> Memory:
        """Make the tables."""
        config, given = self.config, self.task.options()
        self.options: Options = together(given, primitive(self.num_states, self.num_actions)) if config.actions else given
        if not self.options.initiation[:, self.task.mdp.start > 0].any(axis=0).all():
            raise ValueError("in some first state no option may begin; take actions=true")
        count = len(self.options.names)
        self.q = self.table("q", (1, self.num_states, count), config.initial_value)
        return Memory(
            self.q[0],
            self.table("usage", (count, self.num_states), 0, np.int64),
            np.ascontiguousarray(self.options.policy),
            np.ascontiguousarray(self.options.termination),
            np.ascontiguousarray(self.options.initiation),
            self.index_table("running", (2,), -1, np.array([count, self.num_states]), fill=-1),
            self.table("gained", (2,)),
            np.array([self.discount, config.learning_rate, config.exploration_rate]),
            config.learning == "intra-option",
        )

    def action_values(self) -> np.ndarray:
        """Return for each action the value of the best option that takes it [S, A]."""
        worth = np.where(self.options.initiation, self.q[0].T, -np.inf)
        values = np.full((self.num_states, self.num_actions), -np.inf)
        for option, policy in enumerate(self.options.policy):
            rows = np.arange(self.num_states)
            values[rows, policy] = np.maximum(values[rows, policy], worth[option])
        return values

    def predictor(self) -> Predict:
        """Return a player that follows the best option to its end."""
        return OptionPlayer(np.where(self.options.initiation.T, self.q[0], -np.inf), self.options)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return values of options [S, K] and the greedy policy [S]."""
        return {"option_values": self.q[0], "policy": self.predict(np.arange(self.num_states))}

    def draw(self, folder: Path) -> None:
        """Write which option ran where."""
        pictures.usage(self.task, self.memory.usage, self.options.names, folder / "options.png", "Where each option ran while learning")
