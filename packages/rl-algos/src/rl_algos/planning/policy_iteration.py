"""Policy iteration and modified policy iteration: evaluate, improve, until nothing improves.

*Source*: Howard, Dynamic Programming and Markov Processes (1960); Sutton and Barto, Reinforcement Learning (2nd edition, 2018), section
4.3; Puterman and Shin, Modified Policy Iteration Algorithms (1978); Puterman (1994), section 6.5.

*Departures*: an action is exchanged only for one that is better by more than rounding, so that equally good actions cannot take turns
for ever (the bug that exercise 4.4 of the book asks about).

*Letters*: S states, A actions.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np

from dl_nets.fast.kernels import announced
from rl_algos.planning.planner import ROUNDING, Planner, certificate, macqueen_bounds, sweep, sweep_policy
from rl_algos.tasks.mdp.model import MDP
from rl_core.config import Count, Doc, Fraction, Positive, configclass


@configclass
class PolicyIterationConfig:
    """Settings of policy iteration."""

    evaluation: Annotated[Literal["direct", "iterative", "partial"], Doc("solve; sweep until still; sweep a few times (modified)")] = (
        "direct"
    )
    evaluation_sweeps: Annotated[Count, Doc("m, sweeps of a partial evaluation, or at most of an iterative one times 1,000")] = 20
    tolerance: Annotated[Positive, Doc("stop when |v - v*| is proven to be at most this in every state, unit of return")] = 1e-9
    discount: Annotated[Fraction | None, Doc("gamma; null takes the task's")] = None


def improve(mdp: MDP, values: np.ndarray, policy: np.ndarray) -> np.ndarray:
    """Greedy actions [S] with respect to values [S] (4.9); those of `policy` [S] stay where none is better by more than rounding."""
    action_values = mdp.action_values(values)
    kept = np.take_along_axis(action_values, policy[:, None], axis=1)[:, 0]
    better = action_values.max(axis=1) > kept + ROUNDING * max(1.0, float(np.abs(values).max()))
    return np.where(better, action_values.argmax(axis=1), policy)


class PolicyIteration(Planner):
    """Policy iteration; one step is one evaluation and one improvement."""

    Config: ClassVar[type] = PolicyIterationConfig

    def setup(self) -> None:
        """Read the model, and prepare the sweeps."""
        super().setup()
        self.ends = bool((np.asarray(self.mdp.continuation.sum(axis=1)) < 1.0 - 1e-12).any())

    def step(self) -> dict[str, float]:
        """Evaluate and improve the policy once; report how many states changed their action, and the proven bound."""
        with announced("the sweeps of policy iteration"):
            return self._step_partial() if self.config.evaluation == "partial" else self._step_whole()

    def _step_whole(self) -> dict[str, float]:
        if self.progress == 0:
            # the first policy is greedy for the values of acting at random, which comes to an end wherever any policy does
            uniform = np.full((self.mdp.num_states, self.mdp.num_actions), 1.0 / self.mdp.num_actions)
            self.values = self._evaluate(uniform)
            self.policy = self.mdp.action_values(self.values).argmax(axis=1)
        self.values = self._evaluate(self.policy)
        improved = improve(self.mdp, self.values, self.policy)
        changed = int((improved != self.policy).sum())
        self.policy = improved
        self.progress += 1
        if changed == 0:
            self.finished = True
            values, self.error_bound = certificate(self.mdp, self.policy)
            if self.config.evaluation == "direct":
                self.values = values
            else:
                self.error_bound += float(np.abs(values - self.values).max())
        return self.metrics(changed=float(changed))

    def _evaluate(self, policy: np.ndarray) -> np.ndarray:
        process = self.mdp.under(policy)
        if self.config.evaluation == "direct":
            return process.values()
        margin = (1.0 - self.mdp.discount) / self.mdp.discount if 0.0 < self.mdp.discount < 1.0 else 1e-3
        return process.values_by_iteration(self.config.tolerance * min(margin, 1.0) / 4.0, 1_000 * self.config.evaluation_sweeps)[0]

    def _step_partial(self) -> dict[str, float]:
        before, discount = self.policy.copy(), self.mdp.discount
        updated = np.empty_like(self.values)
        least, largest = sweep(self.model, self.values, updated, self.policy, False, False)
        self.values = updated
        self.progress += 1
        changed = float((before != self.policy).sum())
        if discount == 1.0:
            if max(largest, -least) <= self.config.tolerance:
                self.values, self.error_bound = certificate(self.mdp, self.policy)
                self.finished = True
        else:
            below, above = macqueen_bounds(discount, least, largest, ends=self.ends)
            self.error_bound = max(above, -below)
            if not self.ends and (above - below) / 2.0 <= self.config.tolerance:
                self.values = self.values + (above + below) / 2.0
                self.error_bound = (above - below) / 2.0
            self.finished = self.error_bound <= self.config.tolerance
        spare = np.empty_like(self.values)
        for _ in range(0 if self.finished else self.config.evaluation_sweeps):
            sweep_policy(self.model, self.policy, self.values, spare)
            self.values, spare = spare, self.values
        return self.metrics(changed=changed)
