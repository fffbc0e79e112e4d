"""DDPG and TD3: a critic learns what actions are worth, and a deterministic policy climbs its slope.

Source: T. P. Lillicrap, J. J. Hunt, A. Pritzel, N. Heess, T. Erez, Y. Tassa, D. Silver, D. Wierstra. "Continuous control with deep
reinforcement learning", 2016, section 3 and Algorithm 1 (DDPG); S. Fujimoto, H. van Hoof, D. Meger. "Addressing function
approximation error in actor-critic methods", 2018, sections 4 and 5, Algorithm 1 (TD3). TD3 is DDPG with three settings: the smaller
of two critics is believed (`twin_critics`), the policy and all targets move at every second update alone (`policy_delay`), and the
target's action is blurred (`target_noise`).
Departures: the action enters the critic in its first layer, there is no batch normalisation and no decay of weights (in DDPG's paper
all three are otherwise); episodes that a time limit cuts are bootstrapped.
Errata: Algorithm 1 of TD3 clips the noise alone; an action it pushes out of bounds is cut to them here, as in the authors' programs.
Letters: B batch, N environments, I numbers of an observation, D dimensions of an action.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from torch import nn

from dl_nets.fast.mlp import Layout, one_thread
from dl_nets.learning.devices import resolve_device
from dl_nets.learning.optimisers import Optimiser
from dl_nets.learning.streams import load_module_state, module_state
from rl_algos.compiled.ddpg import CompiledActorCritic
from rl_algos.continuous.bounded_actions import BoundedActions, pair_space
from rl_algos.continuous.experience import INFINITY, Experience, ExperienceConfig, single
from rl_algos.continuous.noise import Noise, NoiseName
from rl_algos.parts.ranges import require_range
from rl_algos.parts.targets import follow_module
from rl_algos.replay.buffer import Batch
from rl_core.agent import Agent
from rl_core.config import Count, Doc, NonNegative, Positive, configclass
from rl_core.network import Network
from rl_core.seeds import Seeds
from rl_core.task import ControlTask


@configclass
class DDPGConfig(ExperienceConfig):
    """Settings of DDPG; the noise and the rates of learning are its paper's."""

    actor_learning_rate: Annotated[Positive, Doc("alpha of the policy's Adam")] = 1e-4
    critic_learning_rate: Annotated[Positive, Doc("alpha of the critics' Adam")] = 1e-3
    noise: Annotated[NoiseName, Doc("what is added to actions while learning")] = "ornstein-uhlenbeck"
    noise_std: Annotated[NonNegative, Doc("sigma, in units of actions from -1 to 1")] = 0.2
    noise_reversion: Annotated[Positive, Doc("theta of ornstein-uhlenbeck, what part of the drift a unit of time takes back")] = 0.15
    noise_time_step: Annotated[
        float,
        Doc("dt of ornstein-uhlenbeck, time between two actions; the drift lasts 1 / (theta dt) steps; > 0"),
    ] = 1.0
    twin_critics: Annotated[bool, Doc("whether two critics learn and targets take the smaller value")] = False
    policy_delay: Annotated[Count, Doc("d, updates of the critics for each of the policy and the targets")] = 1
    target_noise: Annotated[NonNegative, Doc("sigma of the noise on the target's action, in units of actions from -1 to 1")] = 0.0
    target_noise_clip: Annotated[NonNegative, Doc("c, longest such noise")] = 0.5

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        for name in ("actor_learning_rate", "critic_learning_rate", "noise_reversion", "noise_time_step"):
            require_range(self, name, 0.0, INFINITY, open_low=True)
        for name in ("noise_std", "target_noise", "target_noise_clip"):
            require_range(self, name, 0.0, INFINITY)


LOSSES = ("critic_loss", "value", "policy_loss")
"""What an update returns, in this order; without a step of the policy its loss is NaN."""


def td_target(reward: torch.Tensor, discount: torch.Tensor, next_value: torch.Tensor) -> torch.Tensor:
    """What Q(s, a) should be [B]: y = r + gamma Q'(s', mu'(s')). (DDPG, Algorithm 1)

    Args:
        reward: r [B].
        discount: gamma, or 0 where the episode terminated [B].
        next_value: Q' of where the action led [B].

    >>> td_target(torch.tensor([1.0, 1.0]), torch.tensor([0.5, 0.0]), torch.tensor([4.0, 4.0]))
    tensor([3., 1.])
    """
    return reward + discount * next_value


def smoothed(action: torch.Tensor, noise: torch.Tensor, clip: float) -> torch.Tensor:
    """The target's action with noise [B, D]: a + clip(noise, -c, c), within [-1, 1]. (TD3, Algorithm 1)

    >>> smoothed(torch.tensor([[0.0, 0.0, 0.9]]), torch.tensor([[0.1, -3.0, 0.3]]), clip=0.5)
    tensor([[ 0.1000, -0.5000,  1.0000]])
    """
    return (action + noise.clamp(-clip, clip)).clamp(-1.0, 1.0)


