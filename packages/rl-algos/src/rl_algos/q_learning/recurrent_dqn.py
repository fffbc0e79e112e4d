"""DQN with a recurrent network: sequences are unrolled from the state that acted, after some steps that only bring it up to date.

Source: M. Hausknecht, P. Stone, "Deep recurrent Q-learning for partially observable MDPs", 2015, section 4; stored states and burn-in,
S. Kapturowski and others, "Recurrent experience replay in distributed reinforcement learning" (R2D2), 2019, section 3.
Departures: sequences begin at any step and continue over the end of an episode, where the state begins at 0 again; they are drawn
evenly, and overlap; values are not rescaled; one process acts and learns.
Letters: T steps learned from, n steps of reward, W rows unrolled (burn-in, T and n), B sequences, A actions, N environments, M numbers
of a state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from rl_algos.parts.losses import td_loss
from rl_algos.parts.returns import bootstrap_value, td_target
from rl_algos.q_learning.building import Update
from rl_algos.replay.sequence import SequenceBatch, SequenceReplay

if TYPE_CHECKING:
    from rl_algos.q_learning.dqn import DQN


class RecurrentLearner:
    """The values and updates of a DQN whose networks carry a state and learn from sequences.

    Args:
        agent: Its networks map inputs [T, B, ...] and a state to Q [T, B, A], or to V and A [T, B, 1 + A] of a dueling network.
    """

    def __init__(self, agent: DQN) -> None:
        self._agent, self._burn_in = agent, agent.config.burn_in_steps

    def read(self, slots: np.ndarray) -> SequenceBatch:
        """Return the sequences at slots [W, B]."""
        return cast(SequenceReplay, self._agent.replay).read_sequences(slots)

    def update(self, batch: SequenceBatch, weight: np.ndarray) -> Update:
        """Take one gradient step on sequences, which weigh the same; TD errors [T, B] are 0 where no action was taken."""
        agent, burn_in = self._agent, self._burn_in
        inputs, starts, state, action, reward, discount, ahead, counts = map(agent.tensor, batch._replace(obs=agent.inputs(batch.obs)))
        with torch.no_grad():
            states = [self._burnt_in(module, inputs, starts, state) for module in (agent.module, agent.target)]
            q_target = self._rows(agent.target, inputs[burn_in:], starts[burn_in:], states[1])  # [T + n, B, A]
        q = self._rows(agent.module, inputs[burn_in:], starts[burn_in:], states[0])
        with torch.no_grad():
            time, column = torch.arange(len(action), device=ahead.device)[:, None], torch.arange(action.shape[1], device=ahead.device)
            led_to = (time + ahead, column.expand_as(ahead))
            q_choice = q if agent.config.double else q_target
            bootstrap = bootstrap_value(q_target[led_to].flatten(0, 1), q_choice[led_to].flatten(0, 1)).view_as(reward)
        value = q[: len(action)].gather(2, action[..., None]).squeeze(2)
        td_error = (value - td_target(reward, discount, bootstrap)) * counts
        loss = td_loss(td_error, agent.config.loss).sum() / counts.sum().clamp(min=1.0)

        agent.optimiser.zero_grad()
        loss.backward()
        agent.optimiser.step(agent.config.max_grad_norm)
        mean_value = (value * counts).sum() / counts.sum().clamp(min=1.0)
        return Update(loss.item(), mean_value.item(), td_error.detach().cpu().numpy())

    @torch.no_grad()
    def values(self, obs: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return Q [N, A] at observations [N, ...] that follow states [N, M], and the states after them."""
        agent = self._agent
        module: Any = agent.module
        starts = torch.zeros(1, len(obs), dtype=torch.bool, device=agent.nets.device)
        head, after = module(agent.tensor(agent.inputs(obs))[None], agent.tensor(state), starts)
        return agent.q(head[0]).cpu().numpy(), after.cpu().numpy()

    def _burnt_in(self, module: Any, inputs: torch.Tensor, starts: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        """Return the state after the burn-in [B, M], by the module's own parameters, not by those that acted."""
        steps = self._burn_in
        return module(inputs[:steps], state, starts[:steps])[1] if steps else state

    def _rows(self, module: Any, inputs: torch.Tensor, starts: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        """Return Q [T, B, A] of rows [T, B, ...]."""
        head, _ = module(inputs, state, starts)
        return self._agent.q(head.flatten(0, 1)).unflatten(0, head.shape[:2])
