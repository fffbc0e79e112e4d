"""TD3+BC: TD3 on recorded data, whose policy is also drawn towards the recorded actions.

Source: S. Fujimoto, S. S. Gu, "A minimalist approach to offline reinforcement learning", 2021, (3) to (5).
Departures: none; observations are normalised, as theirs are.
Letters: B batch, D dimensions of an action, K critics.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from dl_nets.learning.optimisers import Optimiser
from rl_algos.offline.learner import OfflineAgent, OfflineConfig, Transitions
from rl_algos.parts.losses import critic_loss
from rl_algos.parts.returns import smoothed, td_target
from rl_core.config import Count, Doc, NonNegative, configclass

CRITICS = ("pair0", "pair1")


@configclass
class TD3BCConfig(OfflineConfig):
    """Settings of TD3 with behaviour cloning."""

    value_weight: Annotated[NonNegative, Doc("alpha, weight of Q, whose mean size is 1, against imitation; 0 is behaviour cloning")] = 2.5
    policy_delay: Annotated[Count, Doc("d, updates of the critics for each of the policy and the targets")] = 2
    target_noise: Annotated[NonNegative, Doc("sigma of the noise on the target's action, in units of actions from -1 to 1")] = 0.2
    target_noise_clip: Annotated[NonNegative, Doc("c, bound of that noise")] = 0.5


def policy_loss(value: Tensor, action: Tensor, recorded: Tensor, weight: float) -> Tensor:
    """Return the mean of -lambda Q(s, pi(s)) + (pi(s) - a)^2 with lambda = alpha / mean |Q|, a scalar.

    Args:
        value: Q(s, pi(s)) [B].
        action: pi(s) [B, D].
        recorded: a [B, D].
        weight: alpha.

    >>> policy_loss(torch.tensor([4.0, 4.0]), torch.ones(2, 1), torch.zeros(2, 1), 2.5)  # -2.5 + 1
    tensor(-1.5000)
    """
    return -weight * value.mean() / value.abs().mean().detach().clamp(min=1e-6) + ((action - recorded) ** 2).mean()


class TD3BC(OfflineAgent):
    """An agent with a deterministic policy and two critics."""

    Config: ClassVar[type] = TD3BCConfig
    state_fields = (*OfflineAgent.state_fields, "policy_optimiser")
    targets = ("policy", *CRITICS)
    config: TD3BCConfig

    def setup(self) -> None:
        """Build the networks, and an optimiser for the policy alone: Adam would move it in the updates that it sits out."""
        super().setup()
        rate, critics = self.config.learning_rate, [parameter for name in CRITICS for parameter in self.module[name].parameters()]
        self.optimiser = Optimiser("adam", critics, learning_rate=rate)
        self.policy_optimiser = Optimiser("adam", self.module["policy"].parameters(), learning_rate=rate)
        self.noise = self.seeds.numpy("target noise")

    def heads(self) -> Mapping[str, int]:
        """Return the policy and the critics."""
        return {"policy": self.bounded.num_dimensions if self.bounded else 0, **dict.fromkeys(CRITICS, 1)}

    def q(self, module: torch.nn.ModuleDict, obs: Tensor, action: Tensor) -> Tensor:
        """Return Q(s, a) of each critic [K, B]."""
        pair = torch.cat((obs, action), dim=1)
        return torch.stack([module[name](pair).squeeze(1) for name in CRITICS])

    def update(self, batch: Transitions) -> dict[str, Tensor]:
        """Take one gradient step of the critics and, when it is due, one of the policy and of the targets."""
        config = self.config
        noise = self.tensor(self.noise.standard_normal(tuple(batch.action.shape), dtype="float32"))
        with torch.no_grad():
            next_action = smoothed(self.target["policy"](batch.next_obs).tanh(), config.target_noise * noise, config.target_noise_clip)
            target = td_target(batch.reward, batch.discount, self.q(self.target, batch.next_obs, next_action).min(dim=0).values)
        values = self.q(self.module, batch.obs, batch.action)
        loss = critic_loss(values, target)
        metrics = {"loss": loss.detach(), "value": values[0].detach().mean()}
        self.minimise(loss)
        if self.num_updates % config.policy_delay:
            return metrics
        action = self.module["policy"](batch.obs).tanh()
        loss_of_policy = policy_loss(self.q(self.module, batch.obs, action)[0], action, batch.action, config.value_weight)
        self.policy_optimiser.zero_grad()
        loss_of_policy.backward(inputs=self.policy_optimiser.flat.parameters)  # and no gradient in the critics
        self.policy_optimiser.step()
        self.move_targets()
        return metrics | {"policy_loss": loss_of_policy.detach()}
