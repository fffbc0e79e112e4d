"""QMIX: Q-learning of a team whose value is a monotonic mixture of the values of its players; with a sum it is VDN, with none independent.

Each player has values of its own actions, from what it alone sees. Only the mixture is learned from the team's reward, and as it grows with
each of them, the team's best joint action is every player's best action. Without a mixture each player's value is learned from the team's
reward as if the others were part of the environment. Where a wrong partner is expensive, that teaches each to avoid the best joint action;
with hysteresis a value falls more slowly than it rises, so that what a good partner makes possible outweighs what a bad one spoils.

Source: T. Rashid and others, "QMIX: monotonic value function factorisation for deep multi-agent reinforcement learning", 2018, (5) and (6);
P. Sunehag and others, "Value-decomposition networks for cooperative multi-agent learning", 2018; M. Tan, 1993, for `none`;
L. Matignon, G. Laurent, N. Le Fort-Piat, "Hysteretic Q-learning: an algorithm for decentralized reinforcement learning in cooperative
multi-agent teams", 2007, section IV, in the form for networks of S. Omidshafiei and others, 2017, for hysteresis.
Departures: no recurrence; transitions instead of episodes are replayed; the double estimate, as in the authors' later code; Adam.
Letters: B batch, N environments, P players, A actions, D numbers of an observation, S numbers of a state.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from dl_nets.fast.bridge import why_torch
from dl_nets.learning.devices import resolve_device
from dl_nets.learning.export import FORMATS, Exportable, example, write
from dl_nets.learning.optimisers import Optimiser
from rl_algos.parts.exported import TeamPolicy
from rl_algos.parts.steps import warm_up_warning
from rl_algos.players.mixing import Monotonic
from rl_algos.players.team import TeamTask, with_player
from rl_algos.replay.buffer import Batch, ReplayBuffer, ReplaySettings
from rl_core.agent import Agent
from rl_core.config import Count, Doc, Fraction, Meta, Positive, Whole, configclass
from rl_core.network import Network


@configclass
class QMIXConfig:
    """Settings of QMIX."""

    mixing: Annotated[Literal["qmix", "sum", "none"], Doc("how the players' values make the team's; none learns each for itself")] = "qmix"
    hysteresis: Annotated[
        Fraction, Doc("weight of errors that lower a value, beta / alpha; 1: as others. Below 1 lucky rewards count too much")
    ] = 1.0
    mixing_units: Annotated[Count, Doc("E, units of the mixer")] = 32
    num_envs: Annotated[int, Meta(ge=1, le=65_536), Doc("N, environments stepped together")] = 8
    rollout_steps: Annotated[Count, Doc("steps of each environment between two rounds of updates")] = 8
    num_updates: Annotated[Count, Doc("gradient steps a round")] = 4
    learning_starts: Annotated[Whole, Doc("environment steps with random actions before the first update")] = 1_000
    buffer_size: Annotated[int, Meta(ge=2), Doc("rows of the replay buffer; more than num_envs")] = 50_000
    batch_size: Annotated[Count, Doc("B, transitions of a gradient step")] = 256
    learning_rate: Annotated[Positive, Doc("alpha, step size of Adam at first; it falls to 0 along a line")] = 1e-3
    discount: Annotated[Fraction, Doc("gamma, weight of the next step's value")] = 0.97
    exploration_end: Annotated[Fraction, Doc("epsilon at the end; it begins at 1")] = 0.05
    exploration_steps: Annotated[Count, Doc("environment steps over which epsilon falls along a line")] = 50_000
    target_steps: Annotated[Count, Doc("environment steps between two copies of the target network")] = 1_000
    max_grad_norm: Annotated[Positive, Doc("norm that longer gradients are scaled down to")] = 10.0

    def __post_init__(self) -> None:
        """Refuse a buffer that does not hold two steps."""
        if self.buffer_size <= self.num_envs:
            raise ValueError(f"buffer_size is {self.buffer_size}; it must be >= {self.num_envs + 1} with {self.num_envs} environments")


def hysteretic(error: Tensor, hysteresis: float) -> Tensor:
    """Return the weights of TD errors: 1 where a value rises, `hysteresis` where it falls.

    >>> hysteretic(torch.tensor([2.0, -2.0]), 0.1)
    tensor([1.0000, 0.1000])
    """
    return torch.where(error < 0, hysteresis, 1.0)


class QMIX(Agent):
    """An agent of P players that share one network of values, which each applies to what it sees."""

    Config: ClassVar[type] = QMIXConfig
    headline = "episode_return"
    export_formats = FORMATS
    state_fields = ("learning", "target", "optimiser", "replay", "envs", "obs")
    learned_fields = ("learning", "target")
    config: QMIXConfig
    task: TeamTask
    network: Network

    def setup(self) -> None:
        """Build the networks, the replay buffer and the environments.

        Raises:
            ValueError: if the task forbids actions.
        """
        config, task = self.config, self.task
        if "legal" in task.extras:
            raise ValueError("some actions of this task are not always allowed, which qmix does not learn; take mappo")
        self.warnings += warm_up_warning(config.learning_starts, self.budget)
        self.torch_device = resolve_device(self.device)
        self.learning, self.target = self.build(), self.build()
        self.target.load_state_dict(self.learning.state_dict())
        self.target.requires_grad_(False)
        reason = why_torch(self.learning["network"])
        self.path = f"torch: {reason}" if reason else "fast: compiled layers"
        self.optimiser = Optimiser("adam", self.learning.parameters(), learning_rate=config.learning_rate)
        settings = ReplaySettings(config.buffer_size, config.num_envs, config.discount)
        self.replay = ReplayBuffer(settings, task.input_space, task.output_space)
        self.exploration, self.draws = self.seeds.numpy("exploration"), self.seeds.numpy("replay")
        self.envs = task.envs(config.num_envs, self.seeds)
        self.obs = self.envs.reset()

    def build(self) -> nn.ModuleDict:
        """Return a network of the players' values and, for QMIX, one that mixes them."""
        task, rng = self.task, self.seeds.numpy("initialisation")
        modules: dict[str, nn.Module] = {"network": self.network.build(task.player_space, spaces.Discrete(task.num_actions), rng)}
        if self.config.mixing == "qmix":
            modules["mixer"] = Monotonic(task.num_players, (task.state_space.shape or (0,))[0], self.config.mixing_units, rng)
        return nn.ModuleDict(modules).to(self.torch_device).eval()

    def step(self) -> dict[str, float]:
        """Take some steps in every environment, then some gradient steps."""
        config, before = self.config, self.progress
        for _ in range(config.rollout_steps):
            self.act()
        metrics = {"exploration_rate": self.exploration_rate}
        if self.progress // config.target_steps > before // config.target_steps:
            self.target.load_state_dict(self.learning.state_dict())
        if self.progress > config.learning_starts and self.replay.can_draw:
            self.optimiser.learning_rate = config.learning_rate * max(0.0, 1.0 - before / self.budget)
            losses = [self.update(self.replay.sample(self.draws, config.batch_size)) for _ in range(config.num_updates)]
            metrics |= {"loss": float(np.mean(losses))}
        return metrics | self.envs.episode_metrics()

    @property
    def exploration_rate(self) -> float:
        """Epsilon now: 1 until learning starts, then along a line."""
        config = self.config
        done = min(1.0, self.progress / config.exploration_steps)
        return 1.0 if self.progress < config.learning_starts else 1.0 + done * (config.exploration_end - 1.0)

    def act(self) -> None:
        """Take one step in every environment, each player at random with probability epsilon, and store it."""
        shape = (len(self.obs), self.task.num_players)
        random = self.exploration.integers(self.task.num_actions, size=shape)
        explores = self.exploration.random(shape) < self.exploration_rate
        action = np.where(explores, random, self.predict(self.obs))
        after = self.envs.step(action)
        self.replay.add(self.obs, action, after)
        self.obs = after.obs
        self.progress += len(action)

    def update(self, batch: Batch) -> float:
        """Take one gradient step on transitions [B]; return the loss before it, the mean squared TD error."""
        action, reward, discount = map(self.tensor, (batch.action.astype(np.int64), batch.reward, batch.discount))
        with torch.no_grad():
            best = self.values(self.learning, batch.next_obs).argmax(dim=2, keepdim=True)
            following = self.mixed(self.target, self.values(self.target, batch.next_obs).gather(2, best).squeeze(2), batch.next_obs)
            target = reward[:, None] + discount[:, None] * following  # (6)
        chosen = self.values(self.learning, batch.obs).gather(2, action[:, :, None]).squeeze(2)
        error = target - self.mixed(self.learning, chosen, batch.obs)
        loss = (hysteretic(error.detach(), self.config.hysteresis) * error.square()).mean()  # (5)
        self.optimiser.zero_grad()
        torch.autograd.backward(loss)
        self.optimiser.step(self.config.max_grad_norm)
        return loss.item()

    def values(self, modules: nn.ModuleDict, obs: np.ndarray) -> Tensor:
        """Return the values of each player's actions [B, P, A] at observations [B, P, D]."""
        values: Tensor = modules["network"](self.tensor(with_player(obs)))
        return values.unflatten(0, (len(obs), -1))

    def mixed(self, modules: nn.ModuleDict, values: Tensor, obs: np.ndarray) -> Tensor:
        """Return the team's value [B, 1] of the players' values [B, P] at observations [B, P, D], or these themselves without a mixture."""
        match self.config.mixing:
            case "qmix":
                total: Tensor = modules["mixer"](values, self.tensor(self.task.states(obs)))
                return total[:, None]
            case "sum":
                return values.sum(dim=1, keepdim=True)
            case _:
                return values

    @torch.no_grad()
    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return each player's action of the largest value [B, P] at observations [B, P, D]."""
        values: Any = self.values(self.learning, np.asarray(inputs, dtype=np.float32))
        actions: np.ndarray = values.argmax(dim=2).cpu().numpy()
        return actions

    def tensor(self, array: np.ndarray) -> Tensor:
        """Return an array on the networks' device."""
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.torch_device)

    def export(self, form: str, out: Path) -> dict[str, Any]:
        """Write the policy of the players, in one of `export_formats`; see `dl_nets.learning.export`."""
        words = {"actions": "each player's action of the largest value", "values": "values of each player's actions"}
        policy = TeamPolicy(self.learning["network"], self.task.num_players)
        return write(Exportable(policy, self.learning, {"observations": example(self.task.input_space)}, words), form, out)

    def parameters(self) -> dict[str, np.ndarray]:
        """Return every trainable parameter by name."""
        return {name: value.detach().cpu().numpy() for name, value in self.learning.named_parameters()}
