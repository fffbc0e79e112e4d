"""SAC, soft actor-critic: the policy maximises reward plus entropy.

Source: T. Haarnoja, A. Zhou, K. Hartikainen, G. Tucker, S. Ha, J. Tan, V. Kumar, H. Zhu, A. Gupta, P. Abbeel, S. Levine. "Soft
actor-critic algorithms and applications", 2018, sections 4 to 6, Algorithm 1 and appendix C; the smaller of two critics from
S. Fujimoto and others, 2018 (see `td3`).
Departures: the temperature is learned as its logarithm, which keeps it positive; (5) is taken without its factor 1/2, which Adam
does not see; ln sigma is held in [-20, 2]; episodes that a time limit cuts are bootstrapped.
Errata: none known.
Letters: B batch, N environments, I numbers of an observation, D dimensions of an action.
"""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn.functional import softplus

from dl_nets.learning.optimisers import Optimiser
from rl_algos.continuous.agent import ContinuousAgent, ContinuousConfig
from rl_algos.parts.distributions import HALF_LOG_TWO_PI
from rl_algos.replay.buffer import Batch
from rl_core.config import Doc, Positive, configclass

LOG_STD_BOUNDS = (-20.0, 2.0)  # of ln sigma, before tanh: beyond, the policy's density overflows, or all actions are at the bounds


@configclass
class SACConfig(ContinuousConfig):
    """Settings of SAC; the defaults are the paper's, appendix D."""

    learning_rate: Annotated[Positive, Doc("alpha of Adam, for policy, critics and temperature")] = 3e-4
    temperature: Annotated[Positive, Doc("reward that a nat of entropy is worth: at first, or throughout")] = 1.0
    tune_temperature: Annotated[bool, Doc("whether the temperature is learned, so that the entropy approaches its target")] = True
    target_entropy: Annotated[float | None, Doc("in nats, of actions from -1 to 1; none for -D")] = None


class Losses(NamedTuple):
    """Numbers of one update, from before it."""

    critic_loss: float
    value: float
    policy_loss: float
    entropy: float
    temperature: float


def squashed(head: torch.Tensor, noise: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return actions [B, D] in (-1, 1) and their log-probabilities [B]: a = tanh(u), u = mean + sigma * noise. (Appendix C)

    ln pi(a|s) = ln N(u; mean, sigma) - sum of ln(1 - tanh^2 u), the second being the logarithm of the slope of tanh; it is computed as
    2 (ln 2 - u - softplus(-2 u)), which stays finite where tanh is 1.

    Args:
        head: mean and ln sigma, one behind the other [B, 2 D].
        noise: Standard normal numbers [B, D].

    >>> action, log_prob = squashed(torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0]]))
    >>> action.item(), log_prob.exp()  # at 0 the slope of tanh is 1: the normal density 1 / sqrt(2 pi)
    (0.0, tensor([0.3989]))
    """
    mean, log_std = head.chunk(2, dim=1)
    log_std = log_std.clamp(*LOG_STD_BOUNDS)
    before = mean + log_std.exp() * noise
    log_slope = 2 * (math.log(2) - before - softplus(-2 * before))  # ln (1 - tanh^2 u)
    log_prob = (-0.5 * noise**2 - log_std - HALF_LOG_TWO_PI - log_slope).sum(dim=1)
    return before.tanh(), log_prob


def fast_squashed(head: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what `squashed` does, for arrays, and sigma * noise [B, D], which is the derivative of u with respect to ln sigma.

    >>> action, log_prob, spread = fast_squashed(np.zeros((1, 2), np.float32), np.ones((1, 1), np.float32))
    >>> round(action.item(), 4), spread.item()
    (0.7616, 1.0)
    """
    size = noise.shape[1]
    log_std = head[:, size:].clip(*LOG_STD_BOUNDS)
    spread = np.exp(log_std) * noise
    before = head[:, :size] + spread
    far = np.abs(before)
    log_slope = 2 * (np.float32(math.log(2)) - far - np.log1p(np.exp(-2 * far)))  # the same for u and -u
    log_prob = (np.float32(-0.5) * noise * noise - log_std - np.float32(HALF_LOG_TWO_PI) - log_slope).sum(axis=1)
    return np.tanh(before), log_prob, spread


