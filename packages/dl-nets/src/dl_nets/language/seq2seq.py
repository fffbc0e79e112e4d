"""Recurrent networks from tokens to tokens: one reads a text in both directions, another writes the answer while it looks at it.

Without attention the first reads backwards only, and all that the second knows of the text is the state that it was left in.

Sources: Sutskever, Vinyals and Le, *Sequence to sequence learning with neural networks*, 2014 (without attention); Bahdanau, Cho and
Bengio, *Neural machine translation by jointly learning to align and translate*, 2015 (additive: the state before the token asks, and the
cell reads the answer); Luong, Pham and Manning, *Effective approaches to attention-based neural machine translation*, 2015 (dot and
general: the state after the token asks, equation 5, and what was written is fed to the next step, section 3.3).
Departures: without attention the decoder has one layer, which goes on from the state of the encoder's highest; the logits are products
of output vectors with tanh(W [h; c]) in every form, where Bahdanau has maxout units.
Letters: B batch, S time of inputs, T time of answers, E numbers of a token, H units, D = 2 H numbers of a step, V vocabulary of answers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple

import numpy as np
import torch
from gymnasium import Space
from torch import Tensor, nn
from torch.nn import functional

from dl_nets.language.alignment import Alignment, AttentionName, attention_shares
from dl_nets.networks.cells import STEPS, Cell, CellName, Cells
from dl_nets.networks.embedding import token_vectors, vocabulary
from dl_nets.networks.generation import GREEDY, beam_search, greedy
from dl_nets.networks.initialisation import linear
from dl_nets.networks.layers import Dropout
from rl_core.config import Count, Doc, Meta, NonNegative, configclass
from rl_core.network import Network
from rl_core.task import DataTask
from rl_core.tokens import end_of, padding_of


@configclass
class EncoderDecoderConfig:
    """Settings of recurrent networks from tokens to tokens."""

    attention: Annotated[
        AttentionName, Doc("how steps of the input are scored; none: it is read backwards, and only the last state is handed over")
    ] = "additive"
    cell: Annotated[CellName, Doc("rnn (Elman), gru or lstm, of both networks")] = "lstm"
    units: Annotated[Count, Doc("H, of the decoder and of each direction of the encoder")] = 96
    embedding: Annotated[Count, Doc("E, numbers of the vector that stands for a token")] = 64
    attention_size: Annotated[Count, Doc("numbers of the additive attention's hidden layer")] = 64
    layers: Annotated[Count, Doc("layers of the encoder above each other")] = 1
    tied: Annotated[bool, Doc("whether the output layer has the vectors of the tokens that were written")] = False
    dropout: Annotated[float, Meta(ge=0, lt=1), Doc("probability that a number of a token or of the output's input is left out")] = 0.0
    label_smoothing: Annotated[float, Meta(ge=0, lt=1), Doc("share of the target that is spread over all tokens while training")] = 0.0
    beams: Annotated[Count, Doc("texts that are followed at a time when it answers; 1 takes the likeliest token each time")] = 1
    length_penalty: Annotated[NonNegative, Doc("alpha of a beam's score, log probability over ((5 + length) / 6)^alpha")] = 0.6


class Memory(NamedTuple):
    """Encoded inputs, for the decoder to look at.

    Attributes:
        tokens: The inputs [B, S].
        steps: Of the encoder [B, S, 2 H].
        keys: What queries are compared with [B, S, ...].
        known: Which steps are not padding, bool [B, S]; `None`: all.
    """

    tokens: Tensor
    steps: Tensor
    keys: Tensor
    known: Tensor | None

    def rows(self, rows: Tensor) -> Memory:
        """Return the memory of the texts in rows `rows` [B]."""
        known = None if self.known is None else self.known[rows]
        return Memory(self.tokens[rows], self.steps[rows], self.keys[rows], known)


class Place(NamedTuple):
    """A place in the text that a decoder writes.

    Attributes:
        state: Of the cell [B, H or 2 H].
        read: What it took from the memory, or what it wrote last, where that is fed in [B, ...].
        covered: Sum of the shares of each step so far [B, S].
    """

    state: Tensor
    read: Tensor
    covered: Tensor


class EncoderDecoder(nn.Module):
    """The module that `Seq2Seq` builds; it brings its own loss.

    Args:
        config: Settings.
        input_space: Tokens that are read.
        output_space: Tokens that are written.
        rng: Source of the first weights and of dropout.
        coverage: Whether the attention sees how often it has read each step; additive attention only.

    Raises:
        ValueError: if one of the spaces is not one of tokens.
    """

    traced_outputs: Mapping[str, str] = GREEDY

    def __init__(
        self,
        config: EncoderDecoderConfig,
        input_space: Space[Any],
        output_space: Space[Any],
        rng: np.random.Generator,
        *,
        coverage: bool = False,
    ) -> None:
        super().__init__()
        read, size = vocabulary(input_space), vocabulary(output_space)
        if read is None or size is None or output_space.shape is None:
            raise ValueError(
                f"inputs are {input_space} and outputs {output_space}; this network reads and writes tokens, MultiDiscrete [T] of one "
                "vocabulary from 0"
            )
        self.length, self.size, self._cell_name = int(output_space.shape[0]), size, config.cell
        self._source_padding, self._padding, self._end = padding_of(input_space), padding_of(output_space), end_of(output_space)
        self._smoothing, self._beams, self._length_penalty = config.label_smoothing, config.beams, config.length_penalty
        units, self._embedding = config.units, config.embedding
        self._looks, self._looks_first = config.attention != "none", config.attention == "additive"
        self.source = token_vectors(read, config.embedding, rng, 1.0)
        self.encoder = Cells(config.cell, config.embedding, units, config.layers, rng, bidirectional=self._looks, dropout=config.dropout)
        self._state_size = units * (2 if config.cell == "lstm" else 1)
        self.first = linear(2 * units, self._state_size, rng, init="glorot") if self._looks else None
        # One more token than the vocabulary has: the beginning.
        deviation = 1.0 / math.sqrt(config.embedding) if config.tied else 1.0
        self.target = token_vectors(size + 1, config.embedding, rng, deviation)
        self._read_size = 0 if not self._looks else 2 * units if self._looks_first else config.embedding
        self.cell = Cell(config.cell, config.embedding + self._read_size, units, rng)
        self.alignment = Alignment(config.attention, units, config.attention_size, rng, coverage=coverage) if self._looks else None
        self.written = linear(units * (3 if self._looks else 1), config.embedding, rng, init="glorot")
        self.output = None if config.tied else linear(config.embedding, size, rng, init="glorot")
        self.bias = nn.Parameter(torch.zeros(size)) if config.tied else None
        self.dropout = Dropout(config.dropout, rng)

    def encode(self, inputs: Tensor) -> tuple[Memory, Place]:
        """Return what the decoder looks at in inputs [B, S], and where it begins."""
        known = None
        if self._source_padding is not None:
            known = inputs != self._source_padding
            known[:, 0] = True  # an empty text would have nothing to look at
            if not torch.compiler.is_compiling():  # a graph has one length, and padding counts nothing
                longest = int(torch.where(known, torch.arange(1, inputs.shape[1] + 1, device=inputs.device), 0).amax())
                inputs, known = inputs[:, :longest], known[:, :longest]
        vectors = self.dropout(self.source(inputs.long())).transpose(0, 1)  # [S, B, E]
        last = torch.full((inputs.shape[0],), inputs.shape[1] - 1, device=inputs.device) if known is None else known.sum(dim=1) - 1
        is_last = torch.arange(len(vectors), device=inputs.device)[:, None] == last
        if self.first is None:  # backwards, and the decoder goes on from that state
            found, states = self.encoder(vectors.flip(0), vectors.new_zeros(len(inputs), self.encoder.state_size), is_last.flip(0))
            steps, state = found.flip(0).transpose(0, 1), states[:, -self._state_size :]
            return Memory(inputs, steps, steps, known), Place(state, steps.new_zeros(len(steps), 0), steps.new_zeros(steps.shape[:2]))
        steps = self.encoder.both_ways(vectors, is_last).transpose(0, 1)
        units = steps.shape[2] // 2
        ends = torch.cat([steps[torch.arange(steps.shape[0], device=steps.device), last, :units], steps[:, 0, units:]], dim=1)
        keys = steps if self.alignment is None else self.alignment.keys(steps)
        place = Place(torch.tanh(self.first(ends)), steps.new_zeros(steps.shape[0], self._read_size), steps.new_zeros(steps.shape[:2]))
        return Memory(inputs, steps, keys, known), place

    def advance(self, memory: Memory, place: Place, projected: Tensor) -> tuple[Tensor, Place, Tensor]:
        """Return the state beside what was read [B, H or 3 H], the place after one token, and the shares of the steps [B, S].

        Args:
            memory: What is looked at.
            place: Before the token.
            projected: What the token adds to the cell's gates [B, G H].
        """
        state, read, covered = place
        units = self.cell.weight.shape[1]
        shares = covered
        if self.alignment is not None and self._looks_first:
            shares = attention_shares(self.alignment(state[:, :units], memory.keys, covered), memory.known)
            read = torch.bmm(shares[:, None], memory.steps)[:, 0]
        if self._looks:
            projected = projected + functional.linear(read, self.cell.projection.weight[:, self._embedding :])
        state = STEPS[self._cell_name](projected, functional.linear(state[:, :units], self.cell.weight, self.cell.bias), state)
        hidden = state[:, :units]
        if self.alignment is None:
            return hidden, Place(state, read, covered), shares
        if not self._looks_first:
            shares = attention_shares(self.alignment(hidden, memory.keys, covered), memory.known)
            both = torch.cat([hidden, torch.bmm(shares[:, None], memory.steps)[:, 0]], dim=1)
            return both, Place(state, torch.tanh(self.written(both)), covered + shares), shares
        return torch.cat([hidden, read], dim=1), Place(state, read, covered + shares), shares

    def read(self, memory: Memory, place: Place, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Return the states beside what was read [B, T, ...] at each of `tokens` [B, T], and the shares of the steps [B, T, S]."""
        projected = self.project(tokens)
        if self.alignment is None:
            starts = torch.zeros(tokens.shape[::-1], dtype=torch.bool, device=tokens.device)
            hidden, _ = self.cell(self.dropout(self.target(tokens)).transpose(0, 1), place.state, starts)
            return hidden.transpose(0, 1), memory.steps.new_zeros(*tokens.shape, memory.steps.shape[1])
        found, shares = [], []
        for step in range(tokens.shape[1]):
            both, place, share = self.advance(memory, place, projected[:, step])
            found.append(both)
            shares.append(share)
        return torch.stack(found, dim=1), torch.stack(shares, dim=1)

    def project(self, tokens: Tensor) -> Tensor:
        """Return what tokens [B, T] add to the cell's gates [B, T, G H]."""
        words = self.dropout(self.target(tokens))
        return functional.linear(words, self.cell.projection.weight[:, : self._embedding], self.cell.projection.bias)

    def logits(self, found: Tensor) -> Tensor:
        """Return the logits [..., V] of states beside what was read [..., H or 3 H]."""
        written = self.dropout(torch.tanh(self.written(found)))
        if self.output is None:
            return functional.linear(written, self.target.weight[: self.size], self.bias)
        logits: Tensor = self.output(written)
        return logits

    def training_loss(self, inputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> tuple[Tensor, dict[str, Any]]:
        """Return the mean cross-entropy [] of the tokens up to the end, each given those before it, and the share that it gets right."""
        memory, place = self.encode(inputs)
        before, wanted, counted, weight = self.taught(targets, weights)
        logits = self.logits(self.read(memory, place, before)[0][counted])  # [N, V]
        smoothing = self._smoothing if self.training else 0.0
        each = functional.cross_entropy(logits.float(), wanted[counted], reduction="none", label_smoothing=smoothing)
        right = (logits.detach().argmax(dim=1) == wanted[counted]).float()
        total = weight.sum().clamp(min=1e-9)
        return (each * weight).sum() / total, {"token_accuracy": (right * weight).sum() / total}

    def taught(self, targets: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the tokens before each target [B, T], the targets [B, T], which of them count [B, T], and the weights of these [N].

        T is the length of the longest of the targets [B, T'].
        """
        wanted = targets.long()
        counted = torch.ones_like(wanted, dtype=torch.bool) if self._padding is None else wanted != self._padding
        longest = max(1, int(torch.where(counted, torch.arange(1, wanted.shape[1] + 1, device=wanted.device), 0).amax()))
        wanted, counted = wanted[:, :longest], counted[:, :longest]
        before = torch.cat([self.begin(len(wanted), wanted.device), wanted[:, :-1]], dim=1)
        each = torch.ones(len(wanted), device=wanted.device) if weights is None else weights.float()
        return before, wanted, counted, each[:, None].expand_as(wanted)[counted]

    def begin(self, count: int, device: torch.device) -> Tensor:
        """Return the token [B, 1] in front of every text."""
        return torch.full((count, 1), self.size, device=device)

    def answers(self, inputs: Tensor) -> Tensor:
        """Return the answers [B, T] to inputs [B, S], by beam search; after the end they are padded."""
        begin, padding = self.begin(inputs.shape[0], inputs.device), self._padding if self._padding is not None else self._end or 0
        return beam_search(
            self.decoding(inputs),
            begin,
            self.length,
            beams=self._beams,
            end=self._end,
            padding=padding,
            length_penalty=self._length_penalty,
        )

    def traced_answers(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return the answers [B, T] of one beam and their logits [B, T, V], in as many steps for each input, for an exporter."""
        begin, padding = self.begin(inputs.shape[0], inputs.device), self._padding if self._padding is not None else self._end or 0
        return greedy(self.decoding(inputs), begin, self.length, end=self._end, padding=padding)

    def decoding(self, inputs: Tensor) -> Decoding:
        """Return the decoder at work on answers to inputs [B, S]."""
        return Decoding(self, *self.encode(inputs))

    def attention(self, inputs: Tensor, answers: Tensor) -> Tensor:
        """Return the share [B, T, S] of each step of inputs [B, S] at each token of answers [B, T]; 0 without attention."""
        memory, place = self.encode(inputs)
        before = torch.cat([self.begin(len(answers), answers.device), answers[:, :-1].long()], dim=1)
        return self.read(memory, place, before)[1]

    def draw(self, folder: Path, task: DataTask) -> None:
        """Write the shares of the attention for some test texts."""
        if self._looks:
            from dl_nets.language.heat_maps import draw_attention

            draw_attention(folder / "attention.png", self, task)


class Decoding:
    """The decoder at work on some answers."""

    def __init__(self, module: EncoderDecoder, memory: Memory, place: Place) -> None:
        self.module, self.memory, self.place = module, memory, place

    def __call__(self, tokens: Tensor) -> Tensor:
        """Return logits [B, V] of the token after `tokens` [B, 1], which follow those before."""
        found, self.place, _ = self.module.advance(self.memory, self.place, self.module.project(tokens)[:, -1])
        return self.module.logits(found)

    def reorder(self, rows: Tensor) -> None:
        """Go on with the answers in rows `rows` [B]."""
        self.memory, self.place = self.memory.rows(rows), Place(*(part[rows] for part in self.place))


class Seq2Seq(Network):
    """Builder of recurrent networks from tokens to tokens."""

    Config: ClassVar[type] = EncoderDecoderConfig
    config: EncoderDecoderConfig
    own_loss = True

    def build(self, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator) -> EncoderDecoder:
        """Build an encoder and a decoder from tokens [B, S] to tokens [B, T]."""
        return EncoderDecoder(self.config, input_space, output_space, rng)
