"""Attention, and the transformer's blocks of attention and a perceptron.

Source: Vaswani and others, *Attention is all you need*, 2017, sections 3.1 to 3.5. Departures: layers are normalised before they are
used instead of after (Xiong and others, *On layer normalization in the transformer architecture*, 2020), which learns without a
warm-up; the last matrix of each residual branch starts smaller, by 1 / sqrt(number of branches) (Radford and others, *Language
models are unsupervised multitask learners*, 2019, section 2.3); dropout is applied to what a branch adds, not to attention weights.
Letters: B batch, T time, S time of a memory, D width, N heads.
"""

from __future__ import annotations

import math
from typing import Literal, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from dl_nets.networks.initialisation import linear
from dl_nets.networks.layers import Activation, Dropout, activation

Positions = Literal["learned", "sinusoidal", "none"]


def sinusoidal_positions(count: int, width: int) -> Tensor:
    """Return positions [count, width]: sin(p / 10000^(2i / width)) in even and the cosine in odd columns (section 3.5).

    >>> sinusoidal_positions(2, 2)
    tensor([[0.0000, 1.0000],
            [0.8415, 0.5403]])
    """
    angles = np.arange(count)[:, None] / 10000.0 ** (np.arange(0, width, 2) / width)
    both = np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(count, -1)[:, :width]
    return torch.tensor(both, dtype=torch.float32)


class KeysAndValues:
    """Keys and values of the steps that one attention has seen, so that each is computed once.

    Args:
        most: How many steps may be held.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._keys: Tensor | None = None
        self._values: Tensor | None = None
        self.length = 0

    def add(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Append keys and values [B, N, T, D / N]; return all that are held [B, N, length, D / N]."""
        if self._keys is None or self._values is None:
            shape = (*keys.shape[:2], self._most, keys.shape[3])
            self._keys, self._values = keys.new_empty(shape), values.new_empty(shape)
        end = self.length + keys.shape[2]
        self._keys[:, :, self.length : end], self._values[:, :, self.length : end] = keys, values
        self.length = end
        return self._keys[:, :, :end], self._values[:, :, :end]

    def reorder(self, rows: Tensor) -> None:
        """Keep rows `rows` [B] of the batch, in that order; beam search continues some texts twice and others not at all."""
        if self._keys is not None and self._values is not None:
            self._keys, self._values = self._keys[rows], self._values[rows]


