"""BCQ, batch-constrained Q-learning: Q-learning among the actions that the data's policy may have taken.

Source: S. Fujimoto, E. Conti, M. Ghavamzadeh, J. Pineau, "Benchmarking batch deep reinforcement learning algorithms", 2019, (7) and
Algorithm 1, the discrete form of S. Fujimoto, D. Meger, D. Precup, "Off-policy deep reinforcement learning without exploration", 2019.
Departures: two networks in place of two heads on one.
Letters: B batch, A actions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rl_algos.offline.learner import OfflineAgent, OfflineConfig, Transitions, taken
from rl_algos.parts.losses import td_loss
from rl_algos.parts.returns import bootstrap_value, td_target
from rl_core.config import Doc, Fraction, NonNegative, configclass


@configclass
class BCQConfig(OfflineConfig):
    """Settings of batch-constrained Q-learning."""

    threshold: Annotated[Fraction, Doc("tau: an action is allowed if its share of the likeliest one's probability is more; 0 is DQN")] = 0.3
    logit_penalty: Annotated[NonNegative, Doc("weight of the mean squared logits of the imitation")] = 0.01


def allowed(logits: Tensor, threshold: float) -> Tensor:
    """Return which actions the data supports [B, A]: G(a|s) / max_b G(b|s) > tau, or the likeliest.

    >>> allowed(torch.tensor([[0.0, -1.0, -3.0]]), 0.3).tolist()  # ratios of 1, 0.37 and 0.05
    [[True, True, False]]
    """
    ratio = logits - logits.max(dim=1, keepdim=True).values
    return (ratio > math.log(threshold) if threshold > 0 else torch.ones_like(ratio, dtype=torch.bool)) | (ratio == 0)


class Constrained(nn.Module):
    """Layer from observations to values [B, A], with minus infinity for actions that are not allowed.

    Args:
        values: Network of Q.
        imitation: Network of the logits of G.
        threshold: tau.
    """

    def __init__(self, values: nn.Module, imitation: nn.Module, threshold: float) -> None:
        super().__init__()
        self.values, self.imitation, self._threshold = values, imitation, threshold

    def forward(self, obs: Tensor) -> Tensor:
        """Return constrained values [B, A] at observations [B, I]."""
        values: Tensor = self.values(obs)
        return values.masked_fill(~allowed(self.imitation(obs), self._threshold), -math.inf)


class BCQ(OfflineAgent):
    """An agent with values of actions, and an imitation of the data's policy that says which of them may be chosen."""

    Config: ClassVar[type] = BCQConfig
    targets = ("critic",)
    config: BCQConfig

    def heads(self) -> Mapping[str, int]:
        """Return the values, and the logits of the imitation."""
        return {"critic": self.num_actions, "imitation": self.num_actions}

    def update(self, batch: Transitions) -> dict[str, Tensor]:
        """Take one gradient step of both networks, and move the target."""
        q, imitation = self.module["critic"], self.module["imitation"]
        with torch.no_grad():
            choice = Constrained(q, imitation, self.config.threshold)(batch.next_obs)
            target = td_target(batch.reward, batch.discount, bootstrap_value(self.target["critic"](batch.next_obs), choice))
        error = td_loss(taken(q(batch.obs), batch.action) - target, "huber").mean()
        logits = imitation(batch.obs)
        imitation_loss = functional.cross_entropy(logits, batch.action) + self.config.logit_penalty * (logits**2).mean()
        self.minimise(error + imitation_loss)
        self.move_targets()
        count = allowed(logits.detach(), self.config.threshold).sum(dim=1).float().mean()
        return {"loss": error.detach(), "imitation_loss": imitation_loss.detach(), "allowed_actions": count}

    def policy_values(self, inputs: np.ndarray) -> np.ndarray:
        """Return values [B, A], with minus infinity for actions that are not allowed."""
        with torch.no_grad():
            values: np.ndarray = self.exported_network()(self.tensor(self.moments.normalise(inputs))).cpu().numpy()
        return values

    def exported_network(self) -> nn.Module:
        """Return the network of the constrained values."""
        return Constrained(self.module["critic"], self.module["imitation"], self.config.threshold)
