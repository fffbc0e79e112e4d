"""Bootstrapped DQN: K values, each with a random prior; one of them, drawn for each episode, is followed to its end.

Source: I. Osband, C. Blundell, A. Pritzel, B. Van Roy, "Deep exploration via bootstrapped DQN", 2016, Algorithm 1; I. Osband, J. Aslanides,
A. Cassirer, "Randomized prior functions for deep reinforcement learning", 2018, (7).
Departures: K heads on one network and one prior network; every head learns from every transition, as in the paper's experiments, so that
the heads differ by their initial weights and priors alone.
Letters: B batch, N environments, K heads, A actions.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from rl_algos.parts.exploration import FORBIDDEN
from rl_algos.parts.losses import td_loss
from rl_algos.q_learning.building import Update
from rl_algos.q_learning.dqn import DQN
from rl_algos.q_learning.settings import DQNConfig
from rl_algos.replay.buffer import Batch, MaskedBatch
from rl_core.config import Doc, Meta, NonNegative, configclass


@configclass
class BootstrappedDQNConfig(DQNConfig):
    """Settings of the heads, in addition to those of DQN."""

    num_heads: Annotated[int, Meta(ge=1, le=1_000), Doc("K, values that are learned")] = 10
    prior_scale: Annotated[NonNegative, Doc("beta, weight of the random prior")] = 3.0


class WithPrior(nn.Module):
    """A network plus a fixed one, which is not among its parameters: it is the same whenever the agent is built.

    Args:
        learned: The network that learns.
        prior: The other one.
        scale: Weight of the prior.
    """

    def __init__(self, learned: nn.Module, prior: nn.Module, scale: float) -> None:
        super().__init__()
        self.learned = learned
        self._prior, self._scale = [prior.requires_grad_(False)], scale

    def forward(self, inputs: Tensor) -> Tensor:
        """Return outputs [B, K A]."""
        outputs: Tensor = self.learned(inputs)
        if not self._scale:
            return outputs
        prior: Tensor = self._prior[0].to(outputs.device)(inputs)
        return outputs + self._scale * prior.detach()


class Heads:
    """A network with K times the outputs, and a prior.

    Args:
        network: The network.
        count: K.
        scale: Weight of the prior.
    """

    stateful = False

    def __init__(self, network: Any, count: int, scale: float) -> None:
        self._network, self._count, self._scale = network, count, scale

    def build(self, input_space: Any, output_space: Any, rng: np.random.Generator) -> nn.Module:
        """Build the network and its prior."""
        size = self._count * int(output_space.shape[0])
        heads = spaces.Box(-np.inf, np.inf, (size,), np.float32)
        return WithPrior(self._network.build(input_space, heads, rng), self._network.build(input_space, heads, rng), self._scale)


class BootstrappedDQN(DQN):
    """DQN with K heads; its answers follow the mean of their values.

    Attributes:
        head: Head that each environment follows [N].
    """

    Config: ClassVar[type] = BootstrappedDQNConfig
    state_fields = (*DQN.state_fields, "head")
    config: BootstrappedDQNConfig

    def setup(self) -> None:
        """Build DQN with K heads.

        Raises:
            ValueError: if the network is recurrent, or the heads should also duel.
        """
        config = self.config
        if self.network.stateful or config.dueling:
            raise ValueError("bootstrapped heads take a network without a memory, mlp or cnn, and dueling=false")
        super().setup()
        self.choices = self.seeds.numpy("heads")
        self.head = self.choices.integers(0, config.num_heads, config.num_envs)

    def architecture(self) -> Heads:
        """Return what builds the network with K heads."""
        return Heads(self.network, self.config.num_heads, self.config.prior_scale)

    def act(self) -> None:
        """Take one step in every environment by its head; one whose episode is over gets another head."""
        self.values = self.values_of_heads
        super().act()
        self.values = self.plain_values
        drawn = self.choices.integers(0, self.config.num_heads, len(self.head))
        self.head = np.where(self.starts, drawn, self.head)

    def values_of_heads(self, obs: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the values [N, A] that each environment's head gives, and the states as they are."""
        with torch.no_grad():
            every = self.module(self.tensor(self.inputs(obs))).reshape(len(obs), self.config.num_heads, self.num_actions)
        return every.cpu().numpy()[np.arange(len(obs)), self.head], state

    def q(self, head: Any) -> Any:
        """Return the mean of the heads' values [B, A] from a network's outputs [B, K A]."""
        return head.reshape(head.shape[0], -1, self.num_actions).mean(1)

    def torch_update(self, batch: Batch | MaskedBatch, weight: np.ndarray) -> Update:
        """Take one gradient step of every head towards the target of its own head."""
        shape = (len(weight), self.config.num_heads, self.num_actions)
        obs, next_obs = self.tensor(self.inputs(batch.obs)), self.tensor(self.inputs(batch.next_obs))
        action, reward, discount, weights = map(self.tensor, (batch.action, batch.reward, batch.discount, weight))
        with torch.no_grad():
            q_target = self.target(next_obs).reshape(shape)
            q_choice = self.module(next_obs).reshape(shape) if self.config.double else q_target
            if isinstance(batch, MaskedBatch):
                q_choice = q_choice.masked_fill(~self.tensor(batch.next_legal)[:, None], FORBIDDEN)
            best = q_target.gather(2, q_choice.argmax(dim=2, keepdim=True)).squeeze(2)
            target = reward[:, None] + discount[:, None] * best
        rows = action[:, None, None].expand(-1, shape[1], 1)
        value = self.module(obs).reshape(shape).gather(2, rows).squeeze(2)
        td_error = value - target
        loss = (weights[:, None] * td_loss(td_error, self.config.loss)).mean(dim=0).sum()
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step(self.config.max_grad_norm)
        return Update(loss.item() / shape[1], value.mean().item(), td_error.detach().mean(dim=1).cpu().numpy())
