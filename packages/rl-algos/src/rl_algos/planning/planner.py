"""Base of the agents that plan with a known model: the sweep over all states, and proven bounds on the error of the answer.

*Source*: Puterman, Markov Decision Processes (1994), sections 6.3 and 6.6; MacQueen, A Modified Dynamic Programming Method for
Markovian Decision Problems (1966), for the bounds; Bertsekas and Tsitsiklis, An Analysis of Stochastic Shortest Path Problems (1991),
for problems without discount.

*Letters*: S states, A actions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from dl_nets.fast.kernels import inlined, kernel
from rl_algos.parts.ranges import require_array
from rl_algos.tasks.mdp.model import MDP
from rl_algos.tasks.mdp.picture import draw_values
from rl_core.agent import Agent
from rl_core.seeds import Seeds

ROUNDING = 1e-11  # of the largest value: differences up to this are none


class Model(NamedTuple):
    """The arrays that sweeps read: a process with the outcomes of a pair merged by successor.

    Attributes:
        reward: r(s, a) [S * A].
        offset: First successor of each pair [S * A + 1].
        successor: [N].
        weight: Probability to go on there [N].
        discount: gamma.
        num_actions: A.
    """

    reward: np.ndarray
    offset: np.ndarray
    successor: np.ndarray
    weight: np.ndarray
    discount: float
    num_actions: int

    @classmethod
    def of(cls, mdp: MDP) -> Model:
        """Return the arrays of a process."""
        matrix = mdp.continuation
        return cls(mdp.expected_reward.ravel(), matrix.indptr, matrix.indices, matrix.data, mdp.discount, mdp.num_actions)


@inlined
def backup(model: Model, values: np.ndarray, state: int, solve_self: bool) -> tuple[float, int]:
    """Return max_a r(s, a) + gamma sum_s' p(s' | s, a) v(s') (4.10), and the first action that reaches it.

    Args:
        model: The process.
        values: v [S].
        state: s.
        solve_self: Solve for v(s) where an action leads back to s, in place of looking it up.
    """
    best, chosen = -np.inf, 0
    for action in range(model.num_actions):
        pair = state * model.num_actions + action
        total, stay = 0.0, 0.0
        for entry in range(model.offset[pair], model.offset[pair + 1]):
            if solve_self and model.successor[entry] == state:
                stay += model.weight[entry]
            else:
                total += model.weight[entry] * values[model.successor[entry]]
        value = model.reward[pair] + model.discount * total
        if stay > 0.0:
            # an action that stays for ever and earns nothing is worth nothing; one that costs is worth minus infinity
            remaining = 1.0 - model.discount * stay
            if remaining > 1e-14:
                value /= remaining
            elif value != 0.0:
                value *= np.inf
        if value > best:
            best, chosen = value, action
    return best, chosen


@kernel
def sweep(
    model: Model, values: np.ndarray, updated: np.ndarray, policy: np.ndarray, backwards: bool, solve_self: bool
) -> tuple[float, float]:
    """Back up every state once, into `updated` [S], which may be `values` itself, with the greedy actions in `policy` [S].

    Returns:
        The least and the largest change of a value.
    """
    least, largest = np.inf, -np.inf
    num_states = len(values)
    for index in range(num_states):
        state = num_states - 1 - index if backwards else index
        value, policy[state] = backup(model, values, state, solve_self)
        change = value - values[state]
        updated[state] = value
        least, largest = min(least, change), max(largest, change)
    return least, largest


@kernel
def sweep_policy(model: Model, policy: np.ndarray, values: np.ndarray, updated: np.ndarray) -> float:
    """Apply v <- r_pi + gamma P_pi v (4.5) once for actions `policy` [S], and return the largest absolute change."""
    largest = 0.0
    for state in range(len(values)):
        pair = state * model.num_actions + policy[state]
        total = 0.0
        for entry in range(model.offset[pair], model.offset[pair + 1]):
            total += model.weight[entry] * values[model.successor[entry]]
        updated[state] = model.reward[pair] + model.discount * total
        largest = max(largest, abs(updated[state] - values[state]))
    return largest


def macqueen_bounds(discount: float, least: float, largest: float, *, ends: bool) -> tuple[float, float]:
    """Return how far below and above T v the optimal values can be, given the least and largest entry of T v - v.

    gamma / (1 - gamma) min(T v - v) <= v* - T v <= gamma / (1 - gamma) max(T v - v) (Puterman 6.6.6). Where episodes can end, the end
    counts as one more state, whose value never changes.

    >>> macqueen_bounds(0.5, -1.0, 3.0, ends=False)
    (-1.0, 3.0)
    """
    if ends:
        least, largest = min(least, 0.0), max(largest, 0.0)
    factor = discount / (1.0 - discount)
    return factor * least, factor * largest


def certificate(mdp: MDP, policy: np.ndarray) -> tuple[np.ndarray, float]:
    """Exact values [S] of a policy [S], and a proven bound on how much better any other policy can be.

    With a discount, v* - v_pi <= max(T v_pi - v_pi) / (1 - gamma). Without one, u = v_pi + epsilon N_pi, where N_pi is the number of steps
    that the slowest of equally good policies still takes: if T u <= u, no policy that comes to an end is worth more than u. The bound is
    infinite where an equally good policy may never end, or where T u <= u fails.
    """
    process = mdp.under(policy)
    values = process.values()
    gain = max(0.0, float((mdp.action_values(values).max(axis=1) - values).max()))
    if mdp.discount < 1.0:
        return values, gain / (1.0 - mdp.discount)
    live = ~mdp.is_terminal
    steps = _longest(mdp, policy, mdp.action_values(values) >= values[:, None] - ROUNDING * max(1.0, float(np.abs(values).max())))
    if not np.isfinite(steps[live]).all():
        return values, np.inf
    steps = np.where(live, steps, 0.0)
    epsilon = 2.0 * gain + 1e-13 * max(1.0, float(np.abs(values).max()))
    above = values + epsilon * steps
    if (mdp.action_values(above).max(axis=1) > above)[live].any():
        return values, np.inf
    return values, epsilon * float(steps.max())


def only_rounding(change: float, values: np.ndarray) -> bool:
    """Return whether a change of values [S] is rounding only, so that further sweeps are of no use."""
    return change <= 4.0 * float(np.finfo(np.float64).eps) * max(1.0, float(np.abs(values).max()))


def _longest(mdp: MDP, policy: np.ndarray, tied: np.ndarray) -> np.ndarray:
    """Return the most steps [S] that an episode can take among actions that are equally good, `tied` [S, A]: policy iteration on length."""
    while True:
        steps = mdp.under(policy).expected_steps()
        live = ~mdp.is_terminal
        if not np.isfinite(steps[live]).all():
            return steps
        onwards = (mdp.continuation @ np.where(live, steps, 0.0)).reshape(tied.shape)
        onwards[~tied] = -np.inf
        kept = np.take_along_axis(onwards, policy[:, None], axis=1)[:, 0]
        longer = live & (onwards.max(axis=1) > kept + 1e-9)
        if not longer.any():
            return steps
        policy = np.where(longer, onwards.argmax(axis=1), policy)


class Planner(Agent):
    """An agent that computes values from the model of an MDP task; it plays nothing.

    Attributes:
        mdp: The process, with the agent's discount.
        values: v [S].
        policy: Actions [S].
        error_bound: Proven bound on |v - v*| in every state; infinite as long as there is none.
    """

    state_fields: ClassVar[tuple[str, ...]] = ("values", "policy", "error_bound")
    export_formats = ("arrays",)
    task: Any  # a TabularTask

    def setup(self) -> None:
        """Read the model.

        Raises:
            ValueError: if the task does not show one.
        """
        if "mdp" not in self.task.traits():
            raise ValueError(f"{type(self).__name__} plans with a model, and this task shows none; take a learner such as q-learning")
        mdp: MDP = self.task.mdp
        self.mdp = mdp if self.config.discount is None else mdp.with_discount(self.config.discount)
        self.model = Model.of(self.mdp)
        self.values = np.zeros(self.mdp.num_states)
        self.policy = np.zeros(self.mdp.num_states, dtype=np.int64)
        self.error_bound = math.inf

    def arrays(self) -> dict[str, np.ndarray]:
        """Return values [S] and actions [S]."""
        return {"values": self.values, "policy": self.policy}

    def action_values(self) -> np.ndarray:
        """Return q(s, a) [S, A] by one look ahead from v."""
        return self.mdp.action_values(self.values)

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return the policy's actions [B] in states [B]."""
        return self.policy[np.asarray(inputs)]

    def evaluate(self, *, episodes: int, seeds: Seeds) -> dict[str, float]:
        """Return the task's score of the policy; say so when the values are not proven to be near the optimal ones."""
        self.warn_if_unproven()
        return super().evaluate(episodes=episodes, seeds=seeds)

    def warn_if_unproven(self) -> None:
        """Add a warning when planning stopped, at its budget or because nothing moves any more, without the proof that was asked for."""
        if self.error_bound > self.config.tolerance:
            bound = "nothing is proven about the values" if math.isinf(self.error_bound) else f"the proven error is {self.error_bound:.3g}"
            remedy = "" if self.finished else "; continue with a larger --budget"
            sentence = f"stopped after {self.progress:,} sweeps: {bound}, and tolerance is {self.config.tolerance:g}{remedy}"
            self.warnings += [sentence] if sentence not in self.warnings else []

    def state_dict(self) -> dict[str, Any]:
        """Return values, policy and the bound (null while infinite)."""
        state = super().state_dict()
        return {**state, "error_bound": None if math.isinf(self.error_bound) else self.error_bound}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned.

        Raises:
            ValueError: if an array has another shape or type than the agent's own, or an action does not exist.
        """
        require_array("policy", state["policy"], self.policy, 0, self.mdp.num_actions)
        super().load_state_dict(state)
        self.error_bound = math.inf if state["error_bound"] is None else float(state["error_bound"])

    def draw(self, folder: Path) -> None:
        """Draw values and policy over the states."""
        draw_values(self.task, folder, "value of each state", self.values, self.policy)

    def metrics(self, **extra: float) -> dict[str, float]:
        """Return the mean value of the first state, and the bound once it is finite."""
        numbers = {"start_value": float(self.mdp.start @ self.values), **extra}
        if np.isfinite(self.error_bound):
            numbers["error_bound"] = self.error_bound
        return numbers
