"""Policies as graphs: from observations as the environment gives them to actions as it takes them, greedy, for `rl-core export`.

A graph of a policy with a memory has the memory as a second input and a third output, both [B, S]; it is 0 where an episode begins.
What an agent computes with several modules, or of several inputs, is written down as a function in its own file; see `computed`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn
from torch.nn.functional import one_hot

from dl_nets.learning.export import EXAMPLES, ByPosition, Exportable, example
from rl_algos.parts.composed import AnyDistribution, Composed
from rl_algos.parts.distributions import Categorical, Gaussian
from rl_algos.parts.normalisation import EPSILON, RunningMoments


class Observations(nn.Module):
    """Layer from observations [B, ...] to what a network reads.

    Args:
        moments: Mean and variance to normalise by; `None` for none.
        scale: Middle and half width of each number; `None` for none.
        stack_axis: Axis of stacked frames, which becomes an image's channels; `None` for none.
        limit: Normalised observations are cut at +-limit.
    """

    mean: Tensor | None
    width: Tensor | None

    def __init__(
        self,
        moments: RunningMoments | None = None,
        scale: tuple[np.ndarray, np.ndarray] | None = None,
        stack_axis: int | None = None,
        limit: float = 10.0,
    ) -> None:
        super().__init__()
        self._limit, self._stack_axis = limit, stack_axis
        mean, width = (None, None) if scale is None else scale
        if moments is not None:
            mean, width = moments.mean, np.sqrt(moments.variance + EPSILON)
        self._normalises = moments is not None
        self.register_buffer("mean", None if mean is None else torch.tensor(mean))
        self.register_buffer("width", None if width is None else torch.tensor(width))

    def forward(self, observations: Tensor) -> Tensor:
        """Return inputs [B, ...] of a network."""
        if self._normalises and self.mean is not None and self.width is not None:
            return ((observations - self.mean) / self.width).clamp(-self._limit, self._limit).float()
        if observations.dtype == torch.float64:
            observations = observations.float()
        if self.mean is not None and self.width is not None:
            observations = (observations - self.mean) / self.width
        return observations if self._stack_axis is None else observations.movedim(1 + self._stack_axis, -1)


class LargestAction(nn.Module):
    """Layer from values or logits [B, A] to the action of the largest [B].

    Args:
        first: Number of the first action.
    """

    def __init__(self, first: int) -> None:
        super().__init__()
        self._first = first

    def forward(self, head: Tensor) -> Tensor:
        """Return actions [B]."""
        return head.argmax(dim=1) + self._first


class MeanAction(nn.Module):
    """Layer from the means of a Gaussian [B, D] to actions in its Box [B, ...].

    Args:
        actions: The distribution.
    """

    middle: Tensor
    half_width: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, actions: Gaussian) -> None:
        super().__init__()
        self._shape = actions.middle.shape
        for name, values in (("middle", actions.middle), ("half_width", actions.half_width), ("low", actions.low), ("high", actions.high)):
            self.register_buffer(name, torch.tensor(values))

    def forward(self, head: Tensor) -> Tensor:
        """Return actions [B, ...]."""
        action: Tensor = self.middle + self.half_width * head.reshape(-1, *self._shape)
        return torch.minimum(torch.maximum(action, self.low), self.high)


class Policy(nn.Module):
    """A policy without a memory.

    Args:
        observations: In front of the network.
        network: From inputs [B, ...] to a head.
        action: From heads to actions.
        head: From the network's outputs to the head; `None` where they are it.
    """

    def __init__(
        self, observations: nn.Module, network: nn.Module, action: nn.Module, head: Callable[[Tensor], Tensor] | None = None
    ) -> None:
        super().__init__()
        self.observations, self.network, self.action = observations, network, action
        self._head = head or (lambda outputs: outputs)

    def forward(self, observations: Tensor) -> tuple[Tensor, Tensor]:
        """Return actions [B, ...] and heads [B, ...] at observations [B, ...]."""
        head = self._head(self.network(self.observations(observations)))
        return self.action(head), head


class PolicyWithMemory(Policy):
    """A policy that carries a memory [B, S]; its network is called with inputs, memory and starts, as `rl_core.network` has it."""

    def forward(self, observations: Tensor, state: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # type: ignore[override]  # one input more
        """Return actions [B, ...], heads [B, ...] and the next memory [B, S] at observations [B, ...] that follow a memory."""
        inputs = self.observations(observations)[None]
        outputs, after = self.network(inputs, state, torch.zeros(inputs.shape[:2], dtype=torch.bool, device=inputs.device))
        head = self._head(outputs[0])
        return self.action(head), head, after


class ComposedAction(nn.Module):
    """Layer from the heads of several distributions [B, H] to an action of all their parts [B, ...].

    Args:
        actions: The distributions.
    """

    def __init__(self, actions: Composed) -> None:
        super().__init__()
        self._heads = [part.head for part in actions.parts]
        self.layers = nn.ModuleList(action_layer(part.actions) for part in actions.parts)

    def forward(self, head: Tensor) -> Tensor:
        """Return actions [B, D]."""
        parts = [layer(head[:, place]) for place, layer in zip(self._heads, self.layers, strict=True)]
        return torch.cat([part.reshape(head.shape[0], -1).to(head.dtype) for part in parts], dim=1)


class TeamPolicy(nn.Module):
    """A policy of P players that share one network, which reads what each sees and which player it is.

    Args:
        network: From inputs [N, D + P] to the heads of players [N, A].
        num_players: P.
    """

    players: Tensor

    def __init__(self, network: nn.Module, num_players: int) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("players", torch.eye(num_players))

    def forward(self, observations: Tensor) -> tuple[Tensor, Tensor]:
        """Return actions [B, P] and heads [B, P, A] at observations [B, P, D]."""
        numbers = self.players.expand(observations.shape[0], -1, -1)
        heads = self.network(torch.cat([observations.float(), numbers], dim=2).flatten(0, 1))
        heads = heads.unflatten(0, (-1, numbers.shape[1]))
        return heads.argmax(dim=2), heads


class Judgement(nn.Module):
    """Priors and values of positions, which a search asks for before it looks further.

    Args:
        judge: From observations to logits of actions [B, A] and values [B].
        network: Module whose weights it has.
    """

    def __init__(self, judge: Callable[[Tensor], tuple[Tensor, Tensor]], network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self._judge = judge

    def forward(self, observations: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits of actions [B, A] and values [B] of observations [B, ...]."""
        return self._judge(observations.float())


