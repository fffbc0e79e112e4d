"""A Q-network with a memory: sequences are replayed from the state that acted, after some steps that only bring it up to date.

Source: M. Hausknecht, P. Stone, "Deep recurrent Q-learning for partially observable MDPs", 2015, section 4; stored states and burn-in,
S. Kapturowski and others, "Recurrent experience replay in distributed reinforcement learning" (R2D2), 2019, section 3.
Departures: sequences begin at any step and go on over the end of an episode, where the state begins anew; they are drawn evenly, and
overlap; values are not rescaled; one process acts and learns.
Letters: T steps learned from, n steps of reward, W rows replayed (burn-in, T and n), B sequences, A actions, N environments, S numbers
of a state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from dl_nets.learning.optimisers import clip_gradient_norm
from dl_nets.networks.recurrent import Recurrent
from rl_algos.compiled.dqn import Update
from rl_algos.q_learning.dqn import QNetwork, bootstrap_value, dueling_values, td_loss
from rl_algos.replay.sequence import Replayed

if TYPE_CHECKING:
    from rl_algos.q_learning.dqn import DQNConfig


class RecurrentQNetwork(QNetwork):
    """The learning network, the target network and their optimiser: both carry a state, and learn from sequences.

    Args:
        module: Inputs [T, B, ...] to Q [T, B, A], or to V and A [T, B, 1 + A] of a dueling network.
        config: Settings.
        device: Where to compute.

    Attributes:
        state_size: S.
    """

    def __init__(self, module: Recurrent, config: DQNConfig, device: torch.device) -> None:
        super().__init__(module, config, device)
        self.state_size = module.state_size

    def update_sequences(self, replayed: Replayed, learning_rate: float) -> Update:
        """One gradient step; TD errors [T, B] of what counts, 0 elsewhere."""
        inputs, starts, state, action, reward, discount, ahead, counts = map(self._tensor, replayed)
        burn_in = self._config.burn_in_steps
        with torch.no_grad():
            memories = [self._burnt_in(module, inputs, starts, state) for module in (self._module, self._target)]
            q_target = self._rows(self._target, inputs[burn_in:], starts[burn_in:], memories[1])  # [T + n, B, A]
        q = self._rows(self._module, inputs[burn_in:], starts[burn_in:], memories[0])
        time, column = torch.arange(len(action))[:, None], torch.arange(action.shape[1])
        with torch.no_grad():
            led_to = (time.to(ahead.device) + ahead, column.to(ahead.device).expand_as(ahead))
            q_choice = q if self._config.double else q_target
            bootstrap = bootstrap_value(q_target[led_to].flatten(0, 1), q_choice[led_to].flatten(0, 1)).view_as(reward)
        value = q[: len(action)].gather(2, action[..., None]).squeeze(2)
        td_error = (value - reward - discount * bootstrap) * counts
        loss = td_loss(td_error, self._config.loss).sum() / counts.sum().clamp(min=1.0)

        self._optimiser.zero_grad()
        loss.backward()
        clip_gradient_norm(self._module.parameters(), self._config.max_grad_norm)
        self._optimiser.learning_rate = learning_rate
        self._optimiser.step()
        mean_value = (value * counts).sum() / counts.sum().clamp(min=1.0)
        return Update(loss.item(), mean_value.item(), td_error.detach().cpu().numpy())

    @torch.no_grad()
    def advance(self, inputs: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Q [N, A] of inputs [N, ...] that follow a state [N, S], and the state after them [N, S]."""
        head, after = self._module.one(self._tensor(inputs), self._tensor(state))
        q = dueling_values(head) if self._config.dueling else head
        return q.cpu().numpy(), after.cpu().numpy()

    def _burnt_in(self, module: Any, inputs: torch.Tensor, starts: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        """What a network remembers after the burn-in [B, S]: by its own parameters, not by those that acted."""
        steps = self._config.burn_in_steps
        return module(inputs[:steps], state, starts[:steps])[1] if steps else state

    def _rows(self, module: Any, inputs: torch.Tensor, starts: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        """Q [T, B, A] of rows [T, B, ...]."""
        head, _ = module(inputs, state, starts)
        return dueling_values(head.flatten(0, 1)).unflatten(0, head.shape[:2]) if self._config.dueling else head
