"""Taggers: a bidirectional LSTM over words and their letters, with a tag chosen word by word, or by a conditional random field.

Sources: Huang, Xu and Yu, *Bidirectional LSTM-CRF models for sequence tagging*, 2015; letters by convolution, Ma and Hovy, *End-to-end
sequence labeling via bi-directional LSTM-CNNs-CRF*, 2016, section 2.1. Departures: no vectors from other texts.
Letters: B batch, T time, C letters of a word, K tags.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from gymnasium import Space, spaces
from torch import Tensor, nn
from torch.nn import functional

from dl_nets.language.crf import CRF
from dl_nets.networks.cells import Cells
from dl_nets.networks.embedding import token_vectors, vocabulary
from dl_nets.networks.initialisation import linear
from dl_nets.networks.layers import Dropout
from rl_core.config import Count, Doc, Meta, configclass
from rl_core.network import Network
from rl_core.tokens import padding_of


@configclass
class TaggerConfig:
    """Settings of taggers."""

    crf: Annotated[bool, Doc("whether whole sequences of tags are scored; false: each word's tag on its own")] = False
    units: Annotated[Count, Doc("H of each layer and direction")] = 100
    layers: Annotated[Count, Doc("layers of the LSTM above each other")] = 1
    embedding: Annotated[Count, Doc("numbers of the vector that stands for a word")] = 100
    letter_embedding: Annotated[Count, Doc("numbers of the vector that stands for a letter, where the task gives letters")] = 16
    filters: Annotated[Count, Doc("filters over neighbouring letters, of which the maximum over a word is taken")] = 48
    filter_width: Annotated[Count, Doc("neighbouring letters that a filter sees; an odd number")] = 3
    dropout: Annotated[float, Meta(ge=0, lt=1), Doc("probability that a number of a word, or of the LSTM's outputs, is left out")] = 0.4
    word_dropout: Annotated[float, Meta(ge=0, lt=1), Doc("probability that only the letters of a word are read while training")] = 0.0

    def __post_init__(self) -> None:
        if self.filter_width % 2 == 0:
            raise ValueError(f"filter_width is {self.filter_width}; expected an odd number, with a letter in its middle")


class Spelling(nn.Module):
    """The letters of words as vectors: max over places of tanh(W [c_{i-n}; ...; c_{i+n}]).

    Args:
        size: Different letters; 0 is behind the end of a word.
        width: Numbers of a letter.
        filters: Numbers of a word.
        seen: Letters that a filter sees, 2 n + 1.
        rng: Source of the first weights.

    >>> Spelling(5, 4, 3, 3, np.random.default_rng(0))(torch.tensor([[[1, 2, 0, 0]]])).shape
    torch.Size([1, 1, 3])
    """

    def __init__(self, size: int, width: int, filters: int, seen: int, rng: np.random.Generator) -> None:
        super().__init__()
        self._seen = seen
        self.letters = token_vectors(size, width, rng, 0.5)
        self.filters = linear(seen * width, filters, rng, init="glorot")

    def forward(self, letters: Tensor) -> Tensor:
        """Return vectors [B, T, filters] of words with letters [B, T, C]."""
        known = letters != 0
        vectors = functional.pad(self.letters(letters.long()) * known[..., None], (0, 0, self._seen // 2, self._seen // 2))
        windows = torch.cat([vectors[:, :, place : place + letters.shape[2]] for place in range(self._seen)], dim=3)
        found = torch.tanh(self.filters(windows)).masked_fill(~known[..., None], -1.0)
        return found.amax(dim=2)


class Tagger(nn.Module):
    """The module that `TaggerNetwork` builds; it brings its own loss.

    Args:
        config: Settings.
        input_space: Words as tokens [T], or a dict of `words` [T] and their `letters` [T, C].
        output_space: Tags [T]; where 0 is padding, it is not an answer.
        rng: Source of the first weights and of dropout.

    Raises:
        ValueError: if there is not a tag for each word.
    """

    def __init__(self, config: TaggerConfig, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator) -> None:
        super().__init__()
        parts = dict(input_space.spaces) if isinstance(input_space, spaces.Dict) else {"words": input_space}
        words, letters = parts.get("words"), parts.get("letters")
        read = None if words is None else vocabulary(words)
        size, padding = vocabulary(output_space), padding_of(output_space)
        spelled = isinstance(letters, spaces.MultiDiscrete) and len(letters.shape) == 2
        if (
            words is None
            or read is None
            or size is None
            or words.shape != output_space.shape
            or (len(parts) > 1 and not spelled)
            or padding
        ):
            raise ValueError(
                f"inputs are {input_space} and outputs {output_space}; a tagger reads words, tokens [T], or a dict of words [T] and their "
                "letters [T, C], and gives each word a tag: tokens [T], padded by 0 or not at all"
            )
        self._padding, self._first = padding_of(words), 0 if padding is None else 1
        num_tags = size - self._first
        if num_tags < 1:
            raise ValueError(f"outputs are {output_space}, which holds padding only; expected at least one tag")
        self.words = token_vectors(read, config.embedding, rng, 0.5)
        self.spelling: Spelling | None = None
        if spelled:
            assert isinstance(letters, spaces.MultiDiscrete)
            self.spelling = Spelling(int(letters.nvec.max()), config.letter_embedding, config.filters, config.filter_width, rng)
        inputs = config.embedding + (config.filters if spelled else 0)
        self.recurrent = Cells("lstm", inputs, config.units, config.layers, rng, bidirectional=True, dropout=config.dropout)
        self.output = linear(2 * config.units, num_tags, rng, init="glorot")
        self.crf = CRF(num_tags, rng) if config.crf else None
        self.dropout, self.word_dropout = Dropout(config.dropout, rng), Dropout(config.word_dropout, rng)

    def scores(self, inputs: Tensor | Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return the score [B, T, K] of each tag for each word, and the number of words of each row [B]; T is that of the longest row."""
        words = inputs["words"] if isinstance(inputs, Mapping) else inputs
        lengths = torch.full((words.shape[0],), words.shape[1], device=words.device)
        if self._padding is not None:
            places = torch.arange(1, words.shape[1] + 1, device=words.device)
            lengths = torch.where(words != self._padding, places, 0).amax(dim=1).clamp(min=1)
        compiled = torch.compiler.is_compiling()  # a graph has one length, and padding counts nothing
        longest = words.shape[1] if compiled else int(lengths.max())
        vectors = self.words(words[:, :longest].long())
        if self.spelling is not None and isinstance(inputs, Mapping):
            inside = torch.arange(longest, device=words.device) < lengths[:, None]  # only words are spelled, not padding
            vectors = vectors * self.word_dropout(torch.ones_like(vectors[:, :, :1]))
            letters = inputs["letters"][:, :longest]
            if compiled:
                spelled = self.spelling(letters) * inside[:, :, None]
            else:
                found = self.spelling(letters[inside][None])[0]
                spelled = found.new_zeros(*inside.shape, found.shape[1]).index_put((inside,), found)
            vectors = torch.cat([vectors, spelled], dim=2)
        ends = torch.arange(longest, device=words.device)[:, None] == lengths - 1
        hidden = self.recurrent.both_ways(self.dropout(vectors).transpose(0, 1), ends).transpose(0, 1)
        scores: Tensor = self.output(self.dropout(hidden))
        return scores, lengths

    def training_loss(self, inputs: Any, targets: Tensor, weights: Tensor | None = None) -> tuple[Tensor, dict[str, Any]]:
        """Return the mean over words of -log P(tags) [], and the share of words whose own score is highest for their tag."""
        scores, lengths = self.scores(inputs)
        scores, tags = scores.float(), (targets[:, : scores.shape[1]].long() - self._first).clamp(min=0)
        known = torch.arange(scores.shape[1], device=scores.device) < lengths[:, None]
        weight = torch.ones(len(tags), device=scores.device) if weights is None else weights.float()
        if self.crf is not None:
            total = (self.crf.losses(scores, tags, lengths) * weight).sum()
        else:
            each = functional.cross_entropy(scores.flatten(0, 1), tags.flatten(), reduction="none").view(tags.shape)
            total = (each * known * weight[:, None]).sum()
        counted = (known * weight[:, None]).sum().clamp(min=1e-9)
        right = ((scores.detach().argmax(dim=2) == tags) * known * weight[:, None]).sum()
        return total / counted, {"word_accuracy": right / counted}

    @property
    def traced_outputs(self) -> dict[str, str]:
        """Meaning of the outputs of `traced_answers`, by name."""
        how = "each word's likeliest" if self.crf is None else "those of the likeliest sequence, by Viterbi's algorithm"
        return {
            "answers": f"tags, {how}; 0 behind the last word",
            "outputs": "score of each tag for each word, before transitions; 0 behind the last",
        }

    def traced_answers(self, inputs: Any) -> tuple[Tensor, Tensor]:
        """Return tags [B, T] and the scores of all tags [B, T, K], for an exporter."""
        scores, lengths = self.scores(inputs)
        known = torch.arange(scores.shape[1], device=scores.device) < lengths[:, None]
        return self._chosen(scores, lengths, inputs), scores * known[:, :, None]

    def answers(self, inputs: Any) -> Tensor:
        """Return tags [B, T], padded as the inputs are."""
        return self._chosen(*self.scores(inputs), inputs)

    def _chosen(self, scores: Tensor, lengths: Tensor, inputs: Any) -> Tensor:
        found = scores.argmax(dim=2) if self.crf is None else self.crf.answers(scores.float(), lengths)
        known = torch.arange(found.shape[1], device=found.device) < lengths[:, None]
        words = inputs["words"] if isinstance(inputs, Mapping) else inputs
        return functional.pad(torch.where(known, found + self._first, 0), (0, words.shape[1] - found.shape[1]))


class TaggerNetwork(Network):
    """Builder of taggers."""

    Config: ClassVar[type] = TaggerConfig
    config: TaggerConfig
    own_loss = True

    def build(self, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator) -> Tagger:
        """Build a tagger from words [B, T] to tags [B, T]."""
        return Tagger(self.config, input_space, output_space, rng)
