"""The transformer from tokens to tokens: an encoder reads one text, a decoder writes another while it looks at the first.

Source: Vaswani and others, *Attention is all you need*, 2017. Departures: as in `attention`; a vector of its own starts each answer, so
that no token of the vocabulary has to.
Letters: B batch, S time of inputs, T time of answers, D width, V vocabulary of answers.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from gymnasium import Space
from torch import Tensor, nn
from torch.nn import functional

from dl_nets.networks.attention import Blocks, KeysAndValues, Positions
from dl_nets.networks.embedding import Embedding, vocabulary
from dl_nets.networks.generation import GREEDY, beam_search, greedy
from dl_nets.networks.initialisation import linear
from dl_nets.networks.layers import Activation, Dropout
from rl_core.config import Count, Doc, Meta, NonNegative, configclass
from rl_core.network import Network
from rl_core.tokens import Tokens, end_of, padding_of


@configclass
class Seq2SeqConfig:
    """Settings of the transformer from tokens to tokens."""

    width: Annotated[Count, Doc("D, numbers of a step; a multiple of num_heads")] = 64
    depth: Annotated[Count, Doc("blocks of the encoder, and of the decoder")] = 2
    num_heads: Annotated[Count, Doc("heads of each attention")] = 4
    expansion: Annotated[Count, Doc("hidden units of each block's perceptron, in multiples of the width")] = 4
    activation: Annotated[Activation, Doc("by name, of the perceptrons")] = "gelu"
    positions: Annotated[Positions, Doc("learned, sinusoidal or none: how a step knows its place")] = "sinusoidal"
    dropout: Annotated[float, Meta(ge=0, lt=1), Doc("probability that a number is left out of a step or a branch while training")] = 0.0
    label_smoothing: Annotated[float, Meta(ge=0, lt=1), Doc("share of the target that is spread over all tokens while training")] = 0.0
    beams: Annotated[Count, Doc("texts that are followed at a time when it answers; 1 takes the likeliest token each time")] = 1
    length_penalty: Annotated[NonNegative, Doc("alpha of a beam's score, log probability over ((5 + length) / 6)^alpha")] = 0.6


class Seq2Seq(nn.Module):
    """The module that `Seq2SeqNetwork` builds; it brings its own loss.

    Args:
        config: Settings.
        input_space: Tokens that are read.
        output_space: Tokens that are written.
        rng: Source of the first weights and of dropout.

    Raises:
        ValueError: if one of the spaces is not one of tokens.
    """

    traced_outputs = GREEDY

    def __init__(self, config: Seq2SeqConfig, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator) -> None:
        super().__init__()
        size = vocabulary(output_space)
        if vocabulary(input_space) is None or size is None or output_space.shape is None:
            raise ValueError(
                f"inputs are {input_space} and outputs {output_space}; network transformer-seq2seq reads and writes tokens, "
                "MultiDiscrete [T] of one vocabulary from 0"
            )
        self.length, self.size = int(output_space.shape[0]), size
        self._padding, self._end = padding_of(output_space), end_of(output_space)
        self._smoothing, self._beams, self._length_penalty = config.label_smoothing, config.beams, config.length_penalty
        blocks = partial(
            Blocks,
            config.depth,
            config.width,
            config.num_heads,
            config.expansion,
            rng,
            activation_name=config.activation,
            dropout=config.dropout,
        )
        self.dropout = Dropout(config.dropout, rng)
        self.source = Embedding(input_space, config.width, rng, positions=config.positions)
        self.encoder = blocks()
        # One more token than the vocabulary has: the beginning.
        self.target = Embedding(Tokens(self.length, size + 1), config.width, rng, positions=config.positions)
        self.decoder = blocks(reads_memory=True)
        self.output = linear(config.width, size, rng, init="glorot")

    def forward(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Return logits [B, T, V] of each token of the targets [B, T], given inputs [B, S] and the targets before it."""
        logits: Tensor = self.output(self.steps(inputs, targets))
        return logits

    def steps(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Return the decoder's steps [B, T, D], each of which has seen the inputs [B, S] and the targets [B, T] before it."""
        memory, mask = self.encode(inputs)
        before = torch.cat([self.begin(inputs.shape[0], targets.device), targets[:, :-1].long()], dim=1)
        steps: Tensor = self.decoder(self.dropout(self.target(before)), causal=True, memory=self.decoder.remember(memory), memory_mask=mask)
        return steps

    def encode(self, inputs: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return what the decoder reads of inputs [B, S]: steps [B, S, D], and which of them are not padding [B, 1, 1, S]."""
        known = self.source.mask(inputs)
        mask = None if known is None else known[:, None, None, :]
        return self.encoder(self.dropout(self.source(inputs)), mask=mask), mask

    def training_loss(self, inputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> tuple[Tensor, dict[str, Any]]:
        """Return the mean cross-entropy [] of the tokens up to the end, each given those before it, and the share that it gets right."""
        logits, wanted = self(inputs, targets), targets.long()
        smoothing = self._smoothing if self.training else 0.0
        each = functional.cross_entropy(logits.float().flatten(0, 1), wanted.flatten(), reduction="none", label_smoothing=smoothing)
        counted = torch.ones_like(wanted, dtype=torch.float32) if self._padding is None else (wanted != self._padding).float()
        counted = counted if weights is None else counted * weights[:, None]
        total = counted.sum().clamp(min=1e-9)
        right = (logits.detach().argmax(dim=2) == wanted).float()
        return (each * counted.flatten()).sum() / total, {"token_accuracy": (right * counted).sum() / total}

    def answers(self, inputs: Tensor) -> Tensor:
        """Return the answers [B, T] to inputs [B, S], by beam search; after the end they are padded."""
        padding = self._padding if self._padding is not None else self._end or 0
        return beam_search(
            self.decoding(inputs),
            self.begin(inputs.shape[0], inputs.device),
            self.length,
            beams=self._beams,
            end=self._end,
            padding=padding,
            length_penalty=self._length_penalty,
        )

    def decoding(self, inputs: Tensor) -> Decoding:
        """Return the decoder at work on answers to inputs [B, S]."""
        return Decoding(self, *self.encode(inputs))

    def traced_answers(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return the answers [B, T] of one beam and their logits [B, T, V], in as many steps for each input, for an exporter."""
        memory, mask = self.encode(inputs)
        read, begin = self.decoder.remember(memory), self.begin(inputs.shape[0], inputs.device)
        written = begin[:, :0]

        def following(tokens: Tensor) -> Tensor:
            nonlocal written
            written = torch.cat([written, tokens], dim=1)
            logits: Tensor = self.output(self.decoder(self.target(written), causal=True, memory=read, memory_mask=mask)[:, -1])
            return logits

        padding = self._padding if self._padding is not None else self._end or 0
        return greedy(following, begin, self.length, end=self._end, padding=padding)

    def begin(self, count: int, device: torch.device) -> Tensor:
        """Return the token [B, 1] in front of every text."""
        return torch.full((count, 1), self.size, device=device)


class Decoding:
    """The decoder at work on some answers, with the keys and values of what it has written."""

    def __init__(self, module: Seq2Seq, memory: Tensor, mask: Tensor | None) -> None:
        self._module, self._memory, self._mask = module, module.decoder.remember(memory), mask
        self._seen = [KeysAndValues(module.length) for _ in module.decoder.blocks]

    def __call__(self, tokens: Tensor) -> Tensor:
        """Return logits [B, V] of the token after `tokens` [B, n], which follow those before."""
        embedded = self._module.target(tokens, self._seen[0].length)
        steps = self._module.decoder(embedded, causal=True, memory=self._memory, memory_mask=self._mask, cache=self._seen)
        logits: Tensor = self._module.output(steps[:, -1])
        return logits

    def reorder(self, rows: Tensor) -> None:
        """Go on with the answers in rows `rows` [B]."""
        self._memory = [(keys[rows], values[rows]) for keys, values in self._memory]
        self._mask = None if self._mask is None else self._mask[rows]
        for seen in self._seen:
            seen.reorder(rows)


class Seq2SeqNetwork(Network):
    """Builder of transformers from tokens to tokens."""

    Config: ClassVar[type] = Seq2SeqConfig
    config: Seq2SeqConfig
    own_loss = True

    def build(self, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator) -> Seq2Seq:
        """Build an encoder and a decoder from tokens [B, S] to tokens [B, T]."""
        return Seq2Seq(self.config, input_space, output_space, rng)
