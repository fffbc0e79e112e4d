"""CQL, conservative Q-learning: Q-learning that also pushes down the values of actions that the data does not have.

Source: A. Kumar, A. Zhou, G. Tucker, S. Levine, "Conservative Q-learning for offline reinforcement learning", 2020, CQL(H), (4).
Departures: discrete actions, on double DQN, as in the paper's experiments with Atari; half the squared error or Huber's loss of one
transition, so that alpha weighs against a loss of this size.
Letters: B batch, A actions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from rl_algos.offline.learner import OfflineAgent, OfflineConfig, Transitions, taken
from rl_algos.parts.losses import td_loss
from rl_algos.parts.returns import bootstrap_value, td_target
from rl_core.config import Doc, NonNegative, configclass


@configclass
class CQLConfig(OfflineConfig):
    """Settings of conservative Q-learning."""

    conservatism: Annotated[NonNegative, Doc("alpha, weight of the values of actions that were not taken; 0 is double DQN")] = 1.0
    loss: Annotated[Literal["huber", "squared"], Doc("loss of the TD error")] = "huber"


def value_gap(values: Tensor, action: Tensor) -> Tensor:
    """Return how far a soft maximum over all actions is above the recorded one, the mean of ln sum_b exp Q(s, b) - Q(s, a).

    Args:
        values: Q(s, .) [B, A].
        action: Recorded actions [B].

    >>> value_gap(torch.zeros(1, 2), torch.tensor([1]))  # ln 2
    tensor(0.6931)
    """
    return (values.logsumexp(dim=1) - taken(values, action)).mean()


class CQL(OfflineAgent):
    """An agent whose values of a policy are below the true ones, on average over the data."""

    Config: ClassVar[type] = CQLConfig
    targets = ("policy",)
    config: CQLConfig

    def heads(self) -> Mapping[str, int]:
        """Return the values of the actions, of which the policy takes the largest."""
        return {"policy": self.num_actions}

    def update(self, batch: Transitions) -> dict[str, Tensor]:
        """Take one gradient step, and move the target."""
        q = self.module["policy"]
        with torch.no_grad():
            next_value = bootstrap_value(self.target["policy"](batch.next_obs), q(batch.next_obs))
            target = td_target(batch.reward, batch.discount, next_value)
        values = q(batch.obs)
        error, gap = td_loss(taken(values, batch.action) - target, self.config.loss).mean(), value_gap(values, batch.action)
        self.minimise(error + self.config.conservatism * gap)
        self.move_targets()
        largest = values.detach().max(dim=1).values.mean()
        return {"loss": error.detach(), "value_gap": gap.detach(), "value": largest}

    def value(self, inputs: np.ndarray) -> np.ndarray:
        """Return Q(s, .) [B, A] at observations [B, I]."""
        return self.heads_at("policy", inputs)
