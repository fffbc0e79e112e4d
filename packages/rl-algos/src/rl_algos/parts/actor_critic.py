"""A policy and its critic as two networks, in torch: any network on any device. The compiled twin is in `compiled.policies`.

Letters: B batch, A actions, D dimensions of a continuous action.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import torch
from gymnasium import spaces
from torch import nn

from dl_nets.fast.mlp import Layout
from dl_nets.learning.streams import load_module_state, module_state
from dl_nets.networks.recurrent import RecurrentNetwork
from rl_algos.parts.distributions import Categorical, Gaussian
from rl_algos.parts.recurrence import Replay, Sequences
from rl_core.network import Network
from rl_core.task import ControlTask


class PolicyConfig(Protocol):
    """The settings that a policy is built from."""

    @property
    def policy_gain(self) -> float:
        """Factor on the first weights of the policy's last layer."""

    @property
    def log_std(self) -> float:
        """First ln sigma of continuous actions."""

    @property
    def compiled(self) -> bool:
        """Whether a plain perceptron on the CPU takes the compiled path."""


class ActorCritic:
    """Two networks and what they say. How they learn is a subclass's, in the file of its algorithm, which adds the optimiser.

    Args:
        actor: Inputs [B, ...] to the head of the distribution [B, A] or [B, D].
        critic: Inputs [B, ...] to values [B, 1].
        actions: What the head means.
        config: Settings.
        device: Where to compute.
    """

    def __init__(
        self, actor: nn.Module, critic: nn.Module, actions: Categorical | Gaussian, config: PolicyConfig, device: torch.device
    ) -> None:
        self._actions, self._device = actions, device
        self._log_std = nn.Parameter(torch.full((actions.scale_size,), config.log_std))
        # Dropout and batch statistics would make the ratio differ from 1 before anything was learned: evaluation mode throughout.
        self._actor: Any = actor.eval()
        self._critic: Any = critic.eval()
        self._module = nn.ModuleDict({"actor": actor, "critic": critic})
        self._module.register_parameter("log_std", self._log_std)
        self._module.to(device)

    @torch.no_grad()
    def head(self, inputs: np.ndarray) -> np.ndarray:
        """The actor's output [B, A] or [B, D] on inputs [B, ...]."""
        return self._actor(self._tensor(inputs)).cpu().numpy()

    @torch.no_grad()
    def value(self, inputs: np.ndarray) -> np.ndarray:
        """V(s) [B] of inputs [B, ...]."""
        return self._critic(self._tensor(inputs)).squeeze(1).cpu().numpy()

    @torch.no_grad()
    def log_prob(self, inputs: np.ndarray, action: np.ndarray) -> np.ndarray:
        """Log-probabilities ln pi(a|s) [B] of actions [B] or [B, D] at inputs [B, ...]."""
        head = self._actor(self._tensor(inputs))
        return self._actions.log_prob(head, self._log_std, self._tensor(action)).cpu().numpy()

    @torch.no_grad()
    def advance(self, inputs: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The actor's output [N, A] or [N, D] on inputs [N, ...] that follow those before, and what both networks then remember [N, S].

        Args:
            inputs: [N, ...].
            state: What they remembered, 0 where an episode begins [N, S].
        """
        given, before = self._tensor(inputs), self._tensor(state)
        head, after = self._actor.advance(given, before)
        _, critic_after = self._critic.advance(given, before)
        return head.cpu().numpy(), torch.cat([after, critic_after], dim=1).cpu().numpy()

    @property
    def log_std(self) -> np.ndarray:
        """The ln sigma [D] of a Gaussian, [0] of a categorical."""
        return self._log_std.detach().cpu().numpy()

    def parameters(self) -> dict[str, np.ndarray]:
        """Every trainable number, by name."""
        return {name: value.detach().cpu().numpy() for name, value in self._module.named_parameters() if value.numel()}

    def state_dict(self) -> dict[str, Any]:
        """Parameters; a subclass adds its optimiser's."""
        return {"module": module_state(self._module)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        load_module_state(self._module, state["module"])

    def _tensor(self, array: Any) -> Any:
        """The same numbers on the device: a tensor of an array, `Sequences` of tensors of those of arrays."""
        return array.to(self._device) if isinstance(array, Sequences) else torch.from_numpy(array).to(self._device)


class NoCritic(nn.Module):
    """Stands in for a critic where nothing is learned of values: 0 everywhere, without parameters."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Zeros [B, 1] for inputs [B, ...]."""
        return torch.zeros(len(inputs), 1, device=inputs.device)


def build_networks(
    task: ControlTask,
    network: Network,
    rng: np.random.Generator,
    *,
    policy_gain: float,
    with_critic: bool = True,
    carries_state: bool = False,
) -> tuple[nn.Module, nn.Module]:
    """Actor and critic of the same network, each with parameters of its own; a `NoCritic` where none is wanted.

    The networks start as they are configured (`mlp` and `cnn`: orthogonal, gain sqrt(2), last layer 1); the policy's last layer
    is then scaled down by `policy_gain`, so that the first policy prefers nothing. For an agent that carries a state, recurrent
    networks come as `Replay`, the critic's part of the state behind the actor's.
    """
    values = spaces.Box(-np.inf, np.inf, (1,), np.float32)
    actor: nn.Module
    critic: nn.Module
    if carries_state and isinstance(network, RecurrentNetwork):
        actor = Replay(network.build_stepped(task.input_space, task.output_space, rng))
        critic = Replay(network.build_stepped(task.input_space, values, rng), first=actor.state_size)
    else:
        actor = network.build(task.input_space, task.output_space, rng)
        critic = network.build(task.input_space, values, rng) if with_critic else NoCritic()
    last = [module for module in actor.modules() if isinstance(module, nn.Linear)][-1]
    last.weight.data.mul_(policy_gain)
    return actor, critic


def can_be_compiled(task: ControlTask, device: str, *modules: nn.Module) -> bool:
    """Whether all modules are plain perceptrons, on vectors of floats, that may run on the CPU: what `compiled.policies` takes."""
    space = task.input_space
    is_vector = isinstance(space, spaces.Box) and len(space.shape) == 1 and space.dtype.kind == "f"
    return device != "cuda" and is_vector and all(Layout.of(module) or isinstance(module, NoCritic) for module in modules)
