"""Convolutions over the words of a text: what a filter finds anywhere counts, wherever it is.

Source: Kim, *Convolutional neural networks for sentence classification*, 2014, section 2, the variant with random vectors. Departures: the
norms of the last layer's weights are not bounded; `weight_decay` of the learner takes that part.
Letters: B batch, T time, E numbers of a word, F filters of a width, K outputs.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from gymnasium import Space
from torch import Tensor, nn
from torch.nn import functional

from dl_nets.networks.embedding import token_vectors, vocabulary
from dl_nets.networks.initialisation import linear
from dl_nets.networks.layers import Dropout
from dl_nets.networks.spaces import output_size
from rl_core.config import Count, Doc, Meta, configclass
from rl_core.network import Network
from rl_core.tokens import padding_of


@configclass
class TextCNNConfig:
    """Settings of convolutions over words."""

    widths: Annotated[tuple[Count, ...], Doc("words that the filters of each kind see")] = (3, 4, 5)
    filters: Annotated[Count, Doc("F, filters of each width")] = 100
    embedding: Annotated[Count, Doc("E, numbers of the vector that stands for a word")] = 100
    dropout: Annotated[float, Meta(ge=0, lt=1), Doc("probability that a number of a text is left out while training")] = 0.5

    def __post_init__(self) -> None:
        if not self.widths:
            raise ValueError("widths is (); expected at least one width, such as (3, 4, 5)")


class TextCNN(nn.Module):
    """The module that `TextCNNNetwork` builds: max over t of relu(W [x_t; ...; x_{t+h-1}] + b) for each filter, dropout, a linear layer.

    Args:
        config: Settings.
        input_space: Words, tokens [T].
        output_space: Space of the answers.
        rng: Source of the first weights and of dropout.

    Raises:
        ValueError: if the inputs are not tokens.
    """

    def __init__(self, config: TextCNNConfig, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator) -> None:
        super().__init__()
        size = vocabulary(input_space)
        if size is None:
            raise ValueError(f"inputs are {input_space}; network cnn-text reads words, MultiDiscrete [T] of one vocabulary from 0")
        self._padding, self._widths = padding_of(input_space), config.widths
        self.words = token_vectors(size, config.embedding, rng, 0.25)
        self.filters = nn.ModuleList(linear(width * config.embedding, config.filters, rng, init="glorot") for width in config.widths)
        self.output = linear(len(config.widths) * config.filters, output_size(output_space), rng, init="glorot")
        self.dropout = Dropout(config.dropout, rng)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return outputs [B, K] of texts [B, T]."""
        inputs = inputs.long()
        known = torch.ones_like(inputs, dtype=torch.bool) if self._padding is None else inputs != self._padding
        longest = inputs.shape[1]
        if not torch.compiler.is_compiling():  # a graph has one length, and padding counts nothing
            longest = max(1, int(torch.where(known, torch.arange(1, longest + 1, device=inputs.device), 0).amax()))
        known = known[:, :longest, None]
        vectors = self.words(inputs[:, :longest]) * known
        found = []
        for width, filters in zip(self._widths, self.filters, strict=True):
            padded = functional.pad(vectors, (0, 0, 0, width - 1))
            windows = torch.cat([padded[:, place : place + longest] for place in range(width)], dim=2)  # [B, T, width E]
            found.append((torch.relu(filters(windows)) * known).amax(dim=1))
        outputs: Tensor = self.output(self.dropout(torch.cat(found, dim=1)))
        return outputs


class TextCNNNetwork(Network):
    """Builder of convolutions over words."""

    Config: ClassVar[type] = TextCNNConfig
    config: TextCNNConfig

    def build(self, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator) -> TextCNN:
        """Build a network from words [B, T] to outputs [B, K]."""
        return TextCNN(self.config, input_space, output_space, rng)
