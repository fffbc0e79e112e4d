"""Show and tell: a convolutional network sees the picture, and an LSTM that starts from what it saw writes the caption.

Source: Vinyals, Toshev, Bengio and Erhan, *Show and tell: a neural image caption generator*, 2015, section 3. Departures: the picture's
vector gives the LSTM its first state instead of its first input; the convolutions learn with the rest unless they are loaded.

Letters: B batch, N captions, T tokens, V vocabulary, D numbers of a picture, H units.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from gymnasium import Space
from torch import Tensor, nn

from cv_models.describe.captioner import Captioner, CaptionerConfig, Memory, State
from cv_models.describe.encoder import GridEncoder
from dl_nets.networks.cells import Cell
from dl_nets.networks.embedding import token_vectors
from dl_nets.networks.initialisation import linear
from dl_nets.networks.layers import Dropout
from rl_core.config import Count, Doc, configclass
from rl_core.network import Network

WORD_DEVIATION = 0.1  # of the first vectors of words


@configclass
class ShowAndTellConfig(CaptionerConfig):
    """Settings of show-and-tell."""

    channels: Annotated[tuple[Count, ...], Doc("filters of the convolutions, each of which halves the picture")] = (16, 48, 96)
    picture_size: Annotated[Count, Doc("D, numbers that the picture becomes")] = 256
    word_size: Annotated[Count, Doc("numbers of a word's vector")] = 64
    units: Annotated[Count, Doc("H, of the LSTM")] = 128


class WordLSTM(nn.Module):
    """An LSTM from words, and numbers beside them, to the logits of the next word.

    Args:
        size: V.
        word_size: Numbers of a word's vector.
        beside: Numbers that are given at each step beside the word.
        units: H.
        rng: Source of the first weights and of dropout.
        dropout: Probability that a number is left out on its way in or out.
    """

    def __init__(self, size: int, word_size: int, beside: int, units: int, rng: np.random.Generator, dropout: float = 0.0) -> None:
        super().__init__()
        self.words = token_vectors(size + 1, word_size, rng, WORD_DEVIATION)
        self.cell = Cell("lstm", word_size + beside, units, rng)
        self.output = linear(units, size, rng, init="glorot")
        self.dropout = Dropout(dropout, rng)

    def forward(self, tokens: Tensor, beside: Tensor | None, state: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits [N, T, V] of the token after each one, and the last state [N, 2 H].

        Args:
            tokens: [N, T].
            beside: Numbers given at each step [N, T, K]; `None` for none.
            state: State before the first step [N, 2 H].
        """
        vectors = self.words(tokens)
        vectors = vectors if beside is None else torch.cat([vectors, beside], dim=2)
        starts = torch.zeros(tokens.shape[::-1], dtype=torch.bool, device=tokens.device)
        outputs, state = self.cell(self.dropout(vectors).transpose(0, 1), state, starts)
        return self.output(self.dropout(outputs.transpose(0, 1))), state


class ShowAndTellModule(Captioner):
    """The module that `ShowAndTell` builds.

    Args:
        config: Settings.
        input_space: Pictures.
        output_space: Captions.
        rng: Source of the first weights and of dropout.
    """

    def __init__(self, config: ShowAndTellConfig, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator) -> None:
        super().__init__(config, output_space)
        self.encoder = GridEncoder(input_space, config.channels, rng, placed=False)
        places = self.encoder.rows * self.encoder.columns
        self.picture = nn.Sequential(linear(places * self.encoder.width, config.picture_size, rng, init="he"), nn.ReLU())
        self.first = linear(config.picture_size, 2 * config.units, rng, init="glorot")
        self.decoder = WordLSTM(self.size, config.word_size, 0, config.units, rng, config.dropout)

    def memory(self, inputs: Tensor) -> Memory:
        """Return the vectors [B, D] of pictures [B, H, W, C]."""
        return (self.picture(self.encoder(inputs).flatten(1)),)

    def begin(self, memory: Memory) -> State:
        """Return the LSTM's first state, tanh(W v + b) of the picture's vector v."""
        return (torch.tanh(self.first(memory[0])),)

    def advance(self, memory: Memory, state: State, tokens: Tensor) -> tuple[Tensor, State, Tensor]:
        """Return the logits [N, V] of the token after `tokens` [N], the state there, and the share 1 of the one vector [N, 1]."""
        logits, after = self.decoder(tokens[:, None], None, state[0])
        return logits[:, 0], (after,), torch.ones_like(logits[:, 0, :1])

    def read(self, memory: Memory, before: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits [N, T, V] of the token after each of `before` [N, T], in one pass, and shares of 1 [N, T, 1]."""
        logits, _ = self.decoder(before, None, self.begin(memory)[0])
        return logits, torch.ones_like(logits[:, :, :1])


class ShowAndTell(Network):
    """Builder of the CNN-LSTM captioner."""

    Config: ClassVar[type] = ShowAndTellConfig
    config: ShowAndTellConfig
    own_loss = True

    def build(self, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator) -> ShowAndTellModule:
        """Build a captioner from pictures [B, H, W, C] to captions [B, R T]."""
        return ShowAndTellModule(self.config, input_space, output_space, rng)
