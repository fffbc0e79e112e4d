"""Sequences for policies with memory: states kept while acting, and networks unrolled in the order of time.

A state [N, S] is the memory of actor and critic of each environment's episode, side by side. It is 0 when an episode begins and continues
over the end of a rollout. An update unrolls each environment's steps from the state that the rollout began with, and starts anew
where an episode did: the outputs are those that acted, as long as the parameters are. Gradients do not reach into the rollout before.

Source: D. Wierstra, A. Foerster, J. Peters, J. Schmidhuber, "Recurrent policy gradients", 2010, section 4; cut at the rollout's start as
in V. Mnih and others, "Asynchronous methods for deep reinforcement learning", 2016, section 5.1.
Departures: after the first update of a rollout the state that it began with is one of older parameters.
Letters: T steps, N environments, B = T N transitions, S numbers of a state, M minibatch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from dl_nets.fast.bridge import why_torch


@dataclass(frozen=True)
class Sequences:
    """Inputs in the order of time, all environments of one step before those of the next; arrays, or tensors.

    Attributes:
        inputs: Observations as the networks see them [T N, ...].
        starts: Whether an episode starts with this step [T N].
        state: The memory before each step; only that before the first of a sequence is used [T N, S].
        num_steps: T.
    """

    inputs: Any
    starts: Any
    state: Any
    num_steps: int

    def __len__(self) -> int:
        """B, the number of transitions."""
        return len(self.inputs)

    def __getitem__(self, indices: np.ndarray) -> Sequences:
        """Return the sequences whose transitions are at `indices`, as `sequence_minibatches` yields them.

        Raises:
            ValueError: if they are not whole sequences in the order of time.
        """
        steps, num_envs = np.reshape(indices, (self.num_steps, -1)), len(self) // self.num_steps
        if (steps != steps[0] + num_envs * np.arange(self.num_steps)[:, None]).any() or steps[0].max() >= num_envs:
            raise ValueError(
                f"the transitions are not whole sequences of {self.num_steps} steps in order; a network with a memory needs them"
            )
        return Sequences(self.inputs[indices], self.starts[indices], self.state[indices], self.num_steps)

    def to(self, device: torch.device) -> Sequences:
        """Return the arrays as tensors on a device."""
        inputs, starts, state = (torch.from_numpy(column).to(device) for column in (self.inputs, self.starts, self.state))
        return Sequences(inputs, starts, state, self.num_steps)


def in_order(inputs: np.ndarray, over: np.ndarray, state: np.ndarray) -> Sequences:
    """Return a rollout's inputs as sequences that begin with the state that it began with.

    Args:
        inputs: [T N, ...].
        over: Whether the episode was over with this step [T, N].
        state: The memory before each step [T, N, S].
    """
    starts = np.concatenate([np.zeros_like(over[:1]), over[:-1]])  # the first state is 0 already if an episode starts there
    return Sequences(inputs, starts.ravel(), state.reshape(len(inputs), -1), len(starts))


def one_step(inputs: np.ndarray, state: np.ndarray) -> Sequences:
    """Return inputs [B, ...], each with a state of its own [B, S], as sequences of one step."""
    return Sequences(inputs, np.zeros(len(inputs), dtype=np.bool_), state, 1)


def sequence_minibatches(rng: np.random.Generator, num_steps: int, num_envs: int, batch_size: int, num_epochs: int) -> Iterator[np.ndarray]:
    """Yield indices [M] of minibatches that hold all steps of some environments, which are in a new order in every epoch.

    Args:
        rng: Shuffles the environments.
        num_steps: T.
        num_envs: N.
        batch_size: Least number of transitions in a minibatch, if the rollout has as many; whole environments make it more.
        num_epochs: Passes over the rollout.

    >>> [indices.tolist() for indices in sequence_minibatches(np.random.default_rng(2), 3, 2, batch_size=3, num_epochs=1)]
    [[0, 2, 4], [1, 3, 5]]
    """
    num_batches = min(num_envs, max(1, num_steps * num_envs // batch_size))
    for _ in range(num_epochs):
        order = rng.permutation(num_envs)
        for i in range(num_batches):
            envs = order[num_envs * i // num_batches : num_envs * (i + 1) // num_batches]
            yield (num_envs * np.arange(num_steps)[:, None] + envs).ravel()


class Unroller(nn.Module):
    """A stepped network as an actor-critic calls it: `Sequences` in, outputs out. Several share one state, side by side.

    Args:
        network: What `rl_core.network.Network.build_stepped` returned.
        first: Where its part of the state begins.

    Attributes:
        state_size: Length of that part.
    """

    def __init__(self, network: nn.Module, first: int = 0) -> None:
        super().__init__()
        self.network = network
        self.state_size: int = int(network.state_size)  # type: ignore[arg-type]  # a stranger's module: torch types attributes as tensors
        self._part = slice(first, first + self.state_size)

    def forward(self, sequences: Sequences) -> torch.Tensor:
        """Return outputs [T N, K]."""
        shape = (sequences.num_steps, -1)
        inputs, starts = sequences.inputs.unflatten(0, shape), sequences.starts.unflatten(0, shape)
        outputs, _ = self.network(inputs, sequences.state[: inputs.shape[1], self._part], starts)
        unrolled: torch.Tensor = outputs.flatten(0, 1)
        return unrolled

    def advance(self, inputs: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return outputs [N, K] of inputs [N, ...] that follow a state [N, S], and this network's part of the next state."""
        starts = torch.zeros(1, len(state), dtype=torch.bool, device=state.device)
        outputs, after = self.network(inputs[None], state[:, self._part], starts)
        return outputs[0], after

    def why_torch(self) -> str:
        """Return the reason why the network is computed by torch, or ""."""
        return why_torch(self.network)
