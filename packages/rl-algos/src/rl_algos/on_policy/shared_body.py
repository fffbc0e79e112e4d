"""Actor and critic as two heads of one network: images then pass through its convolutions once, not twice.

Source: V. Mnih and others, "Asynchronous methods for deep reinforcement learning", 2016, section 4: all layers but the last are shared.
Departures: none. Letters: B batch, K outputs of the policy's head.
"""

from __future__ import annotations

import numpy as np
import torch
from gymnasium import spaces
from torch import nn

from rl_algos.parts.composed import distribution_of
from rl_core.network import Network
from rl_core.task import ControlTask


class Head(nn.Module):
    """Some of the outputs of a network.

    Args:
        body: The network, which other heads share.
        outputs: Which of its outputs.
    """

    def __init__(self, body: nn.Module, outputs: slice) -> None:
        super().__init__()
        self.body, self.outputs = body, outputs

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return these outputs [B, K] for inputs [B, ...]."""
        outputs: torch.Tensor = self.body(inputs)
        return outputs[:, self.outputs]


def build_heads(task: ControlTask, network: Network, rng: np.random.Generator, policy_gain: float) -> tuple[Head, Head]:
    """Return actor and critic on one network, the policy's first weights scaled by `policy_gain`.

    Raises:
        ValueError: if the network carries a memory.
    """
    if network.stateful:
        raise ValueError("shared_body is true, and this network carries a memory; set shared_body to false, or name another network")
    size = distribution_of(task.output_space).num_outputs
    body = network.build(task.input_space, spaces.Box(-np.inf, np.inf, (size + 1,), np.float32), rng)
    linear = [module for module in body.modules() if isinstance(module, nn.Linear)]
    if linear:
        linear[-1].weight.data[:size].mul_(policy_gain)
    return Head(body, slice(size)), Head(body, slice(size, size + 1))


def outputs_of(actor: nn.Module, critic: nn.Module, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the actor's head [B, K] and the critic's values [B]: by one pass where they share a body.

    >>> body = nn.Linear(1, 3)
    >>> inputs = torch.ones(2, 1)
    >>> head, value = outputs_of(Head(body, slice(2)), Head(body, slice(2, 3)), inputs)
    >>> head.shape, bool((value == body(inputs)[:, 2]).all())
    (torch.Size([2, 2]), True)
    """
    if isinstance(actor, Head) and isinstance(critic, Head) and actor.body is critic.body:
        both = actor.body(inputs)
        return both[:, actor.outputs], both[:, critic.outputs].squeeze(1)
    return actor(inputs), critic(inputs).squeeze(1)
