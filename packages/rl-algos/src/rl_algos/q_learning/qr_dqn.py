"""QR-DQN: Q-learning of the whole distribution of returns, by its quantiles; an action may then be chosen for its bad cases.

Source: W. Dabney, M. Rowland, M. G. Bellemare, R. Munos, "Distributional reinforcement learning with quantile regression", 2018, (10) and
Algorithm 1; actions by the worst quantiles, W. Dabney, G. Ostrovski, D. Silver, R. Munos, "Implicit quantile networks for distributional
reinforcement learning", 2018, section 3.1.
Departures: those of `dqn`. Letters: B batch, A actions, K quantiles.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
import torch

from dl_nets.fast.kernels import kernel
from rl_algos.parts.risk import Risk
from rl_algos.q_learning.building import Update
from rl_algos.q_learning.dqn import DQN
from rl_algos.q_learning.settings import DQNConfig
from rl_algos.replay.buffer import Batch
from rl_core.config import Doc, Meta, configclass


@configclass
class QRDQNConfig(DQNConfig):
    """QR-DQN settings, in addition to `DQNConfig`."""

    num_quantiles: Annotated[int, Meta(ge=1, le=1000), Doc("K")] = 50
    risk: Annotated[str, Doc("what an action is chosen by: none (the mean), cvar:ALPHA or mean-variance:C of its distribution")] = "none"

    def __post_init__(self) -> None:
        """Refuse an unknown objective, and dueling streams."""
        Risk.read(self.risk)
        if self.dueling:
            raise ValueError("dueling is true; quantiles are learned without dueling streams, so set it to false")


@kernel
def quantile_slopes(quantiles: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return losses [B] and their derivatives with respect to quantiles [B, K]. (10)

    sum_i mean_j |tau_i - 1(u < 0)| L(u), with u = T_j - theta_i, L Huber's loss and tau_i = (i + 1/2) / K.

    Args:
        quantiles: theta [B, K].
        target: T [B, K'].

    One quantile, the median, at 0; targets at 1 and -3: 1/2 (1/2 * 1/2 + 1/2 * 2.5), and -1/2 (1/2 - 1/2).

    >>> losses, slopes = quantile_slopes(np.zeros((1, 1)), np.array([[1.0, -3.0]]))
    >>> losses.tolist(), slopes.tolist()
    ([0.75], [[-0.0]])
    """
    size, count = quantiles.shape
    losses, slopes = np.zeros(size), np.zeros((size, count))
    for b in range(size):
        total = 0.0
        for i in range(count):
            tau, slope = (i + 0.5) / count, 0.0
            for j in range(target.shape[1]):
                error = target[b, j] - quantiles[b, i]
                weight = abs(tau - (1.0 if error < 0 else 0.0))
                clipped = min(max(error, -1.0), 1.0)
                total += weight * clipped * (error - 0.5 * clipped)
                slope += weight * clipped
            slopes[b, i] = -slope / target.shape[1]
        losses[b] = total / target.shape[1]
    return losses, slopes


class QRDQN(DQN):
    """The agent: DQN whose network gives K quantiles of each action's return."""

    Config: ClassVar[type] = QRDQNConfig
    config: QRDQNConfig

    def setup(self) -> None:
        """Build networks with K outputs an action.

        Raises:
            ValueError: if the network is recurrent.
        """
        self.risk = Risk.read(self.config.risk)
        self.outputs_per_action = self.config.num_quantiles
        super().setup()
        if self.nets.state_size:
            raise ValueError("the network is recurrent; quantiles are learned from single transitions, so take network mlp or cnn")
        self.update = self.quantile_update

    def quantiles(self, head: Any) -> Any:
        """Return the quantiles [B, A, K] of a network's outputs [B, A K]."""
        return head.reshape(head.shape[0], -1, self.config.num_quantiles)

    def q(self, head: Any) -> Any:
        """Return what an action is chosen by [B, A], from a network's outputs [B, A K], tensor or array."""
        quantiles = self.quantiles(head)
        match self.risk.kind:
            case "cvar":
                worst = max(1, round(self.risk.level * self.config.num_quantiles))
                ordered = quantiles.sort(dim=2).values if isinstance(head, torch.Tensor) else np.sort(quantiles, axis=2)
                return ordered[:, :, :worst].mean(2)
            case "mean-variance":
                mean = quantiles.mean(2)
                return mean - self.risk.level * ((quantiles - mean[:, :, None]) ** 2).mean(2)
            case _:
                return quantiles.mean(2)

    def quantile_update(self, batch: Batch, weight: np.ndarray) -> Update:
        """Take one gradient step on transitions [B], whose losses are weighted [B]; the derivative is written out in either case."""
        rows, next_obs = np.arange(len(weight)), self.inputs(batch.next_obs)
        target_head = self.heads(self.target, 1, next_obs)
        choice_head = self.heads(self.module, 0, next_obs) if self.config.double else target_head
        following = self.quantiles(target_head)[rows, self.q(choice_head).argmax(axis=1)]
        target = batch.reward[:, None] + batch.discount[:, None] * following

        if self.nets.fast:
            head: Any = self.nets.fast[0].forward(self.inputs(batch.obs))  # the last forward is the one that is differentiated
            output = None
        else:
            output = self.module(self.tensor(self.inputs(batch.obs)))
            head = output.detach().cpu().numpy()
        chosen = self.quantiles(head)[rows, batch.action]
        losses, slopes = quantile_slopes(chosen, target)
        by_head = np.zeros((len(weight), self.num_actions, self.config.num_quantiles), np.float32)
        by_head[rows, batch.action] = weight[:, None] * slopes / len(weight)
        if output is None:
            self.nets.fast[0].backward(by_head.reshape(len(weight), -1))  # type: ignore[index]
            self.optimiser.step_flat(self.config.max_grad_norm)
        else:
            self.optimiser.zero_grad()
            output.backward(self.tensor(by_head.reshape(len(weight), -1)))
            self.optimiser.step(self.config.max_grad_norm)
        td_error = (chosen.mean(axis=1) - target.mean(axis=1)).astype(np.float32)
        return Update(float(weight @ losses) / len(weight), float(chosen.mean()), td_error)

    def heads(self, module: Any, which: int, inputs: np.ndarray) -> np.ndarray:
        """Return a network's outputs [B, A K]: of the learning network, 0, or of the target, 1."""
        if self.nets.fast:
            return self.nets.fast[which].forward(inputs).copy()
        with torch.no_grad():
            outputs: np.ndarray = module(self.tensor(inputs)).cpu().numpy()
            return outputs
