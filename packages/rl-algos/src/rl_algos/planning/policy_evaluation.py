"""Policy evaluation: what a given policy is worth, by sweeps or in closed form.

*Source*: Sutton and Barto, Reinforcement Learning (2nd edition, 2018), section 4.1.

*Departures*: none.

*Letters*: S states, A actions, H horizon.
"""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal

import numpy as np

from rl_algos.planning.planner import Planner, only_rounding
from rl_algos.planning.policy import fixed_policy, policy_score
from rl_core.config import Doc, Fraction, Positive, Whole, configclass
from rl_core.seeds import Seeds


@configclass
class PolicyEvaluationConfig:
    """Settings of policy evaluation."""

    method: Annotated[Literal["iterative", "direct"], Doc("sweep, or solve the linear system")] = "iterative"
    policy: Annotated[
        Literal["task", "uniform", "optimal"], Doc("pi: the one that the task is about, every action alike, or an optimal one")
    ] = "task"
    tolerance: Annotated[Positive, Doc("stop when |v - v_pi| is proven to be at most this in every state, unit of return")] = 1e-9
    discount: Annotated[Fraction | None, Doc("gamma; null takes the task's")] = None
    horizon: Annotated[Whole, Doc("H, decisions left: the value of exactly H steps; 0 for no horizon")] = 0


class PolicyEvaluation(Planner):
    """Values of a fixed policy; one step is one sweep, or the whole solution."""

    Config: ClassVar[type] = PolicyEvaluationConfig

    def setup(self) -> None:
        """Read the model, and prepare the sweeps."""
        super().setup()
        config = self.config
        self.chances = fixed_policy(self.task, config.policy)
        self.policy = self.chances.argmax(axis=1)
        self.process = self.mdp.under(self.chances)
        steps = self.process.expected_steps() if self.mdp.discount == 1.0 and not config.horizon else np.zeros(1)
        steps = np.where(self.mdp.is_terminal, 0.0, steps) if len(steps) > 1 else steps
        # |v - v_pi| <= (what is still to come of a change of 1 in every state) * the largest change
        self.still_to_come = float(steps.max()) if self.mdp.discount == 1.0 else self.mdp.discount / (1.0 - self.mdp.discount)

    def step(self) -> dict[str, float]:
        """Sweep v <- r + gamma P v (4.5) once, or solve v = (I - gamma P)^-1 r."""
        self.progress += 1
        if self.config.method == "direct" and not self.config.horizon:
            self.values = self.process.values()
            residual = self.process.reward + self.mdp.discount * (self.process.transition @ self.values) - self.values
            change = float(np.abs(residual).max())
        else:
            updated = self.process.reward + self.mdp.discount * (self.process.transition @ self.values)
            change = float(np.abs(updated - self.values).max())
            self.values = updated
        if self.config.horizon:
            self.finished = self.progress >= self.config.horizon
            self.error_bound = 0.0 if self.finished else math.inf
        else:
            # a change of nothing proves the values even where an episode may never end
            self.error_bound = 0.0 if change == 0.0 else self.still_to_come * change
            self.finished = (
                self.error_bound <= self.config.tolerance or self.config.method == "direct" or only_rounding(change, self.values)
            )
        return self.metrics(change=change)

    def evaluate(self, *, episodes: int, seeds: Seeds) -> dict[str, float]:
        """Return the mean return of the policy that was evaluated, actions drawn from it."""
        self.warn_if_unproven()
        return policy_score(self.task, self.chances, episodes=episodes, seeds=seeds)