def exportable_judgement(judge: Callable[[Tensor], tuple[Tensor, Tensor]], network: nn.Module, space: gymnasium.Space[Any]) -> Exportable:
    """Return what a search asks of a network ready for export; see `Judgement`."""
    words = {
        "priors": "logits of the actions before any search, forbidden ones too; the agent acts by searches",
        "values": "what the position is worth to the player who moves, or the return from it",
    }
    return Exportable(Judgement(judge, network), network, {"observations": example(space)}, words)


class Steps(nn.Module):
    """The computation of an agent at a step.

    Args:
        function: From tensors [B, ...] by name to a tuple of tensors [B, ...].
        network: Modules whose weights it has.
    """

    def __init__(self, function: Callable[..., tuple[Tensor, ...]], network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self._function = function

    def forward(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """Return the outputs [B, ...] of inputs [B, ...] by name."""
        return self._function(**inputs)


def computed(
    function: Callable[..., tuple[Tensor, ...]], network: nn.Module, inputs: Mapping[str, Tensor], words: Mapping[str, str]
) -> Exportable:
    """Return a function ready for export.

    Args:
        function: From tensors [B, ...] by name to a tuple of tensors [B, ...].
        network: Modules whose weights it has, which the format state-dict holds.
        inputs: An example of each input by name.
        words: What each output is, in the order of the tuple.
    """
    return Exportable(ByPosition(Steps(function, network), list(inputs)), network, inputs, words)


def zeros(*shape: int) -> Tensor:
    """Return an example of inputs [B, *shape]: 0."""
    return torch.zeros(EXAMPLES, *shape)


def vectors(space: gymnasium.Space[Any], observations: Tensor) -> Tensor:
    """Return observations [B, ...] as vectors [B, I], float32; those of a `Discrete` space are one at their number.

    >>> vectors(spaces.Discrete(3, start=1), torch.tensor([2])).tolist()
    [[0.0, 1.0, 0.0]]
    """
    if isinstance(space, spaces.Discrete):
        return one_hot(observations - int(space.start), int(space.n)).float()
    return observations.reshape(-1, math.prod(space.shape or ())).float()


def action_layer(actions: AnyDistribution) -> nn.Module:
    """Return the layer from a distribution's head to its most probable action."""
    if isinstance(actions, Composed):
        return ComposedAction(actions)
    return LargestAction(actions.first) if isinstance(actions, Categorical) else MeanAction(actions)


def exportable(policy: Policy, space: gymnasium.Space[Any], state_size: int = 0) -> Exportable:
    """Return a policy ready for export, with observations of `space` and a memory [B, S] where it has one."""
    inputs, words = (
        {"observations": example(space)},
        {"actions": "greedy actions as the environment takes them", "outputs": "the policy's head"},
    )
    if not state_size:
        return Exportable(policy, policy.network, inputs, words)
    words["next_state"] = "the memory to give as state with the next observations; 0 where an episode begins"
    return Exportable(policy, policy.network, {**inputs, "state": torch.zeros(EXAMPLES, state_size)}, words)