def critic_loss(value: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """L, a scalar: the mean squared error of values [B]. (DDPG, Algorithm 1)

    >>> critic_loss(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 5.0]))  # (1 + 9) / 2
    tensor(5.)
    """
    return ((target - value) ** 2).mean()


class Nets(NamedTuple):
    """A policy with its critics, or their targets."""

    actor: nn.Module
    critics: list[nn.Module]

    def module(self) -> nn.ModuleDict:
        """All of them as one module."""
        return nn.ModuleDict({"actor": self.actor, "critics": nn.ModuleList(self.critics)})

    def action(self, obs: torch.Tensor) -> torch.Tensor:
        """The policy's actions [B, D], in [-1, 1]."""
        action: torch.Tensor = self.actor(obs).tanh()
        return action

    def values(self, obs: torch.Tensor, action: torch.Tensor, num_critics: int = 2) -> torch.Tensor:
        """Q(s, a) of the first critics [1 or 2, B]."""
        pair = torch.cat([obs, action], dim=1)
        return torch.stack([critic(pair).squeeze(1) for critic in self.critics[:num_critics]])


class ActorCritic:
    """The policy, its critics and their targets, in torch: any network on any device. The compiled twin is in `compiled.ddpg`.

    Args:
        actor: Observations [B, I] to actions before they are squashed by tanh [B, D].
        critics: One or two, each from observations with actions behind them [B, I + D] to values [B, 1].
        config: Settings.
        device: Where to compute.
    """

    def __init__(self, actor: nn.Module, critics: list[nn.Module], config: DDPGConfig, device: torch.device) -> None:
        self._config, self._device = config, device
        # Dropout and batch statistics would make the policy that is improved another one than acts: evaluation mode throughout.
        self._nets = Nets(actor, critics)
        self._module = self._nets.module().to(device).eval()
        self._target_nets = copy.deepcopy(self._nets)
        self._target = self._target_nets.module().requires_grad_(False)
        self._actor_optimiser = Optimiser("adam", actor.parameters(), learning_rate=config.actor_learning_rate)
        self._critic_optimiser = Optimiser("adam", self._module["critics"].parameters(), learning_rate=config.critic_learning_rate)
        self._num_updates = 0

    def update(self, batch: Batch, noise: np.ndarray) -> np.ndarray:
        """One gradient step of the critics and, when it is due, one of the policy; the `LOSSES` before them [3].

        Args:
            batch: Transitions.
            noise: Standard normal numbers for the target's action [B, D].
        """
        config = self._config
        obs, action, reward, discount, next_obs, blur = (self._tensor(column) for column in (*batch, noise))
        with torch.no_grad():
            next_action = smoothed(self._target_nets.action(next_obs), config.target_noise * blur, config.target_noise_clip)
            next_value = self._target_nets.values(next_obs, next_action).min(dim=0).values  # TD3 (10)
            target = td_target(reward, discount, next_value)
        values = self._nets.values(obs, action)
        loss = torch.stack([critic_loss(value, target) for value in values]).sum()
        self._critic_optimiser.zero_grad()
        loss.backward()
        self._critic_optimiser.step()

        self._num_updates += 1
        losses = [loss.item(), values[0].mean().item(), float("nan")]
        if self._num_updates % config.policy_delay == 0:
            losses[2] = self._improve(obs)
            follow_module(self._target, self._module, config.target_rate)
        return np.array(losses)

    def _improve(self, obs: torch.Tensor) -> float:
        """One step of the policy up the first critic's slope (DDPG (6)); -Q before it."""
        loss = -self._nets.values(obs, self._nets.action(obs), num_critics=1).mean()
        self._actor_optimiser.zero_grad()
        loss.backward(inputs=list(self._nets.actor.parameters()))  # and none into the critic
        self._actor_optimiser.step()
        return loss.item()

    @torch.no_grad()
    def act(self, inputs: np.ndarray) -> np.ndarray:
        """The policy's actions [B, D], in [-1, 1], at inputs [B, I]."""
        return self._nets.action(self._tensor(inputs)).cpu().numpy()

    @torch.no_grad()
    def value(self, inputs: np.ndarray, action: np.ndarray) -> np.ndarray:
        """Q(s, a) of each critic [1 or 2, B] for inputs [B, I] and actions [B, D]."""
        return self._nets.values(self._tensor(inputs), self._tensor(action)).cpu().numpy()

    def parameters(self) -> dict[str, np.ndarray]:
        """Every trainable number, by name."""
        return {name: value.detach().cpu().numpy() for name, value in self._module.named_parameters()}

    def state_dict(self) -> dict[str, Any]:
        """Networks, targets, both optimisers and the number of updates."""
        return {
            "module": module_state(self._module),
            "target": module_state(self._target),
            "actor_optimiser": self._actor_optimiser.state_dict(),
            "critic_optimiser": self._critic_optimiser.state_dict(),
            "num_updates": self._num_updates,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        load_module_state(self._module, state["module"])
        load_module_state(self._target, state["target"])
        self._actor_optimiser.load_state_dict(state["actor_optimiser"])
        self._critic_optimiser.load_state_dict(state["critic_optimiser"])
        self._num_updates = int(state["num_updates"])

    def _tensor(self, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array).to(self._device)


class DDPG(Agent):
    """The agent: acts with noise, remembers, and learns from what it remembers."""

    Config: ClassVar[type] = DDPGConfig
    headline = "episode_return"
    config: DDPGConfig

    def __init__(self, config: DDPGConfig, task: ControlTask, network: Network, *, seeds: Seeds, budget: int, device: str = "auto") -> None:
        super().__init__(config, task, network, seeds=seeds, budget=budget, device=device)
        self.actions = BoundedActions(task.output_space)
        self.actor_critic = build_actor_critic(config, task, network, self.actions.num_dimensions, seeds.numpy("initialisation"), device)
        self.experience = Experience(config, task, self.actions, seeds)
        self.noise = Noise(
            config.noise,
            config.num_envs,
            self.actions.num_dimensions,
            seeds.numpy("noise"),
            std=config.noise_std,
            reversion=config.noise_reversion,
            time_step=config.noise_time_step,
        )
        self.blur = seeds.numpy("target noise")

    @one_thread
    def step(self) -> dict[str, float]:
        """One iteration: some steps of the environments, and rounds of updates between them."""
        losses = []
        for _ in range(self.config.iteration_steps):
            over = self.experience.live(self.explore())
            self.noise.reset(over)
            self.progress += self.config.num_envs
            if self.experience.is_training(self.progress):
                losses += [self.update() for _ in range(self.config.num_updates)]
        metrics = self.experience.episode_metrics()
        for name, column in zip(LOSSES, np.array(losses).reshape(-1, len(LOSSES)).T, strict=True):
            if (known := column[~np.isnan(column)]).size:
                metrics[name] = float(known.mean())
        return metrics

    def explore(self) -> np.ndarray:
        """Actions to learn from [N, D]: at random at first, then the policy's with noise."""
        if self.progress < self.config.learning_starts:
            return self.experience.random_action(self.progress)
        return np.clip(self.actor_critic.act(self.experience.obs) + self.noise.sample(), -1.0, 1.0)

    def update(self) -> np.ndarray:
        """One update from a batch of what was lived through."""
        shape = (self.config.batch_size, self.actions.num_dimensions)
        return self.actor_critic.update(self.experience.batch(), self.blur.standard_normal(shape, dtype=np.float32))

    @one_thread
    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """The policy's actions [B, ...] at observations [B, I], without noise."""
        return self.actions.to_env(self.actor_critic.act(single(inputs)))

    def parameters(self) -> dict[str, np.ndarray]:
        """Every trainable number, by name."""
        return self.actor_critic.parameters()

    def state_dict(self) -> dict[str, Any]:
        """Networks, targets, optimisers, noise, the replay buffer and where the environments are."""
        return {
            "actor_critic": self.actor_critic.state_dict(),
            "noise": self.noise.state_dict(),
            "experience": self.experience.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        self.actor_critic.load_state_dict(state["actor_critic"])
        self.noise.load_state_dict(state["noise"])
        self.experience.load_state_dict(state["experience"])


def build_actor_critic(
    config: DDPGConfig, task: ControlTask, network: Network, num_dimensions: int, rng: np.random.Generator, device: str
) -> ActorCritic | CompiledActorCritic:
    """Policy and critics of the same network, each with parameters of its own; the policy's last layer is scaled down."""
    pairs, number = pair_space(task.input_space, num_dimensions), spaces.Box(-np.inf, np.inf, (1,), np.float32)
    actor = network.build(task.input_space, spaces.Box(-1.0, 1.0, (num_dimensions,), np.float32), rng)
    critics = [network.build(pairs, number, rng) for _ in range(1 + config.twin_critics)]
    last = [module for module in actor.modules() if isinstance(module, nn.Linear)][-1]
    last.weight.data.mul_(config.policy_gain)
    if config.compiled and device != "cuda" and all(Layout.of(module) is not None for module in (actor, *critics)):
        return CompiledActorCritic(actor, critics, config)
    return ActorCritic(actor, critics, config, resolve_device(device))
