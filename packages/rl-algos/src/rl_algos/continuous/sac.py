"""SAC, soft actor-critic: a policy is paid for what it earns and for how many ways it keeps open.

Source: T. Haarnoja, A. Zhou, K. Hartikainen, G. Tucker, S. Ha, J. Tan, V. Kumar, H. Zhu, A. Gupta, P. Abbeel, S. Levine. "Soft
actor-critic algorithms and applications", 2018, sections 4 to 6, Algorithm 1 and appendix C; the smaller of two critics from
S. Fujimoto and others, 2018 (see `ddpg`).
Departures: the temperature is learned as its logarithm, which keeps it positive; (5) is taken without its factor 1/2, which Adam
does not see; ln sigma is held in [-20, 2]; episodes that a time limit cuts are bootstrapped.
Errata: none known.
Letters: B batch, N environments, I numbers of an observation, D dimensions of an action.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from gymnasium import spaces
from torch import nn
from torch.nn.functional import softplus

from dl_nets.fast.mlp import Layout, one_thread
from dl_nets.learning.devices import resolve_device
from dl_nets.learning.optimisers import Optimiser
from dl_nets.learning.streams import load_module_state, module_state
from rl_algos.compiled.sac import LOG_STD_BOUNDS, CompiledActorCritic
from rl_algos.continuous.bounded_actions import BoundedActions, pair_space
from rl_algos.continuous.ddpg import critic_loss
from rl_algos.continuous.experience import INFINITY, Experience, ExperienceConfig, single
from rl_algos.parts.distributions import HALF_LOG_TWO_PI
from rl_algos.parts.ranges import require_range
from rl_algos.parts.targets import follow_module
from rl_algos.replay.buffer import Batch
from rl_core.agent import Agent
from rl_core.config import Doc, Positive, configclass
from rl_core.network import Network
from rl_core.seeds import Seeds
from rl_core.task import ControlTask


@configclass
class SACConfig(ExperienceConfig):
    """Settings of SAC; the defaults are the paper's, appendix D."""

    learning_rate: Annotated[Positive, Doc("alpha of Adam, for policy, critics and temperature")] = 3e-4
    temperature: Annotated[float, Doc("what a nat of entropy is worth in reward: at first, or throughout; > 0")] = 1.0
    tune_temperature: Annotated[bool, Doc("whether the temperature is learned, so that the entropy comes to its target")] = True
    target_entropy: Annotated[float | None, Doc("in nats, of actions from -1 to 1; none for -D")] = None

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        for name in ("learning_rate", "temperature"):
            require_range(self, name, 0.0, INFINITY, open_low=True)


LOSSES = ("critic_loss", "value", "policy_loss", "entropy", "temperature")
"""What an update returns, in this order."""


