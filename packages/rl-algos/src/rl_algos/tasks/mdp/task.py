"""Tasks whose model is known."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces

from rl_algos.tasks.mdp.model import MDP
from rl_algos.tasks.mdp.picture import Layout
from rl_algos.tasks.mdp.simulator import MDPEnv, MDPEnvs
from rl_algos.tasks.wrapped import innermost
from rl_core.envs import Envs
from rl_core.seeds import Seeds
from rl_core.task import ControlTask


class MDPTask(ControlTask):
    """A finite Markov decision process: planners read `mdp`, learners play `envs`.

    Args:
        config: An instance of `Config`.
        mdp: The process.
        max_steps: Steps after which an episode is cut, so that any policy can be scored; 0 for no limit.
        layout: How states are drawn; a strip when missing.
        policy: The policy [S, A] that prediction is about by default; the uniform one when missing.

    Attributes:
        target: The return that counts as solved.
    """

    kind: ClassVar[str] = "mdp"

    def __init__(self, config: Any, mdp: MDP, *, max_steps: int, layout: Layout | None = None, policy: np.ndarray | None = None) -> None:
        super().__init__(config)
        if max_steps < 0:
            raise ValueError(f"max_steps is {max_steps}; it must be at least 1, or 0 for no limit")
        self.mdp = mdp
        self.discount = mdp.discount
        self.max_steps = max_steps
        self.layout = Layout.strip(mdp.num_states) if layout is None else layout
        self.policy = np.full((mdp.num_states, mdp.num_actions), 1.0 / mdp.num_actions) if policy is None else mdp.policy_matrix(policy)
        self.input_space = spaces.Discrete(mdp.num_states)
        self.output_space = spaces.Discrete(mdp.num_actions)
        names = self.layout.action_names()
        self.class_names = names if len(names) == mdp.num_actions else ()

    def traits(self) -> frozenset[str]:
        """Return the traits, with "control": a process can be played without knowing its model."""
        return super().traits() | {"control"}

    def envs(self, num_envs: int, seeds: Seeds) -> Envs:
        """Return copies of the process in step, driven by its table."""
        return MDPEnvs(self.mdp, num_envs, seeds, self.max_steps)

    frames_per_second = 4.0

    def picture(self, envs: Envs) -> np.ndarray | None:
        """Return a picture of the first copy: where its state is on the map."""
        inner = innermost(envs)
        assert isinstance(inner, MDPEnvs)
        return self.layout.image(int(inner.state[0]))

    def env(self, render_mode: str | None = None) -> MDPEnv:
        """Return the process behind Gymnasium's interface, without the time limit."""
        return MDPEnv(self.mdp, self.layout, render_mode)

    def optimal_return(self) -> float:
        """Return the largest mean return, undiscounted and within the time limit, that any policy reaches: backward induction.

        Raises:
            ValueError: without a time limit.
        """
        if not self.max_steps:
            raise ValueError("the task has no time limit; set max_steps, or ask a planner")
        undiscounted = self.mdp.with_discount(1.0)
        values = np.zeros(self.mdp.num_states)
        for _ in range(self.max_steps):
            values = undiscounted.action_values(values).max(axis=1)
        return float(self.mdp.start @ values)

    def return_of(self, policy: np.ndarray) -> float:
        """Return the exact mean return, undiscounted and within the time limit, of a policy [S] or [S, A]."""
        process = self.mdp.under(policy)
        values = np.zeros(self.mdp.num_states)
        for _ in range(self.max_steps):
            values = process.reward + process.transition @ values
        return float(self.mdp.start @ values)
