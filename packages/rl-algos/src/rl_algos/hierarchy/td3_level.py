"""A level of a hierarchy: TD3 without environments, which chooses and learns from what it is given.

Source: S. Fujimoto, H. van Hoof, D. Meger, "Addressing function approximation error in actor-critic methods", 2018, Algorithm 1.
Departures: a policy may be kept from the corners of its range by a penalty on its outputs before tanh, where gradients would vanish.
Letters: B batch, N environments, I inputs, D numbers of an action.
"""

from __future__ import annotations

import copy
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from dl_nets.fast.bridge import Flat, fast_path
from dl_nets.learning.optimisers import Optimiser
from rl_algos.continuous.agent import FastNetworks
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
        discount: gamma, and 0 where the episode terminated [B].
        next_inputs: [B, I].
    """

    inputs: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    discount: np.ndarray
    next_inputs: np.ndarray


class TD3Level:
    """A deterministic policy and two critics with slow copies of both.

    Plain perceptrons on a CPU learn by derivatives that are written out, as in `rl_algos.continuous`, others by torch's.

    Args:
        network: Builds policy and critics.
        num_inputs: I.
        num_actions: D.
        learning_rate: Of Adam.
        target_rate: tau, step of the slow copies.
        penalty: Weight of the mean square of the policy's outputs before tanh.
        seeds: The streams `initialisation` and `target noise`.

    Attributes:
        fast: The networks and their slow copies as perceptrons on arrays; `None` where torch computes.
    """

    state_fields: ClassVar[tuple[str, ...]] = ("module", "target", "actor_optimiser", "critic_optimiser", "num_updates")

    def __init__(
        self,
        network: Network,
        num_inputs: int,
        num_actions: int,
        *,
        learning_rate: float,
        target_rate: float,
        seeds: Seeds,
        penalty: float = 0.0,
    ) -> None:
        space, rng = spaces.Box(-np.inf, np.inf, (num_inputs,), np.float32), seeds.numpy("initialisation")
        pairs, number = pair_space(space, num_actions), spaces.Box(-np.inf, np.inf, (1,), np.float32)
        actor = network.build(space, spaces.Box(-np.inf, np.inf, (num_actions,), np.float32), rng)
        last = [module for module in actor.modules() if isinstance(module, nn.Linear)][-1]
        last.weight.data.mul_(POLICY_GAIN)
        critics = [network.build(pairs, number, rng) for _ in range(2)]
        is_fast = fast_path(actor, *critics)
        self.module: Any = nn.ModuleDict({"actor": actor, "critics": nn.ModuleList(critics)}).eval()
        flats = [Flat(self.module["actor"]), Flat(self.module["critics"])]
        self.target: Any
        self.target, self._target_flats = copy.deepcopy((self.module, flats))
        self.target.requires_grad_(False)
        self.actor_optimiser, self.critic_optimiser = (Optimiser("adam", flat, learning_rate=learning_rate) for flat in flats)
        self.num_updates, self._target_rate, self._penalty = 0, target_rate, penalty
        self._noise = seeds.numpy("target noise")
        self.fast: FastNetworks | None = None
        if is_fast:
            sides: list[tuple[Any, list[Flat]]] = [(self.module, flats), (self.target, self._target_flats)]
            nets = [(of[0].fast_mlp(nets["actor"]), [of[1].fast_mlp(critic) for critic in nets["critics"]]) for nets, of in sides]
            self.fast = FastNetworks(*nets[0], *nets[1])  # type: ignore[arg-type]

    def act(self, inputs: np.ndarray) -> np.ndarray:
        """Return the policy's actions from -1 to 1 [N, D] at inputs [N, I], float32."""
        if self.fast:
            return np.tanh(self.fast.actor.forward(np.ascontiguousarray(inputs)))
        with torch.no_grad():
            actions: np.ndarray = self.module["actor"](torch.from_numpy(inputs)).tanh().numpy()
        return actions

    def update(self, given: Experience) -> tuple[float, float]:
        """Take a gradient step of the critics and, when it is due, of the policy and of all slow copies.

        Returns:
            The critics' loss and the mean of the first one's values.
        """
        given = Experience(*(np.ascontiguousarray(array) for array in given))
        noise = TARGET_NOISE * self._noise.standard_normal(given.action.shape, dtype=np.float32)
        self.num_updates += 1
        is_due = self.num_updates % POLICY_DELAY == 0
        found = self.fast_update(given, noise, is_due) if self.fast else self.torch_update(given, noise, is_due)
        if is_due:
            with torch.no_grad():
                for target, optimiser in zip(self._target_flats, (self.actor_optimiser, self.critic_optimiser), strict=True):
                    target.vector.lerp_(optimiser.flat.vector, self._target_rate)
        return found

    def torch_update(self, given: Experience, noise: np.ndarray, is_due: bool) -> tuple[float, float]:
        """Take the gradient steps by torch, with noise [B, D] on the target's action."""
        inputs, action, reward, discount, next_inputs = map(torch.from_numpy, given)

        def values(module: Any, obs: Tensor, chosen: Tensor) -> Tensor:
            pair = torch.cat((obs, chosen), dim=1)
            return torch.stack([critic(pair).squeeze(1) for critic in module["critics"]])

        with torch.no_grad():
            next_action = smoothed(self.target["actor"](next_inputs).tanh(), torch.from_numpy(noise), NOISE_CLIP)
            target = td_target(reward, discount, values(self.target, next_inputs, next_action).min(dim=0).values)
        value = values(self.module, inputs, action)
        loss = critic_loss(value, target)
        self.critic_optimiser.zero_grad()
        loss.backward()
        self.critic_optimiser.step()
        if is_due:
            head = self.module["actor"](inputs)
            policy_loss = self._penalty * (head**2).mean() - values(self.module, inputs, head.tanh())[0].mean()
            self.actor_optimiser.zero_grad()
            policy_loss.backward(inputs=self.actor_optimiser.flat.parameters)
            self.actor_optimiser.step()
        return loss.item(), value[0].mean().item()

    def fast_update(self, given: Experience, noise: np.ndarray, is_due: bool) -> tuple[float, float]:
        """Do what `torch_update` does, with the derivatives written out."""
        assert self.fast
        fast, size = self.fast, len(noise)
        next_action = smoothed(np.tanh(fast.target_actor.forward(given.next_inputs)), noise, NOISE_CLIP)
        pairs = np.concatenate((given.next_inputs, next_action), axis=1)
        first, second = (critic.forward(pairs)[:, 0] for critic in fast.target_critics)
        target = td_target(given.reward, given.discount, np.minimum(first, second))
        pairs, loss, value = np.concatenate((given.inputs, given.action), axis=1), 0.0, target
        for critic in reversed(fast.critics):  # the first one's value is returned
            value = critic.forward(pairs)[:, 0]
            miss = value - target
            loss += float(miss @ miss) / size
            critic.backward(np.float32(2 / size) * miss[:, None])
        mean = float(value.mean())
        self.critic_optimiser.step_flat()
        if is_due:
            head = fast.actor.forward(given.inputs)
            action = np.tanh(head)
            fast.critics[0].forward(np.concatenate((given.inputs, action), axis=1))
            by_pair = fast.critics[0].backward(np.full((size, 1), -1.0 / size, np.float32), to_inputs=True, to_parameters=False)
            assert by_pair is not None
            by_head = by_pair[:, given.inputs.shape[1] :] * (1.0 - action * action)
            fast.actor.backward(by_head + np.float32(2.0 * self._penalty / head.size) * head)
            self.actor_optimiser.step_flat()
        return loss, mean

    def state_dict(self) -> dict[str, Any]:
        """Return networks, slow copies, optimisers and the number of updates."""
        return saved_state(self, self.state_fields)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        restore_state(self, self.state_fields, state)