def squashed(head: torch.Tensor, noise: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Actions [B, D] in (-1, 1) and their log-probabilities [B]: a = tanh(u), u = mean + sigma * noise. (Appendix C)

    ln pi(a|s) = ln N(u; mean, sigma) - sum of ln(1 - tanh^2 u), the second being the logarithm of how much tanh shrinks; it is
    computed as 2 (ln 2 - u - softplus(-2 u)), which stays finite where tanh is 1.

    Args:
        head: mean and ln sigma, one behind the other [B, 2 D].
        noise: Standard normal numbers [B, D].

    >>> action, log_prob = squashed(torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0]]))
    >>> action.item(), log_prob.exp()  # in the middle tanh shrinks nothing: the normal density 1 / sqrt(2 pi)
    (0.0, tensor([0.3989]))
    """
    mean, log_std = head.chunk(2, dim=1)
    log_std = log_std.clamp(*LOG_STD_BOUNDS)
    before = mean + log_std.exp() * noise
    log_slope = 2 * (math.log(2) - before - softplus(-2 * before))  # ln (1 - tanh^2 u)
    log_prob = (-0.5 * noise**2 - log_std - HALF_LOG_TWO_PI - log_slope).sum(dim=1)
    return before.tanh(), log_prob


def soft_target(
    reward: torch.Tensor, discount: torch.Tensor, next_value: torch.Tensor, next_log_prob: torch.Tensor, temperature: torch.Tensor | float
) -> torch.Tensor:
    """What Q(s, a) should be [B]: r + gamma (Q'(s', a') - temperature ln pi(a'|s')). (2), (3)

    Args:
        reward: r [B].
        discount: gamma, or 0 where the episode terminated [B].
        next_value: The smaller Q' of where the action led [B].
        next_log_prob: ln pi(a'|s') [B].
        temperature: alpha.

    >>> one = torch.ones(1)
    >>> soft_target(one, 0.5 * one, 4 * one, -2 * one, 0.5)  # 1 + 0.5 (4 + 1)
    tensor([3.5000])
    """
    return reward + discount * (next_value - temperature * next_log_prob)


def policy_loss(log_prob: torch.Tensor, value: torch.Tensor, temperature: torch.Tensor | float) -> torch.Tensor:
    """J_pi (9), a scalar: the mean of temperature ln pi(a|s) - Q(s, a).

    >>> policy_loss(torch.tensor([-1.0, -3.0]), torch.tensor([2.0, 0.0]), 0.5)  # (-0.5 - 2 - 1.5 - 0) / 2
    tensor(-2.)
    """
    return (temperature * log_prob - value).mean()


def temperature_loss(log_temperature: torch.Tensor, log_prob: torch.Tensor, target_entropy: float) -> torch.Tensor:
    """J(alpha) (18), a scalar: the mean of -alpha (ln pi(a|s) + target entropy). Too little entropy makes the temperature rise.

    >>> log_temperature = torch.tensor([0.0], requires_grad=True)
    >>> temperature_loss(log_temperature, torch.tensor([3.0]), -1.0).backward()
    >>> log_temperature.grad  # the entropy, -3, is below its target, -1
    tensor([-2.])
    """
    return -(log_temperature.exp() * (log_prob + target_entropy)).mean()


class ActorCritic:
    """The policy, two critics, their targets and the temperature, in torch. The compiled twin is in `compiled.sac`.

    Args:
        actor: Observations [B, I] to means and ln sigmas [B, 2 D].
        critics: Two, each from observations with actions behind them [B, I + D] to values [B, 1].
        config: Settings.
        target_entropy: In nats.
        device: Where to compute.
    """

    def __init__(self, actor: nn.Module, critics: list[nn.Module], config: SACConfig, target_entropy: float, device: torch.device) -> None:
        self._config, self._target_entropy, self._device = config, target_entropy, device
        # Dropout and batch statistics would make the policy that is improved another one than acts: evaluation mode throughout.
        self._actor, self._critics = actor, nn.ModuleList(critics)
        self._module = nn.ModuleDict({"actor": actor, "critics": self._critics}).to(device).eval()
        self._target = copy.deepcopy(self._critics).requires_grad_(False)
        self._log_temperature = nn.Parameter(torch.full((1,), math.log(config.temperature), device=device))
        if config.tune_temperature:
            self._module.register_parameter("log_temperature", self._log_temperature)
        self._parts = {
            "critics": list(self._critics.parameters()),
            "actor": list(actor.parameters()),
            "temperature": [self._log_temperature],
        }
        self._optimisers = {
            name: Optimiser("adam", parameters, learning_rate=config.learning_rate) for name, parameters in self._parts.items()
        }

    def update(self, batch: Batch, noise: np.ndarray) -> np.ndarray:
        """One gradient step of critics, policy and temperature, in this order; the `LOSSES` before each [5].

        Args:
            batch: Transitions.
            noise: Standard normal numbers for the actions at `next_obs` and at `obs` [2, B, D].
        """
        config = self._config
        obs, action, reward, discount, next_obs, next_noise, new_noise = (self._tensor(column) for column in (*batch, *noise))
        temperature = self._log_temperature.detach().exp()
        with torch.no_grad():
            next_action, next_log_prob = squashed(self._actor(next_obs), next_noise)
            next_value = _values(self._target, next_obs, next_action).min(dim=0).values
            target = soft_target(reward, discount, next_value, next_log_prob, temperature)
        values = _values(self._critics, obs, action)
        loss_of_critics = torch.stack([critic_loss(value, target) for value in values]).sum()
        self._descend("critics", loss_of_critics)

        new_action, log_prob = squashed(self._actor(obs), new_noise)
        loss_of_policy = policy_loss(log_prob, _values(self._critics, obs, new_action).min(dim=0).values, temperature)
        self._descend("actor", loss_of_policy)
        if config.tune_temperature:
            self._descend("temperature", temperature_loss(self._log_temperature, log_prob.detach(), self._target_entropy))
        follow_module(self._target, self._critics, config.target_rate)
        with torch.no_grad():
            return torch.stack([loss_of_critics, values[0].mean(), loss_of_policy, -log_prob.mean(), temperature[0]]).cpu().numpy()

    def _descend(self, part: str, loss: torch.Tensor) -> None:
        """One step of a part's parameters down a loss, which leaves no gradient in any other part."""
        self._optimisers[part].zero_grad()
        loss.backward(inputs=self._parts[part])
        self._optimisers[part].step()

    @torch.no_grad()
    def head(self, inputs: np.ndarray) -> np.ndarray:
        """Means and ln sigmas [B, 2 D] at inputs [B, I]."""
        return self._actor(self._tensor(inputs)).cpu().numpy()

    @torch.no_grad()
    def value(self, inputs: np.ndarray, action: np.ndarray) -> np.ndarray:
        """Q(s, a) of each critic [2, B] for inputs [B, I] and actions [B, D]."""
        return _values(self._critics, self._tensor(inputs), self._tensor(action)).cpu().numpy()

    def parameters(self) -> dict[str, np.ndarray]:
        """Every trainable number, by name."""
        return {name: value.detach().cpu().numpy() for name, value in self._module.named_parameters()}

    def state_dict(self) -> dict[str, Any]:
        """Networks, targets, temperature and all optimisers."""
        return {
            "module": module_state(self._module),
            "target": module_state(self._target),
            "optimisers": {name: optimiser.state_dict() for name, optimiser in self._optimisers.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        load_module_state(self._module, state["module"])
        load_module_state(self._target, state["target"])
        for name, optimiser in self._optimisers.items():
            optimiser.load_state_dict(state["optimisers"][name])

    def _tensor(self, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array).to(self._device)


def _values(critics: nn.ModuleList, obs: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
    """Q(s, a) of each critic [2, B]."""
    pair = torch.cat([obs, action], dim=1)
    return torch.stack([critic(pair).squeeze(1) for critic in critics])


class SAC(Agent):
    """The agent: acts by its random policy, remembers, and learns from what it remembers."""

    Config: ClassVar[type] = SACConfig
    headline = "episode_return"
    config: SACConfig

    def __init__(self, config: SACConfig, task: ControlTask, network: Network, *, seeds: Seeds, budget: int, device: str = "auto") -> None:
        super().__init__(config, task, network, seeds=seeds, budget=budget, device=device)
        self.actions = BoundedActions(task.output_space)
        self.actor_critic = build_actor_critic(config, task, network, self.actions.num_dimensions, seeds.numpy("initialisation"), device)
        self.experience = Experience(config, task, self.actions, seeds)
        self.noise, self.update_noise = seeds.numpy("actions"), seeds.numpy("updates")

    @one_thread
    def step(self) -> dict[str, float]:
        """One iteration: some steps of the environments, and rounds of updates between them."""
        losses = []
        for _ in range(self.config.iteration_steps):
            self.experience.live(self.explore())
            self.progress += self.config.num_envs
            if self.experience.is_training(self.progress):
                losses += [self.update() for _ in range(self.config.num_updates)]
        metrics = self.experience.episode_metrics()
        if losses:
            metrics |= {name: float(number) for name, number in zip(LOSSES, np.mean(losses, axis=0), strict=True)}
        return metrics

    def explore(self) -> np.ndarray:
        """Actions to learn from [N, D]: anywhere at first, then drawn from the policy."""
        if self.progress < self.config.learning_starts:
            return self.experience.random_action(self.progress)
        mean, log_std = np.split(self.actor_critic.head(self.experience.obs), 2, axis=1)
        return np.tanh(mean + np.exp(np.clip(log_std, *LOG_STD_BOUNDS)) * self.noise.standard_normal(mean.shape, dtype=np.float32))

    def update(self) -> np.ndarray:
        """One update from a batch of what was lived through."""
        shape = (2, self.config.batch_size, self.actions.num_dimensions)
        return self.actor_critic.update(self.experience.batch(), self.update_noise.standard_normal(shape, dtype=np.float32))

    @one_thread
    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """The middle of the policy [B, ...] at observations [B, I]: tanh of its means, without noise."""
        mean = self.actor_critic.head(single(inputs))[:, : self.actions.num_dimensions]
        return self.actions.to_env(np.tanh(mean))

    def parameters(self) -> dict[str, np.ndarray]:
        """Every trainable number, by name."""
        return self.actor_critic.parameters()

    def state_dict(self) -> dict[str, Any]:
        """Networks, targets, temperature, optimisers, the replay buffer and where the environments are."""
        return {"actor_critic": self.actor_critic.state_dict(), "experience": self.experience.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        self.actor_critic.load_state_dict(state["actor_critic"])
        self.experience.load_state_dict(state["experience"])


def build_actor_critic(
    config: SACConfig, task: ControlTask, network: Network, num_dimensions: int, rng: np.random.Generator, device: str
) -> ActorCritic | CompiledActorCritic:
    """Policy and critics of the same network, each with parameters of its own; the policy's last layer is scaled down."""
    pairs, number = pair_space(task.input_space, num_dimensions), spaces.Box(-np.inf, np.inf, (1,), np.float32)
    actor = network.build(task.input_space, spaces.Box(-np.inf, np.inf, (2 * num_dimensions,), np.float32), rng)
    critics = [network.build(pairs, number, rng) for _ in range(2)]
    last = [module for module in actor.modules() if isinstance(module, nn.Linear)][-1]
    last.weight.data.mul_(config.policy_gain)
    target_entropy = -float(num_dimensions) if config.target_entropy is None else config.target_entropy
    if config.compiled and device != "cuda" and all(Layout.of(module) is not None for module in (actor, *critics)):
        return CompiledActorCritic(actor, critics, config, target_entropy)
    return ActorCritic(actor, critics, config, target_entropy, resolve_device(device))
