"""Curiosity: what the members of an ensemble disagree about is worth a visit. SAC with model disagreement as a bonus.

Source: D. Pathak, D. Gandhi, A. Gupta, "Self-supervised exploration via disagreement", 2019, (1).
Departures: the base agent is SAC; the bonus is the members' deviation in place of the variance, in units of the mean over what was seen, so
that its weight is in the unit of the reward and does not fade while the model learns; it is computed anew in every batch.
Letters: B batch, E members, S numbers of an observation.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
import torch

from rl_algos.model_based.mbpo import ModelSAC, ModelSACConfig
from rl_algos.parts.disagreement import disagreement
from rl_algos.replay.buffer import Batch
from rl_core.config import Doc, NonNegative, configclass


@configclass
class CuriosityConfig(ModelSACConfig):
    """Settings of curiosity, in addition to those of SAC and of the model."""

    bonus: Annotated[NonNegative, Doc("eta, reward of a disagreement of the usual size")] = 0.1


class Curiosity(ModelSAC):
    """SAC that is also paid for what its ensemble does not know.

    Attributes:
        usual: Mean disagreement over batches since the start, in which a bonus is measured.
    """

    Config: ClassVar[type] = CuriosityConfig
    state_fields = (*ModelSAC.state_fields, "usual")
    config: CuriosityConfig

    def setup(self) -> None:
        """Build SAC and the model.

        Raises:
            ValueError: if the model has one function only, which cannot disagree.
        """
        super().setup()
        members = self.model.network.members
        if members.num_members == 1 and not members.is_random:
            raise ValueError("one network cannot disagree with itself; take model=ensemble with num_members of 2 or more")
        self.usual = 0.0

    def step(self) -> dict[str, float]:
        """Run one iteration, as SAC does."""
        return super().step() | ({"disagreement": self.usual} if self.num_fits else {})

    def update(self, batch: Batch) -> Any:
        """Take one gradient step with rewards and bonuses."""
        if not self.num_fits or not self.config.bonus:
            return super().update(batch)
        members, size = self.model.network.members, self.model.num_numbers
        count = self.config.num_particles if members.is_random else members.num_members
        obs = torch.from_numpy(batch.obs).expand(count, *batch.obs.shape)
        code = torch.from_numpy(self.model.code(batch.action))
        found = self.model.predict(obs, code, self.model.functions(count, self.imagination))
        spread: np.ndarray = disagreement(found.mean[..., :size]).numpy()
        self.usual += 0.001 * (float(spread.mean()) - self.usual) if self.usual else float(spread.mean())
        bonus = np.float32(self.config.bonus / max(self.usual, 1e-12)) * np.minimum(spread, np.float32(10 * self.usual))
        return super().update(batch._replace(reward=batch.reward + bonus))
