"""The mean-pool captioner: the mean of all frames is given to an LSTM at each word. It does not see in which order frames come.

Source: Venugopalan et al., *Translating videos to natural language using deep recurrent neural networks*, 2015, section 3. Departures:
one layer of LSTM; the convolutions learn with the rest unless features are given.

Letters: B batch, N captions, T frames or tokens, V vocabulary, D numbers of a frame.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from gymnasium import Space
from torch import Tensor

from cv_models.describe.captioner import Captioner, CaptionerConfig, Memory, State
from cv_models.describe.show_and_tell import WordLSTM
from cv_models.watch.frames import FrameEncoder
from rl_core.config import Count, Doc, configclass
from rl_core.network import Network


@configclass
class ClipCaptionerConfig(CaptionerConfig):
    """Settings of the captioners of clips."""

    channels: Annotated[tuple[Count, ...], Doc("filters of the convolutions, each of which halves the picture")] = (16, 32, 64)
    frame_size: Annotated[Count, Doc("D, numbers that a frame becomes")] = 128
    word_size: Annotated[Count, Doc("numbers of a word's vector")] = 64
    units: Annotated[Count, Doc("of each LSTM")] = 128


class MeanPoolModule(Captioner):
    """The module that `MeanPoolCaptioner` builds.

    Args:
        config: Settings.
        input_space: Clips, or features of their frames.
        output_space: Captions.
        rng: Source of the first weights and of dropout.
    """

    def __init__(self, config: ClipCaptionerConfig, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator) -> None:
        super().__init__(config, output_space)
        self.frames = FrameEncoder(input_space, config.channels, config.frame_size, rng)
        self.decoder = WordLSTM(self.size, config.word_size, config.frame_size, config.units, rng, config.dropout)
        self._units = config.units

    def memory(self, inputs: Tensor) -> Memory:
        """Return the mean [B, D] of the frames of clips [B, T, ...]."""
        return (self.frames(inputs).mean(dim=1),)

    def begin(self, memory: Memory) -> State:
        """Return the LSTM's first state, 0."""
        return (memory[0].new_zeros(memory[0].shape[0], 2 * self._units),)

    def advance(self, memory: Memory, state: State, tokens: Tensor) -> tuple[Tensor, State, Tensor]:
        """Return the logits [N, V] of the token after `tokens` [N], the state there, and the share 1 of the one vector [N, 1]."""
        logits, after = self.decoder(tokens[:, None], memory[0][:, None], state[0])
        return logits[:, 0], (after,), torch.ones_like(logits[:, 0, :1])

    def read(self, memory: Memory, before: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits [N, T, V] of the token after each of `before` [N, T], in one pass, and shares of 1 [N, T, 1]."""
        beside = memory[0][:, None].expand(-1, before.shape[1], -1)
        logits, _ = self.decoder(before, beside, self.begin(memory)[0])
        return logits, torch.ones_like(logits[:, :, :1])


class MeanPoolCaptioner(Network):
    """Builder of captioners that pool frames."""

    Config: ClassVar[type] = ClipCaptionerConfig
    config: ClipCaptionerConfig
    own_loss = True

    def build(self, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator) -> MeanPoolModule:
        """Build a captioner from clips [B, T, H, W, C], or features [B, T, K], to captions [B, R T]."""
        return MeanPoolModule(self.config, input_space, output_space, rng)
