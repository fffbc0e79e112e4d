"""The compiled twin of DDPG's actor and critics: plain perceptrons on one flat vector, gradients written out by hand.

`ddpg.ActorCritic` is what to read; this file computes the same numbers faster, and `test_ddpg` holds every update to the
other's. Nearly all of its time is matrix products (at 256 x 256 and a batch of 256, 34 MFLOP each), so it takes none that it need
not: the policy's step asks the critic for the slope of actions alone, not for gradients of weights.
Source: the derivatives of the losses in `ddpg`. Departures: none.
Letters: B batch, I numbers of an observation, D dimensions of an action.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from dl_nets.fast.kernels import announced, vectorised
from dl_nets.fast.mlp import FlatAdam
from rl_algos.parts.perceptrons import Perceptrons
from rl_algos.parts.targets import follow
from rl_algos.replay.buffer import Batch

if TYPE_CHECKING:
    from rl_algos.continuous.ddpg import DDPGConfig


class CompiledActorCritic:
    """Does what `ddpg.ActorCritic` does, for perceptrons of tanh or ReLU, on the CPU.

    Args:
        actor: `Layout.of` must know it.
        critics: And these, one or two.
        config: Settings.
    """

    def __init__(self, actor: nn.Module, critics: list[nn.Module], config: DDPGConfig) -> None:
        self._config, self._nets = config, Perceptrons([actor, *critics])
        self._target = self._nets.parameters.copy()
        self._target_actor, *self._target_critics = self._nets.twin(self._target)
        size = self._nets.actor_size
        self._actor_adam = FlatAdam(self._nets.parameters[:size], self._nets.gradient[:size])
        self._critic_adam = FlatAdam(self._nets.parameters[size:], self._nets.gradient[size:])
        self._num_updates = 0
        with announced("DDPG's update"):
            self._rehearse()

    def update(self, batch: Batch, noise: np.ndarray) -> np.ndarray:
        """One gradient step of the critics and, when it is due, one of the policy; the `ddpg.LOSSES` before them [3].

        Args:
            batch: Transitions.
            noise: Standard normal numbers for the target's action [B, D].
        """
        config, critics, losses = self._config, self._nets.critics, np.array([0.0, 0.0, np.nan])
        next_action = smoothed(self._target_actor.forward(batch.next_obs), noise, config.target_noise, config.target_noise_clip)
        next_pairs = np.concatenate((batch.next_obs, next_action), axis=1)
        next_values = [critic.forward(next_pairs)[:, 0] for critic in self._target_critics]
        target = td_target(batch.reward, batch.discount, next_values[0], next_values[-1])
        pairs = np.concatenate((batch.obs, batch.action), axis=1)
        for critic in reversed(critics):  # the first one's value is what is reported
            critic.backward(critic_error(critic.forward(pairs)[:, 0], target, losses))
        self._critic_adam.step(config.critic_learning_rate)

        self._num_updates += 1
        if self._num_updates % config.policy_delay == 0:
            losses[2] = self._improve(batch.obs)
            follow(self._target, self._nets.parameters, config.target_rate)
        return losses

    def _improve(self, obs: np.ndarray) -> float:
        """One step of the policy up the first critic's slope; -Q before it."""
        action = np.tanh(self._nets.actor.forward(obs))
        critic = self._nets.critics[0]
        value = critic.forward(np.concatenate((obs, action), axis=1))
        slope = critic.backward(np.full_like(value, -1.0 / len(value)), to_inputs=True, to_parameters=False)
        assert slope is not None
        self._nets.actor.backward(slope[:, obs.shape[1] :] * (1.0 - action * action))
        self._actor_adam.step(self._config.actor_learning_rate)
        return -float(value.mean())

    def act(self, inputs: np.ndarray) -> np.ndarray:
        """The policy's actions [B, D], in [-1, 1], at inputs [B, I]."""
        return np.tanh(self._nets.actor.forward(inputs))

    def value(self, inputs: np.ndarray, action: np.ndarray) -> np.ndarray:
        """Q(s, a) of each critic [1 or 2, B] for inputs [B, I] and actions [B, D]."""
        pairs = np.concatenate((inputs, action), axis=1)
        return np.stack([critic.forward(pairs)[:, 0] for critic in self._nets.critics])

    def parameters(self) -> dict[str, np.ndarray]:
        """Every trainable number, by name."""
        return self._nets.named_parameters()

    def state_dict(self) -> dict[str, Any]:
        """Networks, targets, both optimisers and the number of updates."""
        return {
            "parameters": self._nets.parameters.copy(),
            "target": self._target.copy(),
            "actor_adam": self._actor_adam.state_dict(),
            "critic_adam": self._critic_adam.state_dict(),
            "num_updates": self._num_updates,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        self._nets.parameters[:] = state["parameters"]
        self._target[:] = state["target"]
        self._actor_adam.load_state_dict(state["actor_adam"])
        self._critic_adam.load_state_dict(state["critic_adam"])
        self._num_updates = int(state["num_updates"])

    def _rehearse(self) -> None:
        """Update once and take it back, so that everything is compiled."""
        before = self.state_dict()
        self._num_updates = self._config.policy_delay - 1
        obs, number = np.zeros((2, self._nets.actor.layout.sizes[0]), np.float32), np.zeros(2, np.float32)
        action = np.zeros((2, self._nets.actor.layout.sizes[-1]), np.float32)
        self.update(Batch(obs, action, number, number, obs), action)
        self.load_state_dict(before)


@vectorised
def smoothed(head: np.ndarray, noise: np.ndarray, std: float, clip: float) -> np.ndarray:
    """The target's action [B, D], from its head [B, D]: tanh, and clipped noise, within [-1, 1].

    >>> one = np.ones((1, 1), dtype=np.float32)
    >>> print(smoothed(0 * one, one, 0.2, 0.5), smoothed(0 * one, -9 * one, 0.2, 0.5), smoothed(9 * one, one, 0.2, 0.5))
    [[0.2]] [[-0.5]] [[1.]]
    """
    action = np.empty_like(head)
    for b in range(head.shape[0]):
        for d in range(head.shape[1]):
            blur = min(max(std * noise[b, d], -clip), clip)
            action[b, d] = min(max(np.tanh(head[b, d]) + blur, -1.0), 1.0)
    return action


@vectorised
def td_target(reward: np.ndarray, discount: np.ndarray, next_value: np.ndarray, other_value: np.ndarray) -> np.ndarray:
    """What Q(s, a) should be [B]: r + discount min(Q'_1, Q'_2); with one critic both are the same.

    >>> one = np.ones(1, dtype=np.float32)
    >>> td_target(one, 0.5 * one, 4 * one, 3 * one).tolist()
    [2.5]
    """
    target = np.empty_like(reward)
    for b in range(len(reward)):
        target[b] = reward[b] + discount[b] * min(next_value[b], other_value[b])
    return target


@vectorised
def critic_error(value: np.ndarray, target: np.ndarray, losses: np.ndarray) -> np.ndarray:
    """d L / d Q(s, a) [B, 1] = 2 (Q - y) / B; adds L to the first of `losses`, and writes the mean of Q into the second.

    >>> one, losses = np.ones(1, dtype=np.float32), np.zeros(3)
    >>> critic_error(one, 4 * one, losses).tolist(), losses.tolist()
    ([[-6.0]], [9.0, 1.0, 0.0])
    """
    size = len(value)
    error = np.empty((size, 1), dtype=np.float32)
    loss, total = 0.0, 0.0
    for b in range(size):
        miss = value[b] - target[b]
        loss += miss * miss
        total += value[b]
    for b in range(size):
        error[b, 0] = np.float32(2.0 / size) * (value[b] - target[b])
    losses[0] += loss / size
    losses[1] = total / size
    return error
