"""Replayed transitions of many tasks, and the networks that read them with a description of the task.

Source: soft actor-critic as in `rl_algos.continuous.sac`, with the description of the task as a further input of policy and critics:
K. Rakelly and others, "Efficient off-policy meta-reinforcement learning via probabilistic context variables", 2019, section 5.
Departures: the temperature is fixed. Critics and their slow copies take the place of a value network.
Letters: M tasks, B rows, I numbers of an observation, D of an action, L of a description, W = 2 I + D + 2 of a transition.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from gymnasium.spaces import Box
from torch import Tensor, nn

from dl_nets.learning.optimisers import Optimiser
from dl_nets.networks.mlp import MLP, MLPConfig
from rl_algos.continuous.sac import policy_loss, squashed
from rl_algos.model_based.perceptrons import Functions, Perceptrons
from rl_algos.parts.returns import td_target
from rl_algos.replay.ring import Ring


class Rows(NamedTuple):
    """Transitions, as views of one array.

    Attributes:
        obs: [..., I].
        action: From -1 to 1 [..., D].
        reward: [..., 1].
        next_obs: [..., I].
        terminated: 1 where the episode ended [..., 1].
    """

    obs: Tensor
    action: Tensor
    reward: Tensor
    next_obs: Tensor
    terminated: Tensor


class TaskReplay(Ring):
    """The newest transitions of each of M tasks, as many of each.

    Args:
        num_tasks: M.
        capacity: Rows of a task.
        num_obs: I.
        num_actions: D.
    """

    def __init__(self, num_tasks: int, capacity: int, num_obs: int, num_actions: int) -> None:
        self.sizes = (num_obs, num_actions, 1, num_obs, 1)
        super().__init__(capacity, sum(self.sizes), num_tasks)

    def sample_of(self, tasks: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
        """Return rows [M', count, W] of tasks [M'], drawn with replacement, each task's from places of its own."""
        drawn: np.ndarray = self.rows[tasks[:, None], rng.integers(len(self), size=(len(tasks), count))]
        return drawn

    def split(self, rows: Tensor) -> Rows:
        """Return the parts of rows [..., W]."""
        return Rows(*rows.split(list(self.sizes), dim=-1))


def plain(network: Perceptrons, inputs: Tensor) -> Tensor:
    """Return a network's outputs [E, B, K] of inputs [B, I], by each of its members."""
    functions = Functions(list(network.weights), list(network.biases), [])
    return network(inputs.expand(network.num_members, *inputs.shape), functions)


def perceptron(num_inputs: int, hidden: Sequence[int], num_outputs: int, rng: np.random.Generator, gain: float = 1.0) -> nn.Module:
    """Return a perceptron [B, I] to [B, K] with ReLU, which takes the fast path on a CPU; `gain` scales its last layer's first weights."""
    config = MLPConfig(hidden=tuple(hidden), activation="relu", output_gain=gain)
    inputs, outputs = (Box(-np.inf, np.inf, (size,), np.float32) for size in (num_inputs, num_outputs))
    return MLP(config).build(inputs, outputs, rng)


class TaskSAC(nn.Module):
    """Policy and two critics that read an observation and a description of the task.

    Args:
        num_obs: I.
        num_actions: D.
        num_latents: L.
        hidden: Units of the hidden layers.
        rng: Stream of the first weights.
    """

    def __init__(self, num_obs: int, num_actions: int, num_latents: int, hidden: Sequence[int], rng: np.random.Generator) -> None:
        super().__init__()
        self.actor = perceptron(num_obs + num_latents, hidden, 2 * num_actions, rng, gain=0.1)
        self.critics = nn.ModuleList(perceptron(num_obs + num_actions + num_latents, hidden, 1, rng) for _ in range(2))
        self.slow = copy.deepcopy(self.critics).requires_grad_(False)
        self._of_critics, self._of_slow = list(self.critics.parameters()), list(self.slow.parameters())

    def head(self, obs: Tensor, latent: Tensor) -> Tensor:
        """Return means and ln sigma [B, 2 D] of the policy."""
        heads: Tensor = self.actor(torch.cat((obs, latent), dim=-1))
        return heads

    def values(self, critics: nn.ModuleList, obs: Tensor, action: Tensor, latent: Tensor) -> Tensor:
        """Return Q(s, a) [2, B] of both critics."""
        inputs = torch.cat((obs, action, latent), dim=-1)
        return torch.stack([critic(inputs)[:, 0] for critic in critics])

    def critic_loss(self, rows: Rows, latent: Tensor, noise: Tensor, discount: float, temperature: float) -> Tensor:
        """Return the mean squared error of both critics, a scalar; the gradient reaches `latent`, but not through the targets.

        Args:
            rows: Transitions [B, ...].
            latent: Description of the task of each [B, L].
            noise: Standard normal numbers for the next actions [B, D].
            discount: gamma.
            temperature: alpha, reward of a nat of entropy.
        """
        with torch.no_grad():
            fixed = latent.detach()
            action, log_prob = squashed(self.head(rows.next_obs, fixed), noise)
            value = self.values(self.slow, rows.next_obs, action, fixed).min(dim=0).values
            target = td_target(rows.reward[:, 0], discount * (1.0 - rows.terminated[:, 0]), value - temperature * log_prob)
        return ((self.values(self.critics, rows.obs, rows.action, latent) - target) ** 2).mean()

    def actor_loss(self, obs: Tensor, latent: Tensor, noise: Tensor, temperature: float) -> Tensor:
        """Return the loss of the policy, a scalar, from observations [B, I], descriptions [B, L] and noise [B, D]."""
        action, log_prob = squashed(self.head(obs, latent), noise)
        for parameter in self._of_critics:  # the gradient passes through them, which is half of the work of one of their own
            parameter.requires_grad_(False)
        value = self.values(self.critics, obs, action, latent).min(dim=0).values
        for parameter in self._of_critics:
            parameter.requires_grad_(True)
        return policy_loss(log_prob, value, temperature)

    @torch.no_grad()
    def follow(self, rate: float) -> None:
        """Move the slow critics by a share towards the critics."""
        for slow, fast in zip(self._of_slow, self._of_critics, strict=True):
            slow.lerp_(fast, rate)

    def optimisers(self, learning_rate: float, *others: nn.Module) -> tuple[Optimiser, Optimiser]:
        """Return optimisers of the policy, and of the critics together with further modules."""
        parameters = [parameter for module in (self.critics, *others) for parameter in module.parameters()]
        return (
            Optimiser("adam", list(self.actor.parameters()), learning_rate=learning_rate),
            Optimiser("adam", parameters, learning_rate=learning_rate),
        )