def soft_target(
    reward: np.ndarray, discount: np.ndarray, next_value: np.ndarray, next_log_prob: np.ndarray, temperature: float
) -> np.ndarray:
    """Return what Q(s, a) should be [B], r + gamma (Q'(s', a') - alpha ln pi(a'|s')). ((2) and (3))

    Args:
        reward: r [B].
        discount: gamma, or 0 where the episode terminated [B].
        next_value: The smaller Q'(s', a') of two critics [B].
        next_log_prob: ln pi(a'|s') [B].
        temperature: alpha.

    >>> one = np.ones(1)
    >>> soft_target(one, 0.5 * one, 4 * one, -2 * one, 0.5)  # 1 + 0.5 (4 + 1)
    array([3.5])
    """
    return reward + discount * (next_value - temperature * next_log_prob)


def policy_loss(log_prob: torch.Tensor, value: torch.Tensor, temperature: torch.Tensor | float) -> torch.Tensor:
    """Return J_pi (9), a scalar: the mean of alpha ln pi(a|s) - Q(s, a).

    >>> policy_loss(torch.tensor([-1.0, -3.0]), torch.tensor([2.0, 0.0]), 0.5)  # (-0.5 - 2 - 1.5 - 0) / 2
    tensor(-2.)
    """
    return (temperature * log_prob - value).mean()


def temperature_loss(log_temperature: torch.Tensor, log_prob: torch.Tensor, target_entropy: float) -> torch.Tensor:
    """Return J(alpha) (18), a scalar: the mean of -alpha (ln pi(a|s) + target entropy). Too little entropy makes alpha rise.

    >>> log_temperature = torch.tensor([0.0], requires_grad=True)
    >>> temperature_loss(log_temperature, torch.tensor([3.0]), -1.0).backward()
    >>> log_temperature.grad  # the entropy, -3, is below its target, -1
    tensor([-2.])
    """
    return -(log_temperature.exp() * (log_prob + target_entropy)).mean()


