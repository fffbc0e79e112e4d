"""The base of agents for continuous actions: an actor and critics that learn from replayed transitions.

Letters: B batch, N environments, I numbers of an observation, D dimensions of an action.
"""

from __future__ import annotations

import copy
from abc import abstractmethod
from typing import Annotated, Any, ClassVar, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from torch import nn

from dl_nets.fast.bridge import Flat, fast_path
from dl_nets.fast.mlp import FastMLP
from dl_nets.learning.devices import resolve_device
from dl_nets.learning.export import FORMATS, Exportable
from dl_nets.learning.optimisers import Optimiser
from rl_algos.continuous.bounded_actions import BoundedAction, BoundedActions, pair_space
from rl_algos.parts.exported import Observations, Policy, exportable
from rl_algos.parts.losses import critic_loss
from rl_algos.parts.steps import Steps, require_steps, steps_within, warm_up_warning
from rl_algos.replay.buffer import Batch, ReplayBuffer, ReplaySettings
from rl_core.agent import Agent
from rl_core.config import Count, Doc, Fraction, Meta, NonNegative, configclass
from rl_core.envs import Transition
from rl_core.network import Network
from rl_core.task import ControlTask


@configclass
class ContinuousConfig:
    """Settings of how much is experienced, kept, and learned from again; the config of an agent extends this one."""

    num_envs: Annotated[int, Meta(ge=1, le=65_536), Doc("N, environments stepped together")] = 1
    iteration_steps: Annotated[
        int, Meta(ge=1, le=1_000_000), Doc("steps of each environment in one iteration, whose metrics are reported together")
    ] = 200
    learning_starts: Annotated[Steps, Doc("environment steps with random actions before the first update; in (0, 1) of the budget")] = 1_000
    hold_steps: Annotated[Count, Doc("steps that each random action is held for; more where a short push leads nowhere")] = 1
    rollout_steps: Annotated[Count, Doc("steps of each environment between two rounds of updates")] = 1
    num_updates: Annotated[int, Meta(ge=1, le=1_000_000), Doc("gradient steps in a round")] = 1
    buffer_size: Annotated[
        int, Meta(ge=2), Doc("rows of the replay buffer: transitions, and one or more an episode; more than num_envs")
    ] = 1_000_000
    batch_size: Annotated[int, Meta(ge=1, le=10_000_000), Doc("B, transitions in a gradient step")] = 256
    discount: Annotated[Fraction, Doc("gamma, weight of the next step's reward")] = 0.99
    target_rate: Annotated[float, Meta(gt=0, le=1), Doc("tau, step of the target networks towards the learning ones")] = 0.005
    policy_gain: Annotated[NonNegative, Doc("factor on the first weights of the policy's last layer; small: small actions")] = 0.01

    def __post_init__(self) -> None:
        require_steps(self, "learning_starts")
        if self.buffer_size <= self.num_envs:
            raise ValueError(f"buffer_size is {self.buffer_size}; it must be >= {self.num_envs + 1} with {self.num_envs} environments")


class FastNetworks(NamedTuple):
    """The actor, the critics, and the targets of both as plain perceptrons on the same parameters as the modules."""

    actor: FastMLP
    critics: list[FastMLP]
    target_actor: FastMLP
    target_critics: list[FastMLP]


