"""SNAIL: a policy that looks back over its whole trial by causal convolutions and attention.

Source: N. Mishra, M. Rohaninejad, X. Chen, P. Abbeel, "A simple neural attentive meta-learner", 2018, section 3 and appendix C.
Departures: PPO takes the place of TRPO (see `trial_learner`); policy and critic share the layers below their heads.
Errata: the pseudo-code of TCBlock counts dilations 2^i from i = 1, which skips the step just before; the figure has 1, 2, 4, as here.
Letters: T steps of a trial, N trials, I inputs, C channels, F filters, K numbers of a head, d dilation.
"""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from rl_algos.meta.action_heads import ActionHeads
from rl_algos.meta.rl2 import initialised
from rl_algos.meta.trial_learner import MemoryModule, TrialConfig, TrialLearner
from rl_core.config import Count, Doc, configclass


@configclass
class SNAILConfig(TrialConfig):
    """Settings of SNAIL."""

    embedding: Annotated[Count, Doc("numbers that an input is brought to first")] = 32
    filters: Annotated[Count, Doc("F, that each convolution adds to the channels")] = 16
    keys: Annotated[Count, Doc("numbers of a key and of a value of the attention")] = 32
    num_blocks: Annotated[Count, Doc("blocks of convolutions before the attention")] = 2


class Dense(nn.Module):
    """A causal convolution over two steps at a distance d, whose gated outputs are put behind its inputs.

    concat(X, tanh(W_f x_t + V_f x_t-d) * sigmoid(W_g x_t + V_g x_t-d))

    Args:
        channels: C.
        filters: F.
        dilation: d.
    """

    def __init__(self, channels: int, filters: int, dilation: int) -> None:
        super().__init__()
        self.layer = nn.Linear(2 * channels, 2 * filters, device="meta")
        self.dilation = dilation

    def forward(self, inputs: Tensor) -> Tensor:
        """Return [T, N, C + F] of [T, N, C]; before the first step are zeros."""
        shifted = torch.cat((torch.zeros_like(inputs[: self.dilation]), inputs[: -self.dilation]))
        return self.joined(inputs, shifted[: len(inputs)])

    def joined(self, now: Tensor, before: Tensor) -> Tensor:
        """Return [..., C + F] of the channels now and d steps before [..., C]."""
        active, gate = self.layer(torch.cat((now, before), dim=-1)).chunk(2, dim=-1)
        return torch.cat((now, active.tanh() * gate.sigmoid()), dim=-1)


class Attention(nn.Module):
    """Causal attention, whose output is put behind its inputs; weights are normalised over the keys.

    Args:
        channels: C.
        size: Of a key and of a value.
    """

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(channels, size, device="meta") for _ in range(3))
        self.scale = 1.0 / math.sqrt(size)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return [T, N, C + size] of [T, N, C]."""
        query, key, value = (layer(inputs).transpose(0, 1) for layer in (self.query, self.key, self.value))  # [N, T, size]
        future = torch.ones(len(inputs), len(inputs), dtype=torch.bool).triu(1)
        weight = (self.scale * query @ key.transpose(1, 2)).masked_fill(future, -math.inf).softmax(dim=-1)
        return torch.cat((inputs, (weight @ value).transpose(0, 1)), dim=-1)

    def look_back(self, now: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Return [N, C + size] of the channels now [N, C], and keys and values until now [T, N, size]."""
        weight = (self.scale * (self.query(now) * keys).sum(dim=-1)).softmax(dim=0)  # [T, N]
        return torch.cat((now, (weight[..., None] * values).sum(dim=0)), dim=-1)


class Past:
    """The memory of trials under way: the channels of each convolution, and keys and values, of all steps so far.

    Attributes:
        channels: Of each convolution, its inputs [T, N, C].
        keys: [T, N, size].
        values: [T, N, size].
        time: Steps so far.
    """

    def __init__(self, channels: list[Tensor], keys: Tensor, values: Tensor) -> None:
        self.channels, self.keys, self.values, self.time = channels, keys, values, 0


