"""A level of a hierarchy: TD3 without environments, which chooses and learns from what it is given.

Source: S. Fujimoto, H. van Hoof, D. Meger, "Addressing function approximation error in actor-critic methods", 2018, Algorithm 1.
Departures: none. Letters: B batch, N environments, I inputs, D numbers of an action, W numbers of a row.
"""

from __future__ import annotations

import copy
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from dl_nets.learning.optimisers import Optimiser
from rl_algos.continuous.bounded_actions import pair_space
from rl_algos.parts.losses import critic_loss
from rl_algos.parts.returns import smoothed, td_target
from rl_core.network import Network
from rl_core.seeds import Seeds
from rl_core.state import restore_state, saved_state

POLICY_DELAY, TARGET_NOISE, NOISE_CLIP = 2, 0.2, 0.5  # d, sigma and c of TD3
POLICY_GAIN = 0.01  # factor on the first weights of the policy's last layer


class Experience(NamedTuple):
    """Transitions of a level.

    Attributes:
        inputs: [B, I].
        action: From -1 to 1 [B, D].
        reward: [B].
        discount: gamma, and 0 where there is no future [B].
        next_inputs: [B, I].
    """

    inputs: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    discount: np.ndarray
    next_inputs: np.ndarray


class Ring:
    """The newest rows of numbers.

    Args:
        capacity: Most rows.
        width: W.
    """

    def __init__(self, capacity: int, width: int) -> None:
        self._rows = np.zeros((capacity, width), dtype=np.float32)
        self._written = 0

    def __len__(self) -> int:
        """Rows that are kept."""
        return min(self._written, len(self._rows))

    def add(self, rows: np.ndarray) -> None:
        """Write rows [N, W], at most the capacity; the oldest go."""
        self._rows[(self._written + np.arange(len(rows))) % len(self._rows)] = rows
        self._written += len(rows)

    def sample(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Return rows [B, W], drawn with replacement."""
        rows: np.ndarray = self._rows[rng.integers(len(self), size=count)]
        return rows

    def state_dict(self) -> dict[str, Any]:
        """Return the rows and their number."""
        return {"rows": self._rows[: len(self)].copy(), "written": self._written}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self._written = int(state["written"])
        self._rows[: len(self)] = state["rows"]


class TD3Level:
    """A deterministic policy and two critics with slow copies of both.

    Args:
        network: Builds policy and critics.
        num_inputs: I.
        num_actions: D.
        learning_rate: Of Adam.
        target_rate: tau, step of the slow copies.
        seeds: The streams `initialisation` and `target noise`.
    """

    state_fields: ClassVar[tuple[str, ...]] = ("module", "target", "actor_optimiser", "critic_optimiser", "num_updates")

    def __init__(
        self, network: Network, num_inputs: int, num_actions: int, *, learning_rate: float, target_rate: float, seeds: Seeds
    ) -> None:
        space, rng = spaces.Box(-np.inf, np.inf, (num_inputs,), np.float32), seeds.numpy("initialisation")
        pairs, number = pair_space(space, num_actions), spaces.Box(-np.inf, np.inf, (1,), np.float32)
        actor = network.build(space, spaces.Box(-np.inf, np.inf, (num_actions,), np.float32), rng)
        last = [module for module in actor.modules() if isinstance(module, nn.Linear)][-1]
        last.weight.data.mul_(POLICY_GAIN)
        critics = nn.ModuleList([network.build(pairs, number, rng) for _ in range(2)])
        self.module: Any = nn.ModuleDict({"actor": actor, "critics": critics}).eval()
        self.target: Any = copy.deepcopy(self.module).requires_grad_(False)
        self.actor_optimiser = Optimiser("adam", list(actor.parameters()), learning_rate=learning_rate)
        self.critic_optimiser = Optimiser("adam", list(critics.parameters()), learning_rate=learning_rate)
        self.num_actions, self.num_updates, self._target_rate = num_actions, 0, target_rate
        self._noise = seeds.numpy("target noise")

    @torch.no_grad()
    def act(self, inputs: np.ndarray) -> np.ndarray:
        """Return the policy's actions from -1 to 1 [N, D] at inputs [N, I]."""
        actions: np.ndarray = self.module["actor"](torch.from_numpy(inputs)).tanh().numpy()
        return actions

    def values(self, module: Any, inputs: Tensor, action: Tensor) -> Tensor:
        """Return Q of each critic of a module [2, B]."""
        pair = torch.cat((inputs, action), dim=1)
        return torch.stack([critic(pair).squeeze(1) for critic in module["critics"]])

    def update(self, given: Experience) -> tuple[float, float]:
        """Take a gradient step of the critics and, when it is due, of the policy and its slow copies.

        Returns:
            The critics' loss and the mean of the first one's values.
        """
        inputs, action, reward, discount, next_inputs = (torch.from_numpy(np.ascontiguousarray(array)) for array in given)
        noise = torch.from_numpy(self._noise.standard_normal(tuple(action.shape), dtype=np.float32))
        with torch.no_grad():
            next_action = smoothed(self.target["actor"](next_inputs).tanh(), TARGET_NOISE * noise, NOISE_CLIP)
            target = td_target(reward, discount, self.values(self.target, next_inputs, next_action).min(dim=0).values)
        values = self.values(self.module, inputs, action)
        loss = critic_loss(values, target)
        self.critic_optimiser.zero_grad()
        loss.backward()
        self.critic_optimiser.step()
        self.num_updates += 1
        if self.num_updates % POLICY_DELAY == 0:
            chosen = self.module["actor"](inputs).tanh()
            policy_loss = -self.module["critics"][0](torch.cat((inputs, chosen), dim=1)).mean()
            self.actor_optimiser.zero_grad()
            policy_loss.backward(inputs=self.actor_optimiser.flat.parameters)
            self.actor_optimiser.step()
            self._follow()
        return loss.item(), values[0].mean().item()

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the slow copies by a share towards the networks."""
        for slow, fast in zip(self.target.parameters(), self.module.parameters(), strict=True):
            slow.lerp_(fast, self._target_rate)

    def state_dict(self) -> dict[str, Any]:
        """Return networks, slow copies, optimisers and the number of updates."""
        return saved_state(self, self.state_fields)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        restore_state(self, self.state_fields, state)
