"""Value expansion: the targets of a critic look some steps ahead in a learned model. MVE, and STEVE, which weighs the horizons.

Sources: MVE, V. Feinberg and others, "Model-based value estimation for efficient model-free reinforcement learning", 2018, (2); STEVE,
J. Buckman and others, "Sample-efficient reinforcement learning with stochastic ensemble value expansion", 2018, (4) to (6).
Departures: the base agent is SAC, so values include the policy's entropy; a member of the ensemble predicts changes, rewards and ends; the
mean over critics is SAC's smaller one, so that a horizon of 0 is SAC to the last bit, and the variance is over members and critics.
MVE learns at real states only (without the TD-k trick).
Letters: B batch, H horizon, E members, K critics, S numbers of an observation, D dimensions of an action.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, NamedTuple

import numpy as np
import torch

from rl_algos.model_based.mbpo import ModelSAC, ModelSACConfig
from rl_algos.replay.buffer import Batch
from rl_core.config import Doc, Meta, configclass

LEAST_VARIANCE = 1e-8


@configclass
class STEVEConfig(ModelSACConfig):
    """Settings of value expansion, in addition to those of SAC and of the model."""

    num_particles: Annotated[int, Meta(ge=1, le=1_000), Doc("functions of a dropout or Bayesian model; an ensemble's are its members")] = 5
    rollout_horizon: Annotated[int, Meta(ge=0, le=100), Doc("H, steps that a target looks ahead in the model; 0 is SAC")] = 3
    weighting: Annotated[Literal["inverse-variance", "last"], Doc("weights of the horizons: STEVE's, or all on the last one, MVE's")] = (
        "inverse-variance"
    )


class Expansion(NamedTuple):
    """Targets of horizons 0 to H.

    Attributes:
        mean: [H + 1, B].
        variance: Over members and critics [H + 1, B].
    """

    mean: np.ndarray
    variance: np.ndarray


def horizon_weights(variance: np.ndarray) -> np.ndarray:
    """Return weights [H + 1, B] that are inverse to variances [H + 1, B] and sum to 1. (6)

    >>> horizon_weights(np.array([[1.0], [3.0]])).round(3).ravel().tolist()
    [0.75, 0.25]
    """
    inverse = 1.0 / (variance.astype(np.float64) + LEAST_VARIANCE)
    weights: np.ndarray = inverse / inverse.sum(axis=0)
    return weights


class STEVE(ModelSAC):
    """SAC whose critics learn from targets that look ahead in a learned model.

    Attributes:
        first_weight: Mean weight of the ordinary target in the last batch; 1: the model is not used.
    """

    Config: ClassVar[type] = STEVEConfig
    state_fields = (*ModelSAC.state_fields, "first_weight")
    config: STEVEConfig

    def setup(self) -> None:
        """Build SAC and the model."""
        super().setup()
        self.first_weight = 1.0

    def step(self) -> dict[str, float]:
        """Run one iteration, as SAC does."""
        return super().step() | {"first_weight": self.first_weight}

    def targets(self, batch: Batch, noise: np.ndarray) -> np.ndarray:
        """Return what Q(s, a) should be [B]."""
        if not self.config.rollout_horizon or not self.num_fits:
            return super().targets(batch, noise)
        found = self.expand(batch, noise)
        if self.config.weighting == "last":
            self.first_weight = 0.0
            return found.mean[-1]
        weights = horizon_weights(found.variance)
        self.first_weight = float(weights[0].mean())
        return (weights * found.mean).sum(axis=0).astype(np.float32)

    def expand(self, batch: Batch, noise: np.ndarray) -> Expansion:
        """Return the targets of all horizons; each member goes on from its own predictions.

        T_i = r + sum over j = 1 .. i of g^j D_j (r_j - alpha ln pi_(j-1)) + g^(i+1) D_(i+1) (Q(s_i, a_i) - alpha ln pi_i), where g D_1 is
        the batch's discount and each predicted end sets the later D to 0.
        """
        config, temperature = self.config, np.float32(self.log_temperature.exp().item())
        values, log_prob, action = self.soft_values(batch.next_obs, noise)
        base = super().targets(batch, noise)
        means, variances = [base], [(batch.discount[None] * values).var(axis=0)]
        members = self.model.network.members
        count = config.num_particles if members.is_random else members.num_members
        functions = self.model.functions(count, self.update_noise)
        state = torch.from_numpy(batch.next_obs).expand(count, *batch.next_obs.shape)
        total, weight = np.tile(batch.reward, (count, 1)), np.tile(batch.discount, (count, 1))  # [E, B]
        log_prob, action = np.tile(log_prob, (count, 1)), np.tile(action, (count, 1, 1))
        for _ in range(config.rollout_horizon):
            codes = torch.from_numpy(np.ascontiguousarray(action, dtype=np.float32))  # [E, B, D]
            after, reward, end = self.model.step(state, codes, functions, None)
            paid, ended = self._judged(state, action, after, reward, end)
            total = total + weight * (paid - temperature * log_prob)
            weight = weight * np.where(ended, np.float32(0.0), np.float32(config.discount))
            flat = np.ascontiguousarray(after.numpy().reshape(-1, after.shape[2]))
            drawn = np.tile(self.update_noise.standard_normal(noise.shape, dtype=np.float32), (count, 1))
            values, log_prob, action = self.soft_values(flat, drawn)
            values, log_prob = values.reshape(-1, *total.shape), log_prob.reshape(total.shape)
            action, state = action.reshape(count, len(batch.reward), -1), after
            targets = total + weight * (values - temperature * log_prob)  # [K, E, B]
            means.append((total + weight * (values.min(axis=0) - temperature * log_prob)).mean(axis=0))
            variances.append(targets.reshape(-1, targets.shape[2]).var(axis=0))
        return Expansion(np.stack(means), np.stack(variances))

    def _judged(
        self, state: torch.Tensor, action: np.ndarray, after: torch.Tensor, reward: torch.Tensor, end: torch.Tensor
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return rewards and ends [E, B], predicted or known."""
        if self.model.outcome is None:
            return reward.numpy(), end.numpy()
        rows = len(action) * action.shape[1]
        flat = (state.reshape(1, rows, -1), action.reshape(rows, -1), after.reshape(1, rows, -1))
        paid, ended = self.model.judged(*flat, reward, end)
        return paid.reshape(reward.shape), ended.reshape(reward.shape)
