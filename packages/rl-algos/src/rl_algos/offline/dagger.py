"""DAgger, data set aggregation: the learner acts, the expert says what it would have done there, and the learner clones all of it.

Source: S. Ross, G. Gordon, D. Bagnell, "A reduction of imitation learning and structured prediction to no-regret online learning", 2011,
Algorithm 3.1, with beta_1 = 1 and beta_i = 0 from then on, as in its experiments: the recording is the expert's own first iteration.
Departures: the policy is trained on, not anew, in each iteration.
Letters: N environments, M observations that the learner visited, I numbers of an observation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import numpy as np
import torch

from rl_algos.offline.behaviour_cloning import BehaviourCloning, BehaviourCloningConfig
from rl_algos.offline.learner import Transitions
from rl_core.config import Count, Doc, configclass


@configclass
class DAggerConfig(BehaviourCloningConfig):
    """Settings of data set aggregation."""

    num_envs: Annotated[Count, Doc("N, environments that the learner acts in")] = 4
    rollout_steps: Annotated[Count, Doc("steps of each environment in an iteration, at which the expert is asked")] = 50


class DAgger(BehaviourCloning):
    """A cloning agent that asks the expert about the observations it reaches by itself.

    Attributes:
        visited: Observations that the learner visited [M, I].
        advice: What the expert would have done there [M, ...].
    """

    Config: ClassVar[type] = DAggerConfig
    state_fields = (*BehaviourCloning.state_fields, "envs", "obs")
    config: DAggerConfig
    task: Any

    def setup(self) -> None:
        """Build the policy and the environments."""
        super().setup()
        space, answers = self.task.input_space, self.task.output_space
        self.visited = np.zeros((0, *space.shape), space.dtype)
        self.advice = np.zeros((0, *(answers.shape or ())), answers.dtype)
        self.envs = self.task.control().envs(self.config.num_envs, self.seeds)
        self.obs = self.envs.reset()

    def step(self) -> dict[str, float]:
        """Run one iteration: act and ask, except in the first one, then take gradient steps on all that was seen."""
        if self.progress:
            self.act()
        own = self.data
        if len(self.visited):
            obs, action = self.tensor(self.moments.normalise(self.visited)), self.tensor(self.coded(self.advice))
            zeros = torch.zeros(len(obs), device=self.torch_device)
            asked = Transitions(obs, action, zeros, zeros, obs)  # cloning reads neither rewards nor what follows
            self.data = Transitions(*(torch.cat(pair) for pair in zip(own, asked, strict=True)))
        try:
            metrics = super().step()
        finally:
            self.data = own
        return metrics | {"expert_answers": float(len(self.visited))} | self.envs.episode_metrics()

    def state_dict(self) -> dict[str, Any]:
        """Return what changes, with the observations that were asked about."""
        return {**super().state_dict(), "asked": {"visited": self.visited, "advice": self.advice}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        super().load_state_dict({name: value for name, value in state.items() if name != "asked"})
        self.visited, self.advice = np.array(state["asked"]["visited"]), np.array(state["asked"]["advice"])

    def act(self) -> None:
        """Act with the learner's policy, and keep the expert's answers."""
        seen = []
        for _ in range(self.config.rollout_steps):
            seen.append(self.obs)
            self.obs = self.envs.step(self.predict(self.obs)).obs
        visited = np.concatenate(seen)
        self.visited = np.concatenate((self.visited, visited))
        self.advice = np.concatenate((self.advice, np.asarray(self.task.expert()(visited)).astype(self.advice.dtype)))
