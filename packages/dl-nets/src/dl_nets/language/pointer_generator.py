"""Pointer-generator: a decoder that writes words of its vocabulary, or copies words of the text that it reads.

Source: See, Liu and Manning, *Get to the point: summarization with pointer-generator networks*, 2017, sections 2.2 and 2.3. Departures:
the output layer is that of `seq2seq`; coverage counts from the first update on: to switch it on late, as the paper does, learn
with coverage=0 and start a second run from the first.
Letters: B batch, S time of inputs, T time of answers, V words of the vocabulary, K numbers for other words, N tokens that count.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from gymnasium import Space
from torch import Tensor
from torch.nn import functional

from dl_nets.language.alignment import coverage_loss
from dl_nets.language.copy_tokens import CopyTokens
from dl_nets.language.seq2seq import Decoding, EncoderDecoder, EncoderDecoderConfig
from dl_nets.networks.cells import CellName
from dl_nets.networks.generation import GREEDY
from dl_nets.networks.initialisation import linear
from rl_core.config import Count, Doc, Meta, NonNegative, configclass
from rl_core.network import Network
from rl_core.tokens import Tokens

LEAST = 1e-10  # added to a probability before its logarithm is taken


@configclass
class PointerGeneratorConfig:
    """Settings of pointer-generators."""

    copy: Annotated[bool, Doc("whether words of the input can be copied; false: only words of the vocabulary are written")] = True
    coverage: Annotated[NonNegative, Doc("lambda, weight of the loss for reading the same place again; 0: none")] = 1.0
    cell: Annotated[CellName, Doc("rnn (Elman), gru or lstm, of both networks")] = "lstm"
    units: Annotated[Count, Doc("H, of the decoder and of each direction of the encoder")] = 64
    embedding: Annotated[Count, Doc("E, numbers of the vector that stands for a word")] = 64
    attention_size: Annotated[Count, Doc("numbers of the attention's hidden layer")] = 64
    dropout: Annotated[float, Meta(ge=0, lt=1), Doc("probability that a number of a word or of the output's input is left out")] = 0.0
    beams: Annotated[Count, Doc("texts that are followed at a time when it answers; 1 takes the likeliest word each time")] = 1
    length_penalty: Annotated[NonNegative, Doc("alpha of a beam's score, log probability over ((5 + length) / 6)^alpha")] = 0.6


def mixed(vocabulary: Tensor, shares: Tensor, places: Tensor, generate: Tensor, size: int) -> Tensor:
    """Return P(w) [N, size] = p_gen P_vocab(w) + (1 - p_gen) sum of the shares of the places with word w (9).

    Args:
        vocabulary: P_vocab [N, V].
        shares: a [N, S].
        places: The number of the word at each place [N, S], below `size`.
        generate: p_gen [N, 1].
        size: V + K.

    A word outside of the vocabulary, 2, has the attention of its place, 0.75, times 1 - p_gen:

    >>> mixed(torch.tensor([[0.5, 0.5]]), torch.tensor([[0.25, 0.75]]), torch.tensor([[0, 2]]), torch.tensor([[0.6]]), 3)
    tensor([[0.4000, 0.3000, 0.3000]])
    """
    whole = functional.pad(generate * vocabulary, (0, size - vocabulary.shape[1]))
    return whole.scatter_add(1, places, (1.0 - generate) * shares)


class PointerGeneratorModule(EncoderDecoder):
    """The module that `PointerGenerator` builds; it brings its own loss.

    Args:
        config: Settings.
        input_space: Words that are read.
        output_space: Words that are written.
        rng: Source of the first weights and of dropout.

    Raises:
        ValueError: if the spaces do not number the words of an input that the vocabulary lacks.
    """

    traced_outputs: Mapping[str, str] = {**GREEDY, "outputs": "log probabilities of the word at each place, given the answers before it"}

    def __init__(self, config: PointerGeneratorConfig, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator) -> None:
        if not isinstance(input_space, CopyTokens) or not isinstance(output_space, CopyTokens) or input_space.known != output_space.known:
            raise ValueError(
                f"inputs are {input_space} and outputs {output_space}; network pointer-generator reads and writes the words of one "
                "vocabulary and copies others, as dl_nets.language.copy_tokens.CopyTokens numbers them"
            )
        plain = {
            name: getattr(config, name) for name in ("cell", "units", "embedding", "attention_size", "dropout", "beams", "length_penalty")
        }
        known, unknown = input_space.known, input_space.unknown
        read, written = (Tokens(space.length, known, padding=space.padding, end=space.end) for space in (input_space, output_space))
        super().__init__(EncoderDecoderConfig(**plain), read, written, rng, coverage=True)
        self._copies, self._weight, self._unknown, self._whole = config.copy, config.coverage, unknown, output_space.size
        self.switch = linear(3 * config.units + config.embedding, 1, rng, init="glorot") if config.copy else None

    def encode(self, inputs: Tensor) -> tuple[Any, Any]:
        """Return what the decoder looks at in inputs [B, S], and where it begins; the memory keeps the numbers of all words."""
        memory, place = super().encode(self._plain(inputs))
        return memory._replace(tokens=inputs[:, : memory.steps.shape[1]].long()), place

    def project(self, tokens: Tensor) -> Tensor:
        """Return what words [B, T] add to the cell's gates [B, T, G H]."""
        return super().project(self._plain(tokens))

    def begin(self, count: int, device: torch.device) -> Tensor:
        """Return the number [B, 1] in front of every text."""
        return torch.full((count, 1), self._whole, device=device)

    def generated(self, found: Tensor, tokens: Tensor) -> Tensor:
        """Return p_gen [N, 1] (8), for states beside what was read [N, 3 H] at `tokens` [N]; 1 where nothing is copied."""
        if self.switch is None:
            return found.new_ones(found.shape[0], 1)
        return torch.sigmoid(self.switch(torch.cat([found, self.target(self._plain(tokens))], dim=1)))

    def training_loss(self, inputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> tuple[Tensor, dict[str, Any]]:
        """Return the mean of -log P(w) + lambda times the loss of coverage [], the share of right words, and the mean of p_gen."""
        memory, place = self.encode(inputs)
        before, wanted, counted, weight = self.taught(targets, weights)
        if self.switch is None:
            wanted = self._plain(wanted)
        found, shares = self.read(memory, place, before)
        chosen, rows = wanted[counted], counted.nonzero()[:, 0]
        generate = self.generated(found[counted], before[counted])
        vocabulary = self.logits(found[counted]).float().softmax(dim=1)
        place_shares, places = shares[counted], memory.tokens[rows]
        copied = (place_shares * (places == chosen[:, None])).sum(dim=1)
        inside = (chosen < self.size).float()
        written = vocabulary.gather(1, chosen.clamp(max=self.size - 1)[:, None])[:, 0] * inside
        probability = generate[:, 0] * written + (1.0 - generate[:, 0]) * copied
        losses = -(probability + LEAST).log()
        if self._weight:
            covered = torch.cumsum(shares, dim=1) - shares
            losses = losses + self._weight * coverage_loss(place_shares, covered[counted])
        total = weight.sum().clamp(min=1e-9)
        metrics = {"right_probability": (probability.detach() * weight).sum() / total, "generated": generate.detach().mean()}
        return (losses * weight).sum() / total, metrics

    def decoding(self, inputs: Tensor) -> Decoding:
        """Return the decoder at work on answers to inputs [B, S]; words that were copied have the inputs' numbers."""
        return _Copying(self, *self.encode(inputs))

    def log_probabilities(self, memory: Any, found: Tensor, shares: Tensor, tokens: Tensor) -> Tensor:
        """Return log P(w) [B, V + K] of states beside what was read [B, 3 H], the shares of the places [B, S], behind `tokens` [B]."""
        vocabulary = self.logits(found).float().softmax(dim=1)
        return (mixed(vocabulary, shares, memory.tokens, self.generated(found, tokens), self._whole) + LEAST).log()

    def _plain(self, tokens: Tensor) -> Tensor:
        """Return words [...] as the vocabulary numbers them: others are unknown, and the beginning is V."""
        tokens = tokens.long()
        outside = (tokens >= self.size) & (tokens < self._whole)
        return torch.where(outside, self._unknown, tokens.clamp(max=self.size))


class _Copying(Decoding):
    """The decoder at work on some answers, which copies."""

    module: PointerGeneratorModule

    def __call__(self, tokens: Tensor) -> Tensor:
        """Return log probabilities [B, V + K] of the word after `tokens` [B, 1]."""
        found, self.place, shares = self.module.advance(self.memory, self.place, self.module.project(tokens)[:, -1])
        return self.module.log_probabilities(self.memory, found, shares, tokens[:, -1])


class PointerGenerator(Network):
    """Builder of pointer-generators."""

    Config: ClassVar[type] = PointerGeneratorConfig
    config: PointerGeneratorConfig
    own_loss = True

    def build(self, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator) -> PointerGeneratorModule:
        """Build a pointer-generator from words [B, S] to words [B, T]."""
        return PointerGeneratorModule(self.config, input_space, output_space, rng)
