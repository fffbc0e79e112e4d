"""Behaviour cloning: a policy that answers as the recorded one did. The baseline of everything that learns from data.

Source: D. Pomerleau, "ALVINN: an autonomous land vehicle in a neural network", 1989; the best share of the episodes, as in L. Chen and
others, "Decision transformer", 2021, section 5.1.
Departures: none.
Letters: B batch, A actions, D dimensions of an action.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from rl_algos.offline.learner import OfflineAgent, OfflineConfig, Transitions
from rl_core.config import Doc, Meta, configclass
from rl_core.recording import Recording


@configclass
class BehaviourCloningConfig(OfflineConfig):
    """Settings of behaviour cloning."""

    best_share: Annotated[float, Meta(gt=0, le=1), Doc("share of the episodes to learn from, those of the largest returns")] = 1.0


def cloning_loss(head: Tensor, action: Tensor) -> Tensor:
    """Return the loss of a policy's outputs against the recorded actions, a scalar.

    Discrete: the mean of -ln pi(a|s). Continuous: the mean squared distance of tanh of the outputs.

    Args:
        head: Logits [B, A], or numbers [B, D].
        action: Actions [B], or in [-1, 1] [B, D].

    >>> cloning_loss(torch.zeros(1, 2), torch.tensor([0]))  # ln 2
    tensor(0.6931)
    >>> cloning_loss(torch.zeros(1, 2), torch.tensor([[0.5, -0.5]]))
    tensor(0.2500)
    """
    return ((head.tanh() - action) ** 2).mean() if action.is_floating_point() else functional.cross_entropy(head, action)


def best_episodes(rows: dict[str, np.ndarray], share: float) -> np.ndarray:
    """Return which transitions [T] belong to the episodes with the largest returns, at least one."""
    recording = Recording(rows, {})
    returns, starts = recording.returns(), recording.starts
    kept = np.zeros(len(returns), dtype=np.bool_)
    kept[np.argsort(-returns, kind="stable")[: max(1, round(share * len(returns)))]] = True
    return np.repeat(kept, np.diff([*starts, len(rows["reward"])]))


class BehaviourCloning(OfflineAgent):
    """An agent that imitates, and never looks at rewards unless it is told to learn from the best episodes."""

    Config: ClassVar[type] = BehaviourCloningConfig
    config: BehaviourCloningConfig

    def heads(self) -> Mapping[str, int]:
        """Return the policy: logits, or one number a dimension."""
        return {"policy": self.num_actions or (self.bounded.num_dimensions if self.bounded else 0)}

    def chosen(self, rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the transitions of the best episodes."""
        if self.config.best_share == 1.0:
            return rows
        kept = best_episodes(rows, self.config.best_share)
        return {name: array[kept] for name, array in rows.items()}

    def update(self, batch: Transitions) -> dict[str, Tensor]:
        """Take one gradient step."""
        loss = cloning_loss(self.module["policy"](batch.obs), batch.action)
        self.minimise(loss)
        return {"loss": loss.detach()}

    def step(self) -> dict[str, float]:
        """Run one iteration; report the loss on the validation split beside the training's."""
        metrics = super().step()
        count = min(self.task.num_examples("validation"), 2_000)
        if count:
            given, targets = self.task.read("validation", np.arange(count))
            assert isinstance(given, dict)
            head = torch.from_numpy(self.policy_values(np.asarray(given["obs"])))
            metrics["validation_loss"] = float(cloning_loss(head, torch.from_numpy(self.coded(np.asarray(targets)))))
        return metrics
