"""IQL, implicit Q-learning: learning from data without ever asking for the value of an action that is not in it.

Source: I. Kostrikov, A. Nair, S. Levine, "Offline reinforcement learning with implicit Q-learning", 2021, (5), (6) and (7).
Departures: one optimiser for all networks, whose losses share no parameters.
Errata: the order of updates is that of the authors' program: V, policy, Q; V looks at the target Q, Q at the V of this step's beginning.
Letters: B batch, A actions, D dimensions of an action, K critics.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor
from torch.nn import functional

from rl_algos.offline.learner import OfflineAgent, OfflineConfig, Transitions, taken
from rl_core.config import Doc, Meta, NonNegative, Positive, configclass

NUM_CRITICS = 2
LOG_STD_BOUNDS = (-5.0, 2.0)


@configclass
class IQLConfig(OfflineConfig):
    """Settings of implicit Q-learning."""

    expectile: Annotated[float, Meta(gt=0, lt=1), Doc("tau of the expectile: 0.5 is the mean over the data's actions, 1 the largest")] = 0.8
    inverse_temperature: Annotated[NonNegative, Doc("beta of exp(beta (Q - V)), the weight of an action; 0 is behaviour cloning")] = 3.0
    largest_weight: Annotated[Positive, Doc("bound of that weight")] = 100.0


def expectile_loss(miss: Tensor, expectile: float) -> Tensor:
    """Return the mean of |tau - 1(u < 0)| u^2 over u = Q - V [B] (5).

    >>> expectile_loss(torch.tensor([1.0, -1.0]), 0.75)  # (0.75 + 0.25) / 2
    tensor(0.5000)
    """
    weight = torch.where(miss < 0, 1 - expectile, expectile)
    return (weight * miss**2).mean()


def advantage_weight(advantage: Tensor, inverse_temperature: float, largest: float) -> Tensor:
    """Return exp(beta (Q - V)) [B], at most `largest` (7).

    >>> advantage_weight(torch.tensor([0.0, 9.0]), 1.0, 100.0)
    tensor([  1., 100.])
    """
    return (inverse_temperature * advantage).exp().clamp(max=largest)


class IQL(OfflineAgent):
    """An agent with a policy, the value of a state, and two critics."""

    Config: ClassVar[type] = IQLConfig
    config: IQLConfig

    def setup(self) -> None:
        """Build the networks; each critic has a target."""
        discrete = isinstance(self.task.output_space, spaces.Discrete)
        self.targets = self.critic_names = tuple(f"{'critic' if discrete else 'pair'}{number}" for number in range(NUM_CRITICS))
        super().setup()

    def heads(self) -> Mapping[str, int]:
        """Return the policy, V and the critics: Q(s, .), or Q(s, a)."""
        size = self.num_actions or 1
        outputs = self.num_actions or (2 * self.bounded.num_dimensions if self.bounded else 0)
        return {"policy": outputs, "value": 1, **dict.fromkeys(self.critic_names, size)}

    def q(self, module: torch.nn.ModuleDict, batch: Transitions) -> Tensor:
        """Return Q(s, a) of each critic [K, B] at the recorded actions."""
        if self.bounded is None:
            return torch.stack([taken(module[name](batch.obs), batch.action) for name in self.critic_names])
        pair = torch.cat((batch.obs, batch.action), dim=1)
        return torch.stack([module[name](pair).squeeze(1) for name in self.critic_names])

    def log_prob(self, head: Tensor, action: Tensor) -> Tensor:
        """Return ln pi(a|s) [B]: of a softmax, or of a Gaussian around tanh of its means, up to a constant."""
        if self.bounded is None:
            return -functional.cross_entropy(head, action, reduction="none")
        mean, log_std = head.chunk(2, dim=1)
        log_std = log_std.clamp(*LOG_STD_BOUNDS)
        return (-0.5 * ((action - mean.tanh()) / log_std.exp()) ** 2 - log_std).sum(dim=1)

    def update(self, batch: Transitions) -> dict[str, Tensor]:
        """Take one gradient step of V, the policy and the critics, and move the targets."""
        config, value = self.config, self.module["value"](batch.obs).squeeze(1)
        with torch.no_grad():
            target_q = self.q(self.target, batch).min(dim=0).values
            next_value = self.module["value"](batch.next_obs).squeeze(1)
        weight = advantage_weight(target_q - value.detach(), config.inverse_temperature, config.largest_weight)
        value_loss = expectile_loss(target_q - value, config.expectile)
        policy_loss = -(weight * self.log_prob(self.module["policy"](batch.obs), batch.action)).mean()
        q = self.q(self.module, batch)
        critic_loss = ((batch.reward + batch.discount * next_value - q) ** 2).mean(dim=1).sum()
        self.minimise(value_loss + policy_loss + critic_loss)
        self.move_targets()
        found = {"loss": critic_loss, "value_loss": value_loss, "policy_loss": policy_loss, "weight": weight.mean(), "value": value.mean()}
        return {name: number.detach() for name, number in found.items()}

    def value(self, inputs: np.ndarray) -> np.ndarray:
        """Return V(s) [B] at observations [B, I]."""
        return self.heads_at("value", inputs)[:, 0]