class Attention(nn.Module):
    """Attention of several heads: softmax(Q K' / sqrt(D / N)) V for each, side by side, then a linear layer (3.2.2).

    Args:
        width: D, a multiple of the number of heads.
        num_heads: N.
        rng: Source of the first weights.
        output_gain: Scale of the last matrix's first weights.

    >>> attention = Attention(4, 2, np.random.default_rng(0))
    >>> steps = torch.ones(1, 3, 4)
    >>> attention(steps, attention.read(steps)).shape
    torch.Size([1, 3, 4])
    """

    def __init__(self, width: int, num_heads: int, rng: np.random.Generator, output_gain: float = 1.0) -> None:
        super().__init__()
        self._heads = num_heads
        self.query = linear(width, width, rng, init="glorot")
        self.key_value = linear(width, 2 * width, rng, init="glorot")
        self.output = linear(width, width, rng, init="glorot", gain=output_gain)

    def read(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Return keys and values [B, N, S, D / N] of a memory [B, S, D], which is the steps themselves in self-attention."""
        keys, values = (self._by_head(part) for part in self.key_value(memory).chunk(2, dim=2))
        return keys, values

    def forward(self, steps: Tensor, memory: tuple[Tensor, Tensor], *, mask: Tensor | None = None, causal: bool = False) -> Tensor:
        """Return what each step takes from the memory [B, T, D].

        Args:
            steps: Those that ask [B, T, D].
            memory: Keys and values of those that are read, as `read` gives them.
            mask: Which of the memory may be read, bool, [B, 1, 1 or T, S].
            causal: Whether the last step may read all of the memory, and each before it one less. It takes no mask.
        """
        query, (keys, values) = self._by_head(self.query(steps)), memory
        num_steps, held = query.shape[2], keys.shape[2]
        if causal and 1 < num_steps < held:
            mask = torch.ones(num_steps, held, dtype=torch.bool, device=query.device).tril(held - num_steps)
        taken = functional.scaled_dot_product_attention(query, keys, values, attn_mask=mask, is_causal=causal and num_steps == held)
        outputs: Tensor = self.output(taken.transpose(1, 2).flatten(2))
        return outputs

    def attention_weights(
        self, steps: Tensor, memory: tuple[Tensor, Tensor], *, mask: Tensor | None = None, causal: bool = False
    ) -> Tensor:
        """Return the share [B, N, T, S] of each of the memory in what each step takes; the arguments are those of `forward`."""
        query, keys = self._by_head(self.query(steps)), memory[0]
        scores = query @ keys.transpose(2, 3) / math.sqrt(query.shape[3])
        if causal:
            mask = torch.ones(scores.shape[2:], dtype=torch.bool, device=scores.device).tril(scores.shape[3] - scores.shape[2])
        return torch.softmax(scores if mask is None else scores.masked_fill(~mask, -math.inf), dim=-1)

    def _by_head(self, steps: Tensor) -> Tensor:
        return steps.unflatten(2, (self._heads, -1)).transpose(1, 2)  # [B, N, T, D / N]


class Block(nn.Module):
    """One layer of a transformer: self-attention, attention to a memory where there is one, and a perceptron, each added to its input.

    Args:
        width: D.
        num_heads: N.
        expansion: Hidden units of the perceptron for each of D.
        rng: Source of the first weights and of dropout.
        activation_name: Of the perceptron.
        dropout: Probability that a number that is added is left out while training.
        branch_gain: Scale of the first weights of each last matrix.
        reads_memory: Whether it attends to a memory.
    """

    def __init__(
        self,
        width: int,
        num_heads: int,
        expansion: int,
        rng: np.random.Generator,
        *,
        activation_name: Activation = "gelu",
        dropout: float = 0.0,
        branch_gain: float = 1.0,
        reads_memory: bool = False,
    ) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = Attention(width, num_heads, rng, branch_gain)
        self.memory_norm = nn.LayerNorm(width) if reads_memory else None
        self.memory_attention = Attention(width, num_heads, rng, branch_gain) if reads_memory else None
        self.perceptron_norm = nn.LayerNorm(width)
        self.perceptron = nn.Sequential(
            linear(width, expansion * width, rng, init="glorot"),
            activation(activation_name),
            linear(expansion * width, width, rng, init="glorot", gain=branch_gain),
        )
        self.dropout = Dropout(dropout, rng)

    def remember(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Return the keys and values of a memory [B, S, D], which `forward` takes.

        Raises:
            ValueError: if the block was built without attention to a memory.
        """
        if self.memory_attention is None:
            raise ValueError("reads_memory is false; build the block with reads_memory=True to give it a memory")
        return self.memory_attention.read(memory)

    def forward(
        self,
        steps: Tensor,
        *,
        mask: Tensor | None = None,
        causal: bool = False,
        memory: tuple[Tensor, Tensor] | None = None,
        memory_mask: Tensor | None = None,
        seen: KeysAndValues | None = None,
    ) -> Tensor:
        """Return steps [B, T, D]; see `Attention.forward` for the arguments. `seen` holds earlier steps, and grows by these."""
        normed = self.attention_norm(steps)
        read = self.attention.read(normed)
        steps = steps + self.dropout(self.attention(normed, read if seen is None else seen.add(*read), mask=mask, causal=causal))
        if self.memory_attention is not None and self.memory_norm is not None:
            if memory is None:
                raise ValueError("memory is None, but this block attends to one; give it what remember returns")
            steps = steps + self.dropout(self.memory_attention(self.memory_norm(steps), memory, mask=memory_mask))
        moved: Tensor = steps + self.dropout(self.perceptron(self.perceptron_norm(steps)))
        return moved


class Blocks(nn.Module):
    """Blocks one after the other, and a last normalisation.

    Args:
        depth: How many.
        width: D.
        num_heads: N.
        expansion: Hidden units of the perceptrons for each of D.
        rng: Source of the first weights and of dropout.
        activation_name: Of the perceptrons.
        dropout: As in `Block`.
        reads_memory: Whether they attend to a memory.

    Raises:
        ValueError: if the width is not a multiple of the number of heads.
    """

    def __init__(
        self,
        depth: int,
        width: int,
        num_heads: int,
        expansion: int,
        rng: np.random.Generator,
        *,
        activation_name: Activation = "gelu",
        dropout: float = 0.0,
        reads_memory: bool = False,
    ) -> None:
        super().__init__()
        if width % num_heads:
            raise ValueError(f"width is {width} and num_heads {num_heads}; width must be a multiple of num_heads")
        gain = 1.0 / math.sqrt((3 if reads_memory else 2) * depth)
        self.blocks = nn.ModuleList(
            Block(
                width,
                num_heads,
                expansion,
                rng,
                activation_name=activation_name,
                dropout=dropout,
                branch_gain=gain,
                reads_memory=reads_memory,
            )
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width)

    def remember(self, memory: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return the keys and values of a memory [B, S, D] for each block, to be computed once for all steps that read it."""
        return [cast(Block, block).remember(memory) for block in self.blocks]

    def forward(
        self,
        steps: Tensor,
        *,
        mask: Tensor | None = None,
        causal: bool = False,
        memory: list[tuple[Tensor, Tensor]] | None = None,
        memory_mask: Tensor | None = None,
        cache: list[KeysAndValues] | None = None,
    ) -> Tensor:
        """Return steps [B, T, D]; `memory` is what `remember` gave, `cache` holds what each block has seen, and grows by these steps."""
        for number, block in enumerate(self.blocks):
            seen = None if cache is None else cache[number]
            read = None if memory is None else memory[number]
            steps = block(steps, mask=mask, causal=causal, memory=read, memory_mask=memory_mask, seen=seen)
        normed: Tensor = self.norm(steps)
        return normed