class AttentiveMemory(MemoryModule):
    """Embedding, blocks of dilated convolutions, attention, and linear heads.

    Args:
        size: I.
        length: T that the dilations 1, 2, 4, ... of a block must reach.
        config: Settings.
        heads: Distribution of actions.
        unit: Unit of the values.
    """

    def __init__(self, size: int, length: int, config: SNAILConfig, heads: ActionHeads, unit: float) -> None:
        super().__init__(heads, config.log_std, unit)
        self.size, self.length = size, length
        self.embedding = nn.Linear(size, config.embedding, device="meta")
        channels = config.embedding
        self.convolutions = nn.ModuleList()
        for _ in range(config.num_blocks):
            for power in range(max(1, math.ceil(math.log2(length)))):
                self.convolutions.append(Dense(channels, config.filters, 2**power))
                channels += config.filters
        self.attention = Attention(channels, config.keys)
        self.policy_layer = nn.Linear(channels + config.keys, heads.actions.num_outputs, device="meta")
        self.critic_layer = nn.Linear(channels + config.keys, 1, device="meta")

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return heads [T, N, K] and values [T, N] of whole trials [T, N, I]."""
        channels = self.embedding(inputs)
        for convolution in self.convolutions:
            channels = convolution(channels)
        channels = self.attention(channels)
        return self.policy_layer(channels), self.unit * self.critic_layer(channels)[..., 0]

    def begin(self, num_trials: int, num_steps: int) -> Past:
        """Return an empty past of so many steps."""
        sizes = [dense.layer.in_features // 2 for dense in self.convolutions]  # type: ignore[union-attr,operator]
        keys = self.attention.key.out_features
        return Past(
            [torch.empty(num_steps, num_trials, int(size)) for size in sizes],
            torch.empty(num_steps, num_trials, keys),
            torch.empty(num_steps, num_trials, keys),
        )

    def advance(self, inputs: Tensor, memory: Past) -> tuple[Tensor, Tensor, Past]:
        """Return heads [N, K], values [N] and the past with this step, of inputs [N, I]."""
        channels, time = self.embedding(inputs), memory.time
        for dense, past in zip(self.convolutions, memory.channels, strict=True):
            assert isinstance(dense, Dense)
            past[time] = channels
            channels = dense.joined(channels, past[time - dense.dilation] if time >= dense.dilation else torch.zeros_like(channels))
        memory.keys[time], memory.values[time] = self.attention.key(channels), self.attention.value(channels)
        memory.time += 1
        channels = self.attention.look_back(channels, memory.keys[: memory.time], memory.values[: memory.time])
        return self.policy_layer(channels), self.unit * self.critic_layer(channels)[:, 0], memory

    @property
    def state_size(self) -> int:
        """S: the inputs of a trial, and the number of its steps so far."""
        return self.length * self.size + 1

    def stepped(self, inputs: Tensor, state: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return heads [N, K], values [N] and the inputs until now with their number [N, T I + 1], of inputs [N, I].

        It computes the whole trial anew: what comes later is 0, and nothing looks ahead.
        """
        now = (torch.arange(self.length, device=state.device) == state[:, -1:])[..., None]  # [N, T, 1]
        trial = torch.where(now, inputs[:, None], state[:, :-1].unflatten(1, (self.length, self.size)))
        heads, values = self(trial.transpose(0, 1))
        chosen = now.to(heads.dtype)
        head, value = (heads.transpose(0, 1) * chosen).sum(dim=1), (values.transpose(0, 1) * chosen[..., 0]).sum(dim=1)
        return head, value, torch.cat((trial.flatten(1), state[:, -1:] + 1), dim=1)


class SNAIL(TrialLearner):
    """The agent: its memory of a trial is the trial."""

    Config: ClassVar[type] = SNAILConfig
    config: SNAILConfig

    def build(self, size: int, heads: ActionHeads, unit: float, rng: np.random.Generator) -> MemoryModule:
        """Return convolutions that reach over a trial, and the attention."""
        self.path = "torch: convolutions and attention over whole trials"
        length = min(self.config.max_steps, self.num_episodes * int(getattr(self.task, "time_limit", self.config.max_steps)))
        return initialised(AttentiveMemory(size, length, self.config, heads, unit), rng)
