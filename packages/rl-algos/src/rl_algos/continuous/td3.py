"""TD3, twin delayed DDPG: the smaller of two critics, a policy that is updated less often, and noise on the target's action.

Source: S. Fujimoto, H. van Hoof, D. Meger. "Addressing function approximation error in actor-critic methods", 2018, sections 4 and 5,
Algorithm 1.
Departures: episodes that a time limit cuts are bootstrapped.
Errata: Algorithm 1 clips the noise alone; an action that it pushes out of bounds is clipped to them here, as in the authors' programs.
Letters: B batch, N environments, D dimensions of an action.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
import torch

from rl_algos.continuous.ddpg import Losses, fast_policy_step, policy_step
from rl_algos.continuous.noise import NoiseName, NoisyAgent, NoisyConfig
from rl_algos.parts.returns import smoothed, td_target
from rl_algos.replay.buffer import Batch
from rl_core.config import Count, Doc, NonNegative, Positive, configclass


@configclass
class TD3Config(NoisyConfig):
    """Settings of TD3."""

    actor_learning_rate: Annotated[Positive, Doc("alpha of the policy's Adam")] = 1e-3
    noise: Annotated[NoiseName, Doc("noise that is added to actions while learning")] = "gaussian"
    noise_std: Annotated[NonNegative, Doc("sigma, in units of actions from -1 to 1")] = 0.1
    policy_delay: Annotated[Count, Doc("d, updates of the critics for each of the policy and the targets")] = 2
    target_noise: Annotated[NonNegative, Doc("sigma of the noise on the target's action, in units of actions from -1 to 1")] = 0.2
    target_noise_clip: Annotated[NonNegative, Doc("c, bound of that noise")] = 0.5


class TD3(NoisyAgent):
    """An agent with a deterministic policy and two critics, which explores by noise."""

    Config: ClassVar[type] = TD3Config
    config: TD3Config

    def setup(self) -> None:
        """Build the networks, the noise, the replay buffer and the environments."""
        super().setup()
        self.target_noise = self.seeds.numpy("target noise")

    def update(self, batch: Batch) -> Losses:
        """Take one gradient step of the critics and, when it is due, one of the policy and of the targets."""
        noise = self.target_noise.standard_normal(batch.action.shape, dtype=np.float32)
        self.num_updates += 1
        losses = self.fast_update(batch, noise) if self.fast else self.torch_update(batch, noise)
        if self.num_updates % self.config.policy_delay:
            return losses
        policy_loss = fast_policy_step(self, batch.obs) if self.fast else policy_step(self, self.tensor(batch.obs))
        self.move_targets()
        return losses._replace(policy_loss=policy_loss)

    def torch_update(self, batch: Batch, noise: np.ndarray) -> Losses:
        """Take the critics' gradient step by torch, with standard normal numbers [B, D] for the target's action."""
        config = self.config
        obs, action, reward, discount, next_obs = map(self.tensor, batch)
        with torch.no_grad():
            next_action = smoothed(
                self.target["actor"](next_obs).tanh(), config.target_noise * self.tensor(noise), config.target_noise_clip
            )
            next_value = self.q(self.target, next_obs, next_action).min(dim=0).values  # (10)
            target = td_target(reward, discount, next_value)
        return Losses(*self.critic_step(obs, action, target), None)

    def fast_update(self, batch: Batch, noise: np.ndarray) -> Losses:
        """Do what `torch_update` does, with the derivatives written out."""
        assert self.fast
        config, next_action = self.config, np.tanh(self.fast.target_actor.forward(batch.next_obs))
        next_action = smoothed(next_action, np.float32(config.target_noise) * noise, config.target_noise_clip)
        pairs = np.concatenate((batch.next_obs, next_action), axis=1)
        first, second = (critic.forward(pairs)[:, 0] for critic in self.fast.target_critics)
        return Losses(*self.fast_critic_step(batch, batch.reward + batch.discount * np.minimum(first, second)), None)
