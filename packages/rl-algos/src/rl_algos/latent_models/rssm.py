"""The recurrent state-space model: a state of a memory and of a random part, inferred from observations or predicted without them.

Source: D. Hafner and others, "Learning latent dynamics for planning from pixels", 2019, section 3; KL balance and free nats as in
D. Hafner and others, "Mastering diverse domains through world models", 2023, (4) and (5).
Departures: the random part is Gaussian, with a deviation of at least 0.1; the memory's cell normalises its sums, as in "Mastering
Atari with discrete world models", 2021.
Letters: T steps, B sequences, E numbers of an encoded observation, A of an action's code, D of the memory, Z of the random part.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from dl_nets.networks.initialisation import linear

LEAST_STD = 0.1
GAIN = 2.0**0.5


class Normal(NamedTuple):
    """Independent normal distributions: means and standard deviations [..., Z]."""

    mean: Tensor
    std: Tensor


class Inferred(NamedTuple):
    """States of a sequence, inferred from its observations.

    Attributes:
        state: Memory and random part, side by side [T, B, D + Z].
        posterior: Distribution of the random part with each step's observation [T, B, Z].
        prior: Without it.
    """

    state: Tensor
    posterior: Normal
    prior: Normal


def divergence(posterior: Normal, prior: Normal) -> Tensor:
    """Return KL(posterior || prior), summed over the Z numbers [...].

    >>> zero, one = torch.zeros(1, 1), torch.ones(1, 1)
    >>> divergence(Normal(one, one), Normal(zero, one))  # half the squared distance of the means
    tensor([0.5000])
    """
    ratio = (posterior.std / prior.std) ** 2
    return 0.5 * (ratio + ((posterior.mean - prior.mean) / prior.std) ** 2 - 1.0 - ratio.log()).sum(dim=-1)


def balanced_divergence(posterior: Normal, prior: Normal, free_nats: float, to_prior: float, to_posterior: float) -> Tensor:
    """Return b_dyn max(F, KL(sg(q) || p)) + b_rep max(F, KL(q || sg(p))) [...]: the prior is pulled harder than the posterior.

    >>> zero, one = torch.zeros(1, 1), torch.ones(1, 1)
    >>> balanced_divergence(Normal(2 * one, one), Normal(zero, one), 1.0, 0.5, 0.1)  # a divergence of 2
    tensor([1.2000])
    """
    fixed_posterior, fixed_prior = (Normal(d.mean.detach(), d.std.detach()) for d in (posterior, prior))
    dynamics = divergence(fixed_posterior, prior).clamp(min=free_nats)
    representation = divergence(posterior, fixed_prior).clamp(min=free_nats)
    return to_prior * dynamics + to_posterior * representation


class NormalisedGRU(nn.Module):
    """A GRU cell whose three sums are normalised together, and whose update gate starts near 0.27: it keeps by default.

    Args:
        inputs: Numbers of an input.
        size: D.
        rng: Source of the first weights.
    """

    def __init__(self, inputs: int, size: int, rng: np.random.Generator) -> None:
        super().__init__()
        self.sums, self.norm = linear(inputs + size, 3 * size, rng), nn.LayerNorm(3 * size)

    def forward(self, inputs: Tensor, memory: Tensor) -> Tensor:
        """Return the next memory [B, D] after inputs [B, I]."""
        reset, candidate, update = self.norm(self.sums(torch.cat([inputs, memory], dim=1))).chunk(3, dim=1)
        gate = torch.sigmoid(update - 1.0)
        return torch.lerp(memory, torch.tanh(torch.sigmoid(reset) * candidate), gate)


class RSSM(nn.Module):
    """The transitions of the state, with and without observations.

    Args:
        encoded: E.
        action: A.
        memory: D.
        random: Z.
        hidden: Units of each hidden layer.
        rng: Source of the first weights.

    Attributes:
        size: D + Z.
    """

    def __init__(self, encoded: int, action: int, memory: int, random: int, hidden: int, rng: np.random.Generator) -> None:
        super().__init__()
        self.memory, self.random, self.size = memory, random, memory + random
        self.input = linear(random + action, hidden, rng, gain=GAIN)
        self.cell = NormalisedGRU(hidden, memory, rng)
        self.prior_hidden, self.prior_head = linear(memory, hidden, rng, gain=GAIN), linear(hidden, 2 * random, rng)
        self.of_memory, self.of_code = linear(memory, hidden, rng), linear(encoded, hidden, rng)
        self.posterior_head = linear(hidden, 2 * random, rng)

    def observe(self, codes: Tensor, actions: Tensor, starts: Tensor, noise: Tensor, state: Tensor | None = None) -> Inferred:
        """Return the states of sequences.

        Args:
            codes: Encoded observations [T, B, E].
            actions: Codes of the actions that led to them [T, B, A].
            starts: 1 where an observation is the first of an episode [T, B], else 0.
            noise: Standard normal [T, B, Z].
            state: The state before the first step [B, D + Z]; 0 without it.
        """
        seen = self.of_code(codes)
        before = codes.new_zeros(codes.shape[1], self.size) if state is None else state
        memory, random = before[:, : self.memory], before[:, self.memory :]
        keeps = (1.0 - starts)[..., None]
        actions = actions * keeps
        memories, randoms, means, stds = [], [], [], []
        for t in range(len(codes)):
            memory = self._advance(memory * keeps[t], random * keeps[t], actions[t])
            found = _normal(self.posterior_head(functional.silu(self.of_memory(memory) + seen[t])))
            random = found.mean + found.std * noise[t]
            memories.append(memory)
            randoms.append(random)
            means.append(found.mean)
            stds.append(found.std)
        all_memories = torch.stack(memories)
        states = torch.cat([all_memories, torch.stack(randoms)], dim=2)
        return Inferred(states, Normal(torch.stack(means), torch.stack(stds)), self.prior(all_memories))

    def imagine(self, state: Tensor, action: Tensor, noise: Tensor | None) -> Tensor:
        """Return predicted next states [B, D + Z] after actions [B, A]; with the prior's mean in place of a draw without noise [B, Z]."""
        memory = self._advance(state[:, : self.memory], state[:, self.memory :], action)
        found = self.prior(memory)
        random = found.mean if noise is None else found.mean + found.std * noise
        return torch.cat([memory, random], dim=1)

    def prior(self, memory: Tensor) -> Normal:
        """Return the distribution of the random part that memories [..., D] predict."""
        return _normal(self.prior_head(functional.silu(self.prior_hidden(memory))))

    def _advance(self, memory: Tensor, random: Tensor, action: Tensor) -> Tensor:
        advanced: Tensor = self.cell(functional.silu(self.input(torch.cat([random, action], dim=1))), memory)
        return advanced


def _normal(head: Tensor) -> Normal:
    mean, raw = head.chunk(2, dim=-1)
    return Normal(mean, functional.softplus(raw) + LEAST_STD)
