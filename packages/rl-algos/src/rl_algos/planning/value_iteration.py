"""Value iteration: the Bellman optimality equation turned into an update, swept over all states.

*Source*: Sutton and Barto, Reinforcement Learning (2nd edition, 2018), sections 4.4 and 4.5; Puterman, Markov Decision Processes
(1994), sections 4.5, 6.3 and 6.6; Moore and Atkeson, Prioritized Sweeping (1993).

*Departures*: Moore and Atkeson sweep a model that is being learned; here the model is known, and the priority of a state is a proven
bound on its Bellman error, so that the largest priority bounds the error of the values.

*Letters*: S states, A actions, H horizon.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from scipy import sparse

from dl_nets.fast.kernels import announced, kernel
from rl_algos.parts.ranges import require_array
from rl_algos.planning.planner import Model, Planner, backup, certificate, macqueen_bounds, only_rounding, sweep
from rl_core.config import Doc, Fraction, Positive, Whole, configclass
from rl_core.memory import require_memory
from rl_core.seeds import Seeds


@configclass
class ValueIterationConfig:
    """Settings of value iteration."""

    order: Annotated[Literal["synchronous", "in-place", "gauss-seidel", "prioritised"], Doc("how states are swept")] = "synchronous"
    tolerance: Annotated[Positive, Doc("stop when |v - v*| is proven to be at most this in every state, unit of return")] = 1e-9
    discount: Annotated[Fraction | None, Doc("gamma; null takes the task's")] = None
    horizon: Annotated[Whole, Doc("H, decisions left at the start of an episode: backward induction of H sweeps; 0 for no horizon")] = 0

    def __post_init__(self) -> None:
        if self.horizon and self.order != "synchronous":
            raise ValueError(f"horizon is {self.horizon} and order is {self.order!r}; a finite horizon is swept synchronously")


@kernel
def sweep_by_priority(
    model: Model,
    values: np.ndarray,
    policy: np.ndarray,
    priority: np.ndarray,
    predecessors: tuple[np.ndarray, np.ndarray, np.ndarray],
    num_backups: int,
    threshold: float,
) -> None:
    """Back up the state of highest priority, `num_backups` times or until none is above `threshold`, in place.

    A backup that moves v(s) by d moves the Bellman error of a predecessor by at most gamma max_a p(s | s-, a) |d|, so adding that
    to its priority keeps every priority at or above the error.

    Args:
        model: The process.
        values: v [S].
        policy: Greedy actions [S].
        priority: Bound on |T v - v| [S].
        predecessors: First predecessor of each state [S + 1], predecessors [P], and max_a p(s | s-, a) [P].
        num_backups: At most this many.
        threshold: Priorities up to this are left alone.
    """
    first, predecessor, weight = predecessors
    heap = [(-priority[state], state) for state in range(len(values)) if priority[state] > threshold]
    heapq.heapify(heap)
    done = 0
    while done < num_backups and len(heap) > 0:
        negative, state = heapq.heappop(heap)
        if -negative != priority[state]:
            continue  # an older entry: the state was moved up since, or backed up
        value, policy[state] = backup(model, values, state, False)
        change = abs(value - values[state])
        values[state] = value
        priority[state] = 0.0
        done += 1
        for entry in range(first[state], first[state + 1]):
            before = predecessor[entry]
            priority[before] += model.discount * weight[entry] * change
            if priority[before] > threshold:
                heapq.heappush(heap, (-priority[before], before))


class ValueIteration(Planner):
    """Value iteration in any order, for an endless or a finite horizon."""

    Config: ClassVar[type] = ValueIterationConfig

    def setup(self) -> None:
        """Read the model, and prepare the sweeps."""
        super().setup()
        config = self.config
        going_on = np.add.reduceat(np.append(self.model.weight, 0.0), self.model.offset[:-1]) * (np.diff(self.model.offset) > 0)
        self.ends = bool((going_on < 1.0 - 1e-12).any())
        self.spare = np.empty_like(self.values)
        self.threshold = config.tolerance  # without discount: the change at which a proof is tried
        if config.order == "prioritised":
            self.priority = np.zeros(self.mdp.num_states)
            self.predecessors = _predecessors(self.model, self.mdp.num_states)
        if config.horizon:
            size = config.horizon * self.mdp.num_states
            decisions = f"decisions of {config.horizon:,} steps in {self.mdp.num_states:,} states"
            require_memory(8 * size, decisions, "lower horizon, or take a smaller task")
            self.plan = np.zeros((config.horizon, self.mdp.num_states), dtype=np.int64)  # actions by decisions already taken

    def step(self) -> dict[str, float]:
        """Sweep once; report the bound on the error that the sweep proves, and the largest change of a value."""
        with announced("the sweeps of value iteration"):
            if self.config.horizon:
                return self._step_horizon()
            return self._step_by_priority() if self.config.order == "prioritised" else self._step_sweep()

    def _step_sweep(self) -> dict[str, float]:
        order, discount = self.config.order, self.mdp.discount
        if order == "synchronous":
            least, largest = sweep(self.model, self.values, self.spare, self.policy, False, False)
            self.values, self.spare = self.spare, self.values
        else:
            backwards = order == "gauss-seidel" and self.progress % 2 == 1
            least, largest = sweep(self.model, self.values, self.values, self.policy, backwards, order == "gauss-seidel")
        self.progress += 1
        change = max(largest, -least)
        if discount == 1.0:
            self._try_to_prove(change)
        elif order == "synchronous":
            below, above = macqueen_bounds(discount, least, largest, ends=self.ends)
            self.error_bound = max(above, -below)
            if not self.ends and (above - below) / 2.0 <= self.config.tolerance:  # the middle of the bounds is nearer than T v
                self.values = self.values + (above + below) / 2.0
                self.error_bound = (above - below) / 2.0
            self.finished = self.error_bound <= self.config.tolerance or only_rounding(change, self.values)
        else:  # each sweep in place is a contraction by gamma too
            self.error_bound = discount / (1.0 - discount) * change
            self.finished = self.error_bound <= self.config.tolerance or only_rounding(change, self.values)
        return self.metrics(change=change)

    def _step_by_priority(self) -> dict[str, float]:
        discount, num_states = self.mdp.discount, self.mdp.num_states
        if self.progress == 0:
            sweep(self.model, self.values, self.spare, self.policy, False, False)
            self.priority[:] = np.abs(self.spare - self.values)
        threshold = self.config.tolerance * (1.0 - discount) if discount < 1.0 else self.threshold * 0.1
        sweep_by_priority(self.model, self.values, self.policy, self.priority, self.predecessors, num_states, threshold)
        self.progress += 1
        change = float(self.priority.max())
        if discount == 1.0:
            self._try_to_prove(change)
        else:
            self.error_bound = change / (1.0 - discount)
            self.finished = change <= threshold
        return self.metrics(change=change)

    def _try_to_prove(self, change: float) -> None:
        """Without discount no sweep proves anything by its change: solve for the greedy policy's values, and certify them."""
        if change > self.threshold:
            return
        sweep(self.model, self.values, self.spare, self.policy, False, False)
        values, self.error_bound = certificate(self.mdp, self.policy)
        if self.error_bound <= self.config.tolerance:
            self.values = values
            self.finished = True
        elif change == 0.0 or self.threshold < 1e-3 * self.config.tolerance:
            self.finished = True  # nothing moves any more, and no proof is to be had: some best action may never end
        self.threshold *= 0.1

    def _step_horizon(self) -> dict[str, float]:
        least, largest = sweep(self.model, self.values, self.spare, self.policy, False, False)
        self.values, self.spare = self.spare, self.values
        self.progress += 1
        self.plan[self.config.horizon - self.progress] = self.policy
        if self.progress >= self.config.horizon:
            self.finished, self.error_bound = True, 0.0
        return self.metrics(change=max(largest, -least))

    def evaluate(self, *, episodes: int, seeds: Seeds) -> dict[str, float]:
        """Return the task's score; with a horizon, of the plan that knows how many decisions were already taken."""
        if not self.config.horizon or not self.finished:
            return super().evaluate(episodes=episodes, seeds=seeds)
        envs = self.task.envs(1, seeds.apart("evaluation"))
        returns: list[float] = []
        obs, taken, total = envs.reset(), 0, 0.0
        while len(returns) < episodes:
            step = envs.step(self.plan[min(taken, self.config.horizon - 1), obs])
            obs, taken, total = step.obs, taken + 1, total + float(step.reward[0])
            if step.terminated[0] or step.truncated[0]:
                returns.append(total)
                taken, total = 0, 0.0
        return {
            "mean return": float(np.mean(returns)),
            "standard deviation": float(np.std(returns)),
            "episodes": float(episodes),
        }

    def state_dict(self) -> dict[str, Any]:
        """Return values, policy, and what the order of sweeps remembers."""
        state = {**super().state_dict(), "threshold": self.threshold}
        if self.config.order == "prioritised":
            state["priority"] = self.priority
        if self.config.horizon:
            state["plan"] = self.plan
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        super().load_state_dict(state)
        self.threshold = float(state["threshold"])
        if self.config.order == "prioritised":
            self.priority[:] = require_array("priority", state["priority"], self.priority, 0.0)
        if self.config.horizon:
            self.plan[:] = require_array("plan", state["plan"], self.plan, 0, self.mdp.num_actions)


def _predecessors(model: Model, num_states: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return first predecessor of each state [S + 1], predecessors [P], and max_a p(s | s-, a) [P]."""
    pairs = np.repeat(np.arange(len(model.offset) - 1), np.diff(model.offset))
    per_action = sparse.csr_array((model.weight, (model.successor, pairs)), shape=(num_states, len(model.offset) - 1)).tocoo()
    before = per_action.col // model.num_actions
    order = np.lexsort((-per_action.data, before, per_action.row))
    state, before, weight = per_action.row[order], before[order], per_action.data[order]
    new = np.append(True, (state[1:] != state[:-1]) | (before[1:] != before[:-1]))[: len(state)]
    state, before, weight = state[new], before[new], weight[new]
    return np.searchsorted(state, np.arange(num_states + 1)), before.astype(np.int64), weight
