"""DDPG: a critic learns the values of actions, and a deterministic policy follows its gradient.

Source: T. P. Lillicrap, J. J. Hunt, A. Pritzel, N. Heess, T. Erez, Y. Tassa, D. Silver, D. Wierstra. "Continuous control with deep
reinforcement learning", 2016, section 3 and Algorithm 1.
Departures: the action enters the critic in its first layer; batch normalisation and decay of weights are left out; episodes that a
time limit cuts are bootstrapped.
Errata: none known.
Letters: B batch, N environments, I numbers of an observation, D dimensions of an action.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import numpy as np
import torch

from rl_algos.continuous.agent import ContinuousAgent
from rl_algos.continuous.noise import NoisyAgent, NoisyConfig
from rl_algos.parts.returns import td_target
from rl_algos.replay.buffer import Batch
from rl_core.config import configclass


@configclass
class DDPGConfig(NoisyConfig):
    """Settings of DDPG; the noise and the learning rates are its paper's."""


class Losses(NamedTuple):
    """Numbers of one update of DDPG or TD3, from before it; without a step of the policy its loss is `None`."""

    critic_loss: float
    value: float
    policy_loss: float | None


class DDPG(NoisyAgent):
    """An agent with a deterministic policy and one critic, which explores by noise."""

    Config: ClassVar[type] = DDPGConfig
    num_critics = 1
    config: DDPGConfig

    def update(self, batch: Batch) -> Losses:
        """Take one gradient step of the critic and one of the policy, and move the targets."""
        losses = self.fast_update(batch) if self.fast else self.torch_update(batch)
        self.move_targets()
        return losses

    def torch_update(self, batch: Batch) -> Losses:
        """Take the gradient steps by torch."""
        obs, action, reward, discount, next_obs = map(self.tensor, batch)
        with torch.no_grad():
            next_action = self.target["actor"](next_obs).tanh()
            target = td_target(reward, discount, self.q(self.target, next_obs, next_action)[0])
        loss, value = self.critic_step(obs, action, target)
        return Losses(loss, value, policy_step(self, obs))

    def fast_update(self, batch: Batch) -> Losses:
        """Do what `torch_update` does, with the derivatives written out."""
        assert self.fast
        next_action = np.tanh(self.fast.target_actor.forward(batch.next_obs))
        next_value = self.fast.target_critics[0].forward(np.concatenate((batch.next_obs, next_action), axis=1))[:, 0]
        loss, value = self.fast_critic_step(batch, batch.reward + batch.discount * next_value)
        return Losses(loss, value, fast_policy_step(self, batch.obs))


def policy_step(agent: ContinuousAgent, obs: torch.Tensor) -> float:
    """Move a deterministic policy along the gradient of the first critic (6), and return -Q from before."""
    action = agent.module["actor"](obs).tanh()
    loss: torch.Tensor = -agent.module["critics"][0](torch.cat([obs, action], dim=1)).mean()
    agent.actor_optimiser.zero_grad()
    loss.backward(inputs=agent.actor_optimiser.flat.parameters)  # and no gradient in the critic
    agent.actor_optimiser.step()
    return loss.item()


def fast_policy_step(agent: ContinuousAgent, obs: np.ndarray) -> float:
    """Do what `policy_step` does: d -Q / d head = -(d Q / d a) (1 - a^2)."""
    assert agent.fast
    action, critic = np.tanh(agent.fast.actor.forward(obs)), agent.fast.critics[0]
    value = critic.forward(np.concatenate((obs, action), axis=1))
    loss = -float(value.sum()) / len(value)
    by_pair = critic.backward(np.full_like(value, -1.0 / len(value)), to_inputs=True, to_parameters=False)
    assert by_pair is not None
    agent.fast.actor.backward(by_pair[:, obs.shape[1] :] * (1.0 - action * action))
    agent.actor_optimiser.step_flat()
    return loss
