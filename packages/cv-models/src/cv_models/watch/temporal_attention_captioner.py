"""Temporal attention: an LSTM reads the frames, and at each word another one looks back at some of them.

Source: Yao et al., *Describing videos by exploiting temporal structure*, 2015, section 3.2. Departures: frames are read by an LSTM, whose
states are attended to, in place of three-dimensional convolutions; the decoder is that of `show-attend-and-tell`.

Letters: B batch, N captions, T frames or tokens, V vocabulary, H units.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from gymnasium import Space
from torch import Tensor

from cv_models.describe.attending import AttendingLSTM
from cv_models.describe.attending_captioner import AttendingCaptioner
from cv_models.describe.captioner import Memory
from cv_models.watch.frames import FrameEncoder
from cv_models.watch.mean_pool_captioner import ClipCaptionerConfig
from dl_nets.networks.cells import Cell
from dl_nets.networks.layers import Dropout
from rl_core.config import Count, Doc, NonNegative, configclass
from rl_core.network import Network
from rl_core.task import DataTask


@configclass
class TemporalAttentionConfig(ClipCaptionerConfig):
    """Settings of the captioner with temporal attention."""

    attention_size: Annotated[Count, Doc("numbers of the attention's hidden layer")] = 64
    spread: Annotated[NonNegative, Doc("lambda, weight of the doubly stochastic term over the frames; 0: none")] = 0.0


class TemporalAttentionModule(AttendingCaptioner):
    """The module that `TemporalAttentionCaptioner` builds.

    Args:
        config: Settings.
        input_space: Clips, or features of their frames.
        output_space: Captions.
        rng: Source of the first weights and of dropout.
    """

    def __init__(
        self, config: TemporalAttentionConfig, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator
    ) -> None:
        super().__init__(config, output_space)
        self.frames = FrameEncoder(input_space, config.channels, config.frame_size, rng)
        self.reader = Cell("lstm", config.frame_size, config.units, rng)
        self.decoder = AttendingLSTM(self.size, config.units, config.word_size, config.units, config.attention_size, rng, config.dropout)
        self.dropout = Dropout(config.dropout, rng)

    def memory(self, inputs: Tensor) -> Memory:
        """Return the reader's outputs at the frames [B, T, H] of clips [B, T, ...], and their keys."""
        frames = self.dropout(self.frames(inputs)).transpose(0, 1)
        starts = torch.zeros(frames.shape[:2], dtype=torch.bool, device=frames.device)
        outputs, _ = self.reader(frames, frames.new_zeros(frames.shape[1], self.reader.state_size), starts)
        places = outputs.transpose(0, 1)
        return places, self.decoder.keys(places)

    def attention(self, inputs: Tensor, captions: Tensor) -> Tensor:
        """Return the share [B, T, frames] of each frame of clips at each token of captions [B, T]."""
        return self.read(self.memory(inputs), self._before(captions.long()))[1]

    def draw(self, folder: Path, task: DataTask) -> None:
        """Write the frames that the decoder looks at, word by word, for some test clips."""
        from cv_models.watch.frame_maps import draw_frame_attention

        draw_frame_attention(self, folder / "attention.png", task)


class TemporalAttentionCaptioner(Network):
    """Builder of captioners with temporal attention."""

    Config: ClassVar[type] = TemporalAttentionConfig
    config: TemporalAttentionConfig
    own_loss = True

    def build(self, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator) -> TemporalAttentionModule:
        """Build a captioner from clips [B, T, H, W, C], or features [B, T, K], to captions [B, R T]."""
        return TemporalAttentionModule(self.config, input_space, output_space, rng)