class ContinuousAgent(Agent):
    """An agent with an actor, one or two critics, their targets, and a replay buffer.

    A subclass names its numbers of critics and of outputs, and defines how it explores, answers and updates. Its update may have a fast
    way, which `self.fast` allows: the same numbers by hand-derived gradients, on the same parameters.
    """

    headline = "episode_return"
    export_formats = FORMATS
    state_fields: ClassVar[tuple[str, ...]] = (
        "module",
        "target",
        "actor_optimiser",
        "critic_optimiser",
        "num_updates",
        "replay",
        "held",
        "envs",
        "obs",
        "starts",
    )
    learned_fields: ClassVar[tuple[str, ...]] = ("module", "target")
    num_critics: ClassVar[int] = 2
    outputs_per_dimension: ClassVar[int] = 1
    config: Any  # a `ContinuousConfig`
    task: ControlTask
    network: Network

    def setup(self) -> None:
        """Build the networks, the replay buffer and the environments."""
        config, task, seeds = self.config, self.task, self.seeds
        self.actions = BoundedActions(task.output_space)
        self.warm_up = steps_within(config.learning_starts, self.budget)
        self.warnings += warm_up_warning(self.warm_up, self.budget)
        self._build_networks(seeds.numpy("initialisation"))
        self.num_updates = 0
        dimensions = spaces.Box(-1.0, 1.0, (self.actions.num_dimensions,), np.float32)
        self.replay = ReplayBuffer(ReplaySettings(config.buffer_size, config.num_envs, config.discount), task.input_space, dimensions)
        self.replay.require_batch(config.batch_size)
        self.draws, self.random = seeds.numpy("replay"), seeds.numpy("warm-up")
        self.held = np.zeros((config.num_envs, self.actions.num_dimensions), dtype=np.float32)  # the random action
        self.starts = np.ones(config.num_envs, dtype=np.bool_)  # whether an episode starts
        self.envs = task.envs(config.num_envs, seeds)
        self.obs = single(self.envs.reset())

    def _build_networks(self, rng: np.random.Generator) -> None:
        """Build actor and critics of the same network, each with parameters of its own; the actor's last layer is scaled down."""
        space, size = self.task.input_space, self.actions.num_dimensions
        pairs, number = pair_space(space, size), spaces.Box(-np.inf, np.inf, (1,), np.float32)
        actor = self.network.build(space, spaces.Box(-np.inf, np.inf, (self.outputs_per_dimension * size,), np.float32), rng)
        critics = [self.network.build(pairs, number, rng) for _ in range(self.num_critics)]
        last = [module for module in actor.modules() if isinstance(module, nn.Linear)][-1]
        last.weight.data.mul_(self.config.policy_gain)
        is_fast = self.device != "cuda" and fast_path(actor, *critics)
        self.torch_device = torch.device("cpu") if is_fast else resolve_device(self.device)
        # Dropout and batch statistics would train a different policy from the one that acts: evaluation mode throughout.
        self.target: Any
        self.module: Any = nn.ModuleDict({"actor": actor, "critics": nn.ModuleList(critics)}).to(self.torch_device).eval()
        flats = [Flat(self.module["actor"]), Flat(self.module["critics"])]
        self.target, self.target_flats = copy.deepcopy((self.module, flats))
        self.target.requires_grad_(False)
        actor_rate, critic_rate = self.learning_rates()
        self.actor_optimiser = Optimiser("adam", flats[0], learning_rate=actor_rate)
        self.critic_optimiser = Optimiser("adam", flats[1], learning_rate=critic_rate)
        self.fast: FastNetworks | None = None
        if is_fast:
            sides: list[tuple[Any, list[Flat]]] = [(self.module, flats), (self.target, self.target_flats)]
            nets = [(of[0].fast_mlp(nets["actor"]), [of[1].fast_mlp(critic) for critic in nets["critics"]]) for nets, of in sides]
            self.fast = FastNetworks(*nets[0], *nets[1])  # type: ignore[arg-type]

    @abstractmethod
    def learning_rates(self) -> tuple[float, float]:
        """Return the learning rates of the actor and of the critics."""

    @abstractmethod
    def explore(self) -> np.ndarray:
        """Return actions to learn from in [-1, 1] [N, D], at `self.obs`."""

    @abstractmethod
    def answer_policy(self, head: np.ndarray) -> np.ndarray:
        """Return the policy's best actions in [-1, 1] [B, D] from the actor's outputs."""

    @abstractmethod
    def update(self, batch: Batch) -> Any:
        """Take one gradient step, and return its numbers as a named tuple; one that is not known this time is `None`."""

    def step(self) -> dict[str, float]:
        """Run one iteration: some steps of the environments, and rounds of updates between them."""
        config, updates = self.config, []
        for _ in range(config.iteration_steps):
            self.act()
            if self.progress > self.warm_up and self.progress // config.num_envs % config.rollout_steps == 0:
                updates += [self.update(self.replay.sample(self.draws, config.batch_size)) for _ in range(config.num_updates)]
        metrics = self.envs.episode_metrics()
        for number, name in enumerate(updates[0]._fields if updates else ()):
            known = [update[number] for update in updates if update[number] is not None]
            if known:
                metrics[name] = float(np.mean(known))
        return metrics

    def act(self) -> None:
        """Take one step in every environment, at random at first, and store it."""
        if self.progress < self.warm_up:
            if self.progress // self.config.num_envs % self.config.hold_steps == 0:
                self.held = self.actions.uniform(self.random, self.config.num_envs)
            action = self.held
        else:
            action = self.explore()
        after = self.envs.step(self.actions.to_env(action))
        self.store(action, after)
        self.obs, self.starts = single(after.obs), after.terminated | after.truncated
        self.progress += self.config.num_envs

    def store(self, action: np.ndarray, after: Transition) -> None:
        """Keep one step of every environment, taken at `self.obs` with actions in [-1, 1] [N, D]."""
        self.replay.add(self.obs, action, after)

    def actor_head(self, inputs: np.ndarray) -> np.ndarray:
        """Return the actor's outputs [B, D] or [B, 2 D] at observations [B, I]; they may be overwritten by the next call."""
        if self.fast:
            return self.fast.actor.forward(inputs)
        with torch.no_grad():
            head: np.ndarray = self.module["actor"](self.tensor(inputs)).cpu().numpy()
        return head

    def value(self, inputs: np.ndarray, action: np.ndarray) -> np.ndarray:
        """Return Q(s, a) of each critic [K, B] for observations [B, I] and actions in [-1, 1] [B, D]."""
        with torch.no_grad():
            return self.q(self.module, self.tensor(inputs), self.tensor(action)).cpu().numpy()

    def q(self, module: Any, obs: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
        """Return Q(s, a) of each of a module's critics [K, B]."""
        pair = torch.cat([obs, action], dim=1)
        return torch.stack([critic(pair).squeeze(1) for critic in module["critics"]])

    def critic_step(self, obs: torch.Tensor, action: torch.Tensor, target: torch.Tensor) -> tuple[float, float]:
        """Move the critics towards a target [B]; return their loss and the first one's mean value, from before."""
        values = self.q(self.module, obs, action)
        loss = critic_loss(values, target)
        self.critic_optimiser.zero_grad()
        loss.backward()
        self.critic_optimiser.step()
        return loss.item(), values[0].mean().item()

    def fast_critic_step(self, batch: Batch, target: np.ndarray) -> tuple[float, float]:
        """Do what `critic_step` does: d L / d Q(s, a) = 2 (Q - y) / B."""
        assert self.fast
        pairs, size, loss, value = np.concatenate((batch.obs, batch.action), axis=1), len(target), 0.0, target
        for critic in reversed(self.fast.critics):  # the first one's value is reported
            value = critic.forward(pairs)[:, 0]
            miss = value - target
            loss += float(miss @ miss) / size
            critic.backward(np.float32(2 / size) * miss[:, None])
        mean = float(value.sum()) / size
        self.critic_optimiser.step_flat()
        return loss, mean

    def move_targets(self) -> None:
        """Move the targets towards the networks: theta' <- theta' + tau (theta - theta')."""
        with torch.no_grad():
            for target, optimiser in zip(self.target_flats, (self.actor_optimiser, self.critic_optimiser), strict=True):
                target.vector.lerp_(optimiser.flat.vector, self.config.target_rate)

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return the policy's actions [B, ...] at observations [B, I], without noise."""
        return self.actions.to_env(self.answer_policy(self.actor_head(single(inputs))))

    def exported(self) -> Exportable:
        """Return the policy without noise as a graph; its outputs are the actor's."""
        return exportable(Policy(Observations(), self.module["actor"], BoundedAction(self.actions)), self.task.input_space)

    def tensor(self, array: np.ndarray) -> torch.Tensor:
        """Return an array as a tensor on the networks' device."""
        return torch.from_numpy(array).to(self.torch_device)

    def parameters(self) -> dict[str, np.ndarray]:
        """Return every trainable parameter by name."""
        return {name: value.detach().cpu().numpy() for name, value in self.module.named_parameters()}


def single(obs: np.ndarray) -> np.ndarray:
    """Return observations as float32, which networks and the replay buffer take."""
    return obs.astype(np.float32, copy=False)