class SAC(ContinuousAgent):
    """An agent with a random policy, two critics, and a temperature that weighs entropy against reward."""

    Config: ClassVar[type] = SACConfig
    learned_fields = (*ContinuousAgent.learned_fields, "log_temperature")
    state_fields = (*ContinuousAgent.state_fields, "log_temperature", "temperature_optimiser")
    outputs_per_dimension = 2
    config: SACConfig

    def setup(self) -> None:
        """Build the networks, the temperature, the replay buffer and the environments."""
        super().setup()
        config = self.config
        self.log_temperature = nn.Parameter(torch.full((1,), math.log(config.temperature), device=self.torch_device))
        self.temperature_optimiser = Optimiser("adam", [self.log_temperature], learning_rate=config.learning_rate)
        self.target_entropy = -float(self.actions.num_dimensions) if config.target_entropy is None else config.target_entropy
        self.action_noise, self.update_noise = self.seeds.numpy("actions"), self.seeds.numpy("updates")

    def learning_rates(self) -> tuple[float, float]:
        """Return the learning rates of the policy and of the critics."""
        return self.config.learning_rate, self.config.learning_rate

    def answer_policy(self, head: np.ndarray) -> np.ndarray:
        """Return the middle of the policy [B, D]: tanh of its means."""
        return np.tanh(head[:, : self.actions.num_dimensions])

    def explore(self) -> np.ndarray:
        """Return actions drawn from the policy [N, D]."""
        mean, log_std = np.split(self.actor_head(self.obs), 2, axis=1)
        noise = self.action_noise.standard_normal(mean.shape, dtype=np.float32)
        return np.tanh(mean + np.exp(np.clip(log_std, *LOG_STD_BOUNDS)) * noise)

    def update(self, batch: Batch) -> Losses:
        """Take one gradient step of critics, policy and temperature, in this order, and move the targets."""
        noise = self.update_noise.standard_normal((2, *batch.action.shape), dtype=np.float32)
        losses = self.fast_update(batch, noise) if self.fast else self.torch_update(batch, noise)
        self.move_targets()
        return losses

    def targets(self, batch: Batch, noise: np.ndarray) -> np.ndarray:
        """Return what Q(s, a) should be [B], with standard normal numbers for the next actions [B, D]."""
        values, log_prob, _ = self.soft_values(batch.next_obs, noise)
        return soft_target(batch.reward, batch.discount, values.min(axis=0), log_prob, math.exp(self.log_temperature.item()))

    def soft_values(self, obs: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return Q'(s, a) of each target critic [2, B], ln pi(a|s) [B] and the policy's action a [B, D] that noise [B, D] chooses."""
        if self.fast:
            action, log_prob, _ = fast_squashed(self.fast.actor.forward(obs), noise)
            pairs = np.concatenate((obs, action), axis=1)
            return np.stack([critic.forward(pairs)[:, 0] for critic in self.fast.target_critics]), log_prob, action
        with torch.no_grad():
            drawn, log_probs = squashed(self.module["actor"](self.tensor(obs)), self.tensor(noise))
            values = self.q(self.target, self.tensor(obs), drawn)
        return values.cpu().numpy(), log_probs.cpu().numpy(), drawn.cpu().numpy()

    def torch_update(self, batch: Batch, noise: np.ndarray) -> Losses:
        """Take the gradient steps by torch.

        Args:
            batch: Transitions.
            noise: Standard normal numbers for the actions at `next_obs` and at `obs` [2, B, D].
        """
        obs, action, new_noise = map(self.tensor, (batch.obs, batch.action, noise[1]))
        temperature = self.log_temperature.detach().exp()
        loss, value = self.critic_step(obs, action, self.tensor(self.targets(batch, noise[0])))

        new_action, log_prob = squashed(self.module["actor"](obs), new_noise)
        loss_of_policy = policy_loss(log_prob, self.q(self.module, obs, new_action).min(dim=0).values, temperature)
        self.actor_optimiser.zero_grad()
        loss_of_policy.backward(inputs=self.actor_optimiser.flat.parameters)  # and no gradient in the critics
        self.actor_optimiser.step()
        if self.config.tune_temperature:
            self.temperature_optimiser.zero_grad()
            temperature_loss(self.log_temperature, log_prob.detach(), self.target_entropy).backward()
            self.temperature_optimiser.step()
        return Losses(loss, value, loss_of_policy.item(), -log_prob.mean().item(), temperature.item())

    def fast_update(self, batch: Batch, noise: np.ndarray) -> Losses:
        """Do what `torch_update` does, with the derivatives written out.

        With a = tanh(u) and u = mean + sigma xi: d ln pi / d u = 2 a and d a / d u = 1 - a^2; ln sigma moves u by sigma xi, and ln pi by
        -1 besides. At a bound ln sigma has no effect.
        """
        assert self.fast
        actor, critics, size = self.fast.actor, self.fast.critics, np.float32(len(batch.reward))
        temperature = math.exp(self.log_temperature.item())
        loss, value = self.fast_critic_step(batch, self.targets(batch, noise[0]))

        head = actor.forward(batch.obs)
        action, log_prob, spread = fast_squashed(head, noise[1])
        pairs = np.concatenate((batch.obs, action), axis=1)
        first, second = (critic.forward(pairs) for critic in critics)
        is_first, smaller = (first <= second)[:, 0], float(np.minimum(first, second).sum()) / float(size)
        by_action = np.empty_like(action)
        for critic, chosen in zip(critics, (is_first, ~is_first), strict=True):  # a row's derivative is its smaller critic's
            critic.narrow(chosen)
            by_pair = critic.backward(np.full((int(chosen.sum()), 1), -1 / size), to_inputs=True, to_parameters=False)
            assert by_pair is not None
            by_action[chosen] = by_pair[:, batch.obs.shape[1] :]
        by_before = np.float32(2 * temperature) / size * action + by_action * (1 - action * action)
        log_std = head[:, action.shape[1] :]
        is_free = (log_std >= LOG_STD_BOUNDS[0]) & (log_std <= LOG_STD_BOUNDS[1])
        actor.backward(np.concatenate((by_before, is_free * (by_before * spread - np.float32(temperature) / size)), axis=1))
        self.actor_optimiser.step_flat()
        entropy = -float(log_prob.sum()) / float(size)
        if self.config.tune_temperature:
            self.temperature_optimiser.flat.gradient.fill_(temperature * (entropy - self.target_entropy))  # of (18) by ln alpha
            self.temperature_optimiser.step_flat()
        return Losses(loss, value, -temperature * entropy - smaller, entropy, temperature)

    def parameters(self) -> dict[str, np.ndarray]:
        """Return every trainable parameter by name."""
        named = super().parameters()
        return named | {"log_temperature": self.log_temperature.detach().cpu().numpy()} if self.config.tune_temperature else named
