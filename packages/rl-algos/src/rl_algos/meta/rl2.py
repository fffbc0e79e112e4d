"""RL^2: a recurrent policy whose state is what it has learned about the task; slow learning makes a fast learner.

Source: Y. Duan, J. Schulman, X. Chen, P. Bartlett, I. Sutskever, P. Abbeel, "RL^2: fast reinforcement learning via slow reinforcement
learning", 2016, section 2 and appendix A; the recurrent unit of K. Cho and others, 2014.
Departures: PPO takes the place of TRPO (see `trial_learner`); policy and critic have recurrent units of their own.
Errata: none known. Letters: T steps of a trial, N trials, I inputs, H units, K numbers of a head.
"""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from rl_algos.meta.action_heads import ActionHeads
from rl_algos.meta.trial_learner import MemoryModule, TrialConfig, TrialLearner
from rl_core.config import Count, Doc, configclass


@configclass
class RL2Config(TrialConfig):
    """Settings of RL^2."""

    units: Annotated[Count, Doc("H, of each recurrent unit's state")] = 64


class RecurrentMemory(MemoryModule):
    """Two gated recurrent units, of policy and critic, each with a linear layer on its state.

    Args:
        size: I.
        units: H.
        heads: Distribution of actions.
        log_std: First ln sigma.
        unit: Unit of the values.
    """

    def __init__(self, size: int, units: int, heads: ActionHeads, log_std: float, unit: float) -> None:
        super().__init__(heads, log_std, unit)
        self.policy, self.critic = (nn.GRU(size, units, device="meta") for _ in range(2))
        self.policy_layer = nn.Linear(units, heads.actions.num_outputs, device="meta")
        self.critic_layer = nn.Linear(units, 1, device="meta")
        self.units = units

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return heads [T, N, K] and values [T, N] of whole trials [T, N, I]."""
        value = self.critic_layer(self.critic(inputs)[0])[..., 0]
        return self.policy_layer(self.policy(inputs)[0]), self.unit * value

    def begin(self, num_trials: int, num_steps: int) -> Tensor:
        """Return states 0 [2, 1, N, H]."""
        return torch.zeros(2, 1, num_trials, self.units)

    def advance(self, inputs: Tensor, memory: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return heads [N, K], values [N] and the next states, of inputs [N, I]."""
        (policy, policy_state), (critic, critic_state) = self.policy(inputs[None], memory[0]), self.critic(inputs[None], memory[1])
        value = self.critic_layer(critic[0])[:, 0]
        return self.policy_layer(policy[0]), self.unit * value, torch.stack((policy_state, critic_state))

    @property
    def state_size(self) -> int:
        """S: both states."""
        return 2 * self.units

    def stepped(self, inputs: Tensor, state: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return heads [N, K], values [N] and the next states side by side [N, 2 H], of inputs [N, I]."""
        memory = state.unflatten(1, (2, 1, self.units)).permute(1, 2, 0, 3).contiguous()
        head, value, after = self.advance(inputs, memory)
        return head, value, after.permute(2, 0, 1, 3).flatten(1)


def initialised(module: MemoryModule, rng: np.random.Generator) -> MemoryModule:
    """Return a module with its parameters drawn: matrices uniform by the number of their inputs, vectors 0, the heads small."""
    for path, owner in module.named_modules():
        for name, parameter in list(owner.named_parameters(recurse=False)):
            if parameter.is_meta:
                bound = 1.0 / math.sqrt(parameter.shape[-1]) if parameter.ndim > 1 else 0.0
                bound *= 0.01 if path in ("policy_layer", "critic_layer") else 1.0
                drawn = rng.uniform(-bound, bound, tuple(parameter.shape)).astype(np.float32)
                setattr(owner, name, nn.Parameter(torch.from_numpy(drawn)))
    return module


class RL2(TrialLearner):
    """The agent: its memory of a trial is a recurrent state."""

    Config: ClassVar[type] = RL2Config
    config: RL2Config

    def build(self, size: int, heads: ActionHeads, unit: float, rng: np.random.Generator) -> MemoryModule:
        """Return the recurrent units."""
        self.path = "torch: recurrent units over whole trials"
        return initialised(RecurrentMemory(size, self.config.units, heads, self.config.log_std, unit), rng)
